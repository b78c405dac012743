"""Code as users write it: kinds, strategies, activities and properties, most with something wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from attrs import frozen

from floto import CODEC, NO_RESULT, ActivityTask, DeciderSpec, Generator, Given, History, Retry, Task, Timer
from floto.core.state.state import Item, Key, Kind
from floto.core.swf.decisions import Decision, ScheduleActivityTask, StartTimer
from floto.testing import invariant


@frozen
class Patient:
    """A sound strategy."""

    retries: int = 2

    def delay(self, retry: Retry) -> float | None:
        return None if retry.number > self.retries else 3


@frozen
class Tireless:
    def delay(self, retry: Retry) -> float | None:
        return min(retry.number, 60)


@frozen
class Careless:
    """Knows of three failures and no more."""

    def delay(self, retry: Retry) -> float | None:
        return (None, 1, 2, 3)[retry.number]


@frozen(kw_only=True)
class Pause:
    """A sound kind of task."""

    id_: str
    requires: tuple[str, ...] = ()
    retry_strategy: None = None
    seconds: int = 1

    @property
    def key(self) -> Key:
        return (Kind.TIMER, self.id_)

    def start(self, given: Given) -> Decision | None:  # noqa: ARG002 - a pause needs nothing
        return StartTimer(timer_id=self.id_, start_to_fire_timeout=str(self.seconds))

    def result(self, item: Item) -> Any:  # noqa: ARG002 - there is none
        return NO_RESULT


@frozen(kw_only=True)
class Misnamed(Pause):
    """Starts another timer than it waits for."""

    def start(self, given: Given) -> Decision | None:  # noqa: ARG002 - a pause needs nothing
        return StartTimer(timer_id=f"{self.id_}-1", start_to_fire_timeout="1")


@frozen(kw_only=True)
class Presuming(Pause):
    """Takes for granted that the workflow has an input."""

    def start(self, given: Given) -> Decision | None:
        return StartTimer(timer_id=self.id_, start_to_fire_timeout=given.context["workflow"]["wait"])


OWN = CODEC
for cls in (Patient, Tireless, Careless, Pause, Misnamed, Presuming):
    OWN = OWN.with_type(f"own.{cls.__name__}", cls)


def circular(_context: Any) -> list[Task]:
    return [work("x", requires=["y"]), work("y", requires=["x"])]


def colliding(_context: Any) -> list[Task]:
    return [work("a")]


_numbers: Iterator[int] = count()


def counting(_context: Any) -> int:
    """Another result each time."""
    return next(_numbers)


@invariant
def one_at_a_time(_spec: DeciderSpec, _history: History, decisions: Sequence[Decision]) -> bool:
    """At most one activity is scheduled at once."""
    return sum(isinstance(each, ScheduleActivityTask) for each in decisions) <= 1


def work(id_: str, requires: Sequence[str] = (), **fields: Any) -> ActivityTask:
    return ActivityTask(id_=id_, name="work", version="v1", requires=requires, **fields)


#: What stands before the task with something wrong.
BEFORE: tuple[Task, ...] = (
    work("a", retry_strategy=Patient()),
    work("b", ["a"]),
    work("c", ["a"], start_to_close_timeout=30),
    Timer(id_="d", delay_in_seconds=5, requires=["b"]),
    work("e", ["b", "c"]),
)


def spec(*tasks: Task) -> DeciderSpec:
    return DeciderSpec(activity_tasks=[*BEFORE, *tasks])


GENERATOR = Generator(id_="g", name="grow", version="v1", requires=["d"])
#: What check is given, by what is wrong with it.
DEFECTS: dict[str, dict[str, Any]] = {
    "never gives up": {"spec": spec(work("z", ["d"], retry_strategy=Tireless()))},
    "raises in delay": {"spec": spec(work("z", ["d"], retry_strategy=Careless()))},
    "raises in start": {"spec": spec(Presuming(id_="z", requires=("d",)))},
    "waits for another timer": {"spec": spec(Misnamed(id_="z", requires=("d",)))},
    "generates a circle": {"spec": spec(GENERATOR), "activities": {"grow": circular}},
    "generates an id that is taken": {"spec": spec(GENERATOR), "activities": {"g": colliding}},
    "another result each time": {"spec": spec(work("z", ["d"])), "activities": {"z": counting}},
    "a property of one's own": {"spec": spec(), "properties": [one_at_a_time]},
}
