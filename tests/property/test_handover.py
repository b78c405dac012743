"""Tasks that a step hands over have the history of tasks that are claimed by calls of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

import floto
from floto.core.decide.decide import spec_of
from floto.core.engine import commands as c
from floto.core.spec.nested_specs import nested_tasks
from floto.core.swf import decisions as d
from floto.core.swf import events as e
from floto.core.swf.decisions import Decision
from floto.core.swf.service import PolledDecisionTask
from floto.core.swf.shapes import ActivityType, TaskList
from floto.runtime.runs.needs import needs
from floto.testing.strategies import specs
from tests.property.setup import SETTINGS
from tests.property.waiting_polls import DOMAIN, HANDED_OVER, RUN, Service

ACT = ActivityType("act", "1")
SCRIPTS = st.lists(st.integers(0, 999), min_size=5, max_size=40)


@SETTINGS
@given(specs(), SCRIPTS)
def test_history_with_handovers_is_that_of_separate_calls(spec: floto.DeciderSpec, script: list[int]) -> None:
    def rule(task: PolledDecisionTask) -> Sequence[Decision]:
        history = floto.History(task.events, task.execution)
        return floto.decide(spec_of(history.start.input) or spec, history)

    signals = [task.signal_name for task in nested_tasks(spec) if isinstance(task, floto.Signal)]
    needed = needs(spec)
    found = []
    for hands_over in (True, False):
        service = Service(rule, hands_over)
        service.register(needed.activity_types, needed.workflow_types)
        service.start()
        service.play(script, signals)
        found.append(service.histories())
        event(f"handed: {service.handed > 0}")
    if not needed.workflow_types:
        assert found[0] == found[1]
    for events in found[0].values():
        # The tasks of several runs are claimed in another order.
        replayed = floto.replay(spec_of(events[0].data.input) or spec, floto.History(events))
        assert replayed.divergence is None


def started(*decisions: Decision, hands_over: bool = True) -> Service:
    """A run that decides on an activity first, and when that ends, on these decisions, once."""
    script: list[Sequence[Decision]] = [[schedule("first")], decisions]
    service = Service(lambda _task: script.pop(0) if script else [], hands_over)
    service.register([ACT])
    service.start()
    service.respond(1)
    return service


def schedule(name: str, **fields: Any) -> Decision:
    return d.ScheduleActivityTask(activity_type=ACT, activity_id=name, **fields)


def types(service: Service, after: int = 0) -> list[str]:
    return [type(each.data).__name__ for each in service.store.history(RUN.run_id, after)]


def starts(service: Service) -> list[str]:
    """The ids of the started activities, in the order of their starts."""
    events = service.store.history(RUN.run_id)
    return [
        events[each.data.scheduled_event_id - 1].data.activity_id
        for each in events
        if type(each.data) is e.ActivityTaskStarted
    ]


def test_step_of_a_report_decides_and_starts_what_is_next() -> None:
    service = started(schedule("next"))
    assert types(service, 6) == HANDED_OVER
    # The first decision is that of a new run; its activity is handed over by the step that decides.
    assert service.handed == 3
    assert [task.activity_id for task in service.claimed] == ["next"]


def test_activities_start_by_priority_and_then_in_their_order() -> None:
    low, high = schedule("low", task_priority="-1"), schedule("high", task_priority="5")
    service = started(low, schedule("a"), high, schedule("b"))
    assert starts(service) == ["first", "high", "a", "b", "low"]


@pytest.mark.parametrize(
    "decisions",
    [
        [schedule("a", schedule_to_start_timeout="0"), schedule("b")],
        [schedule("a"), d.StartTimer(timer_id="t", start_to_fire_timeout="0")],
        [schedule("a"), d.SignalExternalWorkflowExecution(workflow_id="other", signal_name="s")],
        [schedule("a"), d.RequestCancelActivityTask(activity_id="a")],
    ],
    ids=["an activity without time to start", "a timer that is due", "a message", "a canceled activity"],
)
def test_activity_is_not_handed_over_beside(decisions: Sequence[Decision]) -> None:
    service = started(*decisions)
    assert starts(service) == ["first"]
    service.drain()
    plain = started(*decisions, hands_over=False)
    plain.drain()
    assert sorted(types(service)) == sorted(types(plain))


def test_task_of_another_list_waits_for_its_own_workers() -> None:
    service = started(schedule("there", task_list=TaskList("elsewhere")), schedule("here"))
    assert starts(service) == ["first", "there", "here"]
    assert [task.activity_id for task in service.claimed] == ["there", "here"]


@pytest.mark.parametrize("hands_over", [True, False])
def test_decision_task_that_a_refused_decision_causes_causes_no_other(hands_over: bool) -> None:  # noqa: FBT001
    service = Service(lambda _task: [d.RecordMarker(marker_name="m")], hands_over)
    service.register([ACT])
    service.start_undecided()
    task = service.engine.poll_decision(DOMAIN, "deciders", "d", service.now)
    assert task is not None
    refused = (d.CancelTimer(timer_id="none"),)
    service.engine.respond(c.RespondDecisionTaskCompleted, task.token, service.now, decisions=refused)
    service.drain()
    assert types(service, 4) == [
        "CancelTimerFailed",
        "DecisionTaskScheduled",
        "DecisionTaskStarted",
        "DecisionTaskCompleted",
        "MarkerRecorded",
    ]


def test_step_is_repeated_without_a_decider_that_fails() -> None:
    def fails(_task: PolledDecisionTask) -> Sequence[Decision]:
        raise ValueError

    service = started(schedule("next"), hands_over=False)
    service.drain()
    service.hands_over, service.rule = True, fails
    service.respond(1)
    assert types(service)[-2:] == ["ActivityTaskCompleted", "DecisionTaskScheduled"]
    assert (service.handed, service.out) == (0, 0)


def test_step_is_repeated_after_an_error_behind_the_decision() -> None:
    service = started(schedule("next"), hands_over=False)
    service.drain()
    service.hands_over, service.broken_list = True, "broken"
    service.rule = lambda _task: [schedule("later", task_list=TaskList("broken"))]
    service.respond(1)
    assert (service.handed, service.out) == (0, 0)
    assert types(service)[-2:] == ["ActivityTaskCompleted", "DecisionTaskScheduled"]


def test_malformed_decision_is_not_carried_out() -> None:
    service = started(schedule(""))
    assert types(service)[-2:] == ["ActivityTaskCompleted", "DecisionTaskScheduled"]
    assert service.out == 0


def test_refused_report_takes_no_poll() -> None:
    service = started(schedule("next"))
    task = service.claimed[0]
    service.respond(1)
    before, handed = service.histories(), service.handed
    service.claimed.append(task)
    service.respond(1)
    assert (service.histories(), service.handed, service.out) == (before, handed, 0)
