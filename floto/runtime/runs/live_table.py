"""The progress of a run: a live table on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from attrs import evolve, frozen
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from floto import logs
from floto.core.decide.progress import begin, rebuilt
from floto.core.errors import PayloadsNeeded, ServiceUnavailable, SpecError
from floto.core.replay.task_status import FAILURES, STARTED_KINDS, TaskStatus, started_status, task_statuses
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.state.attempts import attempt_count, moment_of
from floto.core.state.failures import failure_of
from floto.core.state.state import Item, Kind, State, Status
from floto.core.swf.reserved_names import RESERVED_PREFIX
from floto.core.visible import visible
from floto.pictures.colours import STATUSES

log = logging.getLogger("floto.progress")

#: Lines beside the rows of the table: its header, the bar and the counts.
_FRAME_LINES = 4
_MINUTE = 60


@frozen
class Row:
    """The status of one task, and the times of its latest attempt."""

    task: str
    status: TaskStatus
    attempt: int = 0
    began: datetime | None = None
    ended: datetime | None = None
    problem: str = ""

    def seconds(self, now: datetime) -> float | None:
        """Return the seconds of the latest attempt, up to ``now`` if it runs; None before it starts."""
        return None if self.began is None else max(((self.ended or now) - self.began).total_seconds(), 0)


class Rows:
    """The tasks of a spec, with those of completed generators, and the cleanup tasks that have started."""

    def __init__(self, spec: DeciderSpec, codec: Codec = CODEC) -> None:
        self._progress = begin(spec, codec=codec)

    def at(self, state: State) -> list[Row]:
        """Return the rows of the tasks that are known in a state."""
        # The decider needs the generated tasks too, and logs why they cannot be read.
        with contextlib.suppress(PayloadsNeeded, ServiceUnavailable, SpecError):
            self._progress = rebuilt(self._progress, state)
        found = task_statuses(evolve(self._progress, state=state))
        known = len(self._progress.plan.tasks)
        return [
            row_of(task.id_, status, state.items.get(task.key))
            for number, (task, status) in enumerate(found)
            if number < known or task.key in state.items
        ]


def row_of(id_: str, status: TaskStatus, item: Item | None) -> Row:
    """Return the row of one task with its item in the state of the run, if it has begun."""
    if item is None:
        return Row(id_, status)
    is_queued = item.status is Status.SCHEDULED and item.key[0] is not Kind.TIMER
    failed = item.failures and item.status is not Status.COMPLETED
    return Row(
        id_,
        status,
        attempt_count(item),
        None if is_queued else moment_of(item.started or item.opened),
        moment_of(item.closed),
        failure_of(item.failures[-1]).message if failed else "",
    )


@contextlib.contextmanager
def shown(
    spec: DeciderSpec, console: Console, codec: Codec = CODEC, *, log: bool = False
) -> Iterator[Callable[[State], None]]:
    """Show a run on a console during the block, which calls the yielded function with each new state.

    On a terminal this is a table, which is erased at the end unless the run has closed: it would soon be
    outdated. With ``log``, changes are logged instead.
    """
    if log or not console.is_terminal:
        yield Lines(spec, _logged if log else partial(printed, console), codec).show
        return
    table = LiveTable(spec, console, codec)
    with Live(
        get_renderable=table.render, console=console, refresh_per_second=5, vertical_overflow="crop"
    ) as live:
        try:
            yield table.show
        finally:
            live.transient = not table.is_final


#: Called with the time of a change, the task's id (None: the run itself), its attempt, and a description.
_Write = Callable[[datetime | None, str | None, int | None, str], None]


def printed(console: Console, at: datetime | None, task: str | None, _attempt: int | None, text: str) -> None:
    """Print a change of a task on a console."""
    time = "" if at is None else at.astimezone().strftime("%H:%M:%S ")
    line = f"{time}{'' if task is None else f'{task} '}{text}"
    console.print(Text(visible(line)), highlight=False, soft_wrap=True)


def _logged(_at: datetime | None, task: str | None, attempt: int | None, text: str) -> None:
    with logs.task_context(task, attempt):
        log.info("%s", text)


class Lines:
    """Progress as one line for each change of a task."""

    def __init__(self, spec: DeciderSpec, write: _Write, codec: Codec = CODEC) -> None:
        self._rows, self._write = Rows(spec, codec), write
        self._last = State()
        self._is_first = True

    def show(self, state: State) -> None:
        """Write the changes since the last call; the first call for a resumed run writes a summary."""
        is_first, self._is_first = self._is_first, False
        if is_first and state.items:
            self._resumed(state)
            return
        # A run that continues another one starts with no items.
        known = self._last.items if self._last.execution == state.execution else State().items
        for key, item in sorted(state.items.items(), key=lambda pair: _latest(pair[1])):
            if key[0] in STARTED_KINDS and not key[1].startswith(RESERVED_PREFIX) and known.get(key) != item:
                self._show(item, known.get(key), state)
        self._last = state

    def _resumed(self, state: State) -> None:
        self._last = state
        found = self._rows.at(state)
        done = ", ".join(row.task for row in found if row.status is TaskStatus.DONE)
        text = f"resuming: {counts(found)}" + (f" (done: {done})" if done else "")
        self._write(datetime.now(UTC), None, None, text)

    def _show(self, item: Item, before: Item | None, state: State) -> None:
        row = row_of(item.key[1], started_status(item, state), item)
        seen = 0 if before is None else len(before.failures)
        for number, event in enumerate(item.failures[seen:], start=seen + 1):
            self._write(event.at, row.task, number, f"attempt {number} failed: {failure_of(event).message}")
        if row.status is TaskStatus.DONE:
            self._write(row.ended, row.task, row.attempt, f"completed{_times(row)}")
        elif row.status is TaskStatus.RUNNING:
            self._write(row.began, row.task, row.attempt, f"running{_times(row)}")


def _latest(item: Item) -> int:
    return max(event.id for event in (item.opened, item.started, item.closed) if event is not None)


def _times(row: Row) -> str:
    seconds = row.seconds(row.began) if row.began and not row.ended else row.seconds(datetime.now(UTC))
    parts = [f" in {_clock(seconds)}"] if seconds is not None and row.ended else []
    return "".join(parts) + (f" (attempt {row.attempt})" if row.attempt > 1 else "")


class LiveTable:
    """Progress as a table of tasks that fits the terminal, above a bar and counts."""

    def __init__(self, spec: DeciderSpec, console: Console, codec: Codec = CODEC) -> None:
        self._rows = Rows(spec, codec)
        self._console = console
        #: Monotonic: the clock of the machine may be set.
        self._began = time.monotonic()
        self._state = State()
        #: The state whose rows were computed last, and those rows.
        self._shown = self._state, self._rows.at(self._state)

    def show(self, state: State) -> None:
        """Set the state that the next refresh shows."""
        self._state = state

    @property
    def is_final(self) -> bool:
        """Return True if the run has closed, so that the table does not change any more."""
        return self._state.closed is not None

    def render(self) -> RenderableType:
        """Return the table for the current state and time."""
        state, now = self._state, datetime.now(UTC)
        if self._shown[0] is not state:
            self._shown = state, self._rows.at(state)
        all_rows = self._shown[1]
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("task", overflow="ellipsis", no_wrap=True, ratio=3)
        table.add_column("status", no_wrap=True, min_width=9)
        table.add_column("attempt", justify="right", no_wrap=True, min_width=7)
        table.add_column("time", justify="right", no_wrap=True, min_width=5)
        table.add_column("", overflow="ellipsis", no_wrap=True, ratio=2)
        for row in fitting(all_rows, max(self._console.height - _FRAME_LINES, 1)):
            table.add_row(*_cells(row, now))
        return Group(table, self._summary(all_rows))

    def _summary(self, all_rows: Sequence[Row]) -> RenderableType:
        done = sum(row.status is TaskStatus.DONE for row in all_rows)
        line = Table.grid(padding=(0, 2, 0, 0))
        for _ in range(3):
            line.add_column(no_wrap=True, overflow="ellipsis")
        line.add_row(
            ProgressBar(total=max(len(all_rows), 1), completed=done, width=24),
            Text(counts(all_rows)),
            Text(_clock(time.monotonic() - self._began), style="dim"),
        )
        return line


def _cells(row: Row, now: datetime) -> tuple[Text, ...]:
    seconds = row.seconds(now)
    return (
        Text(visible(row.task)),
        Text(row.status, style=STATUSES[row.status].style),
        Text(str(row.attempt) if row.attempt else ""),
        Text("" if seconds is None else _clock(seconds)),
        Text(visible(row.problem), style="dim"),
    )


def _clock(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.2f}s" if seconds < 1 else f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counts(rows: Sequence[Row]) -> str:
    """Return the numbers of tasks by status: ``3 of 9 done, 2 running, 4 waiting``."""
    found = Counter(row.status for row in rows)
    others = (f"{found[each]} {each}" for each in _ORDER if each in found and each is not TaskStatus.DONE)
    return ", ".join([f"{found[TaskStatus.DONE]} of {len(rows)} done", *others])


def fitting(rows: Sequence[Row], lines: int) -> list[Row]:
    """Return at most ``lines`` rows, in order: failed and running tasks first, then those that ended last."""
    if len(rows) <= lines:
        return list(rows)
    first = sorted(range(len(rows)), key=lambda at: (_ORDER.index(rows[at].status), -_ended(rows[at]), at))
    return [rows[at] for at in sorted(first[:lines])]


def _ended(row: Row) -> float:
    return row.ended.timestamp() if row.ended else 0


#: Statuses in the order in which rows are kept where not all fit.
_ORDER = (
    *FAILURES,
    TaskStatus.RUNNING,
    TaskStatus.RETRYING,
    TaskStatus.QUEUED,
    TaskStatus.DUE,
    TaskStatus.DONE,
    TaskStatus.SKIPPED,
    TaskStatus.WAITING,
    TaskStatus.RESERVED,
)
