"""The kinds of task that floto ships, but for children: a child holds a spec, and lives beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import Factory, field, frozen

from floto.core.payloads import payload
from floto.core.spec.codec import Timeout
from floto.core.spec.field_checks import (
    SECONDS_LIMIT,
    default_id,
    domain_problems,
    ids,
    input_problems,
    list_named,
    priority_problems,
    strategy_problems,
    timeout_problems,
    type_named,
    wire,
)
from floto.core.spec.retry import RetryStrategy
from floto.core.spec.tasks import NO_RESULT, Given, Task, TaskCodec
from floto.core.state.state import Item, Key, Kind
from floto.core.swf.decisions import Decision, ScheduleActivityTask, StartTimer
from floto.core.swf.identifiers import name_problems, shown, task_list_problems

_SIGNAL_NAME_LIMIT = 256

_ACTIVITY_TIMEOUTS = (
    "schedule_to_start_timeout",
    "schedule_to_close_timeout",
    "start_to_close_timeout",
    "heartbeat_timeout",
)


def _default_id(task: ActivityTask) -> str:
    return default_id(task.name, task.version, task.input, task.domain, task.requires)


@frozen(kw_only=True)
class ActivityTask(Task):
    """One run of an activity by a worker.

    ``id_`` defaults to ``<name>:<version>:<hash of input>``; ``requires`` takes tasks or
    ids. With ``domain``, which floto 0.0.3 asked for, ``id_`` defaults to what it was there;
    SWF schedules a task in the domain of its run in any case. Time-outs are in seconds,
    ``"NONE"`` for never; what is None is taken from the registered activity type.
    """

    name: str
    version: str
    input: Any = field(default=None, converter=payload.freeze)
    domain: str | None = None
    requires: tuple[str, ...] = field(default=(), converter=ids)
    id_: str = field(default=Factory(_default_id, takes_self=True))
    retry_strategy: RetryStrategy | None = None
    task_list: str | None = None
    task_priority: int | None = None
    schedule_to_start_timeout: Timeout = None
    schedule_to_close_timeout: Timeout = None
    start_to_close_timeout: Timeout = None
    heartbeat_timeout: Timeout = None

    @property
    def key(self) -> Key:
        """The activity of the same id."""
        return (Kind.ACTIVITY, self.id_)

    def start(self, given: Given) -> ScheduleActivityTask:
        """Schedule the activity with its context."""
        context = given.context if self.input is None else {**given.context, "activity_task": self.input}
        return ScheduleActivityTask(
            activity_type=type_named(self.name, self.version),
            activity_id=self.id_,
            input=given.dumps(context, f"the input of task {self.id_!r}") if context else None,
            task_list=list_named(self.task_list or given.activity_task_list),
            task_priority=wire(self.task_priority),
            schedule_to_start_timeout=wire(self.schedule_to_start_timeout),
            schedule_to_close_timeout=wire(self.schedule_to_close_timeout),
            start_to_close_timeout=wire(self.start_to_close_timeout),
            heartbeat_timeout=wire(self.heartbeat_timeout),
        )

    def result(self, item: Item) -> Any:
        """What the activity returned."""
        return None if item.closed is None else payload.loads(item.closed.data.result)

    def problems(self) -> Iterable[str]:
        """What SWF would refuse."""
        yield from name_problems("name", self.name)
        yield from name_problems("version", self.version, 64)
        yield from domain_problems(self.domain)
        if self.task_list is not None:
            yield from task_list_problems("task_list", self.task_list)
        yield from timeout_problems(self, _ACTIVITY_TIMEOUTS)
        yield from priority_problems(self.task_priority)
        yield from strategy_problems(self.retry_strategy)
        yield from input_problems(self.input)


@frozen(kw_only=True)
class Generator(ActivityTask):
    """An activity that returns tasks; they join the spec, and who requires it requires them too."""

    def generated(self, item: Item, codec: TaskCodec) -> Sequence[Task]:
        """The tasks that the activity returned."""
        return codec.tasks(super().result(item))


@frozen(kw_only=True)
class Timer(Task):
    """A wait of ``delay_in_seconds``, between tasks or beside them."""

    id_: str
    delay_in_seconds: int
    requires: tuple[str, ...] = field(default=(), converter=ids)

    @property
    def retry_strategy(self) -> None:
        """A timer does not fail by itself."""

    @property
    def key(self) -> Key:
        """The timer of the same id."""
        return (Kind.TIMER, self.id_)

    def start(self, given: Given) -> Decision:  # noqa: ARG002 - a timer takes no input
        """Start the timer."""
        return StartTimer(timer_id=self.id_, start_to_fire_timeout=str(self.delay_in_seconds))

    def result(self, item: Item) -> Any:  # noqa: ARG002 - there is none
        """Nothing: time has passed."""
        return NO_RESULT

    def problems(self) -> Iterable[str]:
        """What SWF would refuse."""
        delay = self.delay_in_seconds
        if type(delay) is not int or not 0 <= delay <= SECONDS_LIMIT:
            yield f"delay_in_seconds must be a whole number from 0 to {SECONDS_LIMIT:,}, not {shown(delay)}"


@frozen(kw_only=True)
class Signal(Task):
    """A wait for somebody's word: it completes when a signal of this name has arrived, early or late.

    What the signal carries is the result. The first signal of a name counts, so a second
    one changes nothing; one task of a spec waits for a name, and others require that task.
    """

    id_: str
    signal_name: str
    requires: tuple[str, ...] = field(default=(), converter=ids)

    @property
    def retry_strategy(self) -> None:
        """A signal does not fail; it comes or it does not."""

    @property
    def key(self) -> Key:
        """The first signal of the name."""
        return (Kind.SIGNAL, self.signal_name)

    def start(self, given: Given) -> None:
        """It comes by itself."""

    def result(self, item: Item) -> Any:
        """What the signal carried."""
        return None if item.closed is None else payload.loads(item.closed.data.input)

    def problems(self) -> Iterable[str]:
        """What SWF would refuse."""
        name = self.signal_name
        if not isinstance(name, str) or not 0 < len(name) <= _SIGNAL_NAME_LIMIT:
            yield f"signal_name must be text of 1 to {_SIGNAL_NAME_LIMIT} characters, not {shown(name)}"
