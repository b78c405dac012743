"""The supervisor of loops: threads, errors and the end."""

from __future__ import annotations

import ast
import threading
from pathlib import Path

import pytest
from attrs import define, field

from floto.runtime.supervisor import Supervisor

RUNTIME = Path(__file__).parents[3] / "floto" / "runtime"


@define(eq=False)
class Waiting:
    """A loop that ends when it is stopped, or at once with an error."""

    error: Exception | None = None
    stopped: threading.Event = field(factory=threading.Event)

    def run(self) -> None:
        if self.error is not None:
            raise self.error
        assert self.stopped.wait(60)

    def stop(self) -> None:
        self.stopped.set()


def test_check_raises_the_error_that_ended_a_loop_once_and_other_loops_continue() -> None:
    failed = threading.Event()
    supervisor, other = Supervisor(failed.set), Waiting()
    supervisor.start(other)
    supervisor.check()
    supervisor.start(Waiting(ValueError("crashed")))
    assert failed.wait(60)
    with pytest.raises(ValueError, match="crashed"):
        supervisor.check()
    supervisor.check()
    assert not supervisor.join(0)
    supervisor.stop()
    assert supervisor.join(60)
    assert other.stopped.is_set()


def test_join_without_loops_returns_at_once() -> None:
    assert Supervisor().join()


def test_fail_records_an_error_for_check() -> None:
    supervisor = Supervisor()
    supervisor.fail(ValueError("first"))
    supervisor.fail(ValueError("second"))
    with pytest.raises(ValueError, match="first"):
        supervisor.check()


def test_only_the_supervisor_runs_loops_in_threads() -> None:
    """A copy of it calls ``run()`` and catches every error."""
    found = set()
    for path in RUNTIME.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Try) and len(node.body) == 1 and ".run()" in ast.unparse(node.body[0]):
                caught = [ast.unparse(handler.type) for handler in node.handlers if handler.type is not None]
                found |= {str(path.relative_to(RUNTIME))} if "Exception" in caught else set()
    assert found == {"supervisor.py"}


def test_no_wait_for_a_loop_is_long_so_that_a_second_signal_is_handled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float | None] = []
    join = threading.Thread.join

    def recorded(thread: threading.Thread, timeout: float | None = None) -> None:
        waits.append(timeout)
        if len(waits) == 3:
            ended.set()
        join(thread, 1 if timeout is None else timeout)

    ended = threading.Event()
    supervisor = Supervisor()
    supervisor.start(Waiting(stopped=ended))
    monkeypatch.setattr(threading.Thread, "join", recorded)
    assert supervisor.join()
    assert len(waits) >= 3
    assert all(wait is not None and wait <= 1 for wait in waits)
