"""The kinds of task that floto ships, except ``ChildWorkflow``, which is defined beside ``DeciderSpec``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from attrs import Factory, field, frozen

from floto.core.fire_times import until, until_problems
from floto.core.payloads import payload
from floto.core.quick_init import maker
from floto.core.spec.codec import Timeout
from floto.core.spec.field_checks import (
    default_id,
    domain_problems,
    ids,
    input_problems,
    list_named,
    priority_problems,
    timeout_problems,
    type_named,
    wire,
)
from floto.core.spec.own_members import strategy_problems
from floto.core.spec.retry import RetryStrategy
from floto.core.spec.rules.sibling_limits import SiblingLimits, Tolerance, sibling_limit_problems
from floto.core.spec.rules.task_rules import FIXED_DEFAULT, Ruled
from floto.core.spec.rules.wait_limits import OnTimeout, WaitLimit, wait_limit_problems
from floto.core.spec.tasks import NO_RESULT, Given, Task, TaskCodec
from floto.core.state.state import Item, Key, Kind
from floto.core.swf.decisions import Decision, ScheduleActivityTask, StartTimer
from floto.core.swf.identifiers import name_problems, shown, task_list_problems
from floto.core.swf.limits import NAME_LIMIT, SECONDS_LIMIT, VERSION_LIMIT

_ACTIVITY_TIMEOUTS = (
    "schedule_to_start_timeout",
    "schedule_to_close_timeout",
    "start_to_close_timeout",
    "heartbeat_timeout",
)
_schedule = maker(ScheduleActivityTask)

#: The look-up of an enum's member takes six times as long as that of a name, and decisions ask for many keys.
_ACTIVITY = Kind.ACTIVITY


def _default_id(task: ActivityTask) -> str:
    return default_id(task.name, task.version, task.input, task.domain, task.requires)


@frozen(kw_only=True)
class ActivityTask(Ruled):
    """A task that runs an activity on a worker.

    Time-outs are in seconds, ``"NONE"`` for no time-out; None uses the default of the registered activity
    type. The context of the activity holds the workflow's input as ``workflow``, ``input`` as
    ``activity_task``, and the result of each required task under its id.

    Args:
        name: The name of the activity type.
        version: The version of the activity type.
        input: Any value with a JSON form; None by default.
        domain: Accepted for specs of floto 0.0.3, and only changes the default ``id_``. SWF schedules a task
            in the domain of its run.
        requires: Tasks or ids that must complete first; none by default.
        when, join, on_error: The rules of the task (see ``floto.extend.Rules``); by default none.
        id_: Unique in the spec; by default ``<name>:<version>:<hash of input>``.
        retry_strategy: The delays between attempts; None for no retries.
        task_list: The task list of the workers; None for the default of the spec, else of the activity type.
        task_priority: An integer of 32 bits, higher first; None for the default of the activity type.
        schedule_to_start_timeout: Maximum time until a worker starts the activity.
        schedule_to_close_timeout: Maximum time of the whole attempt.
        start_to_close_timeout: Maximum time from start to result.
        heartbeat_timeout: Maximum time between two heartbeats of the worker.
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
        """The key of the activity with this id."""
        return (_ACTIVITY, self.id_)

    def start(self, given: Given) -> ScheduleActivityTask:
        """Schedule the activity with its context."""
        context = given.context if self.input is None else {**given.context, "activity_task": self.input}
        return _schedule(
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
        """Return the result of the activity."""
        return None if item.closed is None else payload.loads(item.closed.data.result)

    def problems(self) -> Iterable[str]:
        """Yield the problems of the fields, one line each."""
        yield from name_problems("name", self.name)
        yield from name_problems("version", self.version, VERSION_LIMIT)
        yield from domain_problems(self.domain)
        if self.task_list is not None:
            yield from task_list_problems("task_list", self.task_list)
        yield from timeout_problems(self, _ACTIVITY_TIMEOUTS)
        yield from priority_problems(self.task_priority)
        yield from strategy_problems(self.retry_strategy)
        yield from input_problems(self.input)


@frozen(kw_only=True)
class Generator(ActivityTask):
    """An activity that returns tasks, which join the spec; dependents of the generator require them too.

    The limits concern the tasks that it returned, and not those that generators among them return.

    Args:
        max_in_flight: Maximum number of the tasks that are in flight at once; None for no limit but SWF's. A
            task that waits for its retry, or for a signal, is not in flight.
        tolerated_failures: Maximum number of the tasks that may fail, or a share such as ``"5 %"`` of them,
            rounded down. One more fails the run at once. A tolerated failure counts as with
            ``on_error="continue"``. None: none may fail, or as many as ``min_successful`` permits.
        min_successful: Number of the tasks that must complete. As soon as so many have, what requires the
            generator need not wait for the others: those that were never started are skipped, the rest run
            to their end. The run fails as soon as so many cannot complete. The tasks may not be generators.
    """

    max_in_flight: int | None = None
    tolerated_failures: Tolerance = None
    min_successful: int | None = None

    @property
    def sibling_limits(self) -> SiblingLimits | None:
        """The limits of the tasks that it returns; None if there are none."""
        limits = SiblingLimits(
            max_in_flight=self.max_in_flight,
            tolerated_failures=self.tolerated_failures,
            min_successful=self.min_successful,
        )
        return None if limits == SiblingLimits() else limits

    def generated(self, item: Item, codec: TaskCodec) -> Sequence[Task]:
        """Return the tasks that the activity returned."""
        return codec.tasks(super().result(item))

    def problems(self) -> Iterable[str]:
        """Yield the problems of the fields, one line each."""
        yield from super().problems()
        if self.sibling_limits is not None:
            yield from sibling_limit_problems(self.sibling_limits)


@frozen(kw_only=True)
class Timer(Ruled):
    """A task that completes after a delay, or at a time. Give either ``delay_in_seconds`` or ``until``.

    Args:
        id_: Unique in the spec.
        delay_in_seconds: The delay after all requirements have completed, an integer.
        until: The time: ``cron`` and an expression, such as ``cron 0 2 * * *``, for its first fire after all
            requirements have completed (without requirements, after the start of the run), or an ISO 8601
            time. If it has passed, the timer fires at once.
        time_zone: The time zone of ``until``, such as ``Europe/Berlin``; None for UTC.
        requires: Tasks or ids that must complete first; none by default.
        when, join, on_error: The rules of the task (see ``floto.extend.Rules``); by default none.
    """

    id_: str
    delay_in_seconds: int | None = None
    until: str | None = None
    time_zone: str | None = None
    requires: tuple[str, ...] = field(default=(), converter=ids)

    @property
    def retry_strategy(self) -> None:
        """None: a timer does not fail."""

    @property
    def key(self) -> Key:
        """The key of the timer with this id."""
        return (Kind.TIMER, self.id_)

    def start(self, given: Given) -> Decision:
        """Start the timer."""
        seconds = self.delay_in_seconds
        if self.until is not None:
            left = until(self.until, self.time_zone, given.ready_at) - given.now
            seconds = min(max(0, math.ceil(left.total_seconds())), SECONDS_LIMIT)
        return StartTimer(timer_id=self.id_, start_to_fire_timeout=str(seconds))

    def result(self, item: Item) -> Any:  # noqa: ARG002 - there is none
        """Return ``NO_RESULT``."""
        return NO_RESULT

    def problems(self) -> Iterable[str]:
        """Yield the problems of the fields, one line each."""
        delay = self.delay_in_seconds
        if (delay is None) is (self.until is None):
            yield "give exactly one of delay_in_seconds and until"
        if self.until is not None:
            yield from until_problems(self.until, self.time_zone)
        elif self.time_zone is not None:
            yield "time_zone is only for until"
        if delay is None:
            return
        if type(delay) is not int or not 0 <= delay <= SECONDS_LIMIT:
            yield f"delay_in_seconds must be an integer from 0 to {SECONDS_LIMIT:,}, not {shown(delay)}"


@frozen(kw_only=True)
class Signal(Ruled):
    """A task that completes when the run has received a signal of one name, even before the task is ready.

    Its result is the input of the first signal of that name; later ones have no effect. Only one task of a
    spec may wait for a name; other tasks can require it.

    Args:
        id_: Unique in the spec.
        signal_name: The name of the signal, of 1 to 256 characters.
        requires: Tasks or ids that must complete first; none by default.
        when, join, on_error: The rules of the task (see ``floto.extend.Rules``); by default none.
        timeout: Seconds that it waits, from the moment at which its join is met; None for no time-out.
        on_timeout: ``fail``: the task fails when the time is up. ``skip``: it is skipped. ``Result(value)``:
            it completes with this result. A signal that arrives later has no effect.
    """

    id_: str
    signal_name: str
    requires: tuple[str, ...] = field(default=(), converter=ids)
    timeout: int | None = None
    on_timeout: OnTimeout = field(default="fail", metadata=FIXED_DEFAULT)

    @property
    def retry_strategy(self) -> None:
        """None: a signal does not fail."""

    @property
    def key(self) -> Key:
        """The key of the first signal with this name."""
        return (Kind.SIGNAL, self.signal_name)

    @property
    def wait_limit(self) -> WaitLimit | None:
        """The limit of the wait."""
        return None if self.timeout is None else WaitLimit(self.timeout, self.on_timeout)

    def start(self, given: Given) -> None:
        """Return no decision: signals arrive from outside."""

    def result(self, item: Item) -> Any:
        """Return the input of the signal."""
        return None if item.closed is None else payload.loads(item.closed.data.input)

    def problems(self) -> Iterable[str]:
        """Yield the problems of the fields, one line each."""
        name = self.signal_name
        if not isinstance(name, str) or not 0 < len(name) <= NAME_LIMIT:
            yield f"signal_name must be a string of 1 to {NAME_LIMIT} characters, not {shown(name)}"
        yield from wait_limit_problems(self.timeout, self.on_timeout)
