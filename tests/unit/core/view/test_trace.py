"""The spans of a run."""

from __future__ import annotations

import pytest
from attrs import evolve

from floto import (
    ActivityTask,
    ChildWorkflow,
    DeciderSpec,
    FixedDelay,
    History,
    HistoryError,
    Timer,
    WorkflowExecution,
    events,
    redrive,
)
from floto.core.view.trace import TraceSpan, trace
from floto.core.view.trace_context import span_of_event, span_of_run
from floto.testing import fails, returns, simulate, times_out
from tests.unit.core.view.test_lints import AT, START, history

WORK = ActivityTask(id_="a", name="work", version="v1", retry_strategy=FixedDelay(60, retries=3))


def named(spans: tuple[TraceSpan, ...], name: str) -> list[TraceSpan]:
    return [span for span in spans if span.name == name]


def test_each_attempt_has_the_wait_for_a_worker_and_its_execution() -> None:
    done = simulate(
        DeciderSpec(activity_tasks=[WORK]), {"a": fails(details="no luck", then=returns("secret"))}
    ).main
    root, *rest = trace(done)
    [task] = named((root, *rest), "work")
    assert [span.name for span in rest] == ["work", *2 * ["wait for a worker", "attempt"]]
    assert task.attributes["floto.task"] == "a"
    assert task.attributes["floto.attempts"] == 2
    assert (task.error, root.error, root.parent) == (None, None, None)
    first, second = named((*rest,), "attempt")
    assert first.error is not None
    assert "no luck" in first.error
    assert (second.error, second.attributes["floto.attempt"]) == (None, 2)
    assert (second.start - first.end).total_seconds() >= 60
    assert {span.parent for span in rest[1:]} == {task.context}
    assert "secret" not in str(rest)


def test_tasks_come_in_the_order_in_which_they_began() -> None:
    # Otherwise it would be that of a hash map, which is another one in each process.
    tasks = [evolve(WORK, id_=f"a{number:02}") for number in range(20)]
    spec = DeciderSpec(activity_tasks=[*tasks, evolve(WORK, id_="A", requires=["a00"])])
    found = [span.attributes["floto.task"] for span in named(trace(simulate(spec).main), "work")]
    assert found == [*(task.id_ for task in tasks), "A"]


def test_task_and_run_that_fail_say_why() -> None:
    broken = evolve(WORK, retry_strategy=None)
    root, task, *_ = trace(
        simulate(DeciderSpec(activity_tasks=[broken]), {"a": fails(details="no luck")}).main
    )
    assert root.attributes["floto.status"] == "FAILED"
    assert root.error is not None
    assert task.error is not None
    assert "no luck" in task.error


def test_long_message_is_shortened() -> None:
    spec = DeciderSpec(activity_tasks=[evolve(WORK, retry_strategy=None)])
    _, task, _, attempt = trace(simulate(spec, {"a": fails(details="x" * 30_000)}).main)
    assert task.error == attempt.error
    assert task.error is not None
    assert len(task.error) == 2_000


def test_attempt_that_no_worker_took_is_a_wait_that_failed() -> None:
    spec = DeciderSpec(activity_tasks=[evolve(WORK, retry_strategy=None, schedule_to_start_timeout=5)])
    spans = trace(simulate(spec, {"a": times_out(None, "SCHEDULE_TO_START")}).main)
    [wait] = named(spans, "wait for a worker")
    assert wait.error is not None
    assert wait.attributes["floto.status"] == "timed out"
    assert not named(spans, "attempt")


def test_child_and_its_parent_are_linked_in_both_directions() -> None:
    child = ChildWorkflow(
        id_="c",
        workflow_type_name="child",
        workflow_type_version="v1",
        spec=DeciderSpec(activity_tasks=[WORK]),
    )
    run = simulate(DeciderSpec(activity_tasks=[child]))
    above, below = (trace(each) for each in run.histories)
    [attempt] = [span for span in above if span.name == "attempt"]
    assert attempt.links == (below[0].context,)
    assert below[0].links == (attempt.context,)
    assert above[0].context.trace_id != below[0].context.trace_id


def test_timer_is_one_span() -> None:
    spec = DeciderSpec(activity_tasks=[Timer(id_="t", delay_in_seconds=30)])
    root, timer = trace(simulate(spec).main)
    assert (timer.name, timer.parent) == ("timer", root.context)
    assert (timer.end - timer.start).total_seconds() == 30


def test_kept_task_of_a_redrive_takes_no_time_and_names_its_run() -> None:
    tasks = [evolve(WORK, id_="a"), evolve(WORK, id_="b", retry_strategy=None, requires=["a"])]
    spec = DeciderSpec(activity_tasks=tasks)
    before = simulate(spec, {"b": fails(details="no luck")}).main
    start = evolve(START, input=redrive(spec, before).start.input)
    spans = trace(evolve(history(start=start), execution=WorkflowExecution("w", "own")))
    [kept] = [span for span in spans if "floto.kept" in span.attributes]
    assert kept.attributes["floto.task"] == "a"
    assert kept.start == kept.end == spans[0].start
    assert not [span for span in spans if span.parent == kept.context]
    assert before.execution is not None
    assert spans[0].links == (span_of_run(before.execution.run_id),)


def test_run_continues_what_its_start_names() -> None:
    parent = WorkflowExecution("p", "above")
    start = evolve(
        START,
        parent_workflow_execution=parent,
        parent_initiated_event_id=7,
        continued_execution_run_id="before",
    )
    [root] = trace(evolve(history(start=start), execution=WorkflowExecution("w", "own")))
    assert root.links == (span_of_event("above", 7), span_of_run("before"))
    assert root.attributes["floto.status"] == "OPEN"
    assert root.end == AT


def test_run_that_was_terminated_is_an_error() -> None:
    ended = events.WorkflowExecutionTerminated(cause=None, child_policy="TERMINATE", reason="too late")
    [root] = trace(evolve(history(ended), execution=WorkflowExecution("w", "own")))
    assert (root.attributes["floto.status"], root.error) == ("TERMINATED", "too late")


@pytest.mark.parametrize("unnamed", [history(), History(())])
def test_history_without_a_run_has_no_trace(unnamed: History) -> None:
    with pytest.raises(HistoryError):
        trace(unnamed)
