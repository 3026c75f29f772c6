"""Honeybadger's client for Python."""

import importlib.metadata
import os

from honeybadger import honeybadger

import shop

print("version", importlib.metadata.version("honeybadger"), flush=True)
honeybadger.configure(
    api_key=os.environ["LIVE_KEY"],
    endpoint=os.environ["LIVE_URL"],
    environment=os.environ["LIVE_ENVIRONMENT"],
    force_report_data=True,
    force_sync=True,
)
honeybadger.set_context({"user_id": "ada-7", "user_email": "ada@shop.example", "shelf": "north-7"})
honeybadger.notify(error_class="Note", error_message=os.environ["LIVE_NOTE"])
try:
    shop.charge(os.environ["LIVE_MESSAGE"])
except shop.PaymentDeclined as error:
    honeybadger.notify(error)
