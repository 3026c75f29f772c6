"""Sentry's client for Python, in a Flask application that fails while it answers a request."""

import os
import threading
import urllib.error
import urllib.request

import flask
import sentry_sdk
from sentry_sdk.integrations.flask import FlaskIntegration
from werkzeug.serving import make_server

import shop

print("version", sentry_sdk.VERSION, flush=True)
sentry_sdk.init(
    os.environ["LIVE_DSN"],
    release=os.environ["LIVE_RELEASE"],
    environment=os.environ["LIVE_ENVIRONMENT"],
    integrations=[FlaskIntegration()],
)
app = flask.Flask(__name__)


@app.route("/checkout", methods=["POST"])
def checkout():
    sentry_sdk.set_user({"id": "ada-7", "email": "ada@shop.example"})
    sentry_sdk.set_tag("shelf", "north-7")
    sentry_sdk.add_breadcrumb(category="basket", message="basket opened", data={"items": 3})
    sentry_sdk.capture_message(os.environ["LIVE_NOTE"], level="warning")
    shop.charge(os.environ["LIVE_MESSAGE"])


server = make_server("127.0.0.1", 0, app)
threading.Thread(target=server.serve_forever, daemon=True).start()
try:
    urllib.request.urlopen(f"http://127.0.0.1:{server.port}/checkout?page=2", data=b"card=visa")
except urllib.error.HTTPError as error:
    assert error.code == 500, error
sentry_sdk.flush(10)
