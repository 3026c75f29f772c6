"""OpenTelemetry's SDK for Python with its exporter for HTTP or for gRPC: an exception of a span, and a logged one."""

import importlib.metadata
import os

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import shop

print("version", importlib.metadata.version("opentelemetry-sdk"), flush=True)
if os.environ["LIVE_PACKAGE"] == "otel-grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    exporter = OTLPSpanExporter(
        endpoint=os.environ["LIVE_GRPC"], insecure=True, headers={"x-croak-key": os.environ["LIVE_KEY"]}
    )
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter = OTLPSpanExporter(
        endpoint=f"{os.environ['LIVE_URL']}/v1/traces", headers={"x-croak-key": os.environ["LIVE_KEY"]}
    )
resource = Resource.create(
    {
        "service.name": "shop",
        "service.version": os.environ["LIVE_RELEASE"],
        "deployment.environment.name": os.environ["LIVE_ENVIRONMENT"],
    }
)
provider = TracerProvider(resource=resource)
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("shop")
try:
    with tracer.start_as_current_span("checkout") as span:
        span.set_attribute("enduser.id", "ada-7")
        span.set_attribute("shelf", "north-7")
        span.add_event("basket opened", {"items": 3})
        shop.charge(os.environ["LIVE_MESSAGE"])
except shop.PaymentDeclined:
    pass
provider.shutdown()
