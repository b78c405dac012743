"""Decisions of a schedule: fires, overlap, failures and renewal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from floto import ActivityTask, DeciderSpec, SpecError
from floto.core.decide import schedule as module
from floto.core.decide import schedule_memory
from floto.core.decide.decide import spec_of
from floto.core.decide.schedule import SCHEDULE_TYPE, decide_schedule
from floto.core.payloads import payload
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY
from floto.core.swf.decisions import Decision, RecordMarker, StartChildWorkflowExecution, StartTimer
from floto.core.swf.history import History
from floto.core.swf.service import StartRequest
from tests.property.schedule_stage import BEGINNING, JOB, Stage, Work, at, schedule_of, state_of

SPEC = DeciderSpec(activity_tasks=[ActivityTask(id_="a", name="work", version="v1")])


def test_empty_history_needs_no_decision() -> None:
    assert decide_schedule(EMPTY) == []


def test_first_decision_starts_a_timer_to_the_next_fire() -> None:
    stage = Stage(schedule_of(every=60))
    found = stage.decide()
    assert found is not None
    (timer,) = found.decisions
    assert timer == StartTimer(timer_id="floto.fire:20260101T000100Z", start_to_fire_timeout="60")


def test_fire_starts_a_child_named_after_its_time() -> None:
    stage = Stage(schedule_of(every=60, input=[1]))
    stage.run(at(200))
    assert stage.fires == ["000100Z", "000200Z", "000300Z"]
    infos = [info for info in stage.world.executions() if info.workflow_type == JOB]
    started = stage.world.history(infos[0].execution).start
    assert started.tag_list == ("floto.scheduled_for:2026-01-01T00:01:00+00:00",)
    assert started.child_policy == "ABANDON"
    assert payload.loads(started.input) == [1]
    assert stage.view.memory.counts == {"completed": 3}


def test_child_with_a_spec_carries_it_beside_the_input() -> None:
    stage = Stage(schedule_of(every=60, workflow_type=(), spec=SPEC, input={"n": 1}))
    stage.run(at(61))
    (info,) = [info for info in stage.world.executions() if info.workflow_type != SCHEDULE_TYPE]
    started = stage.world.history(info.execution).start
    assert spec_of(started.input) == SPEC
    assert started.task_list.name == "floto_schedules"


def test_runs_take_the_settings_of_the_spec() -> None:
    spec = evolve(SPEC, execution_timeout=7, child_policy="REQUEST_CANCEL")
    stage = Stage(schedule_of(every=60, workflow_type=(), spec=spec))
    stage.run(at(61))
    (info,) = [info for info in stage.world.executions() if info.workflow_type != SCHEDULE_TYPE]
    started = stage.world.history(info.execution).start
    assert (started.execution_start_to_close_timeout, started.child_policy) == ("7", "REQUEST_CANCEL")


@pytest.mark.parametrize(
    ("overlap", "fires", "counts"),
    [
        # A run takes 25 s, and there is a fire every 10 s.
        ("skip", ["000010Z", "000040Z", "000110Z"], {"completed": 3, "overlap": 6}),
        ("buffer_one", ["000010Z", "000020Z", "000040Z", "000110Z"], {"completed": 3, "overlap": 4}),
        ("buffer_all", ["000010Z", "000020Z", "000030Z", "000040Z"], {"completed": 3}),
        ("cancel_other", [f"0000{n}0Z" for n in range(1, 6)] + ["000100Z"], None),
        ("terminate_other", [f"0000{n}0Z" for n in range(1, 6)] + ["000100Z"], None),
        ("allow_all", [f"0000{n}0Z" for n in range(1, 6)] + ["000100Z"], None),
    ],
)
def test_overlap(overlap: str, fires: list[str], counts: dict[str, int] | None) -> None:
    stage = Stage(schedule_of(every=10, overlap=overlap), lambda _: Work(25))
    stage.run(at(98))
    assert stage.fires[: len(fires)] == fires
    if counts is not None:
        assert stage.view.memory.counts == counts


def test_canceled_and_terminated_runs_are_no_failures() -> None:
    for overlap, status in (("cancel_other", "canceled"), ("terminate_other", "terminated")):
        stage = Stage(schedule_of(every=10, overlap=overlap, pause_on_failure=True), lambda _: Work(25))
        stage.run(at(65))
        assert stage.view.memory.counts == {status: 5}
        assert stage.view.memory.paused is None


def test_run_is_canceled_also_if_an_earlier_one_of_its_fire_was() -> None:
    stage = Stage(schedule_of(every=100, overlap="cancel_other"), lambda _: Work(1_000))
    stage.run(at(205))
    stage.signal("pause")
    stage.world.request_cancel("s-20260101T000320Z", stage.now)
    stage.run(at(210))
    fire = at(100).isoformat()
    stage.signal("backfill", {"from": fire, "to": fire})
    stage.signal("resume")
    stage.run(at(305))
    assert stage.fires == ["000140Z", "000320Z", "000140Z", "000500Z"]
    assert stage.view.memory.counts == {"canceled": 3}


def test_slow_cancellation_delays_the_latest_fire_and_leaves_out_the_others() -> None:
    stage = Stage(schedule_of(every=10, overlap="cancel_other"), lambda _: Work(1_000, stops_after=25))
    stage.run(at(69))
    assert stage.fires == ["000010Z", "000040Z"]
    assert stage.view.memory.counts == {"canceled": 1, "overlap": 3}


def test_fires_of_an_outage_are_caught_up_or_missed() -> None:
    stage = Stage(schedule_of(every=10, overlap="allow_all", catch_up=30))
    stage.outages = [(at(15), at(101))]
    stage.run(at(105))
    assert stage.fires == ["000010Z", "000120Z", "000130Z", "000140Z"]
    memory = stage.view.memory
    assert [(each.why, each.count) for each in memory.unstarted] == [("missed", 6)]


def test_schedule_without_further_fires_completes() -> None:
    stage = Stage(schedule_of(every=10, end="2026-01-01T00:00:25"))
    stage.run(at(60))
    assert stage.fires == ["000010Z", "000020Z"]
    info = stage.world.latest("s")
    assert info is not None
    assert info.close_status == "COMPLETED"
    # The last run ended with the schedule, after all that the schedule has recorded.
    assert (stage.view.recorded.open, stage.view.memory.counts) == ((), {"completed": 2})
    assert [end.status for end in stage.view.recorded.recent] == ["completed", "completed"]


def test_canceled_schedule_leaves_its_runs_open() -> None:
    stage = Stage(schedule_of(every=10), lambda _: Work(100))
    stage.run(at(15))
    stage.world.request_cancel("s", stage.now)
    stage.run(at(20))
    assert [info.close_status for info in stage.world.executions()] == ["CANCELED", None]
    assert len(stage.view.recorded.open) == 1


def test_history_is_renewed_while_no_run_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEW_EVENTS", 60)
    stage = Stage(schedule_of(every=10), lambda _: Work(5))
    stage.update(schedule_of(every=20))
    stage.run(at(1_000))
    assert len(stage.runs) > 5
    assert max(map(len, stage.runs)) < 80
    assert len(stage.fires) == len(set(stage.fires)) == 49
    assert stage.view.memory.counts == {"completed": 49}
    assert stage.view.schedule.every == 20


def test_old_run_is_renewed_before_its_time_is_over() -> None:
    stage = Stage(schedule_of(cron="0 0 1 1 *", paused=True))
    stage.run(BEGINNING + timedelta(days=800))
    assert len(stage.runs) >= 3
    info = stage.world.latest("s")
    assert info is not None
    assert info.close_status is None


def test_yearly_fire_is_not_lost_behind_the_limit_of_a_run() -> None:
    stage = Stage(schedule_of(cron="0 0 29 2 *"))
    stage.run(datetime(2028, 3, 1, tzinfo=UTC))
    assert stage.fires == ["s-20280229T000000Z"]


def test_refused_start_is_retried_and_then_told() -> None:
    refusals = iter(["OPEN_WORKFLOWS_LIMIT_EXCEEDED"] * 2)

    def refuse(decision: Decision) -> str | None:
        return next(refusals, None) if isinstance(decision, StartChildWorkflowExecution) else None

    stage = Stage(schedule_of(every=100), refuse=refuse)
    stage.run(at(150))
    assert stage.fires == ["000140Z"]
    stage = Stage(schedule_of(every=100, workflow_type=("other", "1")))
    stage.run(at(250))
    (first, _) = stage.view.memory.recent
    assert (first.status, first.message) == ("not started", "refused by SWF: WORKFLOW_TYPE_DOES_NOT_EXIST")


@pytest.mark.parametrize("overlap", ["allow_all", "skip"])
def test_refused_start_is_retried_by_the_run_that_continues_the_schedule(
    overlap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = iter(["CHILD_CREATION_RATE_EXCEEDED"])

    def refuse(decision: Decision) -> str | None:
        return next(refusals, None) if isinstance(decision, StartChildWorkflowExecution) else None

    monkeypatch.setattr(module, "RENEW_EVENTS", 10)
    stage = Stage(schedule_of(every=100, overlap=overlap), refuse=refuse)
    stage.run(at(195))
    assert len(stage.runs) > 1
    assert stage.fires == ["000140Z"]
    assert stage.view.memory.counts == {"completed": 1}


@pytest.mark.parametrize("overlap", ["buffer_one", "buffer_all", "cancel_other"])
def test_fire_that_waits_for_a_run_which_is_left_open_starts(
    overlap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FULL_EVENTS", 24)
    stage = Stage(schedule_of(every=100, overlap=overlap), lambda _: Work(10_000, stops_after=10_000))
    stage.run(at(205))
    while len(stage.runs) == 1:
        stage.signal("other")
        stage.run(stage.now + timedelta(seconds=1))
    assert stage.fires == ["000140Z", "000320Z"]
    assert stage.view.memory.counts == {"open": 1}


def test_fire_that_runs_already_is_not_started_again() -> None:
    stage = Stage(schedule_of(every=10))
    stage.world.start(
        StartRequest(workflow_id="s-20260101T000010Z", workflow_type=JOB, task_list="x"), stage.now
    )
    stage.run(at(15))
    assert stage.fires == ["000010Z"]
    assert stage.view.memory.recent[0].message == "refused by SWF: WORKFLOW_ALREADY_RUNNING"


def test_run_whose_start_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> StartChildWorkflowExecution:
        raise SpecError(("the spec is too long",))

    monkeypatch.setattr(module, "start_child", broken)
    stage = Stage(schedule_of(every=10))
    stage.run(at(25))
    assert [each.message for each in stage.view.memory.recent] == ["the spec is too long"] * 2


def test_refused_marker_fails_the_schedule() -> None:
    def refuse(decision: Decision) -> str | None:
        return "OPERATION_NOT_PERMITTED" if isinstance(decision, RecordMarker) else None

    stage = Stage(schedule_of(every=10), refuse=refuse)
    stage.run(at(60))
    info = stage.world.latest("s")
    assert info is not None
    assert info.close_status == "FAILED"


def test_refused_timer_is_started_again() -> None:
    refusals = iter(["TIMER_CREATION_RATE_EXCEEDED"] * 2)

    def refuse(decision: Decision) -> str | None:
        return next(refusals, None) if isinstance(decision, StartTimer) else None

    stage = Stage(schedule_of(every=10), refuse=refuse)
    stage.run(at(15))
    assert stage.fires == ["000010Z"]


def test_clock_that_jumps_starts_no_fire_twice() -> None:
    stage = Stage(schedule_of(every=600, overlap="allow_all"))
    stage.run(at(1_300))
    for jump in (timedelta(days=1), timedelta(hours=-1), timedelta(hours=-3), timedelta(hours=2)):
        stage.now += jump
        stage.run(stage.now + timedelta(seconds=1_500))
    assert len(stage.fires) == len(set(stage.fires)) > 140


def test_decisions_of_every_prefix_repeat() -> None:
    stage = Stage(schedule_of(every=10, overlap="buffer_one"), lambda number: Work(7 * number % 25))
    stage.run(at(100))
    history = stage.runs[0]
    whole = decide_schedule(state_of(history.events, history.execution))
    parts = fold(history.events[40:], fold(history.events[:40], state_of((), history.execution)))
    assert decide_schedule(parts) == whole
    again = History.from_swf(history.to_swf(), history.execution)
    assert decide_schedule(state_of(again.events, again.execution)) == whole


def test_fires_beyond_the_limit_of_one_decision_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_memory, "MOST_FIRES", 7)
    stage = Stage(schedule_of(every=10, overlap="allow_all", catch_up=10))
    stage.outages = [(at(5), at(405))]
    stage.run(at(425))
    assert stage.view.memory.counts == {"missed": 39, "completed": 3}


@pytest.mark.parametrize(
    ("overlap", "fires", "counts"),
    [
        ("skip", ["000010Z", "000300Z"], {"completed": 1, "overlap": 16}),
        ("buffer_one", ["000010Z", "000020Z"], {"completed": 1, "overlap": 15}),
        ("cancel_other", ["000010Z", "000250Z"], {"canceled": 1, "overlap": 15}),
    ],
)
def test_fires_before_the_end_of_a_run_do_not_pass_it(
    overlap: str, fires: list[str], counts: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule_memory, "MOST_FIRES", 7)
    stage = Stage(schedule_of(every=10, overlap=overlap), lambda _: Work(165, stops_after=150))
    stage.run(at(185))
    assert (stage.fires, stage.view.memory.counts) == (fires, counts)


def test_fires_before_a_signal_do_not_follow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_memory, "MOST_FIRES", 7)
    stage = Stage(schedule_of(every=10, overlap="allow_all"))
    stage.outages = [(at(5), at(225))]
    stage.run(at(105))
    stage.signal("pause")
    stage.run(at(205))
    stage.update(schedule_of(every=60, overlap="allow_all"))
    stage.signal("resume")
    stage.run(at(245))
    assert stage.view.memory.counts == {"completed": 11, "paused": 7}


def test_open_runs_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_memory, "MOST_OPEN", 3)
    stage = Stage(schedule_of(every=10, overlap="allow_all"), lambda _: Work(95))
    stage.run(at(100))
    assert stage.fires == ["000010Z", "000020Z", "000030Z"]
    stage.run(at(150))
    assert stage.fires[3:] == ["000040Z", "000050Z", "000100Z"]
