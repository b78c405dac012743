"""The envelope around every event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs
from attrs import field

from floto.core.frozen import FrozenDict, frozen


@attrs.frozen
class Event:
    """One line of a history: its id, when it was written (UTC), and what happened."""

    id: int
    at: datetime
    data: Any


@attrs.frozen(kw_only=True)
class OtherEvent:
    """An event of a type that floto does not know, kept as it came."""

    type: str
    attributes: Mapping[str, Any] = field(factory=FrozenDict, converter=frozen)
