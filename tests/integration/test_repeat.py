"""``floto.run`` with a spec that repeats itself, and signals that come when they like."""

from __future__ import annotations

import json
import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import floto
from floto.adapters.sqlite import SqliteService
from floto.payloads import DirectoryStore
from floto.runtime.runs.run import run
from floto.runtime.workers.activities import Activities
from tests.integration.test_payloads import noise
from tests.runs import leaving, service, spec, task

__all__ = ["leaving", "service"]

ORDER = floto.Signal(id_="order", signal_name="order")
SHOP = spec(ORDER, task("serve", requires=[ORDER]), repeat_workflow=True)


def serving(count: int, service: SqliteService) -> tuple[Activities, list[Any]]:
    """Activities that serve orders; when so many are served, the run is canceled."""
    known, served = Activities(), list[Any]()

    @known.activity(name="serve", version="1")
    def serve(context: dict[str, Any]) -> None:
        served.append(context)
        if len(served) == count:
            service.request_cancel_workflow_execution("w")

    return known, served


def served_in_order(service: SqliteService, orders: list[Any], **settings: Any) -> list[Any]:
    """Send all orders while the first run is open, and return what was served."""
    known, served = serving(len(orders), service)

    def send() -> None:
        while service.latest_execution("w") is None:
            time.sleep(0.01)
        for order in orders:
            service.signal_workflow_execution("w", "order", json.dumps(order))

    sender = Thread(target=send)
    sender.start()
    with pytest.raises(floto.WorkflowEnded, match="CANCELED"):
        run(SHOP, {"shop": 1}, service=service, activities=known, workflow_id="w", timeout=60, **settings)
    sender.join()
    assert [context["workflow"] for context in served] == [{"shop": 1}] * len(orders)
    return [context["order"] for context in served]


def test_each_signal_is_used_once_and_in_order(service: SqliteService) -> None:
    assert served_in_order(service, [*range(8)]) == [*range(8)]


def test_long_signals_are_carried_with_payloads(service: SqliteService, tmp_path: Path) -> None:
    # Each fits into a signal; together they fit into no input.
    orders = [noise(number, 30_000) for number in range(4)]
    assert served_in_order(service, orders, payloads=DirectoryStore(tmp_path)) == orders


def test_resumed_with_its_own_input_a_continued_run_gives_no_warning(
    service: SqliteService, caplog: pytest.LogCaptureFixture
) -> None:
    known, _ = serving(99, service)
    settings: dict[str, Any] = {"service": service, "activities": known, "workflow_id": "w", "timeout": 1}
    with pytest.raises(TimeoutError):
        run(SHOP, {"shop": 1}, **settings)
    for name in ("other", "order"):
        service.signal_workflow_execution("w", name, "1")
    for _ in range(2):
        with pytest.raises(TimeoutError):
            run(SHOP, {"shop": 1}, **settings)
    info = service.latest_execution("w")
    assert info is not None
    state = floto.fold(service.history(info.execution))
    assert "other" in state.signals
    assert state.start.continued_execution_run_id is not None
    assert "goes on with the input" not in caplog.text
