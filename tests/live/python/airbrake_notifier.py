"""Airbrake's client for Python."""

import importlib.metadata
import os

import pybrake

import shop

print("version", importlib.metadata.version("pybrake"), flush=True)
notifier = pybrake.Notifier(
    project_id=int(os.environ["LIVE_PROJECT"]),
    project_key=os.environ["LIVE_KEY"],
    host=os.environ["LIVE_URL"],
    environment=os.environ["LIVE_ENVIRONMENT"],
)


def describe(notice):
    notice["context"]["version"] = os.environ["LIVE_RELEASE"]
    notice["context"]["user"] = {"id": "ada-7", "email": "ada@shop.example"}
    notice["params"]["shelf"] = "north-7"
    return notice


notifier.add_filter(describe)
print(notifier.notify_sync(os.environ["LIVE_NOTE"]))
try:
    shop.charge(os.environ["LIVE_MESSAGE"])
except shop.PaymentDeclined as error:
    print(notifier.notify_sync(error))
