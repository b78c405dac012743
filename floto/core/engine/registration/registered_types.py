"""Registered domains, and registered types with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import Factory, frozen

from floto.core.engine.registration.type_settings import ActivityDefaults, WorkflowDefaults
from floto.core.swf.shapes import ActivityType, WorkflowType

REGISTERED, DEPRECATED = "REGISTERED", "DEPRECATED"


@frozen(kw_only=True)
class RegisteredType:
    """A registered type; only its status changes."""

    type: ActivityType | WorkflowType
    defaults: ActivityDefaults | WorkflowDefaults
    created_at: datetime
    description: str | None = None
    #: Time of the deprecation; None while registered.
    deprecated_at: datetime | None = None

    @property
    def status(self) -> str:
        """``REGISTERED`` or ``DEPRECATED``."""
        return REGISTERED if self.deprecated_at is None else DEPRECATED


@frozen(kw_only=True)
class Domain:
    """A registered domain; its status and tags change."""

    #: Key of ``regions.domain_key``, which has the region unless it is the default one.
    name: str
    #: Retention of closed runs in days; ``"NONE"``: not kept, None: kept forever (floto only).
    retention: str | None = None
    description: str | None = None
    is_deprecated: bool = False
    #: By key.
    tags: Mapping[str, str] = Factory(dict)

    @property
    def status(self) -> str:
        """``REGISTERED`` or ``DEPRECATED``."""
        return DEPRECATED if self.is_deprecated else REGISTERED
