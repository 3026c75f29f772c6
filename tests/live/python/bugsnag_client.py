"""Bugsnag's client for Python."""

import importlib.metadata
import os

import bugsnag

import shop

print("version", importlib.metadata.version("bugsnag"), flush=True)
bugsnag.configure(
    api_key=os.environ["LIVE_KEY"],
    app_version=os.environ["LIVE_RELEASE"],
    release_stage=os.environ["LIVE_ENVIRONMENT"],
    endpoint=f"{os.environ['LIVE_URL']}/notify",
    session_endpoint=f"{os.environ['LIVE_URL']}/sessions",
    asynchronous=False,
    project_root=os.path.dirname(os.path.abspath(__file__)),
)


def describe(event):
    event.set_user(id="ada-7", email="ada@shop.example", name="Ada")
    event.add_tab("stock", {"shelf": "north-7"})


bugsnag.before_notify(describe)
bugsnag.leave_breadcrumb("basket opened", {"items": 3})
bugsnag.notify(Warning(os.environ["LIVE_NOTE"]), severity="warning")
try:
    shop.charge(os.environ["LIVE_MESSAGE"])
except shop.PaymentDeclined as error:
    bugsnag.notify(error)
