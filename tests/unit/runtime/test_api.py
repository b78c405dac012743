"""SWF's simple API: what it sends, what it gives back, and what its errors say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import floto
import floto.api
from floto import LocalSwf
from floto.adapters.model import input_shape
from floto.api import ActivityType, Swf, WorkflowType
from floto.core.payloads import payload
from floto.core.swf import wire
from floto.runtime.api import Started, _tagged
from floto.testing.strategies import json_values, specs
from tests.property.setup import SETTINGS

DOMAIN = "shop"
FLOW = WorkflowType(domain=DOMAIN, name="flow", version="v1")


@pytest.fixture
def swf() -> Iterator[Swf]:
    with Swf(client=LocalSwf(":memory:")) as swf:
        yield swf


@pytest.fixture
def ready(swf: Swf) -> Swf:
    swf.domains.register_domain(DOMAIN)
    swf.register_workflow_type(FLOW)
    return swf


def start(swf: Swf, **more: Any) -> Started:
    settings = {"domain": DOMAIN, "workflow_type_name": "flow", "workflow_type_version": "v1", **more}
    return swf.start_workflow_execution(**settings)


def started(swf: Swf, execution: floto.WorkflowExecution) -> dict[str, Any]:
    """Return the attributes of WorkflowExecutionStarted."""
    history = swf.client.get_workflow_execution_history(domain=DOMAIN, execution=wire.write(execution))
    attributes: dict[str, Any] = history["events"][0]["workflowExecutionStartedEventAttributes"]
    return attributes


@pytest.mark.parametrize("kind", [WorkflowType, ActivityType])
def test_types_have_exactly_the_attributes_of_swf(kind: type) -> None:
    operation = f"Register{kind.__name__}"
    assert {field.wire for field in wire.fields_of(kind)} == set(input_shape(operation).members)


def test_second_registration_keeps_the_defaults_of_a_type(ready: Swf) -> None:
    ready.register_workflow_type(attrs.evolve(FLOW, default_task_list="elsewhere"))
    kind = {"name": "flow", "version": "v1"}
    described = ready.client.describe_workflow_type(domain=DOMAIN, workflowType=kind)["configuration"]
    assert described == {
        "defaultTaskList": {"name": "floto"},
        "defaultExecutionStartToCloseTimeout": "31536000",
        "defaultTaskStartToCloseTimeout": "60",
        "defaultChildPolicy": "TERMINATE",
    }


def test_none_defaults_are_not_registered(ready: Swf) -> None:
    ready.register_activity_type(
        ActivityType(
            domain=DOMAIN,
            name="pay",
            version="v1",
            description="takes money",
            default_task_list=None,
            default_task_heartbeat_timeout=None,
            default_task_start_to_close_timeout=30,
            default_task_priority=7,
        )
    )
    kind = {"name": "pay", "version": "v1"}
    described = ready.client.describe_activity_type(domain=DOMAIN, activityType=kind)
    assert described["typeInfo"]["description"] == "takes money"
    assert described["configuration"] == {
        "defaultTaskScheduleToStartTimeout": "NONE",
        "defaultTaskScheduleToCloseTimeout": "NONE",
        "defaultTaskStartToCloseTimeout": "30",
        "defaultTaskPriority": "7",
    }


def test_existing_domain_is_unchanged(swf: Swf) -> None:
    swf.domains.register_domain(DOMAIN, retention_days=3, description="ours")
    swf.domains.register_domain(DOMAIN, retention_days=9)
    described = swf.client.describe_domain(name=DOMAIN)
    assert described["configuration"] == {"workflowExecutionRetentionPeriodInDays": "3"}
    assert described["domainInfo"]["description"] == "ours"


def test_start_passes_on_all_arguments(ready: Swf) -> None:
    execution = start(
        ready,
        workflow_id="w",
        task_list="decide",
        input=[1, "ä"],
        execution_start_to_close_timeout=60,
        task_start_to_close_timeout="NONE",
        child_policy="ABANDON",
        task_priority=3,
        tags=["a", "b"],
    )
    assert execution.workflow_id == "w"
    assert started(ready, execution) == {
        "workflowType": {"name": "flow", "version": "v1"},
        "taskList": {"name": "decide"},
        "input": '[1,"ä"]',
        "executionStartToCloseTimeout": "60",
        "taskStartToCloseTimeout": "NONE",
        "childPolicy": "ABANDON",
        "taskPriority": "3",
        "tagList": ["a", "b"],
        "parentInitiatedEventId": 0,
    }


def test_omitted_arguments_come_from_the_type_and_input_is_optional(ready: Swf) -> None:
    execution = start(ready)
    assert execution.workflow_id == "flow_v1"
    said = started(ready, execution)
    assert (said["taskList"], said["taskStartToCloseTimeout"]) == ({"name": "floto"}, "60")
    assert "input" not in said


def test_second_start_with_the_default_workflow_id_finds_the_first_open(ready: Swf) -> None:
    start(ready)
    with pytest.raises(floto.ServiceFault, match=r"AlreadyStarted.*in use by an open run"):
        start(ready)
    ready.terminate_workflow_execution(domain=DOMAIN, workflow_id="flow_v1")
    assert start(ready).workflow_id == "flow_v1"


def test_started_run_reads_as_the_response_of_boto3(ready: Swf) -> None:
    response = start(ready, workflow_id="w")
    assert response["runId"] == response.run_id
    with pytest.raises(KeyError):
        response["workflowId"]
    same = floto.WorkflowExecution("w", response.run_id)
    assert (response, hash(response)) == (same, hash(same))
    assert same == response
    assert response != floto.WorkflowExecution("w", "other")


@pytest.mark.parametrize("value", [0, [], {}, False])
def test_falsy_input_is_sent(ready: Swf, value: Any) -> None:
    assert json.loads(started(ready, start(ready, input=value))["input"]) == value


@pytest.mark.parametrize("text", ["", "plain", '{"a": 1}', "5"])
def test_text_is_sent_unchanged(ready: Swf, text: str) -> None:
    execution = start(ready, input=text)
    assert started(ready, execution)["input"] == text
    ready.signal_workflow_execution(
        domain=DOMAIN, workflow_id=execution.workflow_id, signal_name="go", input=text
    )
    history = ready.client.get_workflow_execution_history(domain=DOMAIN, execution=wire.write(execution))
    [signal] = [event for event in history["events"] if event["eventType"] == "WorkflowExecutionSignaled"]
    assert signal["workflowExecutionSignaledEventAttributes"]["input"] == text


def test_text_that_is_too_long_is_refused_with_advice(ready: Swf) -> None:
    with pytest.raises(floto.PayloadError, match=r"the workflow's input is 32,769 characters long"):
        start(ready, input="x" * 32_769)
    assert started(ready, start(ready, input="x" * 32_768))["input"] == "x" * 32_768


_with_specs = st.recursive(
    specs() | json_values(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)


def _same(read: Any, given: Any) -> bool:
    if isinstance(given, floto.DeciderSpec):
        return bool(floto.CODEC.structure(read) == given)
    if isinstance(given, dict):
        return read.keys() == given.keys() and all(_same(read[key], item) for key, item in given.items())
    if isinstance(given, list):
        return len(read) == len(given) and all(map(_same, read, given))
    return bool(read == given)


@SETTINGS
@given(_with_specs)
def test_specs_anywhere_in_an_input_are_read_back_equal(value: Any) -> None:
    """A spec at any depth is sent as the codec's JSON, and the rest unchanged."""
    assert _same(payload.loads(payload.encode(_tagged(value, floto.CODEC), "it")), value)


def test_a_signal_carries_a_spec(ready: Swf) -> None:
    spec = floto.DeciderSpec(activity_tasks=[floto.ActivityTask(name="pay", version="v1")])
    execution = start(ready, workflow_id="w")
    ready.signal_workflow_execution(
        domain=DOMAIN, workflow_id="w", signal_name="go", input={"decider_spec": spec, "n": (1,)}
    )
    history = ready.client.get_workflow_execution_history(domain=DOMAIN, execution=wire.write(execution))
    [signal] = [
        event["workflowExecutionSignaledEventAttributes"]
        for event in history["events"]
        if event["eventType"] == "WorkflowExecutionSignaled"
    ]
    said = json.loads(signal["input"])
    assert said["n"] == [1]
    assert said["decider_spec"]["type"] == "floto.specs.DeciderSpec"
    assert floto.CODEC.structure(said["decider_spec"]) == spec


def test_run_is_canceled_and_terminated(ready: Swf) -> None:
    start(ready, workflow_id="w")
    ready.request_cancel_workflow_execution(domain=DOMAIN, workflow_id="w")
    info = ready.latest_execution(domain=DOMAIN, workflow_id="w")
    assert info is not None
    assert ready.client.describe_workflow_execution(domain=DOMAIN, execution=wire.write(info.execution))[
        "executionInfo"
    ]["cancelRequested"]
    ready.terminate_workflow_execution(domain=DOMAIN, workflow_id="w", reason="enough")
    info = ready.latest_execution(domain=DOMAIN, workflow_id="w")
    assert info is not None
    assert info.close_status == "TERMINATED"


def deprecated(swf: Swf) -> None:
    swf.client.deprecate_workflow_type(domain=DOMAIN, workflowType={"name": "flow", "version": "v1"})
    start(swf)


def twice(swf: Swf) -> None:
    start(swf, workflow_id="w")
    start(swf, workflow_id="w")


def bare(swf: Swf) -> None:
    kind = WorkflowType(domain=DOMAIN, name="bare", version="v1", default_child_policy=None)
    swf.register_workflow_type(kind)
    start(swf, workflow_type_name="bare")


MISTAKES: dict[str, tuple[Callable[[Swf], Any], type[Exception], str]] = {
    "no domain to register in": (
        lambda swf: swf.register_workflow_type(attrs.evolve(FLOW, domain="none")),
        floto.UnknownResource,
        r"none.*swf\.domains\.register_domain",
    ),
    "no domain to start in": (
        lambda swf: start(swf, domain="none"),
        floto.UnknownResource,
        r"none.*swf\.domains\.register_domain",
    ),
    "no type": (
        lambda swf: start(swf, workflow_type_name="none"),
        floto.UnknownResource,
        r"none.*swf\.register_workflow_type",
    ),
    "deprecated": (deprecated, floto.ServiceFault, "TypeDeprecatedFault.*register another version"),
    "open": (twice, floto.ServiceFault, "WorkflowExecutionAlreadyStartedFault.*give another"),
    "no default": (bare, floto.ServiceFault, "DefaultUndefinedFault.*give a value at the start"),
    "no run to signal": (
        lambda swf: swf.signal_workflow_execution(domain=DOMAIN, workflow_id="none", signal_name="go"),
        floto.UnknownResource,
        "none.*check the workflow id and the domain",
    ),
    "no run to end": (
        lambda swf: swf.terminate_workflow_execution(domain=DOMAIN, workflow_id="none"),
        floto.UnknownResource,
        "none.*check the workflow id and the domain",
    ),
    "no domain to ask": (
        lambda swf: swf.latest_execution(domain="none", workflow_id="w"),
        floto.UnknownResource,
        "none.*register_domain",
    ),
    "a name that is none": (
        lambda swf: swf.domains.register_domain("a:b"),
        floto.ServiceFault,
        "ValidationException",
    ),
    "no JSON": (
        lambda swf: start(swf, input={"when": b"now"}),
        floto.PayloadError,
        "the workflow's input cannot be written as JSON: bytes is not a string",
    ),
    "too long": (
        lambda swf: swf.signal_workflow_execution(
            domain=DOMAIN, workflow_id="w", signal_name="go", input=Random(1).randbytes(40_000).hex()
        ),
        floto.PayloadError,
        "the input of signal 'go' is .* characters long",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_usage_errors_raise_with_advice(ready: Swf, mistake: str) -> None:
    call, error, message = MISTAKES[mistake]
    with pytest.raises(error, match=message):
        call(ready)


def test_circular_input_is_refused(ready: Swf) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(floto.PayloadError, match="nested too deeply"):
        start(ready, input=endless)


def test_service_is_the_argument_or_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    with Swf(url) as named:
        named.domains.register_domain(DOMAIN)
    monkeypatch.setenv("FLOTO_SERVICE", url)
    with Swf() as default:
        assert default.client.describe_domain(name=DOMAIN)["domainInfo"]["name"] == DOMAIN
    with pytest.raises(floto.UnknownService, match="is not a service URL"):
        Swf("ftp://somewhere")
    with pytest.raises(TypeError, match="not both"):
        Swf(url, client=named.client)


@pytest.mark.parametrize("own", [{}, {"execution_start_to_close_timeout": 99, "child_policy": "TERMINATE"}])
def test_spec_in_the_input_gives_the_settings_that_the_start_leaves_open(
    ready: Swf, own: dict[str, Any]
) -> None:
    spec = floto.DeciderSpec(execution_timeout=77, child_policy="ABANDON")
    begun = start(ready, task_list="l", input={"decider_spec": spec}, **own)
    found = started(ready, begun)
    expected = ("99", "TERMINATE") if own else ("77", "ABANDON")
    assert (found["executionStartToCloseTimeout"], found["childPolicy"]) == expected
