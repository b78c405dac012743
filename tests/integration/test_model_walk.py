"""Every operation of SWF is called here, and answers with all that its model says an answer may hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from floto.adapters.model import OPERATIONS, faults_of, input_shape
from floto.core.engine.tokens import TaskKind, Token
from floto.core.swf import limits
from tests.integration.contract.backends import Local
from tests.integration.contract.clock import Clock
from tests.integration.contract.stage import ACTIVITY, WORKFLOW, Stage
from tests.integration.model_steps import ALL, ARN, OLD, walk
from tests.integration.recording import Item, Recording, answerable

_NOBODY_ASKS = "there is no IAM on one's own machine: every caller may do everything"
_NO_RATES = "nothing is throttled: the only limit to how fast calls come is the machine"

#: What an answer may hold by the model, and never does here, by shape or operation; and why.
UNREACHABLE: Mapping[tuple[str, str], str] = {
    ("*", "OperationNotPermittedFault"): _NOBODY_ASKS,
    ("*", "OPERATION_NOT_PERMITTED"): _NOBODY_ASKS,
    ("*", "RecordMarkerFailed"): _NOBODY_ASKS,
    ("*", "recordMarkerFailedEventAttributes"): _NOBODY_ASKS,
    ("RecordMarkerFailedEventAttributes", "*"): _NOBODY_ASKS,
    ("*", "CONTINUE_AS_NEW_WORKFLOW_EXECUTION_RATE_EXCEEDED"): _NO_RATES,
    ("*", "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_RATE_EXCEEDED"): _NO_RATES,
    ("*", "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_RATE_EXCEEDED"): _NO_RATES,
    ("*", "ACTIVITY_CREATION_RATE_EXCEEDED"): _NO_RATES,
    ("*", "TIMER_CREATION_RATE_EXCEEDED"): _NO_RATES,
    ("*", "CHILD_CREATION_RATE_EXCEEDED"): _NO_RATES,
    ("*", "LAMBDA_FUNCTION_CREATION_RATE_EXCEEDED"): _NO_RATES,
    ("TagResource", "LimitExceededFault"): _NO_RATES,
    ("UntagResource", "LimitExceededFault"): _NO_RATES,
    ("ListTagsForResource", "LimitExceededFault"): _NO_RATES,
}


def is_reachable(item: Item) -> bool:
    shape, name = item
    return not UNREACHABLE.keys() & {item, ("*", name), (shape, "*")}


class Recorded(Local):
    """The service in this process, with its responses recorded."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, Clock())
        self.seen: set[Item] = set()

    def open(self, **options: Any) -> None:
        super().open(**options)
        self.client = Recording(self.client, self.seen)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Recorded]:
    backend = Recorded(tmp_path / "swf.db")
    backend.open()
    yield backend
    backend.close()


def refused(fault: str, call: Callable[..., Any], **request: Any) -> None:
    with pytest.raises(ClientError) as raised:
        call(**request)
    assert raised.value.response["Error"]["Code"] == fault


def refusals(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """Cause every fault but those of limits: of missing, existing and unusable resources."""
    unknown_resources(stage)
    client, domain = stage.client, {"domain": stage.domain}
    for kind, old in (("workflow", OLD), ("activity", OLD)):
        refused(
            "TypeDeprecatedFault", getattr(client, f"deprecate_{kind}_type"), **domain, **{f"{kind}Type": old}
        )
        made = {**domain, f"{kind}Type": WORKFLOW if kind == "workflow" else ACTIVITY}
        refused("TypeNotDeprecatedFault", getattr(client, f"delete_{kind}_type"), **made)
        refused("TypeAlreadyExistsFault", getattr(client, f"undeprecate_{kind}_type"), **made)
        refused("TypeAlreadyExistsFault", getattr(client, f"register_{kind}_type"), **domain, **OLD)
    start = {**domain, "workflowId": "wf", "workflowType": WORKFLOW}
    stage.start()
    refused("WorkflowExecutionAlreadyStartedFault", client.start_workflow_execution, **start)
    refused("TypeDeprecatedFault", client.start_workflow_execution, **{**start, "workflowType": OLD})
    bare = {**start, "workflowId": "b", "workflowType": {"name": "bare", "version": "1"}}
    refused("DefaultUndefinedFault", client.start_workflow_execution, **bare)
    days = {"workflowExecutionRetentionPeriodInDays": "1"}
    refused("DomainAlreadyExistsFault", client.register_domain, name=stage.domain, **days)
    refused("DomainAlreadyExistsFault", client.undeprecate_domain, name=stage.domain)
    client.deprecate_domain(name="e")
    refused("DomainDeprecatedFault", client.deprecate_domain, name="e")
    full(stage, patch)


def full(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """The faults of limits, where there is room for nothing more."""
    client, domain = stage.client, {"domain": stage.domain}
    for limit in ("DOMAIN_LIMIT", "TYPE_LIMIT", "OPEN_RUN_LIMIT", "POLLER_LIMIT", "TAG_LIMIT"):
        patch.setattr(limits, limit, 0)
    days = {"workflowExecutionRetentionPeriodInDays": "1"}
    tags = [{"key": "k"}]
    refused("LimitExceededFault", client.register_domain, name="f", **days)
    refused("TooManyTagsFault", client.register_domain, name="f", **days, tags=tags)
    refused("TooManyTagsFault", client.tag_resource, resourceArn=ARN.format(stage.domain), tags=tags)
    for kind in ("workflow", "activity"):
        refused(
            "LimitExceededFault", getattr(client, f"register_{kind}_type"), **domain, name="f", version="1"
        )
    for kind in ("decision", "activity"):
        poll = getattr(client, f"poll_for_{kind}_task")
        refused("LimitExceededFault", poll, **domain, taskList={"name": "nothing here"})
    refused(
        "LimitExceededFault",
        client.start_workflow_execution,
        **domain,
        workflowId="f",
        workflowType=WORKFLOW,
    )


def unknown_resources(stage: Stage) -> None:
    """Request resources that do not exist."""
    for operation in OPERATIONS:
        if "UnknownResourceFault" in faults_of(operation):
            # What closed runs are asked by is optional in the model, and one of two in SWF's words.
            more = ALL if "Closed" in operation else {}
            request = _filled(input_shape(operation), operation) | more
            refused("UnknownResourceFault", getattr(stage.client, xform_name(operation)), **request)


def _filled(shape: Any, operation: str) -> dict[str, Any]:
    """Return the required members only, all with the same name."""
    members = {name: shape.members[name] for name in shape.required_members}
    return {name: _value(member, operation) for name, member in members.items()}


def _value(shape: Any, operation: str) -> Any:
    if shape.name == "TaskToken":
        return _token(operation)
    if shape.name == "Arn":
        return ARN.format("nowhere")
    made: dict[str, Callable[[], Any]] = {
        "structure": lambda: _filled(shape, operation),
        "list": lambda: [_value(shape.member, operation)],
        "string": lambda: shape.enum[0] if shape.enum else "nowhere",
        "timestamp": lambda: 0,
    }
    return made[shape.type_name]()


def _token(operation: str) -> str:
    """A token like those of tasks, of a run that never was."""
    kind = TaskKind.DECISION if "Decision" in operation else TaskKind.ACTIVITY
    return str(Token("nowhere", "nowhere", kind, 1, 1))


def test_every_reachable_output_member_is_returned(
    backend: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(backend)
    stage.prepare()
    walk(stage, monkeypatch)
    refusals(stage, monkeypatch)
    missing = {item for item in answerable() - backend.seen if is_reachable(item)}
    assert not missing, sorted(missing)


def test_members_listed_as_unreachable_exist_in_the_model() -> None:
    """No exception outlives what it was made for."""
    for shape, name in UNREACHABLE:
        assert any(shape in ("*", item[0]) and name in ("*", item[1]) for item in answerable())


def test_walk_detects_missing_output_members(backend: Recorded) -> None:
    Stage(backend).prepare()
    assert ("RegisterDomain", "answers") in backend.seen
    assert len({item for item in answerable() - backend.seen if is_reachable(item)}) > 500
