"""The history of a run, checked and frozen: the input of ``decide``."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from operator import attrgetter
from typing import Any, ClassVar, Protocol

from attrs import field, frozen

from floto.core.errors import HistoryError
from floto.core.swf import wire
from floto.core.swf.events import Event, EventData, WorkflowExecutionStarted
from floto.core.swf.identifiers import shown
from floto.core.swf.shapes import WorkflowExecution


def check_event(value: object) -> None:
    """Raise ``HistoryError`` if a value is not an ``Event``, for example one of SWF's dicts."""
    if not isinstance(value, Event):
        problem = f"a history consists of floto's events, not of {shown(value)}"
        raise HistoryError(None, f"{problem}; read SWF's events with floto.History.from_swf(...)")


def check_events(value: object) -> None:
    """Raise ``HistoryError`` if a value is not an iterable of events."""
    if isinstance(value, list | tuple):
        return
    if isinstance(value, str) or hasattr(value, "__fspath__"):
        raise HistoryError(
            None, f"give a list of events, or read a saved history with floto.History.load({shown(value)})"
        )
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise HistoryError(None, f"give a list of events, such as response['events'], not {shown(value)}")


#: Events of a history that takes as long to read as several garbage collections.
_LONG = 5_000


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause Python's cyclic garbage collector while a long history is read or replayed.

    Its objects form no cycles, but are so many that it would visit all of them again and again: a quarter of
    the time of a replay. Threads may do so at the same time: the one that paused it resumes it, and one that
    finds it paused, by another or by the user, does nothing.
    """
    is_enabled = gc.isenabled()
    if is_enabled:
        gc.disable()
    try:
        yield
    finally:
        if is_enabled:
            gc.enable()


def _events(events: Iterable[Event]) -> tuple[Event, ...]:
    check_events(events)
    return tuple(events)


class PathLike(Protocol):
    """The path of a file, such as a ``pathlib.Path``."""

    def __fspath__(self) -> str:
        """Return the path as a string."""
        ...


class Files(Protocol):
    """A reader and writer of saved histories; the core itself does no I/O."""

    def load(self, *paths: str | PathLike) -> History:
        """Return the history in these files. Raises ``HistoryError``."""
        ...

    def save(self, history: History, path: str | PathLike) -> None:
        """Write a history to a file."""
        ...


@frozen
class History:
    """The events of one run from the first, in order.

    Args:
        events: The events, with the ids 1, 2, 3, ...
        execution: The run: its events do not name it, and the workflow ids of children are made from it. None
            by default.
        cut: What is missing from a truncated file; empty by default, and for a whole history.

    Raises:
        HistoryError: if an event is missing or out of order.
    """

    events: tuple[Event[EventData], ...] = field(
        converter=_events, repr=lambda events: f"<{len(events)} events>"
    )
    execution: WorkflowExecution | None = None
    cut: str = field(default="", eq=False)
    #: The reader and writer of files, set by the package.
    files: ClassVar[Files]

    def __attrs_post_init__(self) -> None:
        for expected, event in enumerate(self.events, start=1):
            if type(event) is not Event:
                check_event(event)
            if event.id != expected:
                raise HistoryError(event.id, f"follows event {expected - 1}; a history counts 1, 2, 3, ...")

    @property
    def start(self) -> WorkflowExecutionStarted:
        """The attributes of the run's start: its input, type, tags, time-outs.

        Raises:
            HistoryError: if the history is empty, or does not begin with WorkflowExecutionStarted.
        """
        data = self.events[0].data if self.events else None
        if not isinstance(data, WorkflowExecutionStarted):
            raise HistoryError(None, "the history does not begin with WorkflowExecutionStarted")
        return data

    @classmethod
    def from_swf(
        cls, events: Iterable[Mapping[str, Any]], execution: WorkflowExecution | None = None
    ) -> History:
        """Read SWF's event dicts.

        Args:
            events: The dicts in any order; times are datetimes, epoch seconds or ISO 8601 strings.
            execution: The run; None by default.

        Raises:
            HistoryError: if an event cannot be read or is missing; the message names the event and the field.
        """
        check_events(events)
        # Not for an iterator, which may wait for pages of the network.
        is_long = isinstance(events, list) and len(events) > _LONG
        with collector_paused() if is_long else nullcontext():
            read = wire.events_from_swf(events)
        return cls(sorted(read, key=attrgetter("id")), execution)

    @classmethod
    def load(cls, *paths: str | PathLike) -> History:
        """Read a saved history: output of boto3 or the AWS CLI, or of ``save``.

        A file holds a list of events, a page, or an event or page per line, in any order, plain or gzip.
        Other programs' forms of SWF's events are read too: members in PascalCase or snake_case, null
        attributes, ids as strings, times in epoch milliseconds or as strings. A truncated file is read up to
        the last complete decision, and ``cut`` says what is missing.

        Args:
            *paths: The files; several may hold overlapping pages of one run.

        Raises:
            HistoryError: if a file does not hold a history; the message says where, and what the file looks
                like.
        """
        return cls.files.load(*paths)

    def save(self, path: str | PathLike) -> None:
        """Write this history to a file that ``load`` reads.

        Args:
            path: The file, compressed with gzip if its name ends in ``.gz``.
        """
        self.files.save(self, path)

    def to_swf(self) -> list[dict[str, Any]]:
        """Return SWF's event dicts in boto3's form."""
        return [wire.event_to_swf(event) for event in self.events]

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)


def as_history(value: object) -> History:
    """Return a value that is a history. Raises ``HistoryError``, which says how to read one."""
    if isinstance(value, History):
        return value
    is_file = isinstance(value, str) or hasattr(value, "__fspath__")
    reader = f"load({shown(value)})" if is_file else "from_swf(events), which reads SWF's event dicts"
    raise HistoryError(None, f"a floto.History is needed, not {shown(value)}; use floto.History.{reader}")
