"""SWF's own wire protocol over the embedded engine, as an ASGI application (extra ``server``)."""

from __future__ import annotations

from floto.adapters.http.app import Endpoint, application
from floto.adapters.http.signatures import Keys
from floto.logs import guard_logs

__all__ = ["Endpoint", "Keys", "application"]

guard_logs()
