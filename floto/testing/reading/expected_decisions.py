"""The decisions that a spec and a history call for: floto's rules, read a second time.

Naive on purpose: nothing is updated incrementally, every fact is read off the whole history,
and no line of it is shared with ``floto.core.decide.decide``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any

from attrs import evolve, frozen

from floto.core.errors import PayloadError
from floto.core.payloads.stored import read_result
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.rules.task_rules import TaskOutcome, undo_of
from floto.core.spec.rules.wait_limits import Result
from floto.core.spec.tasks import NO_RESULT, Given, Task, TaskCodec, expands
from floto.core.state.state import Kind
from floto.core.swf.decisions import Decision, StartTimer
from floto.core.swf.limits import OPEN_LIMIT
from floto.core.swf.reserved_names import SPEC_KEY
from floto.core.swf.shapes import WorkflowExecution
from floto.core.swf.wire import decision_to_swf
from floto.testing.reading import carried, waits
from floto.testing.reading.expanded_spec import ExpandedSpec, expand_spec
from floto.testing.reading.expected_closes import Expected, cancel, complete, fail, failed
from floto.testing.reading.expected_starts import expected_starts
from floto.testing.reading.expected_status import ExpectedGraph
from floto.testing.reading.failure_texts import given_failures, read_failures
from floto.testing.reading.oracle import FAILURES, MORE, HistorySummary

#: Maximum size of the decisions in a response, in characters: SWF takes a megabyte in all.
RESPONSE = 900_000
_NOTHING: Mapping[str, str] = MappingProxyType({})


@frozen(eq=False)
class Reading:
    """A spec and the summary of a history, from which the expected decisions are read."""

    spec: DeciderSpec
    summary: HistorySummary
    execution: WorkflowExecution | None
    codec: TaskCodec

    @cached_property
    def seed(self) -> str:
        """The seed of this run's jitter."""
        return "" if self.summary.began is None else waits.seed_of(self.summary.began)

    @cached_property
    def expanded(self) -> ExpandedSpec:
        """The spec with the tasks that its generators returned."""
        return expand_spec(self.spec, self.summary, self.codec)

    @cached_property
    def main(self) -> ExpectedGraph:
        """The tasks of the run itself."""
        expanded = self.expanded
        return self._graph(expanded.spec.activity_tasks, {}, expanded.returned, expanded.broken)

    @cached_property
    def on_failure(self) -> ExpectedGraph:
        """The cleanup tasks after a failure that is known from the history."""
        return self.after_failure(self.main.exhausted if self.noted is None else self.noted)

    def after_failure(
        self, failures: Mapping[str, str], unstartable: Mapping[str, str] = _NOTHING
    ) -> ExpectedGraph:
        """Return the cleanup after these failures, and after it was found which tasks cannot be started."""
        return self._cleanup(self.spec.on_failure, given_failures(failures), unstartable)

    @cached_property
    def on_cancel(self) -> ExpectedGraph:
        """The cleanup tasks after a cancel request."""
        return self.after_cancel()

    def after_cancel(self, unstartable: Mapping[str, str] = _NOTHING) -> ExpectedGraph:
        """Return the cleanup after a cancel request, and after some tasks could not be started."""
        return self._cleanup(self.spec.on_cancel, {}, unstartable)

    @cached_property
    def undos(self) -> Mapping[str, Task]:
        """The undos of tasks, by the ids of the tasks."""
        found = {task.id_: undo_of(task) for task in self.expanded.spec.activity_tasks}
        return {id_: undo for id_, undo in found.items() if undo is not None}

    def _cleanup(
        self, tasks: Sequence[Task], given: Mapping[str, Any], unstartable: Mapping[str, str]
    ) -> ExpectedGraph:
        main = {task.id_: task for task in self.expanded.spec.activity_tasks}
        done = {id_: undo for id_, undo in self.undos.items() if self.summary.completed(main[id_].key)}
        order = {
            undo.id_: [done[other].id_ for other in self._behind(id_, main) if other in done]
            for id_, undo in done.items()
        }
        if self.undos:
            last = [undo.id_ for undo in done.values()]
            order |= {task.id_: last for task in tasks if not task.requires}
        return evolve(
            self._graph([*self.undos.values(), *tasks], given),
            order=order,
            undoes={undo.id_: id_ for id_, undo in self.undos.items()},
            idle_undos=[undo.id_ for id_, undo in self.undos.items() if id_ not in done],
            unstartable={id_: text for id_, text in unstartable.items() if id_ not in main},
        )

    def _behind(self, id_: str, main: Mapping[str, Task]) -> set[str]:
        """Return the tasks that require a task, directly or not, or were returned by it."""
        found: set[str] = set()
        todo = [id_]
        while todo:
            one = todo.pop()
            new = {other.id_ for other in main.values() if one in other.requires} - found
            new |= {other.id_ for other in self.expanded.returned.get(one, ())} - found
            found |= new
            todo += new
        return found

    def _graph(
        self,
        tasks: Iterable[Task],
        given: Mapping[str, Any],
        returned: Mapping[str, Sequence[Task]] | None = None,
        broken: Mapping[str, str] | None = None,
    ) -> ExpectedGraph:
        known = {task.id_: task for task in tasks}

        def seen(graph: ExpectedGraph, id_: str, results: Iterable[str]) -> dict[str, Any]:
            context = self._context(graph, id_, results, {**self.given, **given})
            return {
                id_: value if id_ in ("workflow", *given) else self._read(id_, value)
                for id_, value in context.items()
            }

        return ExpectedGraph(known, self.summary, self.seed, returned or {}, broken or {}, seen)

    def _read(self, id_: str, value: Any) -> Any:
        """Return a result, or the stored value that it refers to."""
        return read_result(value, f"the result of task {id_!r}", self.codec.payloads)

    @cached_property
    def noted(self) -> dict[str, str] | None:
        """The recorded failures of a run whose cleanup has begun; None before."""
        marker = self.summary.markers.get(FAILURES)
        return None if marker is None else read_failures(marker.data.details)

    @cached_property
    def expected(self) -> Expected:
        """The decisions that must be made now."""
        summary = self.summary
        if summary.began is None or summary.closed is not None or summary.in_flight((Kind.TIMER, MORE)):
            return Expected()
        if summary.awaited_parts and summary.cancel_requested is None:
            return Expected()
        found = self._whole()
        return Expected(fitting(found.decisions, summary), found.faults)

    def _whole(self) -> Expected:
        if self.noted is not None:
            return fail(self, self.noted)
        if self.summary.cancel_requested is not None:
            return cancel(self)
        if self.main.exhausted:
            return fail(self, self.main.exhausted, faults=self.main.broken)
        if len(self.main.settled) == len(self.main.tasks):
            return complete(self)
        try:
            given = self.given
        except PayloadError as error:
            said = {"workflow": str(error)}
            return Expected((failed("the workflow's input cannot be read", said),), said)
        found, failures = expected_starts(self, self.main, given)
        return fail(self, failures, faults=failures) if failures else Expected(tuple(found))

    @cached_property
    def given(self) -> dict[str, Any]:
        """The context that every task of the run gets; raises ``PayloadError``."""
        value = carried.own_input(self.summary.start)
        if isinstance(value, dict) and SPEC_KEY in value:
            value = {key: item for key, item in value.items() if key != SPEC_KEY} or None
        return {} if value is None else {"workflow": value}

    def _context(
        self, graph: ExpectedGraph, id_: str, results: Iterable[str], given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a task's context: the workflow's input, and the results that were there for it."""
        context = dict(given)
        if id_ in graph.undoes:
            context[graph.undoes[id_]] = self.result(self.main, graph.undoes[id_])
        for needed in results:
            result = self.result(graph, needed)
            if result is not NO_RESULT:
                context[needed] = result
        return context

    def result(self, graph: ExpectedGraph, id_: str) -> Any:
        """Return the result of a task; for a generator, the ids of the tasks that it returned."""
        if expands(graph.tasks[id_]):
            return [task.id_ for task in graph.returned.get(id_, ())]
        task = graph.tasks[id_]
        if id_ in graph.over:
            instead = graph.over[id_].limit.on_timeout
            return instead.value if isinstance(instead, Result) else NO_RESULT
        return task.result(self.summary.item(task.key))

    def given_to(self, graph: ExpectedGraph, id_: str, given: Mapping[str, Any]) -> Given:
        """Return what a task may use to start."""
        return Given(
            context=self._context(graph, id_, graph.met[id_].results, given),
            execution=self.execution,
            decision_task_list=self._decision_list(),
            activity_task_list=self.spec.default_activity_task_list,
            codec=self.codec,
            ready_at=max(self._ends(graph, id_), default=self.summary.times[0]),
            now=self.summary.times[-1],
        )

    def _ends(self, graph: ExpectedGraph, id_: str) -> Iterable[datetime]:
        """Yield the times at which the requirements ended that met the join of a task."""
        counts_all = graph.waits_for_all(id_)
        required = graph.order.get(id_, graph.tasks[id_].requires)
        for needed in required if counts_all else graph.met[id_].results:
            end = graph.ended[needed]
            if needed not in graph.over and (end.outcome is TaskOutcome.COMPLETED or needed in graph.broken):
                done = [each.end for each in self.summary.attempts[graph.tasks[needed].key] if each.completed]
                yield from (each.at for each in done[:1] if each is not None)
            else:
                yield self.summary.times[max(end.at, 1) - 1]

    def _decision_list(self) -> str:
        """Return the task list of a child that names none: in a run of ``floto.run``, the run's own."""
        own = self.summary.start.task_list.name
        return own if own.startswith("floto.run.") else self.spec.task_list or own


def fitting(found: tuple[Decision, ...], summary: HistorySummary) -> tuple[Decision, ...]:
    """Return as many decisions as one response holds, and a timer that asks for another decision task."""
    size = 0
    for count, decision in enumerate(found):
        size += len(json.dumps(decision_to_swf(decision))) + 2
        if size > RESPONSE:
            timers = [each for each in summary.under_way() if each.key[0] is Kind.TIMER]
            started = [each for each in found[:count] if isinstance(each, StartTimer)]
            if len(timers) + len(started) >= OPEN_LIMIT:
                return found[:count]
            return (*found[:count], StartTimer(timer_id=MORE, start_to_fire_timeout="0"))
    return found
