"""Descriptions of services and types for the line that a loop logs when it starts."""

from __future__ import annotations

from collections.abc import Iterable

from floto.core.swf.service import Service
from floto.core.swf.shapes import ActivityType


def describe_service(service: Service) -> str:
    """Return the URL and domain of a service; for a service class of the user's own, its class name."""
    url, domain = getattr(service, "url", None), getattr(service, "domain", None)
    where = url if isinstance(url, str) else f"a {type(service).__name__}"
    return f"{where}, domain {domain!r}" if isinstance(domain, str) else where


def describe_types(types: Iterable[ActivityType]) -> str:
    """Return the names and versions of types, or 'none'."""
    return ", ".join(f"{kind.name} {kind.version}" for kind in types) or "none"
