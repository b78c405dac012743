"""SWF's constraints: requests and typed commands are accepted and refused alike, in the same words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from floto.adapters import model
from floto.core.engine import commands as c
from floto.core.engine.command_checks import check_command
from floto.core.engine.tokens import TaskKind, Token
from floto.core.errors import ServiceFault
from floto.core.swf.decisions import DECISION_TYPES
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowType
from floto.core.swf.wire import camel, decision_to_swf, write
from tests.property.setup import SETTINGS

TOKEN = Token("d", "r", TaskKind.ACTIVITY, 2, 3)
#: The commands of clients, and SWF's operation of each; Lambda functions report to no operation.
COMMANDS = {
    c.StartWorkflowExecution: "StartWorkflowExecution",
    c.SignalWorkflowExecution: "SignalWorkflowExecution",
    c.TerminateWorkflowExecution: "TerminateWorkflowExecution",
    c.StartDecisionTask: "PollForDecisionTask",
    c.StartActivityTask: "PollForActivityTask",
    c.RespondDecisionTaskCompleted: "RespondDecisionTaskCompleted",
    c.RespondActivityTaskCompleted: "RespondActivityTaskCompleted",
    c.RespondActivityTaskFailed: "RespondActivityTaskFailed",
    c.RespondActivityTaskCanceled: "RespondActivityTaskCanceled",
    c.RecordActivityTaskHeartbeat: "RecordActivityTaskHeartbeat",
}
#: Fields of commands that do not come from the request.
INTERNAL = {"sender", "cause", "token", "scheduled_event_id"}
#: Members of requests that are no field of the command, each with a valid value.
VALID = {
    "domain": "d",
    "workflowId": "w",
    "taskToken": "t",
    "taskList": {"name": "l"},
}

SIZES = (63, 64, 65, 255, 256, 257, 1_600, 1_601, 2_048, 2_049, 32_768, 32_769)
TEXTS = st.one_of(
    st.sampled_from(["", " ", "arn", "a:b", "a/b", "a|b", " a", "a ", "a\n", "\x9f", "NONE", "TERMINATE"]),
    st.sampled_from(
        ["0", "00", "900", "901", "99999999", "123456789", "2147483647", "2147483648", "-1", "٣"]
    ),
    st.sampled_from(SIZES).map("x".__mul__),
    st.text(max_size=9),
    st.integers(-(2**32), 2**32).map(str),
)
TAGS = st.lists(TEXTS | st.none(), max_size=6).map(tuple)
MAYBE = st.none() | TEXTS


def nested(cls: Any) -> st.SearchStrategy[Any]:
    return st.none() | st.builds(cls, **{field.name: MAYBE for field in attrs.fields(cls)})


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "tag_list": st.none() | TAGS,
    "task_list": nested(TaskList),
    "activity_type": nested(ActivityType),
    "workflow_type": nested(WorkflowType),
}


def built(cls: Any) -> st.SearchStrategy[Any]:
    names = [field.name for field in attrs.fields(cls) if field.name not in INTERNAL]
    fixed = {"token": TOKEN, "scheduled_event_id": 1}
    given = {field.name: st.just(fixed[field.name]) for field in attrs.fields(cls) if field.name in fixed}
    return st.builds(cls, **given, **{name: VALUES.get(name, MAYBE) for name in names})


VALUES["decisions"] = st.lists(
    st.sampled_from(sorted(DECISION_TYPES)).flatmap(lambda name: built(DECISION_TYPES[name])), max_size=3
).map(tuple)


def request_of(command: Any) -> dict[str, Any]:
    """Return the request of a command, with a valid value for each member that the command lacks."""
    members = {"token", "scheduled_event_id", "sender", "cause", "decisions"}
    fields = attrs.asdict(command, recurse=False)
    own = {name: value for name, value in fields.items() if name not in members and value is not None}
    request = {camel(name): write(value) if attrs.has(type(value)) else value for name, value in own.items()}
    if isinstance(command, c.RespondDecisionTaskCompleted):
        request["decisions"] = [decision_to_swf(decision) for decision in command.decisions]
    given = {camel(name) for name in fields}
    shape = model.input_shape(COMMANDS[type(command)])
    missing = {name: VALID[name] for name in shape.required_members if name not in given}
    return {**missing, **request}


def message(call: Callable[[], object]) -> str | None:
    try:
        call()
    except ServiceFault as fault:
        return fault.message
    return None


@pytest.mark.parametrize("cls", COMMANDS, ids=lambda cls: cls.__name__)
def test_a_request_and_its_command_are_refused_in_the_same_words(cls: type) -> None:
    @SETTINGS
    @given(built(cls))
    def agree(command: Any) -> None:
        request = request_of(command)
        expected = message(lambda: model.check(COMMANDS[cls], request))
        assert message(lambda: check_command(command)) == expected

    agree()
