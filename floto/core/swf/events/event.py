"""The common part of all events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic

import attrs
from attrs import field

from floto.core.frozen import FrozenDict, frozen
from floto.core.quick_init import quick_init

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Data_co = TypeVar("Data_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    # Python 3.13 has the default, which only type checkers look at.
    Data_co = TypeVar("Data_co", covariant=True)


@quick_init
@attrs.frozen(weakref_slot=False)
class Event(Generic[Data_co]):
    """An event of a history: its id, its time (UTC), and its data.

    ``Event[MarkerRecorded]`` is an event of that class, ``Event[EventData]`` one of any class of SWF's: type
    checkers then ask for an ``isinstance`` before a field is read. ``Event`` alone leaves ``data`` unchecked.
    """

    id: int
    at: datetime
    data: Data_co


@attrs.frozen(kw_only=True)
class OtherEvent:
    """An event of an unknown type, with its attributes unchanged."""

    type: str
    attributes: Mapping[str, Any] = field(factory=FrozenDict, converter=frozen)
