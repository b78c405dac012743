"""``floto.run`` on the embedded engine."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import boto3
import pytest

import floto
from floto.adapters.sqlite import SqliteService
from floto.core.errors import ServiceError, ServiceUnavailable
from floto.core.spec.fingerprint import fingerprint, recorded
from floto.core.spec.task_lists import own_list
from floto.core.state.fold import fold
from floto.core.state.state import Kind, State
from floto.core.swf import events as e
from floto.core.swf.shapes import WorkflowExecution
from floto.runtime.runs.run import run
from floto.runtime.runs.run_request import WORKFLOW_TYPE
from floto.runtime.workers.activities import Activities
from tests.runs import left_open, spec, task

DOWN = ServiceUnavailable("down")


def test_result_is_that_of_the_tasks_that_no_task_requires(activities: Activities) -> None:
    first = task("echo", "first")
    second = task("echo", "second", requires=[first], input={"n": 1})
    result = run(spec(first, second), "hello", activities=activities)
    expected = {"workflow": "hello", "first": {"workflow": "hello"}, "activity_task": {"n": 1}}
    assert result == {"second": expected}


def test_spec_is_accepted_as_json(activities: Activities) -> None:
    assert run(spec(task("echo")).to_json(), 1, activities=activities) == {"echo": {"workflow": 1}}


@pytest.mark.parametrize("early", [True, False])
def test_run_continues_after_its_signal(
    service: SqliteService, activities: Activities, *, early: bool
) -> None:
    """The word may come while the run still works, or when it has long been waiting for it."""
    approved = floto.Signal(id_="approved", signal_name="approve", requires=["nap"])
    flow = spec(task("nap", input=0.1), approved, task("echo", requires=[approved]))
    sent = threading.Event()

    def listener(state: State) -> None:
        done = state.is_completed((Kind.ACTIVITY, "nap"))
        if done is not early and not sent.is_set():
            sent.set()
            service.signal_workflow_execution("w", "approve", '{"by": "Ada"}')

    result = run(flow, service=service, activities=activities, workflow_id="w", listener=listener, timeout=30)
    assert result == {"echo": {"approved": {"by": "Ada"}}}


def test_workflow_failed_has_task_and_message(activities: Activities) -> None:
    with pytest.raises(floto.WorkflowFailed) as raised:
        run(spec(task("fail"), task("echo")), activities=activities, workflow_id="w")
    assert raised.value.failures == {"fail": "ValueError: on purpose"}
    assert raised.value.workflow_id == "w"


def test_failed_run_stops_open_work_and_cleans_up_before_it_closes(
    service: SqliteService, activities: Activities
) -> None:
    """Cleanup tasks with a separate task list, which is served too."""
    seen: dict[str, Any] = {}

    @activities.activity(name="wait", version="1")
    def wait() -> None:
        while not floto.current().heartbeat():
            time.sleep(0.05)
        raise floto.Canceled

    @activities.activity(name="undo", version="1")
    def undo(context: dict[str, Any]) -> None:
        seen.update(context)

    flow = spec(
        task("fail", requires=[task("nap", input=0.2)]),
        task("nap", input=0.2),
        task("wait"),
        on_failure=[task("undo", task_list="undoing"), task("echo", requires=["undo"])],
    )
    with pytest.raises(floto.WorkflowFailed) as raised:
        run(flow, 7, service=service, activities=activities, workflow_id="w", timeout=60)
    assert raised.value.failures == {"fail": "ValueError: on purpose"}
    assert seen == {"workflow": 7, "failures": {"fail": "ValueError: on purpose"}}
    history = service.history(WorkflowExecution("w", raised.value.run_id))
    at = {type(event.data): event.id for event in history}
    assert at[e.MarkerRecorded] < at[e.ActivityTaskCanceled] < at[e.WorkflowExecutionFailed]


def test_canceled_run_cleans_up_before_it_closes(service: SqliteService, activities: Activities) -> None:
    asked = threading.Event()
    approval = floto.Signal(id_="approval", signal_name="approve")
    flow = spec(approval, task("nap", input=0.2), on_cancel=[task("echo"), task("fail", requires=["echo"])])

    def listener(state: State) -> None:
        if state.is_completed((Kind.ACTIVITY, "nap")) and not asked.is_set():
            asked.set()
            service.request_cancel_workflow_execution("w")

    with pytest.raises(floto.WorkflowEnded) as raised:
        run(flow, service=service, activities=activities, workflow_id="w", listener=listener, timeout=60)
    assert raised.value.how == "CANCELED"
    assert "ValueError: on purpose" in raised.value.details


@pytest.mark.parametrize("returned", [3, ["no task"], [{"type": "os.system"}]])
def test_invalid_result_of_a_generator_fails_the_run(activities: Activities, returned: Any) -> None:
    activities.generator(name="make", version="1")(lambda: returned)
    with pytest.raises(floto.WorkflowFailed) as raised:
        run(spec(floto.Generator(id_="make", name="make", version="1")), activities=activities)
    assert list(raised.value.failures) == ["make"]


@pytest.mark.parametrize("returned", ["part", b"part", {"id_": "part"}])
def test_generator_that_returns_one_value_is_asked_for_a_list(activities: Activities, returned: Any) -> None:
    activities.generator(name="make", version="1")(lambda: returned)
    with pytest.raises(floto.WorkflowFailed) as raised:
        run(spec(floto.Generator(id_="make", name="make", version="1")), activities=activities)
    asked = f"TypeError: a generator must return a list of tasks, not {returned!r}"
    assert raised.value.failures == {"make": asked}


def test_run_that_times_out_names_its_execution_time_out(activities: Activities) -> None:
    with pytest.raises(floto.WorkflowEnded) as raised:
        run(spec(floto.Signal(id_="s", signal_name="s"), execution_timeout=1), activities=activities)
    assert (raised.value.how, raised.value.details) == ("TIMED_OUT", "its execution time-out is 1 s")


def test_children_on_other_task_lists_are_served(activities: Activities) -> None:
    inner = spec(task("echo", task_list="inner work"), task_list="inner decisions")
    child = floto.ChildWorkflow(
        id_="child", workflow_type_name="child", workflow_type_version="1", spec=inner, input=7
    )
    outer = spec(child, task("echo", "outer"), default_activity_task_list="outer work")
    result = run(outer, activities=activities, timeout=30)
    assert result["child"]["echo"] == {"workflow": {"child_workflow_task": 7}}


def test_child_without_a_spec_fails_instead_of_using_its_parents_spec(activities: Activities) -> None:
    child = floto.ChildWorkflow(id_="child", workflow_type_name="other", workflow_type_version="1")
    with pytest.raises(floto.WorkflowFailed) as raised:
        run(spec(child), activities=activities, timeout=30)
    assert "no spec for workflow type 'other' version '1'" in raised.value.failures["child"]


def test_runs_of_different_specs_in_one_service_are_isolated(
    service: SqliteService, activities: Activities
) -> None:
    """A run that was left open is not decided by the spec of the next one."""
    left_open(spec(task("linger")), service, activities, "a")
    assert run(spec(task("echo")), service=service, activities=activities, workflow_id="b") == {"echo": {}}
    assert run(spec(task("linger")), service=service, activities=activities, workflow_id="a") == {
        "linger": True
    }


def test_terminated_run_raises_with_the_close_status(service: SqliteService, activities: Activities) -> None:
    def terminate(state: State) -> None:
        if state.closed is None:
            service.terminate_workflow_execution("w", "enough")

    with pytest.raises(floto.WorkflowEnded, match="TERMINATED: enough"):
        run(
            spec(floto.Timer(id_="long", delay_in_seconds=3600)),
            service=service,
            activities=activities,
            workflow_id="w",
            listener=terminate,
        )


def test_run_follows_a_workflow_that_continues_as_new(service: SqliteService, activities: Activities) -> None:
    runs: list[str] = []

    def end_after_three(state: State) -> None:
        assert state.execution is not None
        if state.execution.run_id not in runs:
            runs.append(state.execution.run_id)
            # Whichever run is open by now: there always is one.
            if len(runs) == 3:
                service.terminate_workflow_execution("w")

    with pytest.raises(floto.WorkflowEnded, match="TERMINATED: OPERATOR_INITIATED"):
        run(
            spec(task("nap", input=0.1), repeat_workflow=True),
            service=service,
            activities=activities,
            workflow_id="w",
            listener=end_after_three,
            timeout=60,
        )
    assert len(runs) >= 3
    changed = spec(task("nap", input=0.2), repeat_workflow=True)
    assert (
        {recorded(fold(service.history(WorkflowExecution("w", each)))) for each in runs}
        == {fingerprint(spec(task("nap", input=0.1), repeat_workflow=True), floto.CODEC)}
        != {fingerprint(changed, floto.CODEC)}
    )


def test_error_of_the_decider_is_raised_to_the_caller(
    service: SqliteService, activities: Activities, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        msg = "a bug in the decider"
        raise ZeroDivisionError(msg)

    monkeypatch.setattr("floto.runtime.deciders.decider.decisions", broken)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run(spec(task("echo")), service=service, activities=activities, workflow_id="w", timeout=30)
    info = service.latest_execution("w")
    assert info is not None
    assert info.close_status is None, "a bug must not fail the run"


def test_interrupt_finishes_running_activities_and_leaves_the_run_open(
    service: SqliteService, activities: Activities, leaving: threading.Event
) -> None:
    @activities.activity(name="interrupted", version="1")
    def interrupted() -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        return leaving.wait(60)

    tasks = spec(
        task("interrupted"), floto.Timer(id_="later", delay_in_seconds=3600, requires=["interrupted"])
    )
    with pytest.raises(KeyboardInterrupt):
        run(tasks, service=service, activities=activities, workflow_id="w")
    info = service.latest_execution("w")
    assert info is not None
    assert info.close_status is None
    data = [event.data for event in service.history(info.execution)]
    assert [item.result for item in data if isinstance(item, e.ActivityTaskCompleted)] == ["true"]
    assert info.workflow_type == WORKFLOW_TYPE


def test_wait_for_an_unavailable_service_can_be_interrupted(
    service: SqliteService, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[None] = []

    def prepare(*_: Any) -> None:
        calls.append(None)
        if len(calls) == 2:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        raise DOWN

    monkeypatch.setattr(service, "prepare", prepare)
    with pytest.raises(KeyboardInterrupt):
        run(spec(task("echo")), service=service)


def test_a_second_interrupt_does_not_wait(
    service: SqliteService, activities: Activities, leaving: threading.Event
) -> None:
    gone = threading.Event()

    @activities.activity(name="stuck", version="1")
    def stuck() -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        leaving.wait(60)
        os.kill(os.getpid(), signal.SIGINT)
        return gone.wait(60)

    with pytest.raises(KeyboardInterrupt):
        run(spec(task("stuck")), service=service, activities=activities, workflow_id="w")
    info = service.latest_execution("w")
    assert info is not None
    data = [event.data for event in service.history(info.execution)]
    assert not any(isinstance(item, e.ActivityTaskCompleted) for item in data)
    gone.set()


def test_two_concurrent_calls_share_one_run(tmp_path: Path, activities: Activities) -> None:
    url = f"sqlite:///{tmp_path / 'f.db'}"
    tasks = spec(*(task("echo", f"t{number}", input=number) for number in range(20)))
    results: list[Any] = []

    def one() -> None:
        results.append(run(tasks, service=url, activities=activities, workflow_id="w", timeout=60))

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert results[0] == results[1]


def test_generated_tasks_on_other_task_lists_are_served() -> None:
    activities = Activities()

    @activities.generator(name="split", version="1")
    def split() -> list[floto.ActivityTask]:
        return [floto.ActivityTask(name="part", version="1", id_="part", task_list="elsewhere")]

    @activities.activity(name="part", version="1")
    def part() -> str:
        return "done"

    spec = floto.DeciderSpec(activity_tasks=[floto.Generator(name="split", version="1", id_="split")])
    assert floto.run(spec, activities=activities, timeout=20)["part"] == "done"


@pytest.mark.parametrize("workflow_id", ["order:42", "o" * 256, ":" * 256, " order  "])
def test_task_lists_are_valid_for_any_workflow_id(
    service: SqliteService, activities: Activities, workflow_id: str
) -> None:
    result = run(
        spec(task("echo")), service=service, activities=activities, workflow_id=workflow_id, timeout=60
    )
    assert result == {"echo": {}}


def test_different_workflow_ids_have_different_task_lists() -> None:
    ids = ["a:b", "a-b", "a:c", "x" * 256, "x" * 255 + "y"]
    assert len(set(map(own_list, ids))) == len(ids)


def test_closing_the_service_ends_the_call(service: SqliteService, activities: Activities) -> None:
    threading.Timer(0.3, service.close).start()
    timer = floto.Timer(id_="t", delay_in_seconds=60)
    with pytest.raises(ServiceError, match="closed"):
        run(spec(timer), service=service, activities=activities, timeout=30)


def test_service_defaults_to_environment_then_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = floto.DeciderSpec(activity_tasks=[floto.Timer(id_="t", delay_in_seconds=0)])
    monkeypatch.delenv("FLOTO_SERVICE", raising=False)
    monkeypatch.chdir(tmp_path)
    floto.run(spec, timeout=60)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("FLOTO_SERVICE", "sqlite:///named.db")
    floto.run(spec, workflow_id="by the variable", timeout=60)
    floto.run(spec, workflow_id="by the argument", service="sqlite:///other.db", timeout=60)
    for file, expected in (("named.db", "by the variable"), ("other.db", "by the argument")):
        with floto.LocalSwf(file) as client:
            [info] = client.list_closed_workflow_executions(
                domain="floto", startTimeFilter={"oldestDate": 0}
            )["executionInfos"]
            assert info["execution"]["workflowId"] == expected


@pytest.mark.parametrize("missing", ["region", "credentials"])
def test_missing_aws_configuration_raises_with_advice(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_") or name == "FLOTO_SERVICE"]:
        monkeypatch.delenv(name)
    # boto3's session keeps the credentials that an earlier test had in its environment.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    if missing == "credentials":
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    spec = floto.DeciderSpec(activity_tasks=[floto.Timer(id_="t", delay_in_seconds=0)])
    with pytest.raises(floto.ServiceFault, match="or set FLOTO_SERVICE, or name a service"):
        floto.run(spec, service="aws", timeout=60)


def test_payloads_may_be_the_name_of_a_directory(tmp_path: Path) -> None:
    found = Activities()
    value = os.urandom(50_000).hex()
    found.activity(name="long", version="1")(lambda: value)
    spec = floto.DeciderSpec(activity_tasks=[floto.ActivityTask(id_="long", name="long", version="1")])
    directory = tmp_path / "payloads"
    result = floto.run(spec, service="memory:", activities=found, payloads=str(directory))
    assert result == {"long": value}
    assert any(directory.iterdir())


def test_error_of_a_listener_is_raised_although_it_is_one_of_a_service() -> None:
    error = ServiceUnavailable("the metrics are away")

    def listener(_state: State) -> None:
        raise error

    timer = floto.DeciderSpec(activity_tasks=[floto.Timer(id_="t", delay_in_seconds=0)])
    with pytest.raises(ServiceUnavailable) as raised:
        run(timer, listener=listener)
    assert raised.value is error
