"""Saturation: more tasks are ready than SWF's limits allow at a time, which random runs rarely reach."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable
from typing import Any

from attrs import evolve, frozen

from floto.core.decide.decide import decide
from floto.core.spec.decider_spec import DeciderSpec, Timer
from floto.core.spec.tasks import NO_RESULT, Given, Task
from floto.core.state.state import Item, Key, Kind
from floto.core.swf import events as e
from floto.core.swf.decisions import Decision, ScheduleActivityTask
from floto.core.swf.events import DecisionTaskStarted
from floto.core.swf.history import History
from floto.core.swf.limits import DATA_LIMIT, OPEN_LIMIT
from floto.core.swf.shapes import ActivityType, TaskList
from floto.core.swf.wire import decision_to_swf
from floto.testing.invariants import variants
from floto.testing.invariants.differences import check_same
from floto.testing.reading.expected_decisions import RESPONSE
from floto.testing.reading.moment import Moment
from floto.testing.reading.oracle import RETRY

#: Check one decision point in so many: it takes some milliseconds.
_ONE_IN = 41
#: The same where the timer of a retry starts.
_ONE_IN_WAITING = 11
_TYPE, _LIST = ActivityType("work", "v1"), TaskList("work")


@frozen(kw_only=True)
class Padded:
    """A user-defined kind of task, with an input and a control of any length."""

    id_: str
    input: int = 0
    control: int = 0
    requires: tuple[str, ...] = ()
    retry_strategy: None = None

    @property
    def key(self) -> Key:
        """The key of the activity of the same id."""
        return (Kind.ACTIVITY, self.id_)

    def start(self, given: Given) -> Decision:  # noqa: ARG002 - the decision is fixed
        """Schedule an activity."""
        return self.decision

    @property
    def decision(self) -> Decision:
        """The decision that starts it."""
        return ScheduleActivityTask(
            activity_type=_TYPE,
            activity_id=self.id_,
            task_list=_LIST,
            input="x" * self.input or None,
            control="x" * self.control or None,
        )

    def result(self, item: Item) -> Any:  # noqa: ARG002 - it has no result
        """Return no result."""
        return NO_RESULT


def limits_are_kept_in_a_crowd(moment: Moment) -> None:
    """If more is ready than SWF's limits allow, floto starts as much as fits, and asks for the rest."""
    number = zlib.crc32(repr((len(moment.history), len(moment.known), len(moment.decisions))).encode())
    saturation, seldom = (_SATURATIONS, _ONE_IN) if not _waits(moment) else ((_too_many,), _ONE_IN_WAITING)
    asked = moment.history.events and isinstance(moment.history.events[-1].data, DecisionTaskStarted)
    if number % seldom or not asked:
        return
    number //= seldom
    spec, history = saturation[number % len(saturation)](moment, number // len(saturation))
    found = decide(spec, history, codec=moment.codec)
    check_same(Moment(spec, history, found, moment.codec).expected.decisions, found, "at saturation")


def _waits(moment: Moment) -> bool:
    """Return True if the timer of a retry starts here: it counts towards the limit of timers."""
    return any(getattr(each, "timer_id", "").startswith(RETRY) for each in moment.decisions)


def _too_long(moment: Moment, _number: int) -> tuple[DeciderSpec, History]:
    """Return tasks whose input or control is one character too long, or just fits."""
    sizes = (DATA_LIMIT, DATA_LIMIT + 1)
    inputs = [Padded(id_=f"input of {size}", input=size) for size in sizes]
    controls = [Padded(id_=f"control of {size}", control=size) for size in sizes]
    return DeciderSpec(activity_tasks=[*inputs, *controls]), _beginning(moment)


def _too_much(moment: Moment, number: int) -> tuple[DeciderSpec, History]:
    """Return tasks whose decisions just fit into one response, or just do not."""
    make = (_of_input, _of_control)[number // 6 % 2]
    tasks = [make(f"padded {place}", 30_000) for place in range(29)]
    left = RESPONSE - sum(map(_size, tasks)) - _size(make("last", 1)) + 1
    more = [Padded(id_="more")] if number // 3 % 2 else []
    return DeciderSpec(activity_tasks=[*tasks, make("last", left + number % 3 - 1), *more]), _beginning(
        moment
    )


def _of_input(id_: str, size: int) -> Padded:
    return Padded(id_=id_, input=size)


def _of_control(id_: str, size: int) -> Padded:
    return Padded(id_=id_, control=size)


def _long_names(moment: Moment, _number: int) -> tuple[DeciderSpec, History]:
    """Return tasks with ids that take twelve characters of JSON for each of their own."""
    ids = (f"{chr(0x1D11E) * 210}{place}" for place in range(440))
    return DeciderSpec(activity_tasks=[Padded(id_=id_) for id_ in ids]), _beginning(moment)


def _size(task: Padded) -> int:
    return len(json.dumps(decision_to_swf(task.decision))) + 2


def _too_many(moment: Moment, number: int) -> tuple[DeciderSpec, History]:
    """Return a few more tasks than may be open, beside what is open already."""
    counts = (OPEN_LIMIT - number % 3, OPEN_LIMIT - number // 3 % 3)
    open_ = (opened(place) for opened, count in zip(_OPEN, counts, strict=True) for place in range(count))
    history = variants.appended(moment.history, open_)
    own: Iterable[Task] = (*moment.spec.activity_tasks, *map(_extra, range(6)))
    return evolve(moment.spec, activity_tasks=own), history


def _from_nothing(moment: Moment, number: int) -> tuple[DeciderSpec, History]:
    """Return a few more tasks of one kind than may be open, where nothing is open yet."""
    tasks = (_extra(2 * place + number % 2) for place in range(OPEN_LIMIT + 2))
    return DeciderSpec(activity_tasks=tasks), _beginning(moment)


def _extra(place: int) -> Task:
    id_ = f"floated {place}"
    return Timer(id_=id_, delay_in_seconds=place) if place % 2 else Padded(id_=id_)


def _beginning(moment: Moment) -> History:
    """Return the history up to its first decision task."""
    events = moment.history.events
    first = next(event.id for event in events if isinstance(event.data, DecisionTaskStarted))
    return evolve(moment.history, events=events[:first])


def _activity(place: int) -> Any:
    return e.ActivityTaskScheduled(
        activity_type=_TYPE, activity_id=f"open {place}", task_list=_LIST, decision_task_completed_event_id=1
    )


def _timer(place: int) -> Any:
    return e.TimerStarted(
        timer_id=f"open {place}", start_to_fire_timeout="60", decision_task_completed_event_id=1
    )


_OPEN: tuple[Callable[[int], Any], ...] = (_activity, _timer)
_SATURATIONS: tuple[Callable[[Moment, int], tuple[DeciderSpec, History]], ...] = (
    _too_long,
    _too_much,
    _too_many,
    _from_nothing,
    _long_names,
)
