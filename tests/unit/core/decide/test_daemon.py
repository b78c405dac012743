"""Decisions of a daemon for each signal."""

from __future__ import annotations

import json
from typing import Any
from zlib import crc32

import pytest

from floto import CODEC, ActivityTask, ChildWorkflow, DeciderSpec
from floto.core.decide import child_requests, daemon, starting
from floto.core.decide.child_requests import CHILD_TYPE
from floto.core.decide.daemon import decide_daemon, task_lists
from floto.core.decide.decide import spec_of
from floto.core.payloads import payload
from floto.core.swf import events as e
from floto.core.swf.decisions import (
    CancelWorkflowExecution,
    ContinueAsNewWorkflowExecution,
    RecordMarker,
    StartChildWorkflowExecution,
    StartTimer,
)
from floto.core.swf.limits import DATA_LIMIT
from floto.core.swf.reserved_names import NOTE_PREFIX
from tests.property.daemon_stage import LIST, SPEC, Stage, asking


def started(stage: Stage) -> list[StartChildWorkflowExecution]:
    return [item for item in stage.decide() if isinstance(item, StartChildWorkflowExecution)]


def test_signal_starts_a_child_with_its_spec_in_the_input() -> None:
    stage = Stage()
    stage.signal(asking())
    (child,) = started(stage)
    assert child.workflow_type == CHILD_TYPE
    assert child.task_list is not None
    assert child.task_list.name == LIST
    assert spec_of(child.input) == SPEC
    assert child.workflow_id.startswith("floto_daemon:")


def test_signal_sets_the_attributes_of_the_child() -> None:
    stage = Stage()
    spec = DeciderSpec(domain="d", task_list="elsewhere", activity_tasks=SPEC.activity_tasks)
    more = {"workflow_id": "order-1", "input": {"n": 1}, "tag_list": ["a/b", "c"]}
    stage.signal(asking(spec.to_json(), workflow_type={"name": "other", "version": "v2"}, **more))
    stage.decide()
    (child,) = stage.children
    assert (child.workflow_type.name, child.task_list.name) == ("other", "elsewhere")
    assert child.tag_list == ("a/b", "c")
    assert payload.loads(child.input) == {"n": 1, "decider_spec": CODEC.unstructure(spec)}
    assert stage.child_ids == {"order-1": 1}


#: Inputs of signals that start no child, and what is said of them.
BAD: list[tuple[str | None, str]] = [
    (None, "must be a JSON object with a decider_spec"),
    ("hello", "must be a JSON object"),
    ('{"decider": 1}', "must be a JSON object with a decider_spec"),
    ("floto:zlib:nonsense", "cannot be unpacked"),
    (asking(3), "must be an object"),
    (asking({"type": "os.system"}), "os.system"),
    (asking("not json"), "must be an object"),
    (
        asking({"type": "floto.specs.task.Timer", "id_": "t", "delay_in_seconds": 1}),
        "must be a DeciderSpec",
    ),
    (asking(DeciderSpec(domain="shop")), "for domain 'shop', and this daemon is in 'd'"),
    (asking(wrkflow_id="x"), "unknown fields: ['wrkflow_id']"),
    (asking(workflow_id="a|b"), "workflow_id"),
    (asking(workflow_id=3), "workflow_id"),
    (asking(workflow_type="other"), "object with name and version"),
    (asking(workflow_type={"name": "a:b", "version": "1"}), "workflow_type_name"),
    (asking(workflow_type={"name": 1, "version": "1"}), "workflow_type_name"),
    (asking(input=[1]), "input must be a JSON object"),
    (asking(input={"decider_spec": 1}), "without decider_spec"),
    (asking(tag_list="a"), "list of printable strings"),
    (asking(tag_list=["\ud800"]), "list of printable strings"),
    (asking(tag_list=list("abcdef")), "tagList"),
    (asking(tag_list=["x" * 257]), "tagList"),
    ("[" * 9_000, "must be a JSON object"),
    (payload.pack(asking([[]] * 300_000), "it"), "holds more than 200,000 values"),
    (payload.pack(asking(json.dumps([{"a": [0] * 300_000}])), "it"), "holds more than 200,000 values"),
]


@pytest.mark.parametrize(("input", "said"), BAD, ids=[said for _, said in BAD])
def test_invalid_signal_records_a_marker_and_does_not_affect_others(input: str | None, said: str) -> None:
    stage = Stage()
    for text in (asking(), input, asking()):
        stage.signal(text)
    assert len(started(stage)) == 2
    ((_, problem),) = stage.notes
    assert said in problem
    stage.settle()
    assert len(stage.notes) == 1
    assert list(stage.child_ids.values()) == [1, 1]


def test_compressed_signal_is_read_and_one_too_large_records_a_marker() -> None:
    stage = Stage()
    tasks = [ActivityTask(id_=f"task-{n}", name="work", version="v1") for n in range(400)]
    spec = DeciderSpec(activity_tasks=tasks)
    stage.signal(payload.dumps({"decider_spec": CODEC.unstructure(spec)}, "it"))
    assert len(asking(spec)) > DATA_LIMIT
    (child,) = started(stage)
    assert spec_of(child.input) == spec
    # What a spec leaves out, such as ids, makes it longer than the signal was.
    bare = {"type": "floto.specs.task.ActivityTask", "name": "work", "version": "v1"}
    noise = [{**bare, "input": {"n": f"{crc32(b'%d' % n):x}"}} for n in range(1_900)]
    text = payload.dumps({"decider_spec": {"type": "floto.specs.DeciderSpec", "activity_tasks": noise}}, "it")
    stage.signal(text)
    assert started(stage) == []
    assert "SWF takes 32,768" in stage.notes[0][1]


def test_signals_of_other_names_are_ignored() -> None:
    stage = Stage()
    stage.world.signal("floto_daemon", "hello", asking(), stage.now)
    assert stage.decide() == []


def test_decisions_are_not_repeated() -> None:
    stage = Stage()
    stage.signal(asking())
    stage.signal("bad")
    assert len(stage.decide()) == 2
    assert decide_daemon(stage.state, domain="d") == []


@pytest.mark.parametrize("well", [True, False])
def test_close_of_a_child_causes_no_decision(well: bool) -> None:  # noqa: FBT001
    stage = Stage()
    stage.signal(asking())
    stage.decide()
    child = stage.poll()
    assert child is not None
    stage.respond(child, stage.answer(child, well=well))
    assert stage.decide() == []
    assert stage.notes == []


def test_transient_refusal_is_retried_after_a_timer() -> None:
    causes = ["CHILD_CREATION_RATE_EXCEEDED"]

    def refuse(decision: Any) -> str | None:
        return causes.pop() if causes and isinstance(decision, StartChildWorkflowExecution) else None

    stage = Stage(refuse)
    stage.signal(asking())
    assert len(started(stage)) == 1
    (wait,) = stage.decide()
    assert isinstance(wait, StartTimer)
    assert decide_daemon(stage.state) == []
    stage.settle()
    assert list(stage.child_ids.values()) == [1]
    assert stage.notes == []


def test_workflow_id_in_use_is_retried_after_a_timer() -> None:
    stage = Stage()
    stage.signal(asking(workflow_id="order"))
    stage.signal(asking(workflow_id="order"))
    stage.settle()
    assert stage.child_ids == {"order": 2}


def test_permanent_refusal_records_a_marker() -> None:
    stage = Stage()
    stage.signal(asking(workflow_type={"name": "nobody", "version": "v1"}))
    stage.settle()
    assert [problem for _, problem in stage.notes] == ["refused by SWF: WORKFLOW_TYPE_DOES_NOT_EXIST"]


def test_refused_marker_is_not_retried_forever() -> None:
    stage = Stage(lambda item: "OPERATION_NOT_PERMITTED" if isinstance(item, RecordMarker) else None)
    stage.signal("bad")
    assert len(stage.decide()) == 1
    assert stage.decide() == []
    assert decide_daemon(stage.state) == []


def test_children_stay_within_the_open_limit_of_swf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "OPEN_LIMIT", 3)
    stage = Stage()
    for _ in range(5):
        stage.signal(asking())
    assert len(started(stage)) == 3
    stage.settle()
    assert len(stage.child_ids) == 5


def test_too_large_response_is_split() -> None:
    stage = Stage()
    for number in range(40):
        stage.signal(asking(input={"n": number, "long": "x" * 30_000}))
    first = started(stage)
    assert 20 < len(first) < 40
    assert decide_daemon(stage.state) == []
    stage.settle()
    assert list(stage.child_ids.values()) == [1] * 40


def test_daemon_continues_as_new_before_its_history_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "RENEW_EVENTS", 20)
    stage = Stage()
    for number in range(12):
        stage.signal(asking(DeciderSpec(task_list="side")) if number == 0 else asking())
        stage.decide()
        stage.decide()
    stage.settle()
    assert len(stage.runs) > 2
    assert list(stage.child_ids.values()) == [1] * 12
    first, last = (run.start for run in (stage.runs[0], stage.runs[-1]))
    assert json.loads(last.input or "") == {"task_lists": ["side"]}
    assert (first.task_list, first.child_policy) == (last.task_list, last.child_policy)
    assert task_lists(stage.state) == ("side",)


def test_daemon_with_many_children_continues_as_new_and_leaves_them_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(daemon, "RENEW_CHILDREN", 2)
    stage = Stage()
    stage.signal(asking())
    stage.signal(asking())
    stage.decide()
    assert isinstance(stage.decide()[-1], ContinueAsNewWorkflowExecution)
    still = [info for info in stage.world.executions() if info.workflow_type == CHILD_TYPE]
    assert [info.close_status for info in still] == [None, None]


def test_daemon_continues_as_new_before_its_timeout() -> None:
    stage = Stage()
    stage.tick(150 * 86_400)
    stage.signal(asking())
    stage.settle()
    assert len(stage.runs) == 1
    stage.tick(40 * 86_400)
    stage.signal(asking())
    stage.settle()
    assert len(stage.runs) == 2
    assert list(stage.child_ids.values()) == [1, 1]


def test_pending_retries_are_abandoned_when_the_history_is_nearly_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(daemon, "RENEW_EVENTS", 30)
    monkeypatch.setattr(child_requests, "FULL_EVENTS", 60)
    stage = Stage()
    stage.signal(asking(workflow_id="taken"))
    stage.decide()
    stage.signal(asking(workflow_id="taken"))
    for _ in range(60):
        stage.decide()
        stage.tick(400)
    assert len(stage.runs) == 2
    assert [problem for _, problem in stage.notes] == ["refused by SWF: WORKFLOW_ALREADY_RUNNING"]


def test_daemon_continues_if_continue_as_new_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "RENEW_EVENTS", 1)
    stage = Stage(
        lambda item: "OPERATION_NOT_PERMITTED" if isinstance(item, ContinueAsNewWorkflowExecution) else None
    )
    assert len(stage.decide()) == 1
    assert stage.decide() == []
    stage.signal(asking())
    assert len(started(stage)) == 1


def test_canceled_daemon_starts_no_children_and_leaves_them_open() -> None:
    stage = Stage()
    stage.signal(asking())
    stage.decide()
    stage.signal(asking())
    stage.world.request_cancel("floto_daemon", stage.now)
    note, end = stage.decide()
    assert isinstance(note, RecordMarker)
    assert note.marker_name.startswith(NOTE_PREFIX)
    assert isinstance(end, CancelWorkflowExecution)
    daemon_info, child_info = stage.world.executions()
    assert daemon_info.close_status == "CANCELED"
    assert child_info.close_status is None
    assert [problem for _, problem in stage.notes] == ["the daemon was canceled before it started this child"]


def test_task_lists_of_open_children_and_grandchildren_are_known() -> None:
    stage = Stage()
    grandchild = ChildWorkflow(
        id_="g", workflow_type_name="other", workflow_type_version="v2", spec=DeciderSpec(task_list="deep")
    )
    stage.signal(asking(DeciderSpec(task_list="side", activity_tasks=[grandchild])))
    stage.decide()
    assert task_lists(stage.state) == ("side", "deep")
    opened = next(
        event.data
        for event in stage.runs[0]
        if isinstance(event.data, e.StartChildWorkflowExecutionInitiated)
    )
    assert opened.task_list.name == "side"
