"""Amazon's own model of SWF, as botocore ships it: validates requests and converts responses to JSON.

The model defines the members of each operation, their types, and which are required. Their constraints and
the words of SWF's messages are in ``floto.core.swf.field_validation``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, cast

from botocore.loaders import Loader
from botocore.model import ListShape, ServiceModel, Shape, StructureShape

from floto.core.errors import ServiceFault
from floto.core.swf import wire
from floto.core.swf.decisions import DECISION_TYPES
from floto.core.swf.field_validation import (
    Constraint,
    constraint_of,
    items_of,
    null,
    problem,
    refuse,
)
from floto.core.swf.identifiers import shown
from floto.core.swf.limits import INT32

API_VERSION = "2012-01-25"
_LOADER = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)


def botocore_file(name: str) -> Any:
    """Return a file about SWF that botocore ships; none from the user's home directory is read."""
    # By its path: looking the service up by its name would list the directories of all services.
    return _LOADER.load_data(f"swf/{API_VERSION}/{name}")


MODEL = ServiceModel(botocore_file("service-2"), "swf")
#: SWF's own names of its operations.
OPERATIONS: tuple[str, ...] = tuple(MODEL.operation_names)

#: Members whose problems SWF reports first, in this order, by shape: observed at SWF itself in 2026
#: (https://github.com/getmoto/moto/pull/10262). For other shapes the order is unknown; the model's is used.
MEMBER_ORDER: Mapping[str, tuple[str, ...]] = {
    "DescribeWorkflowExecutionInput": ("execution", "domain"),
    "GetWorkflowExecutionHistoryInput": ("execution", "domain"),
    "WorkflowExecution": ("runId", "workflowId"),
}

#: Takes a value, its path in the request, and the list that problems are appended to.
_Reader = Callable[[Any, str, list[str]], Any]
_Writer = Callable[[Any], Any]


def check(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Validate a request against the model; return its known members, without nulls.

    Times become datetimes in UTC. A list may be as long as the request, so a server must limit the size of
    the requests that it reads (SWF's own limit is 1 MB).

    Args:
        operation: SWF's name of the operation.
        request: The decoded JSON of the request.

    Raises:
        ServiceFault: ``SerializationException`` for a value of the wrong JSON type, else
            ``ValidationException`` with SWF's message.
    """
    found: list[str] = []
    checked: dict[str, Any] = _request_reader(operation)(request, "", found)
    refuse(found)
    return checked


def to_wire(operation: str, response: Mapping[str, Any]) -> dict[str, Any]:
    """Return a response with its datetimes as epoch seconds, rounded to milliseconds, for JSON.

    Args:
        operation: SWF's name of the operation.
        response: The response, with datetimes.
    """
    written: dict[str, Any] = _response_writer(operation)(response)
    return written


@cache
def faults_of(operation: str) -> frozenset[str]:
    """Return the codes of the faults that the model lists for an operation, without those common to all."""
    return frozenset(shape.name for shape in MODEL.operation_model(operation).error_shapes)


@cache
def has_output(operation: str) -> bool:
    """Return True if an operation has output; the response of one without output has an empty body."""
    return MODEL.operation_model(operation).output_shape is not None


def input_shape(operation: str) -> StructureShape:
    """Return the shape of an operation's input; every operation of SWF has one."""
    return cast("StructureShape", MODEL.operation_model(operation).input_shape)


@cache
def _request_reader(operation: str) -> _Reader:
    if operation not in OPERATIONS:
        msg = f"SWF has no operation {operation:.80}"
        raise ServiceFault(code="UnknownOperationException", message=msg)
    return _reader(input_shape(operation))


def _reader(shape: Any, constraint: Constraint | None = None) -> _Reader:
    """Compile a shape to the reader of its values, which checks a constraint on them."""
    if shape.type_name == "list":
        return _list(shape, constraint)
    if shape.type_name == "structure":
        return _decision(shape) if shape.name == "Decision" else _structure(shape)
    read = _PLAIN[shape.type_name]
    return read if constraint is None else _constrained(read, constraint)


def _constrained(read_value: _Reader, constraint: Constraint) -> _Reader:
    def read(value: Any, at: str, found: list[str]) -> Any:
        item = read_value(value, at, found)
        if broken := constraint.broken(item):
            found.append(problem(item, at, broken))
        return item

    return read


def _structure(shape: StructureShape) -> _Reader:
    own = shape.name.removesuffix("Input").removesuffix("DecisionAttributes")
    rows = [
        (name, name in shape.required_members, _reader(member, constraint_of(own, name)))
        for name, member in _ordered(shape)
    ]

    def read(value: Any, at: str, found: list[str]) -> dict[str, Any]:
        if type(value) is not dict and not isinstance(value, Mapping):
            raise _unreadable(at, "an object", value)
        prefix = f"{at}." if at else ""
        given = value.get
        members = {}
        for name, required, read_member in rows:
            item = given(name)
            if item is not None:
                members[name] = read_member(item, prefix + name, found)
            elif required:
                found.append(null(prefix + name))
        return members

    return read


def _ordered(shape: StructureShape) -> list[tuple[str, Shape]]:
    """Return the members of a shape, in the order in which SWF reports their problems."""
    names = dict.fromkeys((*MEMBER_ORDER.get(shape.name, ()), *shape.members))
    return [(name, shape.members[name]) for name in names]


def _list(shape: ListShape, constraint: Any) -> _Reader:
    read_item = _reader(shape.member, None if constraint is None else constraint.item)

    def read(value: Any, at: str, found: list[str]) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise _unreadable(at, "a list", value)
        items = [read_item(item, place, found) for place, item in items_of(value, at, found)]
        if constraint is not None and (broken := constraint.broken(value)):
            found.append(problem(items, at, broken))
        return items

    return read


def _string(value: Any, at: str, _found: list[str]) -> str:
    """Read a string that can be encoded; one with an unpaired surrogate cannot."""
    if not isinstance(value, str):
        raise _unreadable(at, "a string", value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _unreadable(at, "a string", value) from None
    # Normalise str subclasses (for example StrEnum members) to plain str.
    return str.__str__(value)


def _integer(value: Any, at: str, _found: list[str]) -> int:
    if type(value) is not int or value not in INT32:
        raise _unreadable(at, "a 32-bit integer", value)
    return value


def _boolean(value: Any, at: str, _found: list[str]) -> bool:
    if type(value) is not bool:
        raise _unreadable(at, "true or false", value)
    return value


def _timestamp(value: Any, at: str, _found: list[str]) -> datetime:
    try:
        return wire.moment(value)
    except wire.WireError:
        raise _unreadable(at, "a time in epoch seconds within the years 1 to 9999", value) from None


_PLAIN: Mapping[str, _Reader] = {
    "string": _string,
    "integer": _integer,
    "boolean": _boolean,
    "timestamp": _timestamp,
}


def _decision(shape: StructureShape) -> _Reader:
    """Read a decision: its own type's attributes are required; those of other types are checked too."""
    read_members = _structure(shape)
    needs = _attributes_needed(shape)

    def read(value: Any, at: str, found: list[str]) -> dict[str, Any]:
        decision: dict[str, Any] = read_members(value, at, found)
        attributes, required = needs.get(decision.get("decisionType", ""), ("", ()))
        if attributes not in decision:
            # Report every required attribute as null, as moto does. In 2012 SWF's message was
            # "StartTimerDecisionAttributes must be specified for decision of type StartTimer".
            found.extend(null(f"{at}.{attributes}.{name}") for name in required)
        return decision

    return read


def _attributes_needed(decision: StructureShape) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return, by type of decision, the member with its attributes and the names of the required ones."""
    keys = {kind: f"{wire.lower_first(kind)}DecisionAttributes" for kind in DECISION_TYPES}
    members: Mapping[str, Any] = decision.members
    return {kind: (key, tuple(members[key].required_members)) for kind, key in keys.items()}


def _unreadable(at: str, expected: str, value: Any) -> ServiceFault:
    where = f"Value at '{at}'" if at else "The request"
    return ServiceFault("SerializationException", f"{where} must be {expected}, not {shown(value)}")


@cache
def _response_writer(operation: str) -> _Writer:
    shape = MODEL.operation_model(operation).output_shape
    return (None if shape is None else _writer(shape)) or dict


def _writer(shape: Any) -> _Writer | None:
    """Compile a shape to the writer of its values; return None if they need no conversion for JSON."""
    make = _WRITERS.get(shape.type_name)
    return None if make is None else make(shape)


def _write_structure(shape: StructureShape) -> _Writer | None:
    writers = {
        name: writer for name, member in shape.members.items() if (writer := _writer(member)) is not None
    }

    def write(value: Mapping[str, Any]) -> dict[str, Any]:
        changed = {name: writer(value[name]) for name, writer in writers.items() if name in value}
        return {**value, **changed}

    return write if writers else None


def _write_list(shape: ListShape) -> _Writer | None:
    writer = _writer(shape.member)
    return None if writer is None else lambda values: [writer(value) for value in values]


def _write_timestamp(_shape: Shape) -> _Writer:
    return lambda at: round(at.timestamp(), 3)


_WRITERS: Mapping[str, Callable[[Any], _Writer | None]] = {
    "structure": _write_structure,
    "list": _write_list,
    "timestamp": _write_timestamp,
}
