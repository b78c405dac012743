"""Undos of completed tasks when a run fails or is canceled, decided on short histories."""

from __future__ import annotations

import json
from typing import Any

import pytest

from floto import CODEC, ActivityTask, DeciderSpec, Signal, SpecError, Timer, begin, decide, explain
from floto.core.replay.task_status import task_statuses
from floto.core.swf import events as e
from floto.core.swf.decisions import CancelWorkflowExecution, FailWorkflowExecution
from floto.pictures.graph import graph
from floto.testing import check
from tests.unit.recorder import Recorder, generator, spec, starts, task


def undoable(id_: str, requires: Any = (), **fields: Any) -> ActivityTask:
    return task(id_, requires, undo=task(f"undo {id_}", **fields))


TRIP = spec(
    undoable("car"),
    undoable("hotel", "car"),
    task("check", "hotel"),
    undoable("flight", "check"),
    task("pay", "flight"),
    on_failure=[task("tell"), task("log", "tell")],
    on_cancel=[task("tell")],
)


def failed_trip() -> Recorder:
    recorder = Recorder({"n": 1})
    for id_ in ("car", "hotel", "check", "flight"):
        recorder.complete(id_, {"id": id_})
    recorder.fail("pay")
    note(TRIP, recorder)
    return recorder


def note(own: DeciderSpec, recorder: Recorder) -> None:
    """Record the failures, as SWF does with the first decision after a failure."""
    marker = decide(own, recorder.history)[0]
    recorder.add(
        e.MarkerRecorded(
            marker_name=marker.marker_name,  # type: ignore[union-attr]
            details=marker.details,  # type: ignore[union-attr]
            decision_task_completed_event_id=1,
        )
    )


def started(own: DeciderSpec, recorder: Recorder) -> list[str]:
    history = recorder.history
    found = decide(own, history)
    followed = begin(own, type(history)([], history.execution))
    for event in history:
        followed = followed.observe([event])
    assert decide(followed) == found
    return list(starts(found))


def context(own: DeciderSpec, recorder: Recorder, id_: str) -> Any:
    return json.loads(getattr(starts(decide(own, recorder.history))[id_], "input", None) or "{}")


def test_undos_run_in_reverse_order_before_the_cleanup() -> None:
    recorder = failed_trip()
    for id_ in ("undo flight", "undo hotel", "undo car", "tell", "log"):
        assert started(TRIP, recorder) == [id_]
        recorder.complete(id_, "ok")
    (failed,) = decide(TRIP, recorder.history)
    assert isinstance(failed, FailWorkflowExecution)
    assert failed.reason == "failed: pay"


def test_undo_has_the_result_of_its_task_and_the_failures_in_its_context() -> None:
    recorder = failed_trip()
    found = context(TRIP, recorder, "undo flight")
    assert found["flight"] == {"id": "flight"}
    assert list(found["failures"]) == ["pay"]
    assert found["workflow"] == {"n": 1}


def test_only_completed_tasks_are_undone() -> None:
    recorder = Recorder()
    recorder.complete("car")
    recorder.fail("hotel")
    note(TRIP, recorder)
    assert started(TRIP, recorder) == ["undo car"]
    found = explain(TRIP, recorder.history)
    assert [str(each) for each in found["undo hotel"].conditions] == [
        "nothing to undo: hotel did not complete"
    ]
    assert found["undo hotel"].status == "skipped"
    assert found["tell"].status == "waiting"


def test_cancel_undoes_too() -> None:
    recorder = Recorder()
    recorder.complete("car", 1)
    recorder.cancel()
    assert started(TRIP, recorder) == ["undo car"]
    recorder.complete("undo car")
    assert started(TRIP, recorder) == ["tell"]
    recorder.complete("tell")
    assert decide(TRIP, recorder.history) == [CancelWorkflowExecution()]


def test_undos_need_no_cleanup_tasks() -> None:
    own = spec(undoable("a"), task("b", "a"))
    recorder = Recorder()
    recorder.complete("a")
    recorder.fail("b")
    assert started(own, recorder) == ["undo a"]
    note(own, recorder)
    recorder.complete("undo a")
    (failed,) = decide(own, recorder.history)
    assert isinstance(failed, FailWorkflowExecution)


def test_undos_before_and_cleanup_go_on_after_an_undo_that_failed() -> None:
    recorder = failed_trip()
    recorder.fail("undo flight")
    assert started(TRIP, recorder) == ["undo hotel"]
    for id_ in ("undo hotel", "undo car", "tell", "log"):
        recorder.complete(id_)
    (failed,) = decide(TRIP, recorder.history)
    assert isinstance(failed, FailWorkflowExecution)
    assert json.loads(failed.details or "") == {"pay": "Error: boom", "undo flight": "Error: boom"}


def test_undo_that_cannot_start_does_not_hold_back_the_others() -> None:
    own = spec(undoable("a"), undoable("b", "a"), task("c", "b"), on_failure=[task("tell")])
    recorder = Recorder()
    recorder.complete("a")
    recorder.complete("b", 1)
    recorder.data[-1] = type(recorder.data[-1])(
        scheduled_event_id=recorder.data[-1].scheduled_event_id,
        started_event_id=recorder.data[-1].started_event_id,
        result="floto:zlib:broken",
    )
    note(own, recorder)
    assert started(own, recorder) == ["undo a"]
    recorder.complete("undo a")
    recorder.complete("tell")
    (failed,) = decide(own, recorder.history)
    assert isinstance(failed, FailWorkflowExecution)
    assert "undo b" in json.loads(failed.details or "")


def test_activity_that_completes_while_it_is_canceled_is_undone() -> None:
    own = spec(undoable("a"), task("b"))
    recorder = Recorder()
    scheduled, begun = recorder.start("a")
    recorder.fail("b")
    assert started(own, recorder) == []
    note(own, recorder)
    recorder.add(e.ActivityTaskCompleted(scheduled_event_id=scheduled, started_event_id=begun))
    assert started(own, recorder) == ["undo a"]


def test_generator_is_undone_after_the_tasks_that_it_returned() -> None:
    gen = generator("g")
    own = spec(type(gen)(name="g", version="v", id_="g", undo=task("undo g")), task("end", "g"))
    recorder = Recorder()
    recorder.complete("g", CODEC.unstructure([undoable("x"), undoable("y")]))
    recorder.complete("x")
    recorder.complete("y")
    recorder.fail("end")
    note(own, recorder)
    assert started(own, recorder) == ["undo x", "undo y"]
    recorder.complete("undo x")
    recorder.complete("undo y")
    assert started(own, recorder) == ["undo g"]
    assert context(own, recorder, "undo g")["g"] == ["x", "y"]


def test_undos_are_reserved_until_the_run_fails_and_drawn_beside_their_tasks() -> None:
    recorder = Recorder()
    recorder.complete("car")
    statuses = {task.id_: str(status) for task, status in task_statuses(begin(TRIP, recorder.history))}
    assert statuses["undo car"] == statuses["undo hotel"] == "reserved for cleanup"
    picture = graph(TRIP)
    by_id = {node.id: number for number, node in enumerate(picture.nodes)}
    assert picture.nodes[by_id["undo car"]].role == "undo"
    assert (by_id["car"], by_id["undo car"]) in {(arrow.start, arrow.end) for arrow in picture.arrows}


def test_undo_of_a_task_that_ran_later_is_awaited_although_one_between_them_did_not_complete() -> None:
    own = DeciderSpec(
        activity_tasks=[
            undoable("a"),
            task("b", "a", undo=task("undo b"), on_error="continue"),
            task("c", ["b"], undo=task("undo c"), join="finished"),
            task("d", "c"),
        ],
        activity_task_list="work",
    )
    recorder = Recorder()
    recorder.complete("a")
    recorder.fail("b")
    recorder.complete("c")
    recorder.fail("d")
    note(own, recorder)
    assert started(own, recorder) == ["undo c"]


def test_invariants_hold_for_undos_in_runs_with_faults() -> None:
    assert check(TRIP, max_examples=40).runs == 40


def test_undo_round_trips_and_is_not_written_if_there_is_none() -> None:
    assert CODEC.loads(TRIP.to_json()) == TRIP
    assert "undo" not in CODEC.unstructure(task("a"))


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        (lambda: spec(task("a", undo="b")), "undo must be a task, not 'b'"),
        (lambda: spec(task("a", undo=task("b", "a"))), "it must require nothing and have no join"),
        (lambda: spec(task("a", undo=task("b", join="any"))), "it must require nothing and have no join"),
        (lambda: spec(task("a", undo=undoable("b"))), "it has no undo of its own"),
        (lambda: spec(task("a", undo=generator("b"))), "returns tasks"),
        (lambda: spec(task("a", undo=task("a"))), "duplicate task id 'a'"),
        (lambda: spec(task("a", undo=task("floto.b"))), "reserved by floto"),
        (lambda: spec(task("a", undo=task("b", when="["))), "cannot be read"),
        (lambda: spec(Timer(id_="t", delay_in_seconds=1, undo=task("b"))), "nothing to undo"),
        (lambda: spec(Signal(id_="t", signal_name="s", undo=task("b"))), "nothing to undo"),
        (lambda: spec(on_failure=[undoable("a")]), "cleanup tasks are not undone"),
    ],
)
def test_bad_undo_is_a_spec_error(own: Any, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        own()
    assert problem in str(caught.value)
