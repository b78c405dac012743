"""Deciders whose service returns unusual histories: readable ones are decided, other runs fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import floto
from floto import LocalSwf
from floto.adapters.swf import SwfService
from floto.core.swf import events as e
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowType
from floto.runtime.cli import listing
from floto.runtime.cli.target import Target
from floto.runtime.deciders.decider import Decider
from tests.integration.playing import eventually

FLOW, OTHER = WorkflowType("flow", "v1"), WorkflowType("other", "v1")
SPEC = floto.DeciderSpec(activity_tasks=[floto.Timer(id_="t", delay_in_seconds=0)])
STARTED = "workflowExecutionStartedEventAttributes"

Edit = Callable[[dict[str, Any]], None]


class Odd:
    """An SWF client whose service returns the events of histories in an unusual form."""

    def __init__(self, client: LocalSwf, edit: Edit) -> None:
        self._client, self._edit = client, edit

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name not in ("poll_for_decision_task", "get_workflow_execution_history"):
            return method

        def edited(**request: Any) -> Any:
            response = method(**request)
            for event in response.get("events", ()):
                self._edit(event)
            return response

        return edited


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalSwf]:
    with LocalSwf(tmp_path / "swf.db", poll_seconds=0.1) as local:
        yield local


def start(service: SwfService, workflow_id: str, kind: WorkflowType = FLOW) -> floto.WorkflowExecution:
    service.prepare([kind], [])
    request = StartRequest(workflow_id=workflow_id, workflow_type=kind, task_list="floto", tags=("a",))
    return floto.WorkflowExecution(workflow_id, service.start_workflow_execution(request))


@contextmanager
def deciding(decider: Decider) -> Iterator[None]:
    thread = threading.Thread(target=decider.run)
    thread.start()
    try:
        yield
    finally:
        decider.stop()
        thread.join()


def names(service: SwfService, execution: floto.WorkflowExecution) -> list[str]:
    return [type(event.data).__name__ for event in service.history(execution)]


def end_of(service: SwfService, execution: floto.WorkflowExecution) -> Any:
    """Return the attributes of the event that closed the run."""

    def closed() -> Any:
        return floto.fold(service.history(execution)).closed

    return eventually(closed).data


def null_tag(event: dict[str, Any]) -> None:
    if STARTED in event:
        event[STARTED]["tagList"] = [None]


def test_run_with_a_null_tag_is_decided(local: LocalSwf) -> None:
    plain, odd = SwfService(local, "floto"), SwfService(Odd(local, null_tag), "floto")
    execution = start(plain, "w")
    with deciding(Decider(SPEC, service=odd)):
        assert isinstance(end_of(plain, execution), e.WorkflowExecutionCompleted)
    assert odd.history(execution)[0].data.tag_list == ()


def test_run_with_a_null_tag_is_listed(monkeypatch: pytest.MonkeyPatch, local: LocalSwf) -> None:
    start(SwfService(local, "floto"), "w")
    listed = local.list_open_workflow_executions

    def with_null_tags(**request: Any) -> Any:
        response = listed(**request)
        for info in response["executionInfos"]:
            info["tagList"] = [None, "a"]
        return response

    monkeypatch.setattr(local, "list_open_workflow_executions", with_null_tags)
    monkeypatch.setattr(listing, "target", lambda *_: nullcontext(Target(local, "floto", "test")))
    said = CliRunner().invoke(listing.list_command, ["--service", "memory:"], standalone_mode=False)
    assert said.exception is None
    assert said.output.split()[0] == "w"
    assert said.output.rstrip().endswith("a")


def no_policy(event: dict[str, Any]) -> None:
    if STARTED in event:
        del event[STARTED]["childPolicy"]


def odd_marker(event: dict[str, Any]) -> None:
    if "timerFiredEventAttributes" in event:
        event["timerFiredEventAttributes"]["timerId"] = 7


def doubled(event: dict[str, Any]) -> None:
    """A history that cannot have happened: the start comes twice."""
    if event["eventId"] == 2:
        event["eventType"] = "WorkflowExecutionStarted"
        event[STARTED] = {"childPolicy": "ABANDON", "taskList": {"name": "l"}, "workflowType": {}}
        event[STARTED]["workflowType"] = {"name": "n", "version": "v"}


UNREADABLE: dict[str, tuple[Edit, str]] = {
    "a member is missing": (no_policy, "event 1: WorkflowExecutionStarted needs childPolicy"),
    "a later event is odd": (odd_marker, "timerId must be a string, not 7"),
    "it cannot have happened": (doubled, "event 2: WorkflowExecutionStarted: a history has one start"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_run_with_an_unreadable_history_fails_with_the_reason(
    local: LocalSwf, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    edit, problem = UNREADABLE[case]
    plain, odd = SwfService(local, "floto"), SwfService(Odd(local, edit), "floto")
    execution = start(plain, "w")
    with deciding(Decider(SPEC, service=odd)):
        failed = end_of(plain, execution)
    assert isinstance(failed, e.WorkflowExecutionFailed)
    assert failed.reason == "HistoryError"
    assert problem in (failed.details or "")
    assert "DecisionTaskTimedOut" not in names(plain, execution)
    assert problem in caplog.text


def test_unreadable_run_of_a_type_without_a_spec_is_not_decided(
    local: LocalSwf, caplog: pytest.LogCaptureFixture
) -> None:
    plain, odd = SwfService(local, "floto"), SwfService(Odd(local, no_policy), "floto")
    foreign, own = start(plain, "foreign", OTHER), start(plain, "own")
    with deciding(Decider(specs={FLOW: SPEC}, service=odd)):
        assert isinstance(end_of(plain, own), e.WorkflowExecutionFailed)
    assert names(plain, foreign)[-1] == "DecisionTaskStarted"
    assert "no spec for workflow type 'other'" in caplog.text
