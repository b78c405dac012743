"""``floto why`` and ``floto status`` name the reason that a run does not progress, and the remedy."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import floto
from floto.adapters.sqlite import SqliteService, inspection
from floto.core.state import fold
from floto.runtime.cli.why import why_command
from floto.testing import simulate
from tests.integration.commands import Shell, wait_for

FLOW = """
import floto
def act(id_, name="ask", **more):
    return floto.ActivityTask(id_=id_, name=name, version="1", task_list="work", **more)
ask = floto.DeciderSpec(activity_tasks=[act("ask")], task_list="decide")
wait = floto.DeciderSpec(activity_tasks=[floto.Signal(id_="ok", signal_name="approved")], task_list="decide")
slow = floto.DeciderSpec(activity_tasks=[act("slow", "slow", start_to_close_timeout=600)], task_list="decide")
broken = floto.DeciderSpec(
    activity_tasks=[act("b", "broken", retry_strategy=floto.FixedDelay(3600, 5)), act("c", requires=["b"])],
    task_list="decide",
)
kid = floto.ChildWorkflow(
    id_="child", workflow_type_name="kid", workflow_type_version="1", spec=wait, task_list="decide"
)
parent = floto.DeciderSpec(activity_tasks=[kid], task_list="decide")
first = [act(f"m{i}") for i in range(500)]
second = [act(f"n{i}", requires=[f"m{i}"]) for i in range(99)]
many = floto.DeciderSpec(activity_tasks=[*first, *second], task_list="decide")
"""
ACTIVITIES = """
import floto, time
@floto.activity(name="ask", version="1")
def ask(context): return 1
@floto.activity(name="slow", version="1")
def slow(context): time.sleep(600)
@floto.activity(name="broken", version="1")
def broken(context): raise ValueError("no such luck")
"""
OLD = """
import floto
@floto.activity(name="ask", version="0")
def ask(context): return 1
"""
DECIDER = ("decider", "--task-list", "decide", "--identity", "the decider")
WORKER = ("worker", "--task-list", "work", "--activities", "acts.py", "--identity", "the worker")
#: What ``floto why`` prints at most.
LINES = 10


@pytest.fixture
def run(anywhere: Shell) -> Callable[[str], None]:
    """Start a run of one of the specs."""
    for name, text in (("flow.py", FLOW), ("acts.py", ACTIVITIES), ("old.py", OLD)):
        (anywhere.cwd / name).write_text(text)
    return lambda spec: anywhere.here("start", "--spec", f"flow.py:{spec}", "--workflow-id", "w") and None


def why(shell: Shell, *arguments: str) -> str:
    said = shell.here("why", "w", *arguments)[0]
    assert len(said.splitlines()) <= LINES, said
    return said


def wait_for_why(shell: Shell, *parts: str) -> None:
    """Wait until ``floto why`` says all of this."""
    last = ""

    def look() -> bool:
        nonlocal last
        last = why(shell)
        return all(part in last for part in parts)

    try:
        wait_for(look)
    except AssertionError:
        pytest.fail(f"{parts} are not all in:\n{last}")


def test_why_names_a_missing_decider(anywhere: Shell, run: Callable[[str], None]) -> None:
    run("ask")
    said = why(anywhere)
    assert "the run: decision task queued since " in said
    assert " on task list 'decide', no decider has picked it up; no decider polls" in said
    assert "no decider polls this task list\n    floto decider --task-list decide\n" in said
    assert "nobody polls task list 'decide' for decisions: floto decider" in anywhere.here("status")[0]


def test_why_names_a_decider_polling_another_task_list(anywhere: Shell, run: Callable[[str], None]) -> None:
    run("ask")
    with anywhere.loop("decider", "--task-list", "wrong"):
        wait_for_why(anywhere, "no decider polls this task list; others poll task list 'wrong'")


def test_why_names_a_decider_polling_another_domain(anywhere: Shell, run: Callable[[str], None]) -> None:
    run("ask")
    anywhere.here("register", "domain", "there")
    with anywhere.loop(*DECIDER, "--domain", "there"):
        wait_for_why(anywhere, "no decider polls this task list; it is polled in domain 'there'")


def test_why_names_another_domain_or_file_of_the_run(anywhere: Shell, run: Callable[[str], None]) -> None:
    run("ask")
    anywhere.here("register", "domain", "there")
    assert (
        "there is no run 'w' in domain 'there' on "
        in anywhere.here("why", "w", "--domain", "there", code=2)[1]
    )
    assert "there is no file" in anywhere.here("why", "w", "--service", "sqlite:///other.db", code=2)[1]


def test_why_names_a_missing_worker(anywhere: Shell, run: Callable[[str], None]) -> None:
    run("ask")
    with anywhere.loop(*DECIDER):
        wait_for_why(
            anywhere,
            "ask: queued since ",
            " on task list 'work', no worker has picked it up; no worker polls",
            "; no worker polls this task list\n    floto worker --task-list work --activities FILE.py\n",
        )
        found = anywhere.data("status")
        (waiting,) = (each for each in found["backlogs"] if each["kind"] == "activity")
        assert (waiting["task_list"], waiting["waiting"]) == ("work", 1)
        assert [each["identity"] for each in found["pollers"]] == ["the decider"]


def test_why_names_a_worker_with_another_activity_version(
    anywhere: Shell, run: Callable[[str], None]
) -> None:
    run("ask")
    old = ("worker", "--task-list", "work", "--activities", "old.py", "--identity", "the worker")
    with anywhere.loop(*DECIDER), anywhere.loop(*old):
        wait_for_why(
            anywhere,
            "ask: waiting for its retry; the next attempt, after workers gave it back ",
            "the worker polls this task list and has no function for ask 1 (it has ask 0)",
            "floto worker --task-list work --activities FILE.py",
        )
        served = {each["identity"]: each.get("serves") for each in anywhere.data("status")["pollers"]}
        assert served["the worker"] == [{"name": "ask", "version": "0"}]


def test_why_names_a_received_signal_of_another_name(anywhere: Shell, run: Callable[[str], None]) -> None:
    run("wait")
    with anywhere.loop(*DECIDER):
        anywhere.here("signal", "w", "aproved")
        wait_for_why(
            anywhere,
            "ok: waiting for signal 'approved'; signal 'aproved' arrived, which no task waits for",
            "    floto signal w approved\n",
        )
    assert "waiting for signal 'approved'" in anywhere.here("show", "w")[0]


def test_why_names_a_hanging_activity(anywhere: Shell, run: Callable[[str], None]) -> None:
    run("slow")
    with anywhere.loop(*DECIDER), anywhere.loop(*WORKER):
        wait_for_why(
            anywhere,
            "slow: running since ",
            " on the worker, times out at ",
        )


def test_why_names_a_waiting_child(anywhere: Shell, run: Callable[[str], None]) -> None:
    run("parent")
    with anywhere.loop(*DECIDER):
        wait_for_why(anywhere, "child: running since ")
        (command,) = (
            line.split() for line in why(anywhere).splitlines() if line.startswith("    floto why ")
        )
        said = anywhere.here(*command[1:])[0]
        assert "waiting for signal 'approved'" in said


def test_why_names_a_pending_retry(anywhere: Shell, run: Callable[[str], None]) -> None:
    run("broken")
    with anywhere.loop(*DECIDER), anywhere.loop(*WORKER):
        wait_for_why(
            anywhere,
            "b: waiting for its retry; retry 1 of 5, after ValueError: no such luck, is due at ",
            "c: waiting for b to complete",
        )


def test_why_groups_500_tasks_with_equal_reasons(anywhere: Shell, run: Callable[[str], None]) -> None:
    run("many")
    with anywhere.loop(*DECIDER):
        wait_for_why(
            anywhere,
            "500 tasks (m0, m1, m2, ...): queued since ",
            "99 tasks (n0, n1, n2, ...): waiting for m0 to complete",
        )
    found = anywhere.data("why", "w")
    assert sorted(len(each["tasks"]) for each in found["waits"] if each["tasks"]) == [99, 500]
    assert "n7: waiting\n  waiting for m7 to complete\n    m7: queued" in anywhere.here("why", "w", "n7")[0]


def test_why_follows_the_task_of_a_killed_worker_to_another(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "flow.py").write_text(FLOW)
    (tmp_path / "acts.py").write_text(ACTIVITIES)
    shell.here("start", "--spec", "flow.py:slow", "--workflow-id", "w")
    with shell.loop(*DECIDER):
        with shell.loop(*WORKER):
            wait_for_why(shell, "on the worker, times out at ")
        wait_for_why(shell, "that worker has ended, the task is queued again; no worker polls this task list")
        with shell.loop(*WORKER[:-1], "the heir"):
            wait_for_why(
                shell, "on the worker, times out at ", "that worker has ended, the heir has the task now"
            )


def test_why_names_an_unresponsive_decider(tmp_path: Path) -> None:
    mine, other = (
        floto.DeciderSpec(activity_tasks=[floto.Timer(id_=name, delay_in_seconds=1)]) for name in "ab"
    )
    with SqliteService(tmp_path / "floto.db") as service:
        kind = floto.WorkflowType("flow", "v1")
        service.prepare([kind], [])
        service.start_workflow_execution(
            floto.StartRequest(
                workflow_id="w",
                workflow_type=kind,
                task_list="decide",
                decision_timeout="1",
                tags=floto.spec_tags(mine),
            )
        )
        decider = floto.Decider(other, service=service, task_list="decide", identity="x:7", poll_seconds=0.2)
        thread = threading.Thread(target=decider.run)
        thread.start()
        wait_for_why(Shell(tmp_path), "and did not respond; see its log", "x:7 claimed it ")
        decider.stop()
        thread.join()


def test_status_names_a_held_lock_and_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(tmp_path)
    shell.here("register", "domain", "floto")
    path = tmp_path / "floto.db"
    assert "without an end" not in shell.here("status")[0]
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert f"a process has been writing to {path} for more than 2 s without an end" in shell.here("status")[0]
    other.close()
    monkeypatch.setattr(inspection, "_LITTLE_ROOM", 2**62)
    assert f"the disk of {path} is full" in shell.here("status")[0]


def test_status_shows_live_processes_only(anywhere: Shell, run: Callable[[str], None]) -> None:
    run("slow")
    with anywhere.loop(*WORKER) as worker, anywhere.loop(*DECIDER):
        wait_for(lambda: len(anywhere.data("status")["pollers"]) == 2)
        wait_for(lambda: [each.get("taken") for each in anywhere.data("status")["backlogs"]] == [1])
        lines = anywhere.here("status")[0].splitlines()
        assert any(
            line.startswith("worker\tthe worker\twork\t") and "ask 1, broken 1" in line for line in lines
        )
        assert any(line.startswith("decider\tthe decider\tdecide\t") for line in lines)
        if not anywhere.service.startswith("http"):
            # A server cannot see clients die; it says when each polled last.
            worker.kill()
            worker.wait()
            assert [each["kind"] for each in anywhere.data("status")["pollers"]] == ["decision"]


def test_why_reads_a_file_a_pipe_and_an_earlier_event(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "flow.py").write_text(FLOW)
    shell.here("start", "--spec", "flow.py:wait", "--workflow-id", "w")
    with shell.loop(*DECIDER):
        wait_for_why(shell, "ok: waiting")
        shell.here("signal", "w", "approved", "--input", "1")
        shell.until("w", "COMPLETED")
    history = shell("history", "w").stdout
    (tmp_path / "w.json").write_text(history)
    assert "1 of 1 tasks done" in shell.here("why", "w.json")[0]
    past = json.loads(shell.here("why", "w.json", "--at", "2", "--json")[0])
    assert past["event"] == 2
    assert [each["tasks"] for each in past["waits"]] == [[], ["ok"]]
    assert "no decider polls" not in shell.here("why", "w.json", "--at", "2")[0]
    assert why_command.name == "why"


@pytest.mark.parametrize("at", [None, 5])
def test_why_folds_the_history_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int | None) -> None:
    task = floto.ActivityTask(id_="ask", name="ask", version="1")
    run = simulate(floto.DeciderSpec(activity_tasks=[task]))
    run.main.save(tmp_path / "w.json")
    (tmp_path / "flow.py").write_text(FLOW)
    folded, trace = [], fold.trace

    def counted(events: Iterable[floto.Event], state: floto.State = floto.State()) -> Any:  # noqa: B008
        given = list(events)
        folded.append(len(given))
        return trace(given, state)

    monkeypatch.setattr("floto.core.state.fold.trace", counted)
    words = [str(tmp_path / "w.json"), "--spec", f"{tmp_path / 'flow.py'}:ask"]
    why_command.main(words + ([] if at is None else ["--at", str(at)]), standalone_mode=False)
    assert folded == [at or len(run.main)]


def test_why_of_a_run_on_its_own_task_list_names_the_command_that_resumes_it(shell: Shell) -> None:
    held = ("run", "flow.py:spec", "--activities", "acts.py", "--workflow-id", "mine", "--timeout", "1")
    (shell.cwd / "slow").touch()
    shell(*held, code=124)
    shell.here("signal", "mine", "news")
    said = shell.here("why", "mine", "--spec", "flow.py:spec")[0]
    assert "    floto run --activities FILE.py --workflow-id mine SPEC\n" in said


def test_why_of_a_terminated_run_names_the_reason(shell: Shell) -> None:
    shell.here("start", "--spec", "flow.py:spec", "--workflow-id", "w")
    shell.here("terminate", "w", "--reason", "wrong day")
    assert " (WorkflowExecutionTerminated: wrong day); 0 of " in shell.here("why", "w")[0]


def test_why_of_a_task_asks_for_the_spec_of_a_run_that_carries_none(shell: Shell) -> None:
    spec = floto.DeciderSpec(activity_tasks=[floto.Timer(id_="t", delay_in_seconds=0)])
    floto.run(spec, service=f"sqlite:///{shell.cwd}/floto.db", workflow_id="w")
    said = "the run carries no spec; name the one that decided it with --spec"
    assert said in shell.here("why", "w", "t", code=2)[1]
    assert "default: the one that it carries" in " ".join(shell.here("why", "--help")[0].split())
