"""Results that are too long for SWF, kept in a store: whole workflows, and a kill at the worst moment."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import floto
from floto.adapters.sqlite import SqliteService
from floto.core.errors import PayloadsNeeded, StoreUnavailable
from floto.core.state.state import Kind
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowExecution, WorkflowType
from floto.payloads import DirectoryStore, PayloadError
from floto.runtime import retrying
from floto.runtime.cli import cli
from floto.runtime.connect import UnknownStore, payload_store
from floto.runtime.deciders.decider_process import CannotSeparate
from floto.runtime.workers.activities import Activities
from tests.integration import test_sqlite_helpers as helpers
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


def test_large_results_pass_through_a_run_and_are_its_result(
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


def test_large_input_is_stored(service: Any, activities: Activities, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    flow = spec(task("length"))
    result = floto.run(flow, noise(3), service=service, activities=activities, payloads=store, timeout=60)
    assert result == {"length": {"workflow": 200_000}}


def known_with_many(count: int, length: int) -> Activities:
    """``part`` returns one of many texts, ``plan`` a task for each, ``sum`` their whole length."""
    known = Activities()

    @known.activity(name="part", version="1")
    def part(context: dict[str, Any]) -> str:
        return noise(context["activity_task"], length)

    @known.generator(name="plan", version="1")
    def plan() -> list[floto.ActivityTask]:
        # Ids that no compression makes short.
        return [task("part", noise(number, 100), input=number) for number in range(count)]

    @known.activity(name="sum", version="1")
    def sum_(context: dict[str, Any]) -> int:
        texts = [value for id_, value in context.items() if id_ != "plan"]
        return sum(len(text) for text in texts)

    return known


def test_fan_in_of_short_results_past_the_limit_is_stored(service: Any, tmp_path: Path) -> None:
    parts = [task("part", f"p{number}", input=number) for number in range(300)]
    flow = spec(*parts, task("sum", requires=[part.id_ for part in parts]))
    known, store = known_with_many(300, 500), DirectoryStore(tmp_path)
    result = floto.run(flow, service=service, activities=known, payloads=store, timeout=60)
    assert result == {"sum": 300 * 500}


def test_a_generator_returns_more_tasks_than_fit_into_a_result(service: Any, tmp_path: Path) -> None:
    plan = floto.Generator(id_="plan", name="plan", version="1")
    flow = spec(plan, task("sum", requires=[plan]))
    known, store = known_with_many(400, 10), DirectoryStore(tmp_path)
    result = floto.run(flow, service=service, activities=known, payloads=store, timeout=60)
    assert result == {"sum": 400 * 10}


def test_result_of_a_run_past_the_limit_is_returned_in_full(service: Any, tmp_path: Path) -> None:
    flow = spec(*(task("part", f"p{number}", input=number) for number in range(4)))
    known, store = known_with_many(4, 20_000), DirectoryStore(tmp_path)
    run = {"service": service, "activities": known, "payloads": store, "workflow_id": "w", "timeout": 60}
    expected = {f"p{number}": noise(number, 20_000) for number in range(4)}
    assert floto.run(flow, **run) == expected
    # Again, from its history.
    assert floto.run(flow, **run) == expected


def test_input_and_result_of_a_child_past_the_limit_are_stored(service: Any, tmp_path: Path) -> None:
    parts = [task("part", f"p{number}", input=number) for number in range(4)]
    more = [task("part", f"c{number}", input=number) for number in range(4)]
    child = floto.ChildWorkflow(
        id_="child",
        workflow_type_name="c",
        workflow_type_version="1",
        requires=parts,
        spec=spec(*more, task("keys")),
    )
    known, store = known_with_many(4, 20_000), DirectoryStore(tmp_path)

    @known.activity(name="keys", version="1")
    def keys(context: dict[str, Any]) -> list[str]:
        return [f"{id_} {len(text)}" for id_, text in context["workflow"].items()]

    flow = spec(*parts, child)
    result = floto.run(flow, service=service, activities=known, payloads=store, timeout=60)
    assert result["child"]["keys"] == [f"p{number} 20000" for number in range(4)]
    assert [len(result["child"][f"c{number}"]) for number in range(4)] == [20_000] * 4


def test_temporarily_unavailable_store_fails_no_run(service: Any, tmp_path: Path) -> None:
    class Shaky(DirectoryStore):
        """Its directory cannot be reached at first."""

        def put(self, value: Any) -> dict[str, Any]:
            tries.append(1)
            if len(tries) < 3:
                raise StoreUnavailable("the store", "is away")  # noqa: EM101, TRY003
            return super().put(value)

    tries: list[int] = []
    flow = spec(*(task("part", f"p{number}", input=number) for number in range(4)))
    store = Shaky(tmp_path)
    result = floto.run(
        flow, service=service, activities=known_with_many(4, 20_000), payloads=store, timeout=60
    )
    assert len(result) == 4
    assert len(tries) == 3


def _started(opened: Any, task_list: str) -> str:
    kind = WorkflowType("flow", "1")
    opened.prepare([kind], ())
    request = StartRequest(workflow_id="w", workflow_type=kind, task_list=task_list)
    run_id: str = opened.start_workflow_execution(request)
    return run_id


def _closed(opened: Any, execution: WorkflowExecution) -> Any:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        closed = floto.fold(opened.history(execution)).closed
        if closed is not None:
            return closed
        time.sleep(0.1)
    pytest.fail("the run does not end")


def test_decider_without_payloads_does_not_decide_a_run_that_needs_them(service: Any, tmp_path: Path) -> None:
    known, store = Activities(), DirectoryStore(tmp_path)
    tasks = [floto.CODEC.unstructure(task("part", f"p{number}", input=number)) for number in range(2)]
    known.activity(name="part", version="1")(lambda context: context["activity_task"])
    known.activity(name="plan", version="1")(lambda: store.put(tasks))
    flow = spec(floto.Generator(id_="plan", name="plan", version="1"))
    run = {"service": service, "activities": known, "workflow_id": "w", "timeout": 60}
    with pytest.raises(PayloadsNeeded, match="payloads="):
        floto.run(flow, **run)
    info = service.latest_execution("w")
    # The decision task comes again when it has timed out, to a decider that has the store.
    assert info.close_status is None


def test_commands_read_saved_histories_with_payloads(service: Any, tmp_path: Path) -> None:
    """``replay``, ``why``, ``compare`` and ``graph`` need the store of a history that refers to values."""
    plan = floto.Generator(id_="plan", name="plan", version="1")
    flow, store = spec(plan), DirectoryStore(tmp_path / "payloads")
    run = {"service": service, "activities": known_with_many(400, 10), "workflow_id": "w", "timeout": 60}
    floto.run(flow, **run, payloads=store)
    info = service.latest_execution("w")
    floto.History(service.history(info.execution), info.execution).save(tmp_path / "history.json")
    (tmp_path / "spec.json").write_text(flow.to_json())
    for arguments in (
        ["replay", "spec.json", "history.json"],
        ["compare", "spec.json", "spec.json", "history.json"],
        ["why", "history.json", "plan", "--spec", "spec.json"],
        ["graph", "spec.json", "--history", "history.json"],
    ):
        named = [str(tmp_path / each) if "." in each else each for each in arguments]
        without = CliRunner().invoke(cli, named)
        assert isinstance(without.exception, PayloadsNeeded), without.output
        assert "--payloads" in str(without.exception)
        told = CliRunner().invoke(cli, [*named, "--payloads", str(store.path)])
        assert told.exit_code == 0, told.output


def test_worker_retries_an_unavailable_store(service: Any, tmp_path: Path) -> None:
    class Shaky(DirectoryStore):
        """Every other call finds it away."""

        def _check(self) -> None:
            tries.append(1)
            if len(tries) % 2:
                what, problem = "the store", "is away"
                raise StoreUnavailable(what, problem)

        def put(self, value: Any) -> dict[str, Any]:
            self._check()
            return super().put(value)

        def get(self, reference_: Any) -> Any:
            self._check()
            return super().get(reference_)

    tries: list[int] = []
    parts = [task("part", f"p{number}", input=number) for number in range(2)]
    flow = spec(*parts, task("sum", requires=parts))
    known = known_with_many(2, 40_000)
    result = floto.run(flow, service=service, activities=known, payloads=Shaky(tmp_path), timeout=60)
    assert result == {"sum": 80_000}


class Away(DirectoryStore):
    """It cannot be reached."""

    def put(self, _value: Any) -> dict[str, Any]:
        what, problem = "the store", "is away"
        raise StoreUnavailable(what, problem)


def test_stopped_worker_drops_a_result_that_its_store_does_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "_LAST_REPORT_SECONDS", 0.5)
    returned, known = threading.Event(), Activities()

    @known.activity(name="act", version="1")
    def act() -> str:
        returned.set()
        return noise(1)

    with SqliteService(tmp_path / "db") as opened:
        execution = helpers.start(opened)
        helpers.schedule(opened, "a")
        store = Away(tmp_path / "store")
        worker = floto.ActivityWorker(service=opened, activities=known, payloads=store)
        thread = threading.Thread(target=worker.run)
        thread.start()
        assert returned.wait(60)
        worker.stop()
        thread.join(60)
        assert not thread.is_alive()
        assert helpers.names(opened, execution)[-1] == "ActivityTaskStarted"
    with SqliteService(tmp_path / "db") as opened:
        assert helpers.activity(opened).activity_id == "a"


def test_file_is_no_payload_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnknownStore, match="is not a payload store; give a directory"):
        payload_store(str(tmp_path / "file"))


def test_payloads_object_cannot_be_passed_to_a_separate_process(tmp_path: Path) -> None:
    cannot_separate(spec(), tmp_path, payloads=DirectoryStore(tmp_path))


def cannot_separate(own: floto.DeciderSpec, directory: Path, **options: Any) -> None:
    decider = floto.Decider(own, service=f"sqlite:///{directory / 'x.db'}", **options)
    with pytest.raises(CannotSeparate, match="payloads given as an object"):
        decider.run(separate_process=True)
    # In this process it could run; this closes its service.
    decider.stop()
    decider.run()


def test_store_of_a_codec_is_used_like_one_passed_as_argument(service: Any, tmp_path: Path) -> None:
    parts = [task("part", f"p{number}", input=number) for number in range(4)]
    flow = spec(*parts, task("sum", requires=parts))
    codec = floto.CODEC.with_payloads(DirectoryStore(tmp_path))
    known = known_with_many(4, 20_000)
    assert floto.run(flow, service=service, activities=known, codec=codec, timeout=60) == {"sum": 80_000}
    cannot_separate(flow, tmp_path, codec=codec)


def test_relative_paths_are_resolved_once_at_creation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    store = DirectoryStore("payloads")
    decider = floto.Decider(spec(), service="sqlite:///floto.db", payloads="payloads")
    made = store.put("kept")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert store.get(made) == "kept"
    assert store.put("kept") == made
    assert not (tmp_path / "elsewhere" / "payloads").exists()
    process = decider.run(separate_process=True)
    try:
        with contextlib.closing(floto.connect(f"sqlite:///{tmp_path / 'floto.db'}")) as opened:
            _closed(opened, WorkflowExecution("w", _started(opened, "floto")))
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_activity_may_put_and_get_values_itself(service: Any, tmp_path: Path) -> None:
    known, store = Activities(), DirectoryStore(tmp_path)

    @known.activity(name="make", version="1")
    def make() -> dict[str, Any]:
        return store.put(noise(1))

    @known.activity(name="length", version="1")
    def length(context: dict[str, Any]) -> int:
        return len(store.get(context["make"]))

    flow = spec(task("make"), task("length", requires=["make"]))
    assert floto.run(flow, service=service, activities=known, timeout=60) == {"length": 200_000}


def test_missing_value_fails_the_task_naming_it(service: Any, activities: Activities, tmp_path: Path) -> None:
    @activities.activity(name="lose", version="1")
    def lose() -> None:
        for file in tmp_path.glob("*/*"):
            file.unlink()

    flow = spec(*BOTH, task("lose", requires=["a", "b"]), task("join", requires=["a", "b", "lose"]))
    with pytest.raises(floto.WorkflowFailed) as caught:
        floto.run(flow, service=service, activities=activities, payloads=DirectoryStore(tmp_path), timeout=60)
    assert list(caught.value.failures) == ["join"]
    assert "is not in" in caught.value.failures["join"]


def test_missing_result_raises_for_the_caller(service: Any, activities: Activities, tmp_path: Path) -> None:
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


def test_worker_killed_between_write_and_report_does_not_write_twice(tmp_path: Path) -> None:
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
