"""The common part of all events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs
from attrs import field

from floto.core.frozen import FrozenDict, frozen


@attrs.frozen
class Event:
    """An event of a history: its id, its time (UTC), and its data."""

    id: int
    at: datetime
    data: Any


@attrs.frozen(kw_only=True)
class OtherEvent:
    """An event of an unknown type, with its attributes unchanged."""

    type: str
    attributes: Mapping[str, Any] = field(factory=FrozenDict, converter=frozen)
