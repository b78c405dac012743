"""Documents of runs, compressed and kept in memory as long as their runs have no new events."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import OrderedDict
from contextlib import suppress
from threading import Lock

from attrs import evolve, field, frozen

from floto.core.errors import HistoryError, PayloadsNeeded, SpecError
from floto.core.replay.saved_history import Saved
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.swf.closing_events import CLOSING_EVENTS
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.shapes import WorkflowExecution
from floto.core.view.run_view import RunView, view
from floto.pages.document.prepare import prepare
from floto.pages.document.run_document import run_document
from floto.pages.source import Source

#: Maximum bytes of the compressed documents that are kept.
MOST_BYTES = 64 * 1024 * 1024
#: Maximum number of opened files that are kept, and of open runs whose events are.
MOST_OPENED = 8
_FAST = 5


@frozen
class Document:
    """A document as JSON, compressed by gzip."""

    data: bytes = field(repr=False)
    last_event: Event
    workflow_id: str
    #: False if the spec of the run could not be used; the store that it needs may be available later.
    has_all: bool = True


class Documents:
    """The documents of one service; any thread may ask for them, and one at a time computes one of a run.

    Args:
        source: The service.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = Lock()
        #: Another lock, because that of the runs is owned for seconds while a document is computed.
        self._opened_lock = Lock()
        self._found: OrderedDict[tuple[str, str], Document] = OrderedDict()
        self._events: OrderedDict[tuple[str, str], tuple[Event, ...]] = OrderedDict()
        self._opened: OrderedDict[str, Document] = OrderedDict()

    def last_event(self, domain: str, run: WorkflowExecution) -> tuple[Event, bool]:
        """Return a run's last event, and whether the run has closed. Raises ``FlotoError``."""
        with self._lock:
            last = self._read(domain, run)[-1]
        return last, type(last.data) in CLOSING_EVENTS

    def history(self, domain: str, run: WorkflowExecution) -> tuple[History, DeciderSpec | None]:
        """Return the history of a run, and its spec if that is known. Raises ``FlotoError``."""
        with self._lock:
            history = History(self._read(domain, run), run)
        return history, self._spec(Saved(history=history))

    def document(self, domain: str, run: WorkflowExecution) -> Document:
        """Return the document of a run. Raises ``FlotoError``."""
        with self._lock:
            key, events = (domain, run.run_id), self._read(domain, run)
            known = self._found.pop(key, None)
            if known is None or not known.has_all or known.last_event != events[-1]:
                known = self._document(Saved(history=History(events, run), domain=domain))
            self._found[key] = known
            while len(self._found) > 1 and sum(len(each.data) for each in self._found.values()) > MOST_BYTES:
                self._found.popitem(last=False)
            return known

    def open(self, data: bytes) -> tuple[str, Document]:
        """Return the document of a saved history, and a name to ask for it again. Raises ``FlotoError``."""
        saved: Saved = self._source.saved(data)
        found = self._document(saved)
        name = hashlib.sha256(found.data).hexdigest()[:32]
        with self._opened_lock:
            self._opened[name] = found
            while len(self._opened) > MOST_OPENED:
                self._opened.popitem(last=False)
        return name, found

    def opened(self, name: str) -> Document | None:
        """Return the document of a file that was opened; None if it is not kept any more."""
        with self._opened_lock:
            return self._opened.get(name)

    def _read(self, domain: str, run: WorkflowExecution) -> tuple[Event, ...]:
        key = domain, run.run_id
        known = self._events.pop(key, ())
        new = self._source.events_since(domain, run, known[-1]) if known else None
        events = self._source.history(domain, run) if new is None else (*known, *new)
        if not events:
            raise HistoryError(None, "this history is empty; there is nothing to show")
        self._events[key] = events
        while len(self._events) > MOST_OPENED:
            self._events.popitem(last=False)
        return events

    def _document(self, saved: Saved) -> Document:
        spec = self._spec(saved)
        run = view(saved.history, spec, self._source.codec)
        return evolve(_document(run, saved.domain), has_all=run.spec is spec)

    def _spec(self, saved: Saved) -> DeciderSpec | None:
        """Return the spec of a run; without one, the page shows what was started."""
        with suppress(SpecError, PayloadsNeeded):
            return saved.spec(self._source.codec) or self._source.spec_of(saved.history)
        return None


def _document(run: RunView, domain: str | None) -> Document:
    history, value = run.history, run_document(run)
    if domain is not None:
        value["run"]["domain"] = domain
    text = json.dumps(prepare(value), separators=(",", ":"))
    name = history.execution.workflow_id if history.execution else ""
    return Document(gzip.compress(text.encode(), _FAST), history.events[-1], name)
