"""The time-outs of an activity in its input."""

from __future__ import annotations

import json
import random
from datetime import datetime
from typing import Any

import pytest
from attrs import evolve, frozen

import floto
from floto.core.payloads import payload
from floto.core.payloads.payload import LIMIT
from floto.core.spec.activity_timeouts import (
    Timeouts,
    split_timeouts,
    timeout_warnings,
    with_timeouts,
    without_unrecorded,
)
from floto.core.swf import events as e
from floto.core.swf.decisions import ScheduleActivityTask
from floto.core.swf.history import History
from floto.core.swf.shapes import ActivityType, TaskList
from floto.testing import fails, simulate


def activity(**more: Any) -> floto.ActivityTask:
    return floto.ActivityTask(id_="a", name="a", version="1", **more)


def inputs(spec: floto.DeciderSpec, codec: floto.Codec = floto.CODEC) -> list[str | None]:
    run = simulate(spec, codec=codec)
    return [each.input for each in run.decisions if isinstance(each, ScheduleActivityTask)]


def test_input_of_a_task_without_timeouts_is_unchanged() -> None:
    tasks = [
        activity(),
        floto.ActivityTask(id_="b", name="b", version="1", heartbeat_timeout="NONE", input=3),
    ]
    assert inputs(floto.DeciderSpec(activity_tasks=tasks)) == [None, '{"activity_task":3}']


def test_input_contains_the_timeouts_of_the_task() -> None:
    spec = floto.DeciderSpec(
        activity_tasks=[activity(heartbeat_timeout=30, start_to_close_timeout=600, input=3)]
    )
    (text,) = inputs(spec)
    assert split_timeouts(payload.loads(text)) == ({"activity_task": 3}, Timeouts(30, 600))


def test_input_of_a_user_defined_kind_contains_the_timeouts() -> None:
    @frozen
    class Query:
        id_: str
        requires: tuple[str, ...] = ()
        retry_strategy: None = None

        @property
        def key(self) -> Any:
            return ("activity", self.id_)

        def start(self, given: floto.Given) -> ScheduleActivityTask:
            del given
            return ScheduleActivityTask(
                activity_type=ActivityType("query", "1"),
                activity_id=self.id_,
                input='{"sql": "SELECT 1"}',
                task_list=TaskList("work"),
                heartbeat_timeout="15",
            )

        def result(self, item: Any) -> Any:
            return payload.loads(item.closed.data.result)

    spec = floto.DeciderSpec(activity_tasks=[Query("q")])
    (text,) = inputs(spec, floto.CODEC.with_type("test.Query", Query))
    assert json.loads(text or "") == {"sql": "SELECT 1", "floto.timeouts": {"heartbeat": 15}}


def test_input_that_is_not_an_object_is_unchanged() -> None:
    decision = ScheduleActivityTask(
        activity_type=ActivityType("a", "1"), activity_id="a", input="[1]", heartbeat_timeout="15"
    )
    assert with_timeouts(decision) is decision


@pytest.mark.parametrize("said", [None, 3, [], {"heartbeat": "x", "start_to_close": -1}, {"heartbeat": True}])
def test_invalid_timeouts_of_another_decider_are_ignored(said: Any) -> None:
    assert split_timeouts({"a": 1, "floto.timeouts": said}) == ({"a": 1}, Timeouts())


@pytest.mark.parametrize("settings", [{}, {"input": {"n": 1}}])
def test_history_of_an_input_without_timeouts_replays_without_a_difference(settings: dict[str, Any]) -> None:
    """Histories that were recorded before time-outs were written into inputs stay as good as they were."""
    spec = floto.DeciderSpec(activity_tasks=[activity(heartbeat_timeout=30, **settings)])
    (history,) = simulate(spec).histories
    events = []
    for event in history:
        if isinstance(event.data, e.ActivityTaskScheduled):
            context, _ = split_timeouts(payload.loads(event.data.input))
            text = json.dumps(context) if context else None
            event = evolve(event, data=evolve(event.data, input=text))  # noqa: PLW2901
        events.append(event)
    old = History(events, history.execution)
    assert floto.replay(spec, old).divergence is None
    assert floto.replay(spec, history).divergence is None
    other = floto.DeciderSpec(activity_tasks=[activity(heartbeat_timeout=31, **settings)])
    assert floto.replay(other, history).divergence is not None


def test_check_warns_about_an_ineffective_heartbeat_timeout() -> None:
    (warning,) = timeout_warnings(activity(heartbeat_timeout=60, start_to_close_timeout=60))
    assert "no shorter than its start_to_close_timeout" in warning
    assert not list(timeout_warnings(activity(heartbeat_timeout=30, start_to_close_timeout=60)))
    assert not list(timeout_warnings(activity(heartbeat_timeout="NONE", start_to_close_timeout=60)))


FLAKY = {"a": fails(2)}


def retried(**settings: Any) -> floto.DeciderSpec:
    return floto.DeciderSpec(activity_tasks=[activity(retry_strategy=floto.InstantRetry(2), **settings)])


def retries(spec: floto.DeciderSpec) -> list[str | None]:
    run = simulate(spec, FLAKY)
    return [each.input for each in run.decisions if isinstance(each, ScheduleActivityTask)]


def test_input_contains_the_attempt_from_the_second_on() -> None:
    found = retries(retried(input=3, heartbeat_timeout=30))
    said = [split_timeouts(payload.loads(text)) for text in found]
    assert said == [({"activity_task": 3}, Timeouts(30, None, attempt)) for attempt in (None, 2, 3)]


def test_attempt_is_omitted_if_the_input_would_be_too_long() -> None:
    room = LIMIT - len('{"activity_task":""}')
    rng = random.Random(1)
    # Text that compressing makes no shorter.
    text = "".join(chr(rng.randrange(0x4E00, 0x9FA5)) for _ in range(room))
    found = retries(retried(input=text))
    assert found == [found[0]] * 3


@pytest.mark.parametrize("settings", [{}, {"input": 3}, {"heartbeat_timeout": 30}])
def test_history_without_attempts_replays_without_a_difference(settings: dict[str, Any]) -> None:
    """Histories that were recorded before the attempt was written into inputs stay as good as they were."""
    spec = retried(**settings)
    (history,) = simulate(spec, FLAKY).histories
    events = []
    for event in history:
        if isinstance(event.data, e.ActivityTaskScheduled):
            context = without_unrecorded(payload.loads(event.data.input), {})
            text = json.dumps(context) if context else None
            event = evolve(event, data=evolve(event.data, input=text))  # noqa: PLW2901
        events.append(event)
    old = History(events, history.execution)
    assert floto.replay(spec, old).divergence is None


def test_wrong_attempt_in_a_history_is_a_difference() -> None:
    spec = retried()
    (history,) = simulate(spec, FLAKY).histories
    events = [
        evolve(event, data=evolve(event.data, input=event.data.input.replace("2", "7")))
        if isinstance(event.data, e.ActivityTaskScheduled) and event.data.input
        else event
        for event in history
    ]
    assert floto.replay(spec, History(events, history.execution)).divergence is not None


def test_scheduled_time_of_a_run_travels_in_the_input_of_its_activities() -> None:
    fire = "2026-03-29T01:00:00+00:00"
    decision = ScheduleActivityTask(activity_type=ActivityType("a", "1"), activity_id="a", input='{"n":1}')
    made = with_timeouts(decision, tags=("other", f"floto.scheduled_for:{fire}"))
    assert isinstance(made, ScheduleActivityTask)
    context, timeouts = split_timeouts(json.loads(made.input or ""))
    assert context == {"n": 1}
    assert timeouts.scheduled_for == datetime.fromisoformat(fire)
    assert with_timeouts(decision, tags=("other",)) is decision
    assert split_timeouts({"floto.timeouts": {"scheduled_for": "soon"}})[1].scheduled_for is None
