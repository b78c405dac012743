"""``floto.run`` with a workflow id that was used before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

import floto
from floto.adapters.sqlite import SqliteService
from floto.core.errors import ServiceFault
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowType
from floto.payloads import DirectoryStore
from floto.runtime.runs.run import run
from floto.runtime.workers.activities import Activities
from tests.runs import left_open, spec, task

ALREADY_STARTED = ServiceFault("WorkflowExecutionAlreadyStartedFault", "")


def test_completed_run_returns_its_result_without_running(
    service: SqliteService, activities: Activities
) -> None:
    first = run(spec(task("echo")), 1, service=service, activities=activities, workflow_id="w")
    elsewhere = spec(task("echo"), task_list="elsewhere")
    assert run(elsewhere, 1, service=service, activities=Activities(), workflow_id="w") == first
    assert run(elsewhere, service=service, activities=Activities(), workflow_id="w") == first


def test_result_of_a_run_with_another_input_is_not_returned(
    service: SqliteService, activities: Activities
) -> None:
    run(spec(task("echo")), {"n": 1}, service=service, activities=activities, workflow_id="w")
    with pytest.raises(
        floto.WrongWorkflow, match=r"completed with another input.*'n': 1.*not.*'n': 2"
    ) as raised:
        run(spec(task("echo")), {"n": 2}, service=service, activities=activities, workflow_id="w")
    assert "another workflow_id" in str(raised.value)


def test_equal_input_in_another_json_form_is_the_same_input(
    service: SqliteService, activities: Activities
) -> None:
    first = run(
        spec(task("echo")), {"a": 1, "b": [2]}, service=service, activities=activities, workflow_id="w"
    )
    again = run(
        spec(task("echo")), {"b": (2,), "a": 1}, service=service, activities=activities, workflow_id="w"
    )
    assert again == first


def test_input_kept_in_a_store_is_compared_by_its_value(
    service: SqliteService, activities: Activities, tmp_path: Path
) -> None:
    store = DirectoryStore(tmp_path / "payloads")
    options: dict[str, Any] = {
        "service": service,
        "activities": activities,
        "workflow_id": "w",
        "payloads": store,
    }
    long = {"text": [str(number) for number in range(60_000)]}
    run(spec(floto.Timer(id_="t", delay_in_seconds=0)), long, **options)
    assert run(spec(floto.Timer(id_="t", delay_in_seconds=0)), long, **options) == {}
    with pytest.raises(floto.WrongWorkflow, match="another input"):
        run(spec(floto.Timer(id_="t", delay_in_seconds=0)), {"text": []}, **options)


def test_result_of_a_run_of_another_spec_is_not_returned(
    service: SqliteService, activities: Activities
) -> None:
    run(spec(task("echo")), service=service, activities=activities, workflow_id="w")
    with pytest.raises(floto.WrongWorkflow, match="'w' has completed with another spec"):
        run(spec(task("echo", input=1)), service=service, activities=activities, workflow_id="w")


@frozen
class Again:
    """A strategy of a user's own."""

    most: int

    def delay(self, retry: floto.Retry) -> float | None:
        return 0 if retry.number <= self.most else None


def test_result_of_a_run_of_another_spec_with_an_own_strategy_is_not_returned(
    service: SqliteService, activities: Activities
) -> None:
    def again(name: str, strategy: Again | None, **options: Any) -> Any:
        own = spec(task(name, retry_strategy=strategy))
        return run(own, service=service, activities=activities, workflow_id="w", **options)

    first = again("echo", Again(1))
    known = floto.CODEC.with_type("mine.Again", Again)
    assert again("echo", Again(1)) == again("echo", Again(1), codec=known) == first
    for name, strategy in (("fail", Again(1)), ("echo", Again(2)), ("echo", None)):
        with pytest.raises(floto.WrongWorkflow, match="'w' has completed with another spec"):
            again(name, strategy)


def test_open_run_of_another_spec_is_refused_without_take_over(
    service: SqliteService, activities: Activities, caplog: pytest.LogCaptureFixture
) -> None:
    linger = task("linger")
    left_open(spec(linger), service, activities)
    changed = spec(linger, task("echo", requires=[linger]))
    with pytest.raises(floto.WrongWorkflow, match="begun with another spec") as raised:
        run(changed, service=service, activities=activities, workflow_id="w", timeout=60)
    digests = [floto.spec_tags(each)[0].rpartition(":")[2] for each in (spec(linger), changed)]
    assert all(digest in str(raised.value) for digest in digests)
    result = run(changed, service=service, activities=activities, workflow_id="w", timeout=60, take_over=True)
    assert "echo" in result
    assert caplog.text.count("was begun with another spec") == 1
    # It is the changed spec's result now, and no longer the first one's.
    assert run(changed, service=service, activities=activities, workflow_id="w") == result
    assert caplog.text.count("was begun with another spec") == 1
    with pytest.raises(floto.WrongWorkflow):
        run(spec(linger), service=service, activities=activities, workflow_id="w")


def test_open_run_without_a_recorded_spec_is_resumed(
    service: SqliteService,
    activities: Activities,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as before:
        before.setattr("floto.runtime.runs.run.spec_tags", lambda _spec, _codec: ())
        first = run(spec(task("echo")), service=service, activities=activities, workflow_id="w")
    assert run(spec(task("fail")), service=service, activities=activities, workflow_id="w") == first
    assert "another spec" not in caplog.text


def test_failed_run_is_started_again(service: SqliteService, activities: Activities) -> None:
    with pytest.raises(floto.WorkflowFailed):
        run(spec(task("fail")), service=service, activities=activities, workflow_id="w")
    assert run(spec(task("echo")), service=service, activities=activities, workflow_id="w") == {"echo": {}}


def test_open_run_of_another_input_is_refused_and_resumes_without_input(
    tmp_path: Path, activities: Activities
) -> None:
    url = f"sqlite:///{tmp_path / 'f.db'}"
    linger = task("linger")
    tasks = spec(linger, task("echo", requires=[linger]))
    with pytest.raises(TimeoutError, match="with the same workflow_id to resume it"):
        run(tasks, 1, service=url, activities=activities, workflow_id="w", timeout=0.1)
    with pytest.raises(floto.WrongWorkflow, match=r"begun with another input \(1, not 2\)"):
        run(tasks, 2, service=url, activities=activities, workflow_id="w")
    result = run(tasks, service=url, activities=activities, workflow_id="w")
    assert result["echo"]["workflow"] == 1


@pytest.mark.parametrize("other", [{"spec": spec(task("fail"))}, {"input": 7}])
def test_run_started_concurrently_is_checked_too(
    service: SqliteService, activities: Activities, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    own: dict[str, Any] = {"spec": spec(task("echo")), "input": 1}
    start = service.start_workflow_execution

    def late(_request: StartRequest) -> str:
        monkeypatch.setattr(service, "start_workflow_execution", start)
        left_open_as(**{**own, **other})
        raise ALREADY_STARTED

    def left_open_as(spec: floto.DeciderSpec, input: Any) -> None:
        with pytest.raises(TimeoutError):
            run(spec, input, service=service, activities=activities, workflow_id="w", timeout=0)

    monkeypatch.setattr(service, "start_workflow_execution", late)
    with pytest.raises(floto.WrongWorkflow, match="another"):
        run(**own, service=service, activities=activities, workflow_id="w")


def test_run_started_concurrently_is_resumed(
    service: SqliteService, activities: Activities, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = service.start_workflow_execution

    def late(request: StartRequest) -> str:
        start(request)
        raise ALREADY_STARTED

    monkeypatch.setattr(service, "start_workflow_execution", late)
    assert run(spec(task("echo")), service=service, activities=activities) == {"echo": {}}


@pytest.mark.parametrize("before", [{}, {"task_list": "old", "default_activity_task_list": "old work"}])
def test_open_run_resumes_after_its_task_lists_changed(
    service: SqliteService, activities: Activities, before: dict[str, str]
) -> None:
    tasks = [task("linger"), task("echo", "last", requires=["linger"])]
    left_open(spec(*tasks, **before), service, activities)
    changed = spec(*tasks, task_list="new", default_activity_task_list="new work")
    assert "last" in run(changed, service=service, activities=activities, workflow_id="w", timeout=60)


def test_child_of_an_open_run_resumes_after_its_task_lists_changed(
    service: SqliteService, activities: Activities
) -> None:
    def family(which: str) -> floto.DeciderSpec:
        inner = spec(
            floto.Timer(id_="t", delay_in_seconds=2),
            task("echo", requires=["t"]),
            task_list=f"{which} decisions",
            default_activity_task_list=f"{which} work",
        )
        child = floto.ChildWorkflow(
            id_="child", workflow_type_name="child", workflow_type_version="1", spec=inner
        )
        return spec(child)

    left_open(family("old"), service, activities)
    result = run(
        family("new"), service=service, activities=activities, workflow_id="w", timeout=60, take_over=True
    )
    assert result == {"child": {"echo": {}}}


def test_open_run_of_another_workflow_type_is_refused(service: SqliteService, activities: Activities) -> None:
    service.start_workflow_execution(
        StartRequest(workflow_id="w", workflow_type=WorkflowType("order", "v1"), task_list="theirs")
    )
    with pytest.raises(ValueError, match="workflow 'w' is open with workflow type 'order' version 'v1'"):
        run(spec(task("echo")), service=service, activities=activities, workflow_id="w", timeout=60)


def test_run_missing_from_a_lagging_listing_is_searched_again(
    service: SqliteService, activities: Activities, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, latest = service.start_workflow_execution, service.latest_execution
    with pytest.raises(floto.WorkflowFailed):
        run(spec(task("fail")), service=service, activities=activities, workflow_id="w")
    old = latest("w")
    answers = [old, old, old]

    def late(request: StartRequest) -> str:
        start(request)
        raise ALREADY_STARTED

    def lagging(workflow_id: str) -> Any:
        return answers.pop() if answers else latest(workflow_id)

    monkeypatch.setattr("floto.runtime.retrying.REREAD_SECONDS", 0.01)
    monkeypatch.setattr(service, "start_workflow_execution", late)
    monkeypatch.setattr(service, "latest_execution", lagging)
    result = run(spec(task("echo")), service=service, activities=activities, workflow_id="w", timeout=60)
    assert result == {"echo": {}}
