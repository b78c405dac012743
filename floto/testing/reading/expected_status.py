"""Where each task of a graph stands: a second, naive reading of a spec and a history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from graphlib import TopologicalSorter

from attrs import frozen

from floto.core.spec.retry import Retry, RetryStrategy
from floto.core.spec.tasks import Task
from floto.core.state.failures import Failure, failure_of
from floto.core.state.state import Key, Kind, Status
from floto.core.swf.events import Event
from floto.testing.reading import waits
from floto.testing.reading.oracle import RETRY, Account


@frozen
class Due:
    """An attempt is due, now or after a timer of so many seconds."""

    timer_id: str = ""
    seconds: int = 0


@frozen
class Lost:
    """There will be no further attempt."""

    message: str


@frozen
class Resting:
    """Nothing is to be decided."""

    done: bool


Stand = Due | Lost | Resting
_NOW, _IN_FLIGHT, _DONE = Due(), Resting(done=False), Resting(done=True)


def stand(task: Task, read: Account, seed: str) -> Stand:
    """Where a task stands, whatever it requires."""
    if read.completed(task.key):
        return _DONE
    if read.in_flight(task.key):
        return _IN_FLIGHT
    failures = read.failures.get(task.key, [])
    return after(failures, wish_of(task), read, seed) if failures else _NOW


@frozen
class Wish:
    """What may be tried again, and by which strategy."""

    key: Key
    id_: str
    strategy: RetryStrategy | None = None


def wish_of(task: Task) -> Wish:
    """A task as what may be tried again."""
    return Wish(task.key, task.id_, task.retry_strategy)


def after(ended: Sequence[Event], wish: Wish, read: Account, seed: str) -> Stand:
    """What follows when these are the attempts that did not work, refused ones among them."""
    delay = delay_after(ended, wish, seed)
    if delay is None:
        return Lost(failure_of(ended[-1]).message)
    if not waits.seconds(delay):
        return _NOW
    return _timer(Due(f"{RETRY}{wish.id_}:{len(ended)}", waits.seconds(delay)), read)


def delay_after(ended: Sequence[Event], wish: Wish, seed: str) -> float | None:
    """Seconds to wait before the next attempt; None where there is none."""
    failures = [failure_of(event) for event in ended]
    last = failures[-1]
    if last.status is not Status.REFUSED:
        return waits.wait(wish.strategy, retry_of(failures, wish.id_, seed))
    if not last.passes:
        return None
    is_timer = wish.key[0] is Kind.TIMER
    return waits.refused_wait(_last_refusals(failures), wish.id_, seed, is_timer=is_timer)


def retry_of(failures: Sequence[Failure], id_: str, seed: str) -> Retry:
    """What a strategy is asked: all that failed, and nothing that SWF refused."""
    failed = tuple(each for each in failures if each.status is not Status.REFUSED)
    return Retry(task_id=id_, seed=seed, failures=failed)


def _last_refusals(failures: Sequence[Failure]) -> list[Failure]:
    row: list[Failure] = []
    for failure in reversed(failures):
        if failure.status is not Status.REFUSED:
            break
        row.append(failure)
    return row[::-1]


def _timer(due: Due, read: Account) -> Stand:
    key = (Kind.TIMER, due.timer_id)
    if read.completed(key):
        return _NOW
    if read.in_flight(key):
        return _IN_FLIGHT
    failures = [failure_of(event) for event in read.failures.get(key, ())]
    if not failures:
        return due
    last = failures[-1]
    final = last.status is Status.REFUSED and not last.passes
    if final or waits.refused_wait(failures, "", "", is_timer=True) is None:
        return Lost(f"the wait for its retry: {last.message}")
    return due


@frozen(eq=False)
class Graph:
    """Tasks that require only one another, and what a history says of them."""

    tasks: Mapping[str, Task]
    read: Account
    seed: str
    returned: Mapping[str, Sequence[Task]]
    broken: Mapping[str, str]

    @cached_property
    def stands(self) -> Mapping[str, Stand]:
        """Where each task stands, by its id."""
        return {id_: stand(task, self.read, self.seed) for id_, task in self.tasks.items()}

    @cached_property
    def settled(self) -> frozenset[str]:
        """The tasks that have completed, and all that they require before them; a signal may be early."""
        found: set[str] = set()
        for id_ in TopologicalSorter({id_: task.requires for id_, task in self.tasks.items()}).static_order():
            if self.stands[id_] == _DONE and found.issuperset(self.tasks[id_].requires):
                found.add(id_)
        return frozenset(found)

    def is_ready(self, id_: str) -> bool:
        """Whether all that a task requires has completed."""
        return self.settled.issuperset(self.tasks[id_].requires)

    @cached_property
    def due(self) -> Mapping[str, Due]:
        """The tasks for which something is to be started, in spec order."""
        return {
            id_: found for id_, found in self.stands.items() if isinstance(found, Due) and self.is_ready(id_)
        }

    @cached_property
    def lost(self) -> Mapping[str, str]:
        """Why tasks cannot complete any more."""
        found = {id_: found.message for id_, found in self.stands.items() if isinstance(found, Lost)}
        return {**self.broken, **found}

    @cached_property
    def leaves(self) -> list[str]:
        """The tasks that nothing depends on."""
        needed = {id_ for task in self.tasks.values() for id_ in task.requires}
        return [id_ for id_ in self.tasks if id_ not in needed]
