"""The client for Python that came before Sentry's own."""

import os

import raven
from raven.transport.http import HTTPTransport

import shop

print("version", raven.VERSION, flush=True)
scheme, rest = os.environ["LIVE_DSN"].split("://")
client = raven.Client(
    f"{scheme}://{rest.replace('@', ':secret@')}",
    transport=HTTPTransport,
    release=os.environ["LIVE_RELEASE"],
    environment=os.environ["LIVE_ENVIRONMENT"],
    tags={"shelf": "north-7"},
)
client.user_context({"id": "ada-7", "email": "ada@shop.example"})
client.captureBreadcrumb(category="basket", message="basket opened", data={"items": 3})
client.captureMessage(os.environ["LIVE_NOTE"], level="warning")
try:
    shop.charge(os.environ["LIVE_MESSAGE"])
except shop.PaymentDeclined:
    client.captureException()
