"""The small print of replaying and explaining."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve, fields

from floto import (
    ActivityTask,
    ChildWorkflow,
    DeciderSpec,
    History,
    HistoryError,
    Signal,
    Timer,
    explain,
    replay,
)
from floto.core.replay.decision_diff import exact_difference
from floto.core.replay.decision_tasks import RecordedOutcome
from floto.core.replay.recorded_decisions import DECISION_OF_EVENT
from floto.core.replay.why_report import RunContext, stall_of
from floto.core.replay.why_waiting import Cause
from floto.core.spec.retry import Retry
from floto.core.state.fold import fold
from floto.core.swf import events as e
from floto.core.swf.decisions import DECISION_TYPES, FailWorkflowExecution, StartTimer
from floto.core.swf.events import EVENT_TYPES, Event
from floto.core.swf.shapes import TaskList
from floto.testing import fails, simulate
from floto.testing.simulation.context import BEGINNING

LIST = TaskList("decide")
TASK = ActivityTask(name="work", version="v1", id_="a")
SPEC = DeciderSpec(activity_tasks=[TASK], activity_task_list="work")


def spec(*tasks: Any) -> DeciderSpec:
    return DeciderSpec(activity_tasks=tasks, activity_task_list="work", task_list="decide")


def history_of(*more: Any) -> History:
    """Return the history of a run up to its first decision task, and more events."""
    begun = simulate(SPEC).main.events[:3]
    return History(
        [*begun, *(Event(number, BEGINNING, data) for number, data in enumerate(more, start=4))], None
    )


def test_every_event_of_a_response_is_known() -> None:
    named = {
        cls
        for cls in EVENT_TYPES.values()
        if any(each.name == "decision_task_completed_event_id" for each in fields(cls))
    }
    assert named == set(DECISION_OF_EVENT)
    assert set(DECISION_OF_EVENT.values()) == set(DECISION_TYPES.values())


def test_timed_out_decision_task_is_a_step_without_decisions() -> None:
    waiting = e.DecisionTaskScheduled(task_list=LIST)
    late = e.DecisionTaskTimedOut(timeout_type="SCHEDULE_TO_START", scheduled_event_id=4, started_event_id=0)
    done = e.DecisionTaskCompleted(scheduled_event_id=2, started_event_id=3)
    first, second = replay(SPEC, history_of(waiting, late, done)).steps
    assert (first.started, first.ended, first.outcome) == (3, 6, RecordedOutcome.ANSWERED)
    assert (second.started, second.ended, second.decided, second.difference) == (0, 5, (), None)


def test_history_ending_with_a_decision_task_gives_the_next_decisions() -> None:
    done = replay(SPEC, history_of())
    assert [step.outcome for step in done.steps] == [RecordedOutcome.OPEN]
    assert done.steps[0].decided == done.next != ()
    assert done.divergence is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (e.DecisionTaskCompleted(scheduled_event_id=2, started_event_id=1), "event 4: ends a decision task"),
        (
            e.MarkerRecorded(marker_name="m", decision_task_completed_event_id=3),
            "event 4: decisionTaskCompletedEventId is 3, but event 3 is not a DecisionTaskCompleted",
        ),
    ],
)
def test_response_without_a_decision_task_raises_history_error(data: Any, said: str) -> None:
    with pytest.raises(HistoryError, match=said):
        replay(SPEC, history_of(data))


def test_defaults_filled_in_by_swf_agree_with_omitted_attributes() -> None:
    recorded = replay(SPEC, simulate(SPEC).main).steps[0].recorded[0]
    assert recorded.decision.heartbeat_timeout == "NONE"  # type: ignore[union-attr]
    found = replay(spec(evolve(TASK, heartbeat_timeout=5)), simulate(SPEC).main).divergence
    assert found is not None
    assert (found.step, found.field, found.recorded, found.decided) == (1, "heartbeat_timeout", "NONE", "5")


def test_json_is_compared_by_value() -> None:
    asked = spec(evolve(TASK, input={"b": [1, 2], "a": "ä"}))
    events = list(simulate(asked).main.events)
    place = next(n for n, event in enumerate(events) if isinstance(event.data, e.ActivityTaskScheduled))
    for text, same in (
        ('{"activity_task": {"a": "\\u00e4", "b": [1,  2]}}', True),
        ('{"activity_task": {"a": "\\u00e4", "b": [true, 2]}}', False),
    ):
        data = events[place].data
        assert isinstance(data, e.ActivityTaskScheduled)
        events[place] = evolve(events[place], data=evolve(data, input=text))
        assert (replay(asked, History(events)).divergence is None) is same


def test_execution_is_derived_from_the_ids_of_children() -> None:
    child = ChildWorkflow(workflow_type_name="child", workflow_type_version="v1", id_="c", spec=SPEC)
    history = simulate(spec(child)).main
    assert replay(spec(child), History(history.events)).divergence is None
    with pytest.raises(HistoryError, match="does not name its execution"):
        replay(spec(child), History(simulate(SPEC).main.events))


def test_invalid_delay_of_a_strategy_fails_the_replayed_run() -> None:
    class Mad:
        def delay(self, retry: Retry) -> float:
            return -float(retry.number)

    history = simulate(SPEC, {"a": fails()}).main
    done = replay(spec(evolve(TASK, retry_strategy=Mad())), history)
    (decided,) = done.steps[-1].decided
    assert isinstance(decided, FailWorkflowExecution)
    assert decided.reason == "failed: a"
    assert "its retry strategy returned -1.0; it must return seconds" in str(decided.details)


def test_divergence_prints_as_one_sentence() -> None:
    one, two = (StartTimer(timer_id=id_, start_to_fire_timeout="1") for id_ in "ab")
    said = {
        "StartTimer 'a' was decided and would not be now": ([one], []),
        "StartTimer 'a' would be decided now and was not": ([], [one]),
        "StartTimer 'a' was decided and StartTimer 'b' would be now": ([one], [two]),
        "StartTimer 'a' was decided where now StartTimer 'b' would be: the order differs": (
            [one, two],
            [two, one],
        ),
        "StartTimer 'a': start_to_fire_timeout was '1' and would now be '2'": (
            [one],
            [evolve(one, start_to_fire_timeout="2")],
        ),
    }
    assert {str(exact_difference(old, new)) for old, new in said.values()} == said.keys()


def test_explain_of_an_unknown_task_raises() -> None:
    history = simulate(SPEC).main
    for at in (0, len(history) + 1):
        with pytest.raises(HistoryError, match=f"no event {at}: the history has events 1 to "):
            explain(SPEC, history, at)
    with pytest.raises(HistoryError, match="at event 1: no task 'b'; the tasks are 'a'"):
        _ = explain(SPEC, history, 1)["b"]


def test_explanation_prints_its_reasons() -> None:
    second = ActivityTask(name="work", version="v1", id_="b", requires=["a"])
    third = ActivityTask(name="work", version="v1", id_="c", requires=["b"])
    history = simulate(spec(TASK, second, third)).main
    started = next(each.id for each in history if isinstance(each.data, e.ActivityTaskStarted))
    assert explain(spec(TASK, second, third), history, started).why("c") == (
        "c: waiting\n"
        "  waiting for b to complete\n"
        "    b: waiting\n"
        "      because of a: running\n"
        "        running since 2026-01-01 00:00:00Z"
    )


def test_cleanup_and_signals_are_explained() -> None:
    gate = Signal(id_="approval", signal_name="approved", requires=["a"])
    tidy = ActivityTask(name="work", version="v1", id_="tidy")
    mop = ActivityTask(name="work", version="v1", id_="mop", requires=["tidy"])
    both = evolve(tidy, id_="both")
    own = evolve(spec(TASK, gate), on_failure=[tidy, mop, both], on_cancel=[evolve(tidy, id_="undo"), both])
    history = simulate(own, {"a": fails()}).main
    failed = next(each.id for each in history if isinstance(each.data, e.ActivityTaskFailed))
    found = explain(own, history, failed)
    assert {id_: str(task.status) for id_, task in found.tasks.items()} == {
        "a": "failed",
        "approval": "skipped",
        "tidy": "due",
        "mop": "waiting",
        "both": "due",
        "undo": "reserved for cleanup",
    }
    assert found["undo"].conditions[0].cause is Cause.CLEANS_UP
    waiting = explain(own, simulate(own).main, 4)
    assert str(waiting["approval"].conditions[0]) == "waiting for a to complete"
    assert str(waiting["tidy"].conditions[0]) == "runs if the run fails"
    assert [*map(str, waiting["both"].conditions)] == ["runs if the run fails", "runs if the run is canceled"]


def test_explanations_say_queued_timer_and_stopping_in_standard_terms() -> None:
    other, timer = evolve(TASK, id_="b"), Timer(id_="t", delay_in_seconds=9)
    tidy = ActivityTask(name="work", version="v1", id_="tidy")
    own = evolve(spec(TASK, other, timer), on_failure=[tidy])
    history = simulate(own, {"a": fails()}).main
    scheduled = max(each.id for each in history if isinstance(each.data, e.TimerStarted))
    before = explain(own, history, scheduled)
    assert str(before["a"].conditions[0]) == (
        "queued since 2026-01-01 00:00:00Z on task list 'work', no worker has picked it up"
    )
    assert str(before["t"].conditions[0]) == "timer fires at 2026-01-01 00:00:09Z"
    failed = next(each.id for each in history if isinstance(each.data, e.ActivityTaskFailed))
    waiting = [str(each) for each in explain(own, history, failed)["tidy"].conditions]
    assert waiting == ["waiting for b to stop (cancellation requested)"]


def test_line_of_a_waiting_task_names_its_status_once() -> None:
    history = simulate(spec(TASK, evolve(TASK, id_="b", requires=["a"]))).main
    found = explain(spec(TASK, evolve(TASK, id_="b", requires=["a"])), history, 5)
    context = RunContext(workflow_id="w", domain="d", state=fold(history.events[:5]), now=BEGINNING)
    assert str(stall_of(found, "b", context)) == "b: waiting for a to complete"
