"""Saved histories on disk: read in several formats, written in one.

``file_text.py`` reads files piece by piece, ``parsing.py`` finds the events in them without holding more than
one at a time, ``foreign_forms.py`` reads those of other programs, and here they become histories.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zlib import compressobj

from attrs import define, field

from floto.adapters.history_files.file_text import Cut, characters
from floto.adapters.history_files.foreign_forms import event_from, shape_from
from floto.adapters.history_files.parsing import Found, is_event, objects
from floto.adapters.history_files.unknown_formats import described, likeness
from floto.core.errors import HistoryError
from floto.core.replay.saved_history import Saved
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.swf import wire
from floto.core.swf.closing_events import CLOSING_EVENTS
from floto.core.swf.events import DecisionTaskCompleted, Event, OtherEvent
from floto.core.swf.history import History, PathLike, collector_paused
from floto.core.swf.identifiers import shown
from floto.core.swf.shapes import WorkflowExecution
from floto.files import write_file

#: Events of a history. SWF ends a run at 25,000, so a longer file holds something else.
EVENTS_LIMIT = 200_000
#: Characters of events of types that floto does not know, which are kept as they came.
UNKNOWN_LIMIT = 1 << 24


def load(*paths: str | PathLike) -> History:
    """Return the history in a file, or in files that each hold some of its pages. Raises ``HistoryError``."""
    return load_saved(*paths).history


def load_saved(*paths: str | PathLike, most_events: int = EVENTS_LIMIT) -> Saved:
    """Return the history in a file, or in files that each hold some of its pages, and what else they say.

    Args:
        paths: The files.
        most_events: Maximum number of events.

    Raises:
        HistoryError: naming file and place.
    """
    if not paths:
        raise HistoryError(None, "name a file that holds a history")
    gathered = _Gathered(most_events)
    with collector_paused():
        for path in map(Path, paths):
            try:
                gathered.read(path)
            except OSError as error:
                raise HistoryError(None, f"{path}: {error.strerror or error}") from None
        return gathered.saved(", ".join(map(str, paths)))


def save(
    history: History,
    path: str | PathLike,
    *,
    domain: str | None = None,
    spec: DeciderSpec | None = None,
    codec: Codec = CODEC,
) -> None:
    """Write a history with what is known beside it, one event a line; packed where the name ends in .gz.

    The file is written whole or not at all. Raises ``OSError``.
    """
    target = Path(path)
    text = "".join(_lines(history, domain, None if spec is None else spec.to_json(codec))).encode()
    if target.suffix == ".gz":
        packer = compressobj(wbits=_GZIP)
        text = packer.compress(text) + packer.flush()
    write_file(target, text)


_GZIP = 31


def _lines(history: History, domain: str | None, spec_json: str | None) -> Iterator[str]:
    yield "{\n"
    if history.execution is not None:
        yield f'"execution": {json.dumps(wire.write(history.execution))},\n'
    if domain is not None:
        yield f'"domain": {json.dumps(domain)},\n'
    if spec_json is not None:
        yield f'"spec": {spec_json},\n'
    events = [json.dumps(event, default=datetime.isoformat) for event in history.to_swf()]
    yield '"events": [\n' + ",\n".join(events) + "\n]\n}\n"


@define
class _Gathered:
    """The events and other values read so far."""

    most_events: int
    events: dict[int, Event] = field(factory=dict)
    places: dict[int, str] = field(factory=dict)
    beside: dict[str, Any] = field(factory=dict)
    cut: str = ""
    unknown: int = 0
    #: The places of pages that others follow, by their last event; and the last events of the other pages.
    followed: dict[int, str] = field(factory=dict)
    ends: set[int] = field(factory=set)
    #: Of the file that is being read: the event that was read last.
    last: int = 0
    #: Of the file that is being read: how many events it has, and the members of its first object.
    found: int = 0
    names: Collection[str] = ()

    def read(self, path: Path) -> None:
        """Add what one file holds."""
        cut: Cut | None = None
        self.found, self.names, self.last = 0, (), 0
        try:
            for found in objects(characters(path), str(path)):
                self._add(found)
        except Cut as error:
            cut = error
        if not self.found:
            raise HistoryError(None, f"{path}: {cut or self._no_events()}")
        if cut is not None:
            self.cut = f"{path}: {cut}"

    def _no_events(self) -> str:
        problem = "there are no events of SWF in it, as response['events'] holds them"
        if not self.names:
            return problem
        return f"{problem}; this looks like {likeness(self.names) or described(self.names)}"

    def _add(self, found: Found) -> None:
        self.names = self.names or found.value.keys()
        if found.is_cut or not is_event(found.value):
            self._note(found)
            return
        self.found += 1
        event = _read(found)
        if event.id < self.last:
            # Newest first: what follows the page before is older.
            self.followed.pop(self.last, None)
        self.last = event.id
        if event.id in self.events:
            if event != self.events[event.id]:
                where = f"{self.places[event.id]} and {found.place}"
                raise HistoryError(event.id, f"is there twice: {where}, and they differ")
            return
        self.unknown += found.size if isinstance(event.data, OtherEvent) else 0
        if len(self.events) >= self.most_events or self.unknown > UNKNOWN_LIMIT:
            raise HistoryError(None, f"{found.place}: no history of SWF is so long")
        self.events[event.id], self.places[event.id] = event, found.place

    def _note(self, found: Found) -> None:
        if any(map(found.value.get, _PAGE_TOKENS)):
            self.followed[self.last] = found.place
        elif "events" in found.value:
            self.ends.add(self.last)
        for name in _BESIDE & found.value.keys():
            value = found.value[name]
            if self.beside.setdefault(name, value) != value:
                problem = f"another {name} than before: give the pages of one run at a time"
                raise HistoryError(None, f"{found.place}: {problem}")

    def saved(self, where: str) -> Saved:
        """Return the history of the events read, and the values beside it."""
        events = sorted(self.events.values(), key=lambda event: event.id)
        end = events[-1]
        is_open = type(end.data) not in CLOSING_EVENTS and end.id not in self.ends
        if not self.cut and is_open and end.id in self.followed:
            self.cut = f"{self.followed[end.id]}: it has a nextPageToken, so other pages follow"
        kept = whole(events) if self.cut else events
        cut = ""
        if self.cut:
            last = kept[-1].id if kept else 0
            cut = f"{self.cut}; read to event {last}, as far as decisions are whole"
        try:
            history = History(kept, _execution(self.beside.get("execution")), cut)
        except HistoryError as error:
            hint = f"; {self.cut}" if self.cut else ""
            raise HistoryError(error.event_id, f"{error.problem} ({where}){hint}") from None
        return Saved(history=history, domain=self._domain(where), spec_json=self.beside.get("spec"))

    def _domain(self, where: str) -> str | None:
        domain = self.beside.get("domain")
        if domain is not None and not isinstance(domain, str):
            raise HistoryError(None, f"{where}: domain must be text, not {shown(domain)}")
        return domain


#: Members that name the page which follows: SWF's, and that of the AWS CLI.
_PAGE_TOKENS = ("nextPageToken", "nextToken")
#: What floto writes beside the events.
_BESIDE = frozenset({"execution", "domain", "spec"})


def _read(found: Found) -> Event:
    try:
        return event_from(found.value, is_renamed=found.is_renamed)
    except HistoryError as error:
        stranger = likeness(found.value)
        hint = f"; this looks like {stranger}" if stranger else ""
        raise HistoryError(error.event_id, f"{error.problem} ({found.place}){hint}") from None


def _execution(value: Any) -> WorkflowExecution | None:
    if value is None:
        return None
    try:
        execution: WorkflowExecution = shape_from(WorkflowExecution, value)
    except (wire.WireError, AttributeError):
        raise HistoryError(None, f"execution must have workflowId and runId, not {shown(value)}") from None
    return execution


def whole(events: list[Event]) -> list[Event]:
    """Return the events without a last response of which some may be missing."""
    for place in range(len(events) - 1, -1, -1):
        event = events[place]
        if isinstance(event.data, DecisionTaskCompleted):
            rest = events[place + 1 :]
            return events if any(map(_is_news, rest)) else events[:place]
    return events


def _is_news(event: Event) -> bool:
    """Return True if an event shows that the response before it was written to its end."""
    return not (
        hasattr(event.data, "decision_task_completed_event_id") or wire.type_name(event.data) in _IN_ANSWERS
    )


#: Events that SWF writes among those of an answer.
_IN_ANSWERS = frozenset({"ActivityTaskCanceled", "DecisionTaskScheduled"})
