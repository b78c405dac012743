"""The list of runs of one domain, kept in memory and refreshed by the changes.

A page of 10,000 runs is made from memory. Closed runs do not change, so a refresh reads only the open runs
and those that closed since the last one. The status of an open run that SWF has none for, retrying or stuck,
needs its history; only the new events are read, and only for some time in each refresh, so that a service
with many open runs is not read all the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import islice
from threading import Lock
from typing import Any

from attrs import evolve, field, frozen

from floto.core.errors import FlotoError
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY, State
from floto.core.swf.shapes import WorkflowExecution
from floto.pages.listing.filters import Filter
from floto.pages.runs import RUNNING, STATUSES, Polled, RunRow, condition, polled
from floto.pages.source import Source

#: Runs that are listed: those that started last.
MOST_RUNS = 20_000
#: Open runs whose histories are read: those that started last.
MOST_STATES = 2_000
#: Runs of a page.
PAGE = 50
#: Seconds for histories in each refresh, as long as there are open runs of which none was read.
_FIRST_SECONDS = 0.3
#: Seconds after which all closed runs are read again: the service forgets them after their retention.
_WHOLE_SECONDS = 900.0

#: Values to sort by, and whether the largest comes first by default.
_KEYS: Mapping[str, Callable[[RunRow, int], Any]] = {
    "started": lambda run, _now: -run.started,
    "workflow": lambda run, _now: run.workflow_id.casefold(),
    "type": lambda run, _now: (run.type_name.casefold(), run.type_version),
    "status": lambda run, _now: STATUSES.index(run.status),
    "took": lambda run, now: -run.took(now),
}
SORTS = tuple(_KEYS)


@frozen(kw_only=True)
class Query:
    """A query for a page of the list; ``sort`` is one of ``SORTS``, with a minus for the other direction."""

    domain: str
    filter: Filter = field(factory=Filter)
    sort: str = "started"
    page: int = 1

    @property
    def depends_on_time(self) -> bool:
        """True if the page may change without a change of a run."""
        return self.filter.depends_on_time or self.sort.removeprefix("-") == "took"


@frozen(kw_only=True)
class Page:
    """A page of the list."""

    rows: tuple[RunRow, ...]
    #: Number of runs by status that meet all other conditions of the filter.
    counts: Mapping[str, int]
    #: Number of runs on all pages.
    total: int
    number: int
    pages: int
    #: True if the service has more runs than are listed.
    is_cut: bool
    #: Number of listed open runs of which it is not read if they are retrying or stuck: there are too many.
    unread: int = 0


@frozen
class _Runs:
    """The runs of a moment: all of them, the newest first."""

    rows: tuple[RunRow, ...] = ()
    is_cut: bool = False
    unread: int = 0


class Listing:
    """The runs of one domain; any thread may read it, and one at a time refreshes it.

    Args:
        source: The service.
        domain: The domain.
        clock: Returns seconds, monotonic.
    """

    def __init__(self, source: Source, domain: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._source, self._domain, self._clock = source, domain, clock
        self._lock = Lock()
        self._runs = _Runs()
        #: Grows with every change of a row.
        self.version = 0
        self.is_loaded = False
        #: Why the last refresh failed; empty if it did not.
        self.problem = ""
        self._open: dict[str, RunRow] = {}
        self._closed: dict[str, RunRow] = {}
        self._states: dict[str, State] = {}
        #: Open runs whose history is to be read, in order.
        self._unread: dict[str, None] = {}
        self._pollers: Polled | None = None
        #: The version of the service at the last refresh.
        self._seen: object = None
        #: Times of the clock: when the pollers were read last, and when all closed runs were.
        self._pollers_at = self._whole_at = float("-inf")
        #: The latest close that was seen, in milliseconds of the service.
        self._newest = 0
        #: Times of the clock: when that close was first seen, and when the runs were listed last.
        self._newest_at, self._listed_at = 0.0, 0.0

    @property
    def is_behind(self) -> bool:
        """True if there are histories of open runs that were not read since the last change."""
        return bool(self._unread)

    def refresh(self, *, force: bool = False) -> bool:
        """Read the changes of the service; return True if there are any. Raises ``FlotoError``."""
        with self._lock:
            seen, now = self._source.version(), self._clock()
            is_due = now - self._pollers_at >= self._source.pace.idle
            if not (force or is_due or self._unread or seen is None or seen != self._seen):
                return False
            if force or seen is None or seen != self._seen or not self.is_loaded:
                self._list(now)
                self._unread.update(dict.fromkeys(list(self._open)[:MOST_STATES]))
            if is_due or force:
                self._pollers, self._pollers_at = polled(self._source.live(), self._domain), now
            self._read_states()
            self._seen = seen
            return self._publish()

    def _list(self, now: float) -> None:
        is_whole = now - self._whole_at >= _WHOLE_SECONDS
        since = None if is_whole else self._since()
        opens = islice(self._source.open_runs(self._domain), MOST_RUNS)
        self._open = {run.run_id: run for run in opens}
        closed = islice(self._source.closed_runs(self._domain, since), MOST_RUNS)
        found = {run.run_id: run for run in closed}
        self._closed = found if is_whole else {**self._closed, **found}
        # A listing of open runs may have been made before the run closed.
        for run_id in self._open.keys() & found.keys():
            del self._open[run_id]
        for run_id in self._states.keys() - self._open.keys():
            del self._states[run_id]
        self._unread = {run_id: None for run_id in self._unread if run_id in self._open}
        self._whole_at = now if is_whole else self._whole_at
        newest = max((run.closed or 0 for run in self._closed.values()), default=0)
        if newest > self._newest:
            self._newest, self._newest_at = newest, now
        self._listed_at = now
        self.is_loaded = True

    def _since(self) -> int:
        """Return the time of the service, in milliseconds, until which all runs that closed are listed.

        Its clock is not this machine's, so time is counted from the last closing that was seen.
        """
        passed = self._listed_at - self._newest_at
        return max(self._newest + round((passed - self._source.pace.lag) * 1000), 0)

    def _read_states(self) -> None:
        """Read new events of open runs, those first that were never read, for as long as the pace allows."""
        began, pace = self._clock(), self._source.pace.histories
        for run_id in sorted(self._unread, key=self._states.__contains__):
            most = pace if run_id in self._states else max(pace, _FIRST_SECONDS)
            if self._clock() - began >= most:
                return
            del self._unread[run_id]
            self._states[run_id] = self._read(self._open[run_id], self._states.get(run_id, EMPTY))

    def _read(self, run: RunRow, state: State) -> State:
        execution = WorkflowExecution(run.workflow_id, run.run_id)
        try:
            if state.last is not None:
                new = self._source.events_since(self._domain, execution, state.last)
                if new is not None:
                    return fold(new, state)
            return fold(self._source.history(self._domain, execution), evolve(EMPTY, execution=execution))
        except FlotoError:
            # A run whose history cannot be read, or not be made sense of, is listed all the same.
            return state

    def _publish(self) -> bool:
        opens = [self._with_condition(run) for run in self._open.values()]
        every = sorted((*opens, *self._closed.values()), key=lambda run: run.started, reverse=True)
        unread = max(len(opens) - MOST_STATES, 0)
        found = _Runs(tuple(every[:MOST_RUNS]), len(every) > MOST_RUNS, unread)
        if found == self._runs:
            return False
        self._runs, self.version = found, self.version + 1
        return True

    def _with_condition(self, run: RunRow) -> RunRow:
        state = self._states.get(run.run_id)
        if state is None or state.started is None:
            return run
        status, note = condition(state, self._pollers)
        return run if status == RUNNING else evolve(run, status=status, note=note)

    def page(self, query: Query, now: int) -> Page:
        """Return a page of the list; ``now`` is in milliseconds since the epoch."""
        runs, counts, hits = self._runs, dict.fromkeys(STATUSES, 0), []
        for run in runs.rows:
            if query.filter.admits(run, now):
                counts[run.status] += 1
                if query.filter.accepts(run):
                    hits.append(run)
        pages = max(-(-len(hits) // PAGE), 1)
        number = min(max(query.page, 1), pages)
        ordered = _sorted(hits, query.sort, now)[(number - 1) * PAGE : number * PAGE]
        return Page(
            rows=tuple(ordered),
            counts=counts,
            total=len(hits),
            number=number,
            pages=pages,
            is_cut=runs.is_cut,
            unread=runs.unread,
        )


def _sorted(runs: list[RunRow], sort: str, now: int) -> list[RunRow]:
    name = sort.removeprefix("-")
    if name == "started":
        return runs[::-1] if sort.startswith("-") else runs
    key = _KEYS[name]
    return sorted(runs, key=lambda run: key(run, now), reverse=sort.startswith("-"))
