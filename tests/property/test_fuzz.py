"""Malformed requests are refused with SWF's messages, and nothing is written."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from floto.adapters import model
from floto.adapters.sqlite.operations import SqliteOperations
from floto.core.engine.tokens import seal_text
from floto.core.errors import ServiceFault
from tests.property.api_requests import FULL_ACTIVITY, FULL_WORKFLOW

T0 = datetime(2026, 1, 1, tzinfo=UTC)
COMMON = {"ValidationException", "SerializationException"}
#: Faults that SWF returns for these calls, though its model lists them for one other call only.
UNMODELLED = {
    ("RegisterActivityType", "DomainDeprecatedFault"),
    ("RegisterWorkflowType", "DomainDeprecatedFault"),
}

_odd_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_numbers = st.integers(-(2**70), 2**70)
#: Well-formed tokens that no service ever gave out.
_tokens = st.lists(
    st.sampled_from(["d", "run 0", "decision", "activity", "PollForDecisionTask", ""]) | _numbers | _odd_json,
    max_size=6,
).map(lambda said: seal_text(_finite(said)))
_texts = st.one_of(
    st.sampled_from(
        ["d", "w", "l", "full", "1", "run 0", "", "arn", "a/b", "NONE", "0", "99999999", "x" * 257]
    ),
    st.text(max_size=8),
    st.integers(32_767, 32_769).map("y".__mul__),
    _tokens,
)


def _finite(value: Any) -> Any:
    """The same without numbers that JSON cannot say, and without halves of characters."""
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {_finite(name): _finite(item) for name, item in value.items()}
    if isinstance(value, float):
        return None
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def shaped(shape: Any) -> st.SearchStrategy[Any]:
    """Values of a shape, most of the right type, and some of none."""
    right: dict[str, Any] = {
        "structure": _structure,
        "list": lambda shape: st.lists(shaped(shape.member), max_size=3),
        "string": lambda shape: st.sampled_from(shape.enum) | _texts if shape.enum else _texts,
        "integer": lambda _shape: st.integers(-2, 1002) | _numbers,
        "boolean": lambda _shape: st.booleans(),
        "timestamp": lambda _shape: st.floats() | st.integers() | st.just(T0),
    }
    value: st.SearchStrategy[Any] = right[shape.type_name](shape)
    return st.integers(0, 15).flatmap(lambda number: _odd_json if number == 15 else value)


def _structure(shape: Any) -> st.SearchStrategy[Any]:
    members = {name: shaped(member) for name, member in shape.members.items()}
    required = {name: members.pop(name) for name in shape.required_members}
    # Some of what is optional: all of it at once is seldom sound.
    few = st.lists(st.sampled_from(sorted(members)), max_size=2) if members else st.just([])
    return few.flatmap(
        lambda names: st.fixed_dictionaries({**required, **{name: members[name] for name in names}})
    )


def dump(path: Path) -> list[Any]:
    """Everything in a file."""
    with closing(sqlite3.connect(path)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [(name, db.execute(f"SELECT * FROM {name}").fetchall()) for name in sorted(tables)]  # noqa: S608


@contextmanager
def prepared() -> Iterator[tuple[SqliteOperations, Path]]:
    """A domain with types, an open run and tasks that are out."""
    with tempfile.TemporaryDirectory(prefix="floto-fuzz-") as name:
        path = Path(name) / "db"
        ids = iter(f"run {number}" for number in range(10**6))
        service = SqliteOperations(
            path, clock=lambda: T0, durability="normal", poll_seconds=0, run_ids=lambda: next(ids)
        )
        with closing(service):
            service.call("RegisterDomain", {"name": "d", "workflowExecutionRetentionPeriodInDays": "1"})
            service.call("RegisterWorkflowType", {"domain": "d", **FULL_WORKFLOW})
            service.call("RegisterActivityType", {"domain": "d", **FULL_ACTIVITY})
            start = {"domain": "d", "workflowId": "w", "workflowType": {"name": "full", "version": "1"}}
            service.call("StartWorkflowExecution", start)
            yield service, path


@pytest.mark.parametrize("operation", model.OPERATIONS)
def test_mutated_requests_are_refused_like_swf_and_write_nothing(operation: str) -> None:
    with prepared() as (service, path):

        @settings(max_examples=30, deadline=None, database=None)
        @given(request=shaped(model.input_shape(operation)))
        def refused(request: Any) -> None:
            before = dump(path)
            try:
                service.call(operation, request)
            except ServiceFault as fault:
                modelled = COMMON | model.faults_of(operation)
                assert fault.code in modelled or (operation, fault.code) in UNMODELLED, fault
                assert len(fault.message) < 20_000
                assert dump(path) == before

        refused()


@settings(max_examples=200, deadline=None)
@given(
    token=_tokens | _texts,
    operation=st.sampled_from([name for name in model.OPERATIONS if "Respond" in name]),
)
def test_forged_task_tokens_have_no_effect(token: str, operation: str) -> None:
    with prepared() as (service, path):
        before = dump(path)
        with pytest.raises(ServiceFault) as raised:
            service.call(operation, {"taskToken": token})
        assert raised.value.code in {"ValidationException", "UnknownResourceFault"}
        assert dump(path) == before
