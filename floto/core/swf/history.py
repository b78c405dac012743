"""A whole history, checked and frozen: what ``decide`` looks at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Protocol

from attrs import field, frozen

from floto.core.errors import HistoryError
from floto.core.swf import wire
from floto.core.swf.events import Event
from floto.core.swf.identifiers import shown
from floto.core.swf.shapes import WorkflowExecution


def check_event(value: object) -> None:
    """Raise ``HistoryError`` for what is no event of floto's, such as one of SWF's dicts."""
    if not isinstance(value, Event):
        problem = f"a history is made of floto's events, not of {shown(value)}"
        raise HistoryError(None, f"{problem}; read those of SWF with floto.History.from_swf(...)")


def check_events(value: object) -> None:
    """Raise ``HistoryError`` for what cannot be gone through event by event."""
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise HistoryError(None, f"give a list of events, such as response['events'], not {shown(value)}")


def _events(events: Iterable[Event]) -> tuple[Event, ...]:
    check_events(events)
    return tuple(events)


class PathLike(Protocol):
    """What names a file, such as a ``pathlib.Path``."""

    def __fspath__(self) -> str:
        """The name as text."""
        ...


class Files(Protocol):
    """Reads and writes saved histories; the core itself does no I/O."""

    def load(self, *paths: str | PathLike) -> History:
        """Return the history that these files hold. Raises ``HistoryError``."""
        ...

    def save(self, history: History, path: str | PathLike) -> None:
        """Write a history to a file."""
        ...


@frozen
class History:
    """The events of one run from the first, in order; raises ``HistoryError`` if one is missing.

    ``execution`` says which run this is: SWF's events do not, and the ids of children
    are made from it.
    """

    events: tuple[Event, ...] = field(converter=_events, repr=lambda events: f"<{len(events)} events>")
    execution: WorkflowExecution | None = None
    #: Where it was read from a file that is cut off: what is missing. Empty for a whole one.
    cut: str = field(default="", eq=False)
    #: How files are read and written; the package gives it to the core.
    files: ClassVar[Files]

    def __attrs_post_init__(self) -> None:
        for expected, event in enumerate(self.events, start=1):
            check_event(event)
            if event.id != expected:
                raise HistoryError(event.id, f"follows event {expected - 1}; a history counts 1, 2, 3, ...")

    @classmethod
    def from_swf(
        cls, events: Iterable[Mapping[str, Any]], execution: WorkflowExecution | None = None
    ) -> History:
        """Read SWF's event dicts, in any order; times as datetimes, epoch seconds or ISO text."""
        check_events(events)
        read = wire.events_from_swf(events)
        return cls(sorted(read, key=lambda event: event.id), execution)

    @classmethod
    def load(cls, *paths: str | PathLike) -> History:
        """Read a saved history: what boto3 or the AWS CLI answered, or ``save`` wrote.

        A list of events, a page, one event or page a line, in any order, plain or gzip; the pages of a
        run may be in several files, and overlap. Other programs' forms of SWF's events are read too: members
        in PascalCase or snake_case, null attributes, ids as text, times in epoch milliseconds or as text.
        Where a file is cut off, it is read to the last whole decision, and ``cut`` says so. Raises
        ``HistoryError`` naming the place, and what a file looks like that holds no history of SWF.
        """
        return cls.files.load(*paths)

    def save(self, path: str | PathLike) -> None:
        """Write this history to a file that ``load`` reads; packed where its name ends in ``.gz``."""
        self.files.save(self, path)

    def to_swf(self) -> list[dict[str, Any]]:
        """SWF's event dicts, as boto3 gives them."""
        return [wire.event_to_swf(event) for event in self.events]

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)
