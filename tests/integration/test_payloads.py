"""Results that are too long for SWF, kept in a store: whole workflows, and a kill at the worst moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import floto
from floto.core.state import Kind
from floto.payloads import DirectoryStore, PayloadError
from floto.runtime.activities import Activities
from tests.runs import leaving, service, spec, task

__all__ = ["leaving", "service"]

ROOT = Path(__file__).parents[2]


def noise(seed: int, length: int = 200_000) -> str:
    """Text that no compression makes short."""
    return "".join(random.Random(seed).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))


@pytest.fixture
def activities() -> Activities:
    known = Activities()

    @known.activity(name="make", version="1")
    def make(context: dict[str, Any]) -> dict[str, Any]:
        return {"text": noise(context["activity_task"])}

    @known.activity(name="join", version="1")
    def join(context: dict[str, Any]) -> str:
        parts: list[str] = [context[name]["text"] for name in ("a", "b")]
        return "".join(parts)

    @known.activity(name="length", version="1")
    def length(context: dict[str, Any]) -> dict[str, int]:
        return {name: len(value) for name, value in context.items()}

    return known


BOTH = (task("make", "a", input=1), task("make", "b", input=2))


def test_large_results_flow_through_a_run_and_out_of_it(
    service: Any, activities: Activities, tmp_path: Path
) -> None:
    store = DirectoryStore(tmp_path / "payloads")
    flow = spec(*BOTH, task("join", requires=["a", "b"]))
    run = {"service": service, "activities": activities, "payloads": store, "workflow_id": "w"}
    assert floto.run(flow, **run, timeout=60) == {"join": noise(1) + noise(2)}
    # Again, from its history.
    assert floto.run(flow, **run, timeout=60) == {"join": noise(1) + noise(2)}
    info = service.latest_execution("w")
    history = floto.fold(service.history(info.execution))
    closed = [item.closed for key, item in history.items.items() if key[0] is Kind.ACTIVITY]
    assert all(event is not None and len(event.data.result) < 200 for event in closed)
    assert len([*(tmp_path / "payloads").glob("*/*")]) == 3


def test_a_large_input_is_kept_too(service: Any, activities: Activities, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    flow = spec(task("length"))
    result = floto.run(flow, noise(3), service=service, activities=activities, payloads=store, timeout=60)
    assert result == {"length": {"workflow": 200_000}}


def test_children_pass_large_results_on(service: Any, activities: Activities, tmp_path: Path) -> None:
    child = floto.ChildWorkflow(
        id_="child", workflow_type_name="c", workflow_type_version="1", spec=spec(task("make", "a", input=1))
    )
    store = DirectoryStore(tmp_path)
    result = floto.run(spec(child), service=service, activities=activities, payloads=store, timeout=60)
    assert result == {"child": {"a": {"text": noise(1)}}}


def test_an_activity_may_keep_and_read_values_itself(service: Any, tmp_path: Path) -> None:
    known, store = Activities(), DirectoryStore(tmp_path)

    @known.activity(name="make", version="1")
    def make() -> dict[str, Any]:
        return store.put(noise(1))

    @known.activity(name="length", version="1")
    def length(context: dict[str, Any]) -> int:
        return len(store.get(context["make"]))

    flow = spec(task("make"), task("length", requires=["make"]))
    assert floto.run(flow, service=service, activities=known, timeout=60) == {"length": 200_000}


def test_without_a_store_the_failure_says_what_to_do(service: Any, activities: Activities) -> None:
    with pytest.raises(floto.WorkflowFailed) as caught:
        floto.run(spec(BOTH[0]), service=service, activities=activities, timeout=60)
    message = caught.value.failures["a"]
    assert "PayloadError: the result of activity 'make' version '1' is 200,0" in message
    assert "floto.payloads" in message
    assert "--payloads" in message


def test_a_value_that_is_gone_fails_the_task_by_name(
    service: Any, activities: Activities, tmp_path: Path
) -> None:
    @activities.activity(name="lose", version="1")
    def lose() -> None:
        for file in tmp_path.glob("*/*"):
            file.unlink()

    flow = spec(*BOTH, task("lose", requires=["a", "b"]), task("join", requires=["a", "b", "lose"]))
    with pytest.raises(floto.WorkflowFailed) as caught:
        floto.run(flow, service=service, activities=activities, payloads=DirectoryStore(tmp_path), timeout=60)
    assert list(caught.value.failures) == ["join"]
    assert "is not in" in caught.value.failures["join"]


def test_a_lost_result_is_told_to_whoever_asks_for_it(
    service: Any, activities: Activities, tmp_path: Path
) -> None:
    run = {"service": service, "activities": activities, "workflow_id": "w", "timeout": 60}
    floto.run(spec(BOTH[0]), **run, payloads=DirectoryStore(tmp_path))
    with pytest.raises(PayloadError, match="is not in"):
        floto.run(spec(BOTH[0]), **run, payloads=DirectoryStore(tmp_path / "elsewhere"))


MORTAL = """
import os, signal, sys
from pathlib import Path
import floto
from floto.payloads import DirectoryStore
from tests.integration.test_payloads import noise
from tests.runs import spec, task

class Mortal(DirectoryStore):
    def put(self, value):
        made = super().put(value)
        if not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return made

@floto.activity(name="make", version="1")
def make():
    with Path("begun").open("a") as file:
        file.write("x")
    return noise(1)

result = floto.run(
    spec(task("make")), service="sqlite:///floto.db", workflow_id="w", payloads=Mortal("payloads"), timeout=60
)
print(len(result["make"]))
"""


def test_killed_between_write_and_report_the_run_goes_on_and_writes_nothing_twice(tmp_path: Path) -> None:
    def ran() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", MORTAL],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    assert ran().returncode == -signal.SIGKILL
    [kept] = (tmp_path / "payloads").glob("*/*")
    before = kept.stat()
    again = ran()
    assert (again.returncode, again.stdout) == (0, "200000\n"), again.stderr
    assert kept.stat().st_mtime_ns == before.st_mtime_ns
    assert [*(tmp_path / "payloads").glob("*/*")] == [kept]
    assert (tmp_path / "begun").read_text() == "xx"
