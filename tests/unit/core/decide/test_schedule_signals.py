"""Decisions of a schedule: pauses, manual starts, backfills and updates."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import evolve

from floto.core.decide import schedule_memory as m
from tests.property.schedule_stage import Stage, Work, at, schedule_of


def test_pause_and_resume() -> None:
    stage = Stage(schedule_of(every=10))
    stage.run(at(15))
    stage.signal("pause", "holidays")
    stage.run(at(45))
    assert stage.view.memory.paused == "holidays"
    stage.signal("resume")
    stage.run(at(55))
    assert stage.fires == ["000010Z", "000050Z"]
    assert stage.view.memory.counts == {"completed": 2, "paused": 3}
    stage.signal("resume")
    stage.run(at(65))
    assert stage.fires[2:] == ["000100Z"]


def test_pause_on_failure_names_the_run() -> None:
    stage = Stage(schedule_of(every=10, pause_on_failure=True), lambda number: Work(0, fails=number == 1))
    stage.run(at(65))
    assert stage.fires == ["000010Z", "000020Z"]
    assert stage.view.memory.paused == "s-20260101T000020Z: sorry"


def test_trigger_starts_a_run_of_its_own_name_even_if_paused() -> None:
    stage = Stage(schedule_of(every=10, paused=True))
    stage.run(at(15))
    stage.signal("trigger")
    stage.run(at(16))
    assert stage.fires == ["000015Z-1"]
    stage.signal("trigger")
    stage.run(at(20))
    assert stage.fires == ["000015Z-1", "000016Z-2"]


@pytest.mark.parametrize("overlap", ["buffer_one", "buffer_all", "cancel_other"])
def test_trigger_during_a_pause_starts_a_run_beside_a_fire_that_waits(overlap: str) -> None:
    stage = Stage(schedule_of(every=100, overlap=overlap), lambda _: Work(130, stops_after=30))
    stage.run(at(205))
    stage.signal("pause")
    stage.run(at(240))
    assert (stage.fires, len(stage.view.memory.waiting)) == (["000140Z"], 1)
    stage.signal("trigger")
    stage.run(at(245))
    assert stage.fires[1:] == ["000400Z-1"]
    assert "overlap" not in stage.view.memory.counts
    assert len(stage.view.memory.waiting) == 1


def test_trigger_during_a_pause_waits_for_an_open_run_before_a_fire_that_waits() -> None:
    stage = Stage(schedule_of(every=100, overlap="buffer_one"), lambda _: Work(130))
    stage.run(at(205))
    stage.signal("pause")
    stage.signal("trigger")
    stage.run(at(500))
    assert stage.fires == ["000140Z", "000325Z-1"]


def test_trigger_follows_the_overlap_policy() -> None:
    stage = Stage(schedule_of(every=100), lambda _: Work(25))
    stage.run(at(105))
    stage.signal("trigger")
    stage.run(at(150))
    assert stage.fires == ["000140Z"]
    assert stage.view.memory.counts == {"completed": 1, "overlap": 1}


def test_backfill_starts_the_fires_of_a_past_time_one_by_one() -> None:
    stage = Stage(schedule_of(cron="* * * * *"), lambda _: Work(2))
    stage.run(at(5))
    stage.signal("backfill", {"from": "2025-12-31T23:57:00", "to": "2025-12-31T23:59:00"})
    stage.run(at(30))
    names = [f"s-20251231T23{minute}00Z" for minute in (57, 58, 59)]
    assert stage.fires == names
    # Once more: a backfill repeats what has ended.
    stage.signal("backfill", {"from": "2025-12-31T23:59:00", "to": "2025-12-31T23:59:00"})
    stage.run(at(50))
    assert stage.fires[3:] == names[2:]


def test_backfill_during_a_pause_leaves_a_fire_that_waits_for_its_jitter() -> None:
    schedule = schedule_of(every=3_600, jitter=1_800)
    fire = at(3_600)
    waits = schedule.starts_at(fire) - fire
    assert waits > timedelta(seconds=4)
    memory = m.pause(m.advance(m.Memory(after=at(0)), schedule, fire, fire), "for a test")
    now = fire + waits / 4
    memory = m.backfill(memory, schedule, at(1), now, now)
    assert (memory.open, memory.waiting) == ((), ())
    memory = m.backfill(memory, schedule, at(1), now, fire + waits)
    assert [launch.fire for launch in memory.open] == [fire]


def test_backfill_leaves_a_fire_that_waits_for_its_jitter() -> None:
    stage = Stage(schedule_of(every=3_600, jitter=1_800))
    stage.run(at(7_190))
    stage.run(at(7_205))
    stage.signal("backfill", {"from": at(3_600).isoformat(), "to": at(7_200).isoformat()})
    stage.run(at(10_000))
    assert stage.fires == ["010000Z", "010000Z", "020000Z"]


@pytest.mark.parametrize(
    ("name", "input", "problem"),
    [
        ("backfill", None, "times 'from' and 'to'"),
        ("backfill", {"from": "x", "to": "2026-01-01"}, "times 'from' and 'to'"),
        ("backfill", {"from": "2026-01-01", "to": "2026-01-01T00:00:01"}, "in the future"),
        ("update", {"type": "floto.Schedule"}, "required field"),
        ("update", 3, "must be an object"),
    ],
)
def test_bad_signal_is_noted_and_changes_nothing(name: str, input: object, problem: str) -> None:
    stage = Stage(schedule_of(every=10))
    stage.signal(name, input)
    stage.run(at(15))
    (noted,) = stage.notes
    assert problem in noted
    assert stage.fires == ["000010Z"]


def test_update_takes_effect_from_its_time_on() -> None:
    stage = Stage(schedule_of(every=10))
    stage.run(at(15))
    stage.update(schedule_of(every=60, note="slower"))
    stage.run(at(130))
    assert stage.fires == ["000010Z", "000100Z", "000200Z"]
    stage.update(schedule_of(id_="other", every=1))
    stage.run(at(150))
    assert "keeps its id" in stage.notes[0]
    assert stage.view.schedule.every == 60


def test_update_during_a_pause_counts_the_fires_before_it() -> None:
    stage = Stage(schedule_of(every=10, paused=True))
    stage.run(at(35))
    stage.update(schedule_of(every=60, paused=True))
    stage.signal("resume")
    stage.run(at(65))
    assert stage.fires == ["000100Z"]
    assert stage.view.memory.counts == {"completed": 1, "paused": 3}


@pytest.mark.parametrize("every", [10, 20])
def test_update_that_is_not_paused_any_more_resumes_as_the_signal_does(every: int) -> None:
    stage = Stage(schedule_of(every=10, paused=True))
    stage.run(at(35))
    stage.update(schedule_of(every=every))
    stage.run(at(45))
    assert stage.fires == ["000040Z"]
    assert stage.view.memory.counts == {"completed": 1, "paused": 3}
    assert stage.view.memory.paused is None


@pytest.mark.parametrize(
    ("every", "paused", "fires", "counts"),
    [
        (7_200, False, ["020000Z", "040000Z"], {"completed": 2}),
        (5_400, False, ["030000Z"], {"completed": 1, "updated": 1}),
        (7_200, True, ["040000Z"], {"completed": 1, "paused": 1}),
    ],
)
def test_update_does_not_lose_a_fire_that_waits_for_its_jitter(
    every: int, *, paused: bool, fires: list[str], counts: dict[str, int]
) -> None:
    schedule = schedule_of(every=3_600, jitter=1_800)
    assert schedule.starts_at(at(7_200)) > at(7_210)
    stage = Stage(schedule)
    stage.run(at(7_190))
    if paused:
        stage.signal("pause")
    stage.run(at(7_205))
    begun = len(stage.fires)
    stage.update(evolve(schedule, every=every))
    stage.signal("resume")
    stage.run(at(4 * 3_600 + 2_000))
    assert stage.fires[begun:][: len(fires)] == fires
    assert stage.view.memory.counts == {**counts, "completed": counts["completed"] + begun}


def test_update_leaves_a_pause_by_a_signal() -> None:
    stage = Stage(schedule_of(every=10))
    stage.signal("pause", "holidays")
    stage.update(schedule_of(every=20))
    stage.run(at(45))
    assert stage.view.memory.paused == "holidays"
