"""The decisions that a spec and a history call for: floto's rules, read a second time.

Naive on purpose: nothing is updated incrementally, every fact is read off the whole history,
and no line of it is shared with ``floto.core.decide.decide``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

from attrs import evolve, field, frozen

from floto.core.errors import PayloadError, SpecError
from floto.core.payloads import payload
from floto.core.payloads.stored import read_result
from floto.core.spec.decider_spec import FAILURES_KEY, DeciderSpec
from floto.core.spec.rules.task_rules import TaskOutcome, undo_of
from floto.core.spec.rules.wait_limits import Result
from floto.core.spec.tasks import NO_RESULT, Given, Task, TaskCodec, expands
from floto.core.state.failures import failure_of
from floto.core.state.state import Key, Kind, Status
from floto.core.swf.decisions import (
    CancelTimer,
    CancelWorkflowExecution,
    CompleteWorkflowExecution,
    ContinueAsNewWorkflowExecution,
    Decision,
    FailWorkflowExecution,
    RecordMarker,
    RequestCancelActivityTask,
    RequestCancelExternalWorkflowExecution,
    StartTimer,
)
from floto.core.swf.limits import DATA_LIMIT, OPEN_LIMIT
from floto.core.swf.reserved_names import SPEC_KEY
from floto.core.swf.shapes import WorkflowExecution
from floto.core.swf.wire import decision_to_swf
from floto.testing.reading import carried, waits
from floto.testing.reading.added import added
from floto.testing.reading.expanded_spec import ExpandedSpec, expand_spec
from floto.testing.reading.expected_status import (
    Due,
    ExpectedGraph,
    Idle,
    RetriesExhausted,
    RetrySubject,
    status_after,
)
from floto.testing.reading.oracle import FAILURES, MORE, RESULT, HistorySummary, RecordedAttempt

#: Maximum size of the decisions in a response, in characters: SWF takes a megabyte in all.
RESPONSE = 900_000
_NOTHING: Mapping[str, str] = MappingProxyType({})
_REASON, _MESSAGE, _GIVEN = 256, 2_000, 8_000
#: Kinds of work that must close before a run fails or is canceled.
_AWAITED = (Kind.ACTIVITY, Kind.CHILD, Kind.LAMBDA)


@frozen
class Expected:
    """The decisions that must be made."""

    decisions: tuple[Decision, ...] = ()
    #: Faults of the spec by task id: no attempt failed, and yet the run cannot continue.
    faults: Mapping[str, str] = field(factory=dict)


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
        return Expected(fitting(found.decisions), found.faults)

    def _whole(self) -> Expected:
        if self.noted is not None:
            return _fail(self, self.noted)
        if self.summary.cancel_requested is not None:
            return _cancel(self)
        if self.main.exhausted:
            return _fail(self, self.main.exhausted, faults=self.main.broken)
        if len(self.main.settled) == len(self.main.tasks):
            return _complete(self)
        try:
            given = self.given
        except PayloadError as error:
            said = {"workflow": str(error)}
            return Expected((_failed("the workflow's input cannot be read", said),), said)
        found, failures = _starts(self, self.main, given)
        return _fail(self, failures, faults=failures) if failures else Expected(tuple(found))

    @cached_property
    def given(self) -> dict[str, Any]:
        """The context that every task of the run gets; raises ``PayloadError``."""
        value = carried.own_input(self.summary.start)
        if isinstance(value, dict) and SPEC_KEY in value:
            value = {key: item for key, item in value.items() if key != SPEC_KEY} or None
        return {} if value is None else {"workflow": value}

    def context(self, graph: ExpectedGraph, id_: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return a task's context: the workflow's input and the results that were there for it."""
        return self._context(graph, id_, graph.met[id_].results, given)

    def _context(
        self, graph: ExpectedGraph, id_: str, results: Iterable[str], given: Mapping[str, Any]
    ) -> dict[str, Any]:
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
            context=self.context(graph, id_, given),
            execution=self.execution,
            decision_task_list=self._decision_list(),
            activity_task_list=self.spec.default_activity_task_list,
            codec=self.codec,
            ready_at=max(self._ends(graph, id_), default=self.summary.times[0]),
            now=self.summary.times[-1],
        )

    def _ends(self, graph: ExpectedGraph, id_: str) -> Iterable[datetime]:
        """Yield the times at which the requirements ended that met the join of a task."""
        counts_all = graph.join(id_) in ("all", "finished")
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


def _starts(
    reading: Reading, graph: ExpectedGraph, given: Mapping[str, Any]
) -> tuple[list[Decision], dict[str, str]]:
    found: list[Decision] = []
    failures: dict[str, str] = {}
    counted = [attempt.key[0] for attempt in reading.summary.under_way()]
    for id_ in graph.tasks:
        if id_ in graph.ends_wait:
            found.append(CancelTimer(timer_id=graph.ends_wait[id_]))
        due = graph.due.get(id_)
        if due is None:
            continue
        kind = Kind.TIMER if due.timer_id else graph.tasks[id_].key[0]
        # SWF limits the open items of each kind; the rest start when some of them have closed.
        if counted.count(kind) >= OPEN_LIMIT:
            continue
        counted.append(kind)
        try:
            decision = _start_of(reading, graph, id_, due, given)
        except (PayloadError, SpecError) as error:
            failures[id_] = _one_line(error)
        else:
            found += [] if decision is None else [decision]
    return found, failures


def _start_of(
    reading: Reading, graph: ExpectedGraph, id_: str, due: Due, given: Mapping[str, Any]
) -> Decision | None:
    if due.timer_id:
        return StartTimer(timer_id=due.timer_id, start_to_fire_timeout=str(due.seconds), control=id_)
    task = graph.tasks[id_]
    started = task.start(reading.given_to(graph, id_, given))
    decision = added(started, task, reading.summary, has_store=reading.codec.payloads is not None)
    for name in ("input", "control"):
        length = len(getattr(decision, name, None) or "")
        if length > DATA_LIMIT:
            what = f"the {name} of task {id_!r}"
            problem = f"is {length:,} characters long; SWF takes {DATA_LIMIT:,}"
            raise PayloadError(what, problem)
    return decision


def _complete(reading: Reading) -> Expected:
    try:
        results = {id_: reading.result(reading.main, id_) for id_ in reading.main.with_results}
        said = {id_: result for id_, result in results.items() if result is not NO_RESULT}
        text = payload.dumps_plain(said, "the result of the workflow")
    except (PayloadError, SpecError) as error:
        failures = {"result": _one_line(error)}
        return _fail(reading, failures, "the result cannot be recorded", faults=failures)
    if not reading.spec.repeat_workflow:
        return Expected((CompleteWorkflowExecution(result=text),))
    return _repeat(reading, text)


def _repeat(reading: Reading, text: str) -> Expected:
    summary = reading.summary
    marker = summary.markers.get(RESULT)
    is_noted = marker is not None and marker.data.details == text
    noted = () if is_noted else (RecordMarker(marker_name=RESULT, details=text),)
    subject = RetrySubject((Kind.CONTINUE_AS_NEW, ""), "floto.repeat")
    refused = summary.failures.get(subject.key)
    status = status_after(refused, subject, summary, reading.seed) if refused else Due()
    if isinstance(status, RetriesExhausted):
        failed = _fail(reading, {"repeat_workflow": status.message}, "the workflow cannot be repeated")
        return Expected((*noted, *failed.decisions))
    if isinstance(status, Idle):
        return Expected()
    if status.timer_id:
        return Expected((StartTimer(timer_id=status.timer_id, start_to_fire_timeout=str(status.seconds)),))
    try:
        given = carried.next_input(summary.start, carried.left_over(summary.signals, _awaited(reading)))
    except PayloadError as error:
        failures = {"repeat_workflow": _one_line(error)}
        failed = _fail(reading, failures, "the workflow cannot be repeated", faults=failures)
        return Expected((*noted, *failed.decisions), failed.faults)
    return Expected((*noted, _as_new(summary, given)))


def _awaited(reading: Reading) -> set[str]:
    """Return the names of the signals that tasks of the run waited for."""
    return {task.key[1] for task in reading.main.tasks.values() if task.key[0] is Kind.SIGNAL}


def _as_new(summary: HistorySummary, given: str | None) -> ContinueAsNewWorkflowExecution:
    start = summary.start
    passed_on = (
        "execution_start_to_close_timeout",
        "task_list",
        "task_priority",
        "task_start_to_close_timeout",
        "child_policy",
        "tag_list",
        "lambda_role",
    )
    return ContinueAsNewWorkflowExecution(
        input=given,
        workflow_type_version=start.workflow_type.version,
        **{name: getattr(start, name) for name in passed_on},
    )


def _cancel(reading: Reading) -> Expected:
    found, failures, faults = _clean_up(reading, reading.after_cancel, {})
    if failures is None:
        return Expected(tuple(found), faults)
    return Expected((CancelWorkflowExecution(details=written(failures) if failures else None),), faults)


def _fail(
    reading: Reading,
    failures: Mapping[str, str],
    reason: str | None = None,
    faults: Mapping[str, str] | None = None,
) -> Expected:
    faults = dict(faults or {})
    if not (reading.spec.on_failure or reading.undos or reading.spec.repeat_workflow == "always"):
        children = [each for each in reading.summary.under_way() if each.key[0] is Kind.CHILD]
        found: list[Decision] = [
            each for child in children for each in _cancel_requests(child, reading.summary)
        ]
        # A child that has not started cannot be canceled, and would outlive the run.
        if all(child.started is not None for child in children):
            found.append(_failed(reason or _reason(failures), failures))
        return Expected(tuple(found), faults)
    first: tuple[Decision, ...] = ()
    if reading.noted is None:
        # Truncate now, so that this decision and later ones, which read the marker, see the same.
        text = written(failures)
        first, failures = (RecordMarker(marker_name=FAILURES, details=text),), payload.loads(text)
    begun = partial(reading.after_failure, failures)
    found, own, more = _clean_up(reading, begun, given_failures(failures))
    faults |= more
    if own is None:
        return Expected((*first, *found), faults)
    return Expected((*first, *_after_cleanup(reading, {**failures, **own})), faults)


def _after_cleanup(reading: Reading, failures: Mapping[str, str]) -> tuple[Decision, ...]:
    summary, is_over = reading.summary, (_failed(_reason(failures), failures),)
    if reading.spec.repeat_workflow != "always" or summary.cancel_requested is not None:
        return is_over
    subject = RetrySubject((Kind.CONTINUE_AS_NEW, ""), "floto.repeat")
    refused = summary.failures.get(subject.key)
    status = status_after(refused, subject, summary, reading.seed) if refused else Due()
    if isinstance(status, Idle):
        return ()
    if isinstance(status, Due) and status.timer_id:
        return (StartTimer(timer_id=status.timer_id, start_to_fire_timeout=str(status.seconds)),)
    try:
        if isinstance(status, Due):
            given = carried.next_input(summary.start, carried.left_over(summary.signals, _awaited(reading)))
            return (_as_new(summary, given),)
        told = {**failures, "repeat_workflow": status.message}
    except PayloadError as error:
        told = {**failures, "repeat_workflow": _one_line(error)}
    return (_failed(_reason(told), told),)


def _clean_up(
    reading: Reading, graph_of: Callable[[Mapping[str, str]], ExpectedGraph], given: Mapping[str, Any]
) -> tuple[list[Decision], dict[str, str] | None, dict[str, str]]:
    """Return the decisions, the failures once the cleanup is over, and the tasks whose spec is at fault."""
    graph = graph_of({})
    own = {task.key for task in graph.tasks.values()}
    open_ = [each for each in reading.summary.under_way() if each.key[0] in _AWAITED and each.key not in own]
    if open_:
        return [each for attempt in open_ for each in _cancel_requests(attempt, reading.summary)], None, {}
    try:
        context = {**reading.given, **given}
    except PayloadError:
        return [], {}, {}
    found, more = _starts(reading, graph, context)
    faults: dict[str, str] = {}
    while more:
        # What waits for the end of a task that cannot be started may start.
        faults |= more
        graph = graph_of(faults)
        found, more = _starts(reading, graph, context)
    failures = {**faults, **graph.exhausted}
    is_over = all(id_ in failures or not graph.is_ready(id_) for id_ in graph.tasks)
    return found, failures if is_over else None, faults


def _cancel_requests(attempt: RecordedAttempt, summary: HistorySummary) -> list[Decision]:
    kind, id_ = attempt.key
    if kind is Kind.ACTIVITY and attempt.cancel_requested is None:
        return [RequestCancelActivityTask(activity_id=id_)]
    if kind is Kind.CHILD and attempt.started is not None:
        workflow_id = attempt.opened.data.workflow_id
        if _may_be_canceled((Kind.EXTERNAL_CANCEL, workflow_id), summary):
            return [RequestCancelExternalWorkflowExecution(workflow_id=workflow_id)]
    # Nothing stops a Lambda function.
    return []


def _may_be_canceled(key: Key, summary: HistorySummary) -> bool:
    if summary.completed(key) or summary.in_flight(key):
        return False
    failures = [failure_of(event) for event in summary.failures.get(key, ())]
    if not failures:
        return True
    again = waits.refused_wait(failures, "", "", is_timer=True)
    return failures[-1].status is Status.REFUSED and failures[-1].passes and again is not None


def fitting(found: tuple[Decision, ...]) -> tuple[Decision, ...]:
    """Return as many decisions as one response holds, and a timer that asks for another decision task."""
    size = 0
    for count, decision in enumerate(found):
        size += len(json.dumps(decision_to_swf(decision))) + 2
        if size > RESPONSE:
            return (*found[:count], StartTimer(timer_id=MORE, start_to_fire_timeout="0"))
    return found


def _failed(reason: str, failures: Mapping[str, str]) -> Decision:
    return FailWorkflowExecution(reason=_cut(reason, _REASON), details=written(failures))


def _reason(failures: Iterable[str]) -> str:
    return "failed: " + ", ".join(sorted(failures))


def written(failures: Mapping[str, str], limit: int = DATA_LIMIT) -> str:
    """Return failures as floto records them: cut, and fewer and fewer until they fit."""
    rows = [(id_, _cut(failures[id_], _MESSAGE)) for id_ in sorted(failures)]
    while len(text := payload.encode(dict(rows), "the failures")) > limit:
        rows = rows[: max(1, len(rows) // 2 - 1)]
        # The failures may have been cut before, and have such a row already.
        rows = list({**dict(rows), "...": f"and {len(failures) - len(rows)} more"}.items())
    return text


def read_failures(details: str | None) -> dict[str, str] | None:
    """Return the failures that floto recorded in a marker, or None for a marker that floto did not write."""
    try:
        said = payload.loads(details)
    except PayloadError:
        return None
    is_ours = isinstance(said, dict) and all(isinstance(text, str) for text in said.values())
    return said if is_ours else None


def given_failures(failures: Mapping[str, str]) -> dict[str, Any]:
    """Return the context entry that tells cleanup tasks of the failures."""
    return {FAILURES_KEY: payload.loads(written(failures, _GIVEN))}


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _one_line(error: PayloadError | SpecError) -> str:
    return str(error).replace("\n", "; ")
