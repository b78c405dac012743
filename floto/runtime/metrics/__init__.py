"""Metrics for Prometheus, and the server from which it reads them; they need the extra ``metrics``."""

try:
    import prometheus_client as prometheus_client
except ModuleNotFoundError as error:
    _MESSAGE = "metrics need an extra package: pip install 'floto[metrics]'"
    raise ModuleNotFoundError(_MESSAGE, name=error.name) from None
