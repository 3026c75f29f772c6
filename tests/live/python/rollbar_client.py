"""Rollbar's client for Python."""

import os

import rollbar

import shop

print("version", rollbar.__version__, flush=True)
rollbar.init(
    os.environ["LIVE_KEY"],
    endpoint=f"{os.environ['LIVE_URL']}/api/1/",
    environment=os.environ["LIVE_ENVIRONMENT"],
    code_version=os.environ["LIVE_RELEASE"],
    handler="blocking",
)
about = {"shelf": "north-7"}
person = {"person": {"id": "ada-7", "email": "ada@shop.example"}}
rollbar.report_message(os.environ["LIVE_NOTE"], "warning", extra_data=about, payload_data=person)
try:
    shop.charge(os.environ["LIVE_MESSAGE"])
except shop.PaymentDeclined:
    rollbar.report_exc_info(extra_data=about, payload_data=person)
