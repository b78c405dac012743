"""Pages are bounded in bytes as well as in count, and put together they are the whole."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from floto.adapters.local import LocalClient
from floto.adapters.sqlite.operations import SqliteOperations
from floto.core.engine.api.pages import PAGE_BYTES
from floto.core.engine.stores.memory_store import MemoryStore
from tests.integration.contract.clock import Clock
from tests.integration.contract.engine_operations import EngineOperations
from tests.integration.test_server import register, start

Json = dict[str, Any]
#: Characters that take 1, 2, 6 and 12 bytes in JSON.
_CHARACTERS = ("a", "\n", "é", "😀")
_SIZES = st.lists(
    st.tuples(st.sampled_from(_CHARACTERS), st.sampled_from([0, 1, 1_000, 32_768])), max_size=40
)


@contextmanager
def memory() -> Iterator[Any]:
    operations: Any = EngineOperations(MemoryStore(), Clock())
    yield LocalClient(operations)


@contextmanager
def sqlite() -> Iterator[Any]:
    with closing(SqliteOperations(":memory:", poll_seconds=0)) as operations:
        yield LocalClient(operations)


def signal(swf: Any, sizes: list[tuple[str, int]]) -> Json:
    """A run with a signal of each size; returns its execution."""
    register(swf)
    run_id = start(swf, "w")
    for character, size in sizes:
        swf.signal_workflow_execution(domain="shop", workflowId="w", signalName="s", input=character * size)
    return {"workflowId": "w", "runId": run_id}


def pages(call: Callable[..., Json], key: str, **request: Any) -> list[list[Json]]:
    found: list[list[Json]] = []
    token: dict[str, str] = {}
    while True:
        answer = call(**request, **token)
        found.append(answer[key])
        if "nextPageToken" not in answer:
            return found
        token = {"nextPageToken": answer["nextPageToken"]}


def assert_bounded(found: list[list[Json]], most: int) -> None:
    for page in found:
        size = sum(len(json.dumps(item, default=str)) for item in page)
        assert page
        assert len(page) <= (most or 1000)
        assert size <= PAGE_BYTES or len(page) == 1


@pytest.mark.parametrize("backend", [memory, sqlite])
@settings(max_examples=15, deadline=None)
@given(sizes=_SIZES, most=st.sampled_from([0, 1, 7, 1000]), reverse=st.booleans())
@example(sizes=[("😀", 32_768)] * 10, most=0, reverse=False)
@example(sizes=[("é", 32_768)] * 10, most=7, reverse=True)
def test_pages_of_a_history_are_bounded_in_bytes_and_complete(
    backend: Any, sizes: list[tuple[str, int]], most: int, *, reverse: bool
) -> None:
    order = {"maximumPageSize": most, "reverseOrder": reverse, "domain": "shop"}
    with backend() as swf:
        execution = signal(swf, sizes)
        read = pages(swf.get_workflow_execution_history, "events", execution=execution, **order)
        polled = pages(swf.poll_for_decision_task, "events", taskList={"name": "orders"}, **order)
        swf.terminate_workflow_execution(domain="shop", workflowId="w")
        closed = pages(swf.get_workflow_execution_history, "events", execution=execution, **order)
    # The start of the run and its decision task, the signals, the start of the decision task, its end.
    for found, more in ((read, 2), (polled, 3), (closed, 4)):
        assert_bounded(found, most)
        ids = [event["eventId"] for page in found for event in page]
        assert sorted(ids, reverse=reverse) == ids
        assert len(ids) == len(sizes) + more == max(ids)


def test_page_of_large_payloads_uses_bounded_memory(tmp_path: Path) -> None:
    """371 MB once, for a thousand events with as much as SWF takes."""
    sizes = [("😀", 32_768)] * 300
    with closing(SqliteOperations(tmp_path / "swf.db", poll_seconds=0)) as operations:
        execution = signal(LocalClient(operations), sizes)
    with closing(SqliteOperations(tmp_path / "swf.db", poll_seconds=0)) as operations:
        swf = LocalClient(operations)
        LocalClient(operations).terminate_workflow_execution(domain="shop", workflowId="w")
        tracemalloc.start()
        try:
            first = swf.get_workflow_execution_history(domain="shop", execution=execution)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(first["events"]) < 10
        assert peak < 30 * PAGE_BYTES


@pytest.mark.parametrize("backend", [memory, sqlite])
def test_listings_are_bounded_in_bytes_too(backend: Any) -> None:
    names = [f"type {number:03}" for number in range(150)]
    with backend() as swf:
        swf.register_domain(name="shop", workflowExecutionRetentionPeriodInDays="1")
        for name in names:
            swf.register_activity_type(domain="shop", name=name, version="1", description="😀" * 1024)
        found = pages(swf.list_activity_types, "typeInfos", domain="shop", registrationStatus="REGISTERED")
    assert_bounded(found, 1000)
    assert len(found) > 1
    assert [info["activityType"]["name"] for page in found for info in page] == names
