"""Exports one span with one exception, as an application does, and exits with 0 if the exporter says that it was taken.

    export.py http|grpc HOST:PORT KEY CLASS
"""

import sys

import grpc
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as by_grpc
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http import trace_exporter as by_http
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

# How long the exporter may try, in seconds: not less than its attempts and the pauses between them take.
TIMEOUT_S = 90

protocol, address, key, name = sys.argv[1:]
if protocol == "grpc":
    exporter = by_grpc.OTLPSpanExporter(
        endpoint=address,
        insecure=True,
        headers=(("x-croak-key", key),),
        compression=grpc.Compression.Gzip,
        timeout=TIMEOUT_S,
    )
else:
    exporter = by_http.OTLPSpanExporter(
        endpoint=f"http://{address}/v1/traces",
        headers={"x-croak-key": key},
        compression=Compression.Gzip,
        timeout=TIMEOUT_S,
    )

finished = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(finished))
try:
    with provider.get_tracer("shop").start_as_current_span("charge"):
        raise type(name, (Exception,), {})("card declined")
except Exception:
    pass

result = exporter.export(finished.get_finished_spans())
exporter.shutdown()
sys.exit(0 if result is SpanExportResult.SUCCESS else 1)
