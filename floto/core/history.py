"""A whole history, checked and frozen: what ``decide`` looks at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import field, frozen

from floto.core import wire
from floto.core.errors import HistoryError
from floto.core.events import Event
from floto.core.identifiers import shown
from floto.core.shapes import WorkflowExecution


def _events(events: Iterable[Event]) -> tuple[Event, ...]:
    return tuple(events)


@frozen
class History:
    """The events of one run from the first, in order; raises ``HistoryError`` if one is missing.

    ``execution`` says which run this is: SWF's events do not, and the ids of children
    are made from it.
    """

    events: tuple[Event, ...] = field(converter=_events, repr=lambda events: f"<{len(events)} events>")
    execution: WorkflowExecution | None = None

    def __attrs_post_init__(self) -> None:
        for expected, event in enumerate(self.events, start=1):
            if event.id != expected:
                raise HistoryError(event.id, f"follows event {expected - 1}; a history counts 1, 2, 3, ...")

    @classmethod
    def from_swf(
        cls, events: Iterable[Mapping[str, Any]], execution: WorkflowExecution | None = None
    ) -> History:
        """Read SWF's event dicts, in any order; times as datetimes, epoch seconds or ISO text."""
        if isinstance(events, Mapping) or not isinstance(events, Iterable):
            raise HistoryError(
                None, f"give a list of events, such as response['events'], not {shown(events)}"
            )
        read = wire.events_from_swf(events)
        return cls(sorted(read, key=lambda event: event.id), execution)

    def to_swf(self) -> list[dict[str, Any]]:
        """SWF's event dicts, as boto3 gives them."""
        return [wire.event_to_swf(event) for event in self.events]

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)
