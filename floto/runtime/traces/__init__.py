"""Traces of runs for OpenTelemetry's collectors and files; they need the extra ``traces``."""

try:
    import opentelemetry.exporter.otlp.proto.http as otlp
    import opentelemetry.sdk.trace as sdk
except ModuleNotFoundError as error:
    _MESSAGE = "traces need extra packages: pip install 'floto[traces]'"
    raise ModuleNotFoundError(_MESSAGE, name=error.name) from None

__all__ = ["otlp", "sdk"]
