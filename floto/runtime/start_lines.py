"""Services and types as the lines say them that a loop logs when it starts."""

from __future__ import annotations

from collections.abc import Iterable

from floto.core.swf.service import Service
from floto.core.swf.shapes import ActivityType


def place_of(service: Service) -> str:
    """Return where a service is, and its domain; of a service of the user's own, its class."""
    url, domain = getattr(service, "url", None), getattr(service, "domain", None)
    where = url if isinstance(url, str) else f"a {type(service).__name__}"
    return f"{where}, domain {domain!r}" if isinstance(domain, str) else where


def names_of(types: Iterable[ActivityType]) -> str:
    """Return types with their versions, or 'none'."""
    return ", ".join(f"{kind.name} {kind.version}" for kind in types) or "none"
