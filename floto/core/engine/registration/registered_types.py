"""What is registered: domains, and types with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import Factory, frozen

from floto.core.engine.registration.defaults import ActivityDefaults, WorkflowDefaults
from floto.core.swf.shapes import ActivityType, WorkflowType

REGISTERED, DEPRECATED = "REGISTERED", "DEPRECATED"


@frozen(kw_only=True)
class RegisteredType:
    """A type as it was registered; only its status changes later."""

    type: ActivityType | WorkflowType
    defaults: ActivityDefaults | WorkflowDefaults
    created_at: datetime
    description: str | None = None
    #: None unless it is deprecated now.
    deprecated_at: datetime | None = None

    @property
    def status(self) -> str:
        """SWF's word for whether new tasks may be of this type."""
        return REGISTERED if self.deprecated_at is None else DEPRECATED


@frozen(kw_only=True)
class Domain:
    """A domain as it was registered; its status and tags change later."""

    #: The key of ``regions.domain_key``: its region too, unless that is the default one.
    name: str
    #: How long closed runs are kept, in days, or NONE, which is not at all; None is for good, as no SWF does.
    retention: str | None = None
    description: str | None = None
    is_deprecated: bool = False
    #: By key.
    tags: Mapping[str, str] = Factory(dict)

    @property
    def status(self) -> str:
        """SWF's word for whether new types and runs may be of this domain."""
        return DEPRECATED if self.is_deprecated else REGISTERED
