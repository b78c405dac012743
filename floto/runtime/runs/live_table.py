"""The progress of a run: a live table on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from floto import logs
from floto.core.errors import PayloadsNeeded, ServiceUnavailable, SpecError
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.expand import expand
from floto.core.spec.tasks import Task, expands
from floto.core.state.failures import failure_of
from floto.core.state.state import Item, Kind, State, Status
from floto.core.swf.reserved_names import RESERVED_PREFIX
from floto.core.visible import visible
from floto.pictures.task_status import RETRYING, Row, row_of, rows, style_of

log = logging.getLogger("floto.progress")

_TASKS = (Kind.ACTIVITY, Kind.TIMER, Kind.CHILD, Kind.LAMBDA)
#: Lines beside the rows of the table: its header, the bar and the counts.
_FRAME_LINES = 4
_MINUTE = 60


class Tasks:
    """The tasks of a spec, with those of completed generators, and the cleanup tasks that have started."""

    def __init__(self, spec: DeciderSpec, codec: Codec = CODEC) -> None:
        self._spec, self._codec = spec, codec
        self._tasks = spec.activity_tasks
        self._finished: list[str] = []

    def at(self, state: State) -> Sequence[Task]:
        """Return the tasks that are known in a state."""
        finished = [task.id_ for task in self._tasks if expands(task) and _is_completed(task, state)]
        # Reading the results of generators takes too long to do it at every refresh.
        if finished != self._finished:
            self._finished = finished
            # The decider needs these tasks too, and logs why they cannot be read.
            with contextlib.suppress(PayloadsNeeded, ServiceUnavailable, SpecError):
                self._tasks = expand(self._spec, state, self._codec).activity_tasks
        begun = (task for task in (*self._spec.on_failure, *self._spec.on_cancel) if task.key in state.items)
        return (*self._tasks, *begun)


def _is_completed(task: Task, state: State) -> bool:
    item = state.items.get(task.key)
    return item is not None and item.status is Status.COMPLETED


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
        self._tasks, self._write = Tasks(spec, codec), write
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
            if key[0] in _TASKS and not key[1].startswith(RESERVED_PREFIX) and known.get(key) != item:
                self._show(item, known.get(key))
        self._last = state

    def _resumed(self, state: State) -> None:
        self._last = state
        found = rows(self._tasks.at(state), state)
        done = ", ".join(row.task for row in found if row.state == "completed")
        text = f"resuming: {counts(found)}" + (f" (completed: {done})" if done else "")
        self._write(datetime.now(UTC), None, None, text)

    def _show(self, item: Item, before: Item | None) -> None:
        row = row_of(item.key[1], item)
        seen = 0 if before is None else len(before.failures)
        for number, event in enumerate(item.failures[seen:], start=seen + 1):
            self._write(event.at, row.task, number, f"attempt {number} failed: {failure_of(event).message}")
        if row.state == "completed":
            at = item.closed.at if item.closed else None
            self._write(at, row.task, row.attempt, f"completed{_times(row)}")
        elif item.is_open and row.began is not None:
            self._write(row.began, row.task, row.attempt, f"running{_times(row)}")


def _latest(item: Item) -> int:
    return max(event.id for event in (item.opened, item.started, item.closed) if event is not None)


def _times(row: Row) -> str:
    seconds = row.seconds(row.began) if row.began and not row.ended else row.seconds(datetime.now(UTC))
    parts = [f" in {_clock(seconds)}"] if seconds and row.ended else []
    return "".join(parts) + (f" (attempt {row.attempt})" if row.attempt > 1 else "")


class LiveTable:
    """Progress as a table of tasks that fits the terminal, above a bar and counts."""

    def __init__(self, spec: DeciderSpec, console: Console, codec: Codec = CODEC) -> None:
        self._tasks = Tasks(spec, codec)
        self._console = console
        self._began = datetime.now(UTC)
        self._state = State()

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
        all_rows = rows(self._tasks.at(state), state)
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("task", overflow="ellipsis", no_wrap=True, ratio=3)
        table.add_column("state", no_wrap=True, min_width=9)
        table.add_column("attempt", justify="right", no_wrap=True, min_width=7)
        table.add_column("time", justify="right", no_wrap=True, min_width=5)
        table.add_column("", overflow="ellipsis", no_wrap=True, ratio=2)
        for row in fitting(all_rows, max(self._console.height - _FRAME_LINES, 1)):
            table.add_row(*_cells(row, now))
        return Group(table, self._summary(all_rows, now))

    def _summary(self, all_rows: Sequence[Row], now: datetime) -> RenderableType:
        done = sum(row.state == "completed" for row in all_rows)
        line = Table.grid(padding=(0, 2, 0, 0))
        for _ in range(3):
            line.add_column(no_wrap=True, overflow="ellipsis")
        line.add_row(
            ProgressBar(total=max(len(all_rows), 1), completed=done, width=24),
            Text(counts(all_rows)),
            Text(_clock((now - self._began).total_seconds()), style="dim"),
        )
        return line


def _cells(row: Row, now: datetime) -> tuple[Text, ...]:
    seconds = row.seconds(now)
    return (
        Text(visible(row.task)),
        Text(row.state, style=style_of(row.state)),
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
    """Return the numbers of tasks by state: ``3 of 9 completed, 2 running, 4 waiting``."""
    by_state: dict[str, int] = {}
    for row in rows:
        by_state[row.state] = by_state.get(row.state, 0) + 1
    done = by_state.pop("completed", 0)
    others = [f"{by_state[state]} {state}" for state in sorted(by_state, key=_urgency)]
    return ", ".join([f"{done} of {len(rows)} completed", *others])


def fitting(rows: Sequence[Row], lines: int) -> list[Row]:
    """Return at most ``lines`` rows, in order: failed and running tasks first, then those that ended last."""
    if len(rows) <= lines:
        return list(rows)
    first = sorted(range(len(rows)), key=lambda at: (_urgency(rows[at].state), -_ended(rows[at]), at))
    return [rows[at] for at in sorted(first[:lines])]


def _ended(row: Row) -> float:
    return row.ended.timestamp() if row.ended else 0


_ORDER = (
    "failed",
    "timed out",
    "terminated",
    "canceled",
    "refused",
    "running",
    RETRYING,
    "queued",
    "completed",
)


def _urgency(state: str) -> int:
    return _ORDER.index(state) if state in _ORDER else len(_ORDER)
