"""The status of each task of a graph: a second, naive reading of a spec and a history."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any

from attrs import evolve, field, frozen

from floto.core.errors import PayloadError, SpecError
from floto.core.spec.retry import Retry, RetryStrategy
from floto.core.spec.rules.joins import JoinOption
from floto.core.spec.rules.task_rules import TaskOutcome, rules_of
from floto.core.spec.rules.wait_limits import WaitLimit, wait_limit_of
from floto.core.spec.tasks import Task, expands
from floto.core.state.failures import Failure, failure_of
from floto.core.state.state import Key, Kind, Status
from floto.core.swf.events import Event
from floto.testing.reading import waits
from floto.testing.reading.expected_siblings import LimitEnds, ReturnedGroup, groups_in
from floto.testing.reading.joins import Ended, Met, is_true, met
from floto.testing.reading.oracle import RETRY, WAIT, HistorySummary


@frozen
class Due:
    """An attempt is due, now or after a timer of so many seconds."""

    timer_id: str = ""
    seconds: int = 0


@frozen
class RetriesExhausted:
    """No attempt follows."""

    message: str


@frozen
class Idle:
    """Nothing is to be decided for the task: it has completed or is in flight."""

    done: bool


ExpectedStatus = Due | RetriesExhausted | Idle
_NOW, _IN_FLIGHT, _DONE = Due(), Idle(done=False), Idle(done=True)


def status_of(task: Task, summary: HistorySummary, seed: str) -> ExpectedStatus:
    """Return the status of a task, regardless of what it requires."""
    limit = wait_limit_of(task)
    if limit is not None:
        return _status_of_wait(task, limit, summary)
    if summary.completed(task.key):
        return _DONE
    if summary.in_flight(task.key):
        return _IN_FLIGHT
    failures = summary.failures.get(task.key, [])
    return status_after(failures, subject_of(task), summary, seed) if failures else _NOW


def _status_of_wait(task: Task, limit: WaitLimit, summary: HistorySummary) -> ExpectedStatus:
    """Return the status of a task that waits for a limited time."""
    timer = _wait_timer(task, limit, summary)
    if time_up(task, limit, summary) is None:
        return _DONE if summary.completed(task.key) else timer
    if isinstance(timer, RetriesExhausted):
        return timer
    if limit.on_timeout == "fail":
        return RetriesExhausted(f"timed out after {limit.seconds} seconds")
    return _DONE


def time_up(task: Task, limit: WaitLimit, summary: HistorySummary) -> Event | None:
    """Return the event by which the time of a wait was up, or it could not begin; None if something came."""
    timer, key = _wait_timer(task, limit, summary), (Kind.TIMER, wait_timer(task))
    if timer == _NOW:
        over = next(each.end for each in summary.attempts[key] if each.completed)
    elif isinstance(timer, RetriesExhausted):
        over = summary.failures[key][-1]
    else:
        return None
    came = [each.end.id for each in summary.attempts.get(task.key, ()) if each.completed and each.end]
    return None if over is None or (came and came[0] < over.id) else over


def wait_timer(task: Task) -> str:
    """Return the id of the timer of a task that waits for a limited time."""
    return f"{WAIT}{task.id_}"


def _wait_timer(task: Task, limit: WaitLimit, summary: HistorySummary) -> ExpectedStatus:
    return _timer(Due(wait_timer(task), limit.seconds), summary, "time-out")


@frozen
class RetrySubject:
    """The subject of retries: a task, or the run that continues as new."""

    key: Key
    id_: str
    strategy: RetryStrategy | None = None


def subject_of(task: Task) -> RetrySubject:
    """Return a task as the subject of retries."""
    return RetrySubject(task.key, task.id_, task.retry_strategy)


def status_after(
    ended: Sequence[Event], subject: RetrySubject, summary: HistorySummary, seed: str
) -> ExpectedStatus:
    """Return the status after these failed or refused attempts."""
    delay = delay_after(ended, subject, seed)
    if delay is None:
        return RetriesExhausted(failure_of(ended[-1]).message)
    if not waits.seconds(delay):
        return _NOW
    return _timer(Due(f"{RETRY}{subject.id_}:{len(ended)}", waits.seconds(delay)), summary)


def delay_after(ended: Sequence[Event], subject: RetrySubject, seed: str) -> float | None:
    """Return the seconds until the next attempt, or None if there is none."""
    failures = [failure_of(event) for event in ended]
    last = failures[-1]
    if last.status is not Status.REFUSED:
        return waits.wait(subject.strategy, retry_of(failures, subject.id_, seed))
    if not last.passes:
        return None
    is_timer = subject.key[0] is Kind.TIMER
    return waits.refused_wait(_last_refusals(failures), subject.id_, seed, is_timer=is_timer)


def retry_of(failures: Sequence[Failure], id_: str, seed: str) -> Retry:
    """Return what a strategy gets: all failures, without refusals."""
    failed = tuple(each for each in failures if each.status is not Status.REFUSED)
    return Retry(task_id=id_, seed=seed, failures=failed)


def _last_refusals(failures: Sequence[Failure]) -> list[Failure]:
    row: list[Failure] = []
    for failure in reversed(failures):
        if failure.status is not Status.REFUSED:
            break
        row.append(failure)
    return row[::-1]


def _timer(due: Due, summary: HistorySummary, what: str = "retry") -> ExpectedStatus:
    key = (Kind.TIMER, due.timer_id)
    if summary.completed(key):
        return _NOW
    if summary.in_flight(key):
        return _IN_FLIGHT
    failures = [failure_of(event) for event in summary.failures.get(key, ())]
    if not failures:
        return due
    last = failures[-1]
    final = last.status is Status.REFUSED and not last.passes
    if final or waits.refused_wait(failures, "", "", is_timer=True) is None:
        return RetriesExhausted(f"the wait for its {what}: {last.message}")
    return due


@frozen
class TimeUp:
    """The end of a wait whose time was up, and its limit."""

    limit: WaitLimit
    event: Event


@frozen(eq=False)
class ExpectedGraph:
    """Tasks that require only one another, with the status that a history gives them."""

    tasks: Mapping[str, Task]
    summary: HistorySummary
    seed: str
    returned: Mapping[str, Sequence[Task]]
    broken: Mapping[str, str]
    #: Returns what the condition of a task sees, for the tasks whose results are there.
    seen: Callable[[ExpectedGraph, str, Iterable[str]], dict[str, Any]]
    #: The order of undos and of the cleanup after them: tasks that must have ended before, with any outcome.
    order: Mapping[str, Sequence[str]] = field(factory=dict)
    #: The task that each undo undoes, and the undos whose tasks have not completed.
    undoes: Mapping[str, str] = field(factory=dict)
    idle_undos: Collection[str] = ()
    #: Messages of tasks that cannot be started.
    unstartable: Mapping[str, str] = field(factory=dict)

    @cached_property
    def statuses(self) -> Mapping[str, ExpectedStatus]:
        """The status of each task, by its id."""
        return {id_: status_of(task, self.summary, self.seed) for id_, task in self.tasks.items()}

    @cached_property
    def over(self) -> Mapping[str, TimeUp]:
        """The tasks whose time was up before anything came."""
        limits = ((id_, task, wait_limit_of(task)) for id_, task in self.tasks.items())
        found = ((id_, limit, time_up(task, limit, self.summary)) for id_, task, limit in limits if limit)
        return {id_: TimeUp(limit, event) for id_, limit, event in found if event is not None}

    @cached_property
    def ends_wait(self) -> Mapping[str, str]:
        """The timers to be canceled, by the tasks for which something came before the time was up."""
        return {
            id_: wait_timer(task)
            for id_, task in self.tasks.items()
            if wait_limit_of(task) is not None
            if self.statuses[id_] == _DONE and self.summary.in_flight((Kind.TIMER, wait_timer(task)))
        }

    @cached_property
    def met(self) -> Mapping[str, Met]:
        """The tasks for which it is certain whether they may run."""
        return self._read[0]

    @cached_property
    def ended(self) -> Mapping[str, Ended]:
        """The tasks that have ended: completed, failed or skipped."""
        return self._read[1]

    @cached_property
    def groups(self) -> Sequence[ReturnedGroup]:
        """The tasks that each generator with limits has returned."""
        return tuple(groups_in(self.tasks, self.returned))

    @cached_property
    def _group_of(self) -> Mapping[str, ReturnedGroup]:
        return {id_: group for group in self.groups for id_ in group.members}

    def group_of(self, id_: str) -> ReturnedGroup | None:
        """Return the group with limits that a task is in; None if there is none."""
        return self._group_of.get(id_)

    def waits_for_all(self, id_: str) -> bool:
        """Return True if a task starts only after all that it requires has ended."""
        own = self.group_of(id_)
        others = [self.group_of(each) for each in self.order.get(id_, self.tasks[id_].requires)]
        is_partial = any(each and each is not own and each.limits.min_successful for each in others)
        return self.join(id_) in ("all", "finished") and not is_partial

    @cached_property
    def _read(self) -> tuple[Mapping[str, Met], Mapping[str, Ended]]:
        """Read the graph again and again, each time with one more decision of the limits: the first one."""
        decided = LimitEnds()
        while True:
            found, ended, places = self._read_with(decided)
            started = {id_ for id_, task in self.tasks.items() if self.summary.was_attempted(task.key)}
            coming = [group.next(ended, decided, places, started) for group in self.groups]
            firsts = [each for each in coming if each is not None]
            if not firsts:
                return found, ended
            decided = decided.also(min(firsts, key=lambda each: each[0])[1])

    def _spare(self, id_: str, decided: LimitEnds) -> Mapping[str, int]:
        """Return the required tasks that need not end, with the events from which on that is so."""
        own, found = self.group_of(id_), {}
        for needed in self.tasks[id_].requires if decided.enough else ():
            group = self.group_of(needed)
            if group is not None and group is not own and group.id in decided.enough:
                found[needed] = decided.enough[group.id]
        return found

    def _read_with(
        self, decided: LimitEnds
    ) -> tuple[Mapping[str, Met], Mapping[str, Ended], Mapping[str, int]]:
        found: dict[str, Met] = {}
        places: dict[str, int] = {}
        ended: dict[str, Ended] = {}
        generators = {id_ for id_, task in self.tasks.items() if expands(task)}
        needs = {id_: self.order.get(id_, task.requires) for id_, task in self.tasks.items()}
        for id_ in TopologicalSorter(needs).static_order():
            since = self._joined.get(id_, 0)
            places[id_] = len(places)
            spare = self._spare(id_, decided)
            join = met(needs[id_], self.join(id_), ended, generators, since, spare=spare)
            if join is not None and id_ in self.order:
                join = evolve(join, results=())
            found |= {} if join is None else {id_: join}
            end = decided.ends.get(id_) or self._end_without_attempt(id_) or self._end(id_, join)
            ended |= {} if end is None else {id_: end}
        return found, ended, places

    def join(self, id_: str) -> JoinOption:
        """Return the join of a task."""
        return "finished" if id_ in self.order else rules_of(self.tasks[id_]).join

    @cached_property
    def _joined(self) -> Mapping[str, int]:
        """The event by which each generated task joined the spec."""
        return {task.id_: self._last_event(id_) for id_, tasks in self.returned.items() for task in tasks}

    def _end_without_attempt(self, id_: str) -> Ended | None:
        if id_ in self.idle_undos:
            return Ended(TaskOutcome.SKIPPED, 0)
        if id_ in self.unstartable:
            return Ended(TaskOutcome.FAILED, len(self.summary.times), self.unstartable[id_])
        if id_ in self.broken:
            return Ended(TaskOutcome.FAILED, self._last_event(id_), self.broken[id_])
        return None

    def _end(self, id_: str, join: Met | None) -> Ended | None:
        status, rules = self.statuses[id_], rules_of(self.tasks[id_])
        group = self.group_of(id_)
        is_tolerated = group is not None and group.tolerates
        continues = rules.on_error == "continue" or is_tolerated
        how = TaskOutcome.CONTINUED if continues else TaskOutcome.FAILED
        failed = None
        if isinstance(status, RetriesExhausted):
            failed = Ended(how, max(self._last_event(id_), self._joined.get(id_, 0)), status.message)
        if join is None or (failed is not None and failed.at < join.at):
            return failed
        try:
            may_run = join.may_run and (
                rules.when is None or is_true(rules.when, self.seen(self, id_, join.results))
            )
        except (PayloadError, SpecError) as error:
            return Ended(how, join.at, str(error).replace("\n", "; "))
        if not may_run:
            return Ended(TaskOutcome.SKIPPED, join.at)
        if id_ in self.over and self.over[id_].limit.on_timeout == "skip" and failed is None:
            return Ended(TaskOutcome.SKIPPED, max(join.at, self._last_event(id_)))
        return (
            Ended(TaskOutcome.COMPLETED, max(join.at, self._last_event(id_))) if status == _DONE else failed
        )

    def _last_event(self, id_: str) -> int:
        """Return the id of the event that ended a task, or the wait for its retry."""
        if id_ in self.over:
            return self.over[id_].event.id
        key = self.tasks[id_].key
        waits_for = (Kind.TIMER, f"{RETRY}{id_}:{len(self.summary.failures.get(key, ()))}")
        ends = [each.end for each in self.summary.attempts.get(key, ()) if each.end is not None]
        refused = [event for one in (key, waits_for) for event in self.summary.failures.get(one, ())]
        return max((event.id for event in (*ends, *refused)), default=0)

    @cached_property
    def settled(self) -> frozenset[str]:
        """The tasks that have ended and do not fail the run."""
        return frozenset(id_ for id_, each in self.ended.items() if each.outcome is not TaskOutcome.FAILED)

    def is_ready(self, id_: str) -> bool:
        """Return True if the rules of a task let it run now."""
        return id_ in self.met and self.met[id_].may_run and id_ not in self.ended

    @cached_property
    def due(self) -> Mapping[str, Due]:
        """The tasks for which something is to be started, in spec order."""
        return {
            id_: found
            for id_, found in self.statuses.items()
            if isinstance(found, Due) and self.is_ready(id_)
        }

    @cached_property
    def exhausted(self) -> Mapping[str, str]:
        """The tasks that fail the run, and why."""
        return {id_: each.message for id_, each in self.ended.items() if each.outcome is TaskOutcome.FAILED}

    @cached_property
    def with_results(self) -> list[str]:
        """The completed tasks that nothing depends on, whose results are those of the run."""
        needed = {id_ for task in self.tasks.values() for id_ in task.requires}
        ended = self.ended
        return [
            id_ for id_ in self.tasks if id_ not in needed and ended[id_].outcome is TaskOutcome.COMPLETED
        ]
