"""Responses of the decider to single decision tasks, and its cache."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import floto
from floto.adapters.sqlite import SqliteService
from floto.core.decide.progress import Progress
from floto.core.errors import HistoryError, ServiceError, ServiceFault, ServiceUnavailable
from floto.core.payloads import payload
from floto.core.spec.decider_spec import CODEC
from floto.core.swf.decisions import CompleteWorkflowExecution, FailWorkflowExecution, ScheduleActivityTask
from floto.core.swf.service import PolledDecisionTask, StartRequest
from floto.core.swf.shapes import WorkflowType
from floto.runtime import retrying as resilient
from floto.runtime.deciders import decider as module
from floto.runtime.deciders.decider import Decider
from floto.runtime.deciders.spec_choice import NoSpec
from tests.integration.contract.clock import Clock

ORDER = WorkflowType("order", "v1")


def spec(*ids: str, **more: Any) -> floto.DeciderSpec:
    tasks = [floto.ActivityTask(id_=id_, name="n", version="1") for id_ in ids]
    return floto.DeciderSpec(activity_tasks=tasks, default_activity_task_list="work", **more)


def decision_task(
    service: SqliteService, input: str | None = None, workflow_id: str = "w"
) -> PolledDecisionTask:
    service.start_workflow_execution(
        StartRequest(workflow_id=workflow_id, workflow_type=ORDER, task_list="floto", input=input)
    )
    return next_task(service)


def next_task(service: SqliteService) -> PolledDecisionTask:
    task = service.poll_for_decision_task("floto", "test", 5)
    assert task is not None
    return task


def scheduled(decisions: Any) -> list[str]:
    return [item.activity_id for item in decisions if isinstance(item, ScheduleActivityTask)]


def carrying(spec: floto.DeciderSpec) -> str:
    return payload.dumps({"decider_spec": CODEC.unstructure(spec)}, "input")


def test_spec_in_the_input_overrides_those_of_type_and_decider(
    service: SqliteService,
) -> None:
    decider = Decider(spec("own"), specs={ORDER: spec("type")}, service=service)
    assert scheduled(decider.decide(decision_task(service, carrying(spec("input")), "1"))) == ["input"]
    assert scheduled(decider.decide(decision_task(service, None, "2"))) == ["type"]
    assert scheduled(
        Decider(decider_spec=spec("own").to_json(), service=service).decide(decision_task(service, None, "3"))
    ) == ["own"]


@pytest.mark.parametrize(
    ("input", "said"),
    [
        ('{"decider_spec": 3}', "must be an object"),
        ('{"decider_spec": {"type": "os.system"}}', "os.system"),
    ],
)
def test_run_with_an_unreadable_spec_fails_with_the_reason(
    service: SqliteService, input: str, said: str
) -> None:
    (failed,) = Decider(service=service).decide(decision_task(service, input))
    assert isinstance(failed, FailWorkflowExecution)
    assert failed.reason == "SpecError"
    assert said in str(failed.details)


def test_run_without_a_spec_fails_if_no_other_decider_is_possible(service: SqliteService) -> None:
    (failed,) = Decider(service=service, sole=True).decide(decision_task(service))
    assert isinstance(failed, FailWorkflowExecution)
    assert "no spec for workflow type 'order' version 'v1'" in str(failed.details)


def serve_until_idle(decider: Decider, seconds: float = 0.5) -> None:
    threading.Timer(seconds, decider.stop).start()
    decider.run()


def started_with(spec: floto.DeciderSpec, service: SqliteService, workflow_id: str = "w") -> None:
    service.start_workflow_execution(
        StartRequest(
            workflow_id=workflow_id, workflow_type=ORDER, task_list="floto", tags=floto.spec_tags(spec)
        )
    )


def event_names(service: SqliteService, workflow_id: str = "w") -> list[str]:
    info = service.latest_execution(workflow_id)
    assert info is not None
    return [type(event.data).__name__ for event in service.history(info.execution)]


@pytest.mark.parametrize("own", [None, spec("own")])
def test_run_of_another_spec_is_not_decided_and_logged_once(
    service: SqliteService, caplog: pytest.LogCaptureFixture, own: floto.DeciderSpec | None
) -> None:
    recorded = spec("recorded")
    started_with(recorded, service)
    serve_until_idle(Decider(own, service=service, poll_seconds=0.1))
    assert event_names(service)[-1] == "DecisionTaskStarted"
    (line,) = [each for each in caplog.messages if "left alone" in each]
    assert floto.spec_tags(recorded)[0].rpartition(":")[2] in line
    assert "--take-over" in line


def test_decider_without_specs_does_not_decide_a_run_without_a_recorded_spec(
    service: SqliteService, caplog: pytest.LogCaptureFixture
) -> None:
    service.start_workflow_execution(StartRequest(workflow_id="w", workflow_type=ORDER, task_list="floto"))
    serve_until_idle(Decider(service=service, poll_seconds=0.1))
    assert event_names(service)[-1] == "DecisionTaskStarted"
    assert "no spec for workflow type 'order' version 'v1'" in caplog.text


def test_run_is_decided_by_its_recorded_spec_among_those_of_the_decider(service: SqliteService) -> None:
    specs = {ORDER: spec("type"), WorkflowType("other", "1"): spec("other")}
    decider = Decider(spec("own"), specs=specs, service=service)
    for number, name in enumerate(["own", "other", "type"]):
        started_with(spec(name), service, f"w{number}")
        assert scheduled(decider.decide(next_task(service))) == [name]


def test_take_over_decides_with_own_spec_and_records_it(
    service: SqliteService, caplog: pytest.LogCaptureFixture
) -> None:
    started_with(spec("recorded"), service)
    serve_until_idle(Decider(spec("own"), service=service, poll_seconds=0.1, take_over=True))
    assert "ActivityTaskScheduled" in event_names(service)
    assert "begun with another spec" in caplog.text
    # Recorded: the first spec's decider leaves the run alone from now on.
    service.signal_workflow_execution("w", "wake")
    with pytest.raises(NoSpec, match="records spec"):
        Decider(spec("recorded"), service=service).decide(next_task(service))


def test_mutual_take_over_happens_once_per_decider(service: SqliteService) -> None:
    started_with(spec("recorded"), service)
    both = [Decider(spec(name), service=service, poll_seconds=0.05, take_over=True) for name in ("a", "b")]
    threads = [threading.Thread(target=serve_until_idle, args=(each, 1.5)) for each in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert event_names(service).count("WorkflowExecutionSignaled") <= 2


def test_decider_with_a_cached_run_notices_its_take_over(service: SqliteService) -> None:
    started_with(spec("own"), service)
    decider = Decider(spec("own"), service=service)
    task = next_task(service)
    service.respond_decision_task_completed(task.token, decider.decide(task))
    other = floto.spec_tags(spec("own", "more"))[0].rpartition(":")[2]
    service.signal_workflow_execution("w", "floto.spec", other)
    with pytest.raises(NoSpec):
        decider.decide(next_task(service))


def test_refused_response_fails_the_run_with_the_message_of_the_service(service: SqliteService) -> None:
    respond = service.respond_decision_task_completed

    def refuse(token: str, decisions: Any) -> None:
        if not isinstance(decisions[-1], FailWorkflowExecution):
            code, message = "ValidationException", "Value at 'decisions' is too long \N{SNOWMAN}"
            raise ServiceFault(code, message)
        respond(token, decisions)

    odd: Any = Odd(service, "respond_decision_task_completed", [refuse, refuse])
    started_with(spec("own"), service)
    serve_until_idle(Decider(spec("own"), service=odd, poll_seconds=0.1))
    info = service.latest_execution("w")
    assert info is not None
    assert info.close_status == "FAILED"
    last = service.history(info.execution)[-1].data
    assert last.reason == "DecisionRefused"
    assert "Value at 'decisions' is too long" in last.details


def test_only_new_events_are_folded(service: SqliteService, monkeypatch: pytest.MonkeyPatch) -> None:
    folded: list[int] = []

    whole = Progress.observe

    def observe(known: Progress, events: Any) -> Progress:
        folded.append(len(events))
        return whole(known, events)

    monkeypatch.setattr(Progress, "observe", observe)
    decider = Decider(spec("a"), service=service)
    task = decision_task(service)
    service.respond_decision_task_completed(task.token, decider.decide(task))
    work = service.poll_for_activity_task("work", "test", 5)
    assert work is not None
    service.respond_activity_task_completed(work.token, "1")
    again = next_task(service)
    (complete,) = decider.decide(again)
    assert isinstance(complete, CompleteWorkflowExecution)
    assert folded == [len(again.events) - len(task.events)]


def test_events_missing_from_a_task_are_read_until_complete(
    service: SqliteService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resilient, "REREAD_SECONDS", 0)
    task = decision_task(service)
    hidden = evolve(task, events=())
    # Histories lag: at first less is there than must be.
    odd: Any = Odd(service, "history", [task.events[:2], ()])
    assert scheduled(Decider(spec("a"), service=odd).decide(hidden)) == ["a"]
    # What came later is not looked at.
    service.signal_workflow_execution("w", "later")
    assert scheduled(Decider(spec("a"), service=service).decide(hidden)) == ["a"]
    monkeypatch.setattr(resilient, "LAG_SECONDS", 0)
    odd = Odd(service, "history", [task.events[:2]])
    with pytest.raises(ServiceUnavailable, match="up to 2, expected at least 3"):
        Decider(spec("a"), service=odd).decide(hidden)


def test_history_that_does_not_continue_the_cached_one_is_read_again(service: SqliteService) -> None:
    decider = Decider(spec("a"), service=service)
    task = decision_task(service)
    assert scheduled(decider.decide(task)) == ["a"]
    # The same task, come again after a time-out or a second poll.
    assert scheduled(decider.decide(task)) == ["a"]
    service.terminate_workflow_execution("w")
    other = decision_task(service, "2")
    strange = PolledDecisionTask(
        token=task.token,
        execution=task.execution,
        workflow_type=ORDER,
        events=other.events,
        started_event_id=3,
    )
    assert scheduled(decider.decide(strange)) == ["a"]


def test_cached_runs_are_bounded(service: SqliteService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 2)
    decider = Decider(spec("a"), service=service)
    for number in range(5):
        decider.decide(decision_task(service, workflow_id=str(number)))
    assert len(decider._cache._runs) == 2  # noqa: SLF001


def test_exception_leaves_the_task_without_response_and_the_decider_running(
    service: SqliteService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception | None] = []
    told = threading.Event()

    def listener(_: Any, error: Exception | None) -> None:
        errors.append(error)
        told.set()

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR, "floto"):
        patch.setattr(module, "decisions", broken)
        decider = Decider(spec("a"), service=service, listener=listener, poll_seconds=0.05)
        thread = threading.Thread(target=decider.run)
        thread.start()
        service.start_workflow_execution(
            StartRequest(workflow_id="bad", workflow_type=ORDER, task_list="floto")
        )
        assert told.wait(10)
    told.clear()
    service.start_workflow_execution(StartRequest(workflow_id="good", workflow_type=ORDER, task_list="floto"))
    assert told.wait(10)
    decider.stop()
    thread.join()
    assert isinstance(errors[0], ZeroDivisionError)
    assert errors[1] is None
    assert "ZeroDivisionError" in caplog.text
    info = service.latest_execution("bad")
    assert info is not None
    assert info.close_status is None


def test_sys_exit_in_the_code_of_a_spec_is_an_error_of_its_run_and_not_the_end_of_the_decider(
    service: SqliteService,
) -> None:
    errors: list[Exception | None] = []

    def leaves(_: Any) -> Any:
        raise SystemExit(3)

    decider = Decider(rules={ORDER: leaves}, service=service, listener=lambda _, error: errors.append(error))
    decider._handle(decision_task(service))  # noqa: SLF001
    assert [str(error) for error in errors] == ["the code of a spec called sys.exit(3)"]


def test_decider_ends_with_its_workflow_although_the_last_response_seems_lost(service: SqliteService) -> None:
    own = floto.DeciderSpec(activity_tasks=[], terminate_decider_after_completion=True)
    decider = Decider(own, service=service)
    task = decision_task(service)
    service.respond_decision_task_completed(task.token, decider.decide(task))
    decider._handle(task)  # noqa: SLF001
    assert decider._stop.is_set()  # noqa: SLF001


def test_decider_continues_after_a_late_last_response(tmp_path: Path) -> None:
    clock = Clock()
    own = floto.DeciderSpec(activity_tasks=[], terminate_decider_after_completion=True)
    with SqliteService(tmp_path / "db", clock=clock) as service:
        decider = Decider(own, service=service)
        task = decision_task(service)
        clock.advance(61)
        began = time.monotonic()
        decider._handle(task)  # noqa: SLF001
        assert time.monotonic() - began < resilient.LAG_SECONDS
        assert not decider._stop.is_set()  # noqa: SLF001
        decider._handle(next_task(service))  # noqa: SLF001
        assert decider._stop.is_set()  # noqa: SLF001


def test_decider_continues_after_workflows_of_other_specs(service: SqliteService) -> None:
    own = floto.DeciderSpec(activity_tasks=[], terminate_decider_after_completion=True)
    decider = Decider(own, service=service)
    for input in (carrying(floto.DeciderSpec(activity_tasks=[])), '{"decider_spec": 3}'):
        decider._handle(decision_task(service, input))  # noqa: SLF001
        info = service.latest_execution("w")
        assert info is not None
        assert info.close_status is not None
        assert not decider._stop.is_set()  # noqa: SLF001


def test_late_response_is_dropped(service: SqliteService) -> None:
    answered: list[Exception | None] = []
    decider = Decider(spec("a"), service=service, listener=lambda _, error: answered.append(error))
    task = decision_task(service)
    service.terminate_workflow_execution("w")
    decider._handle(task)  # noqa: SLF001
    assert answered == [None]


def test_invalid_spec_is_refused(service: SqliteService) -> None:
    with pytest.raises(floto.SpecError, match="must be a DeciderSpec"):
        Decider('{"type": "floto.specs.task.Timer", "id_": "t", "delay_in_seconds": 1}', service=service)


class Odd:
    """A service of which one call does something else first."""

    def __init__(self, service: SqliteService, name: str, answers: list[Any]) -> None:
        self._service, self._name, self._answers = service, name, answers

    def __getattr__(self, name: str) -> Any:
        if name != self._name or not self._answers:
            return getattr(self._service, name)
        answer = self._answers.pop()
        return answer if callable(answer) else lambda *_: answer


def unreadable(*_: Any) -> None:
    raise HistoryError(1, "makes no sense")


def test_unreadable_history_does_not_affect_other_runs(
    service: SqliteService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.01)
    done = threading.Event()
    odd: Any = Odd(service, "poll_for_decision_task", [unreadable])
    decider = Decider(spec("a"), service=odd, listener=lambda *_: done.set(), poll_seconds=0.05)
    thread = threading.Thread(target=decider.run)
    thread.start()
    service.start_workflow_execution(StartRequest(workflow_id="w", workflow_type=ORDER, task_list="floto"))
    assert done.wait(5)
    decider.stop()
    thread.join()
    assert "makes no sense" in caplog.text


def test_decider_ending_with_its_workflow_checks_until_the_close_is_visible(
    service: SqliteService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resilient, "REREAD_SECONDS", 0.01)
    own = floto.DeciderSpec(
        activity_tasks=[floto.Timer(id_="t", delay_in_seconds=0)], terminate_decider_after_completion=True
    )
    service.start_workflow_execution(StartRequest(workflow_id="w", workflow_type=ORDER, task_list="floto"))
    odd: Any = Odd(service, "history", [(), ()])
    thread = threading.Thread(target=Decider(own, service=odd, poll_seconds=0.05).run, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


def test_a_decider_of_a_closed_service_ends(service: SqliteService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resilient, "_FIRST_WAIT", 0.001)
    service.close()

    def closed(*_: Any) -> None:
        msg = "the service is closed"
        raise ServiceError(msg)

    monkeypatch.setattr(service, "poll_for_decision_task", closed)
    with pytest.raises(ServiceError, match="closed"):
        Decider(spec("a"), service=service).run()


def test_a_service_from_a_url_is_closed_with_the_decider(tmp_path: Path) -> None:
    decider = Decider(spec("a"), service=f"sqlite:///{tmp_path / 'f.db'}", poll_seconds=0.05)
    decider.stop()
    decider.run()
    with pytest.raises(ServiceError, match="closed"):
        decider._service.latest_execution("w")  # noqa: SLF001


def test_object_that_is_not_a_spec_raises_spec_error(tmp_path: Path) -> None:
    with pytest.raises(floto.SpecError, match="spec must be a DeciderSpec, not 3"):
        Decider(3, service=f"sqlite:///{tmp_path / 'floto.db'}")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"specs": {("f", "1"): spec("own")}}, r"specs: each key is a floto.WorkflowType\(name, version\)"),
        ({"specs": {ORDER: spec("own").to_json()}}, "the spec of 'order' must be a DeciderSpec"),
        ({"rules": {"f:1": lambda _state: []}}, r"rules: each key is a floto.WorkflowType\(name, version\)"),
    ],
)
def test_specs_and_rules_for_something_else_than_workflow_types_are_refused(
    service: SqliteService, given: dict[str, Any], problem: str
) -> None:
    with pytest.raises(floto.SpecError, match=problem):
        Decider(spec("default"), service=service, **given)
