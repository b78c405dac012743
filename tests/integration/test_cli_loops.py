"""Deciders, workers and daemons as commands: they work, stop on SIGTERM, and exit at once on a second one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from tests.integration.commands import PATIENCE, Shell, wait_for

WORKER = ("worker", "--activities", "acts.py", "--identity", "the worker")


def ended(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in said
    return process.returncode, said


def test_dynamic_decider_and_worker_complete_a_started_run(anywhere: Shell) -> None:
    anywhere.here("register", "domain", "floto")
    with anywhere.loop("decider", "--identity", "the decider") as decider, anywhere.loop(*WORKER) as worker:
        anywhere("start", "--spec", "flow.py:spec", "--workflow-id", "w", "--input", '{"who": "me"}')
        found = anywhere.until("w", "COMPLETED")
        assert found["result"] == {"tell": ["me", 1]}
        assert found["counts"]["activity"] == {"completed": 2}
        for process in (decider, worker):
            process.send_signal(signal.SIGTERM)
        if anywhere.service.startswith("http"):
            # Their polls take another minute, and what those bring is not lost.
            anywhere("start", "--spec", "flow.py:spec", "--workflow-id", "last")
        for process in (decider, worker):
            _, said = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0
            assert "task list 'floto' as the" in said
            assert "interrupt again to stop at once" in said
    if anywhere.service.startswith("http"):
        assert anywhere.data("show", "last")["counts"]["activity"] == {"completed": 1}
    history = anywhere("history", "w").stdout
    assert '"identity": "the decider"' in history
    assert '"identity": "the worker"' in history


def test_decider_serves_several_specs_each_on_its_task_list(shell: Shell) -> None:
    types = ("--type", "floto.run", "1")
    shell.here("register", "spec", "flow.py:spec")
    with shell.loop("decider", "flow.py:spec", "flow.py:other") as decider, shell.loop(*WORKER):
        results = {"others": {"ask": {"n": 1, "big": "x" * 10}}, "floto": {"tell": ["me", 1]}}
        for name, expected in results.items():
            more = ("--workflow-id", name, "--task-list", name, "--input", '{"who": "me"}')
            shell.here("start", *types, *more)
            assert shell.until(name, "COMPLETED")["result"] == expected
        assert ended(decider, signal.SIGINT)[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_second_signal_stops_the_worker_at_once(shell: Shell, number: signal.Signals) -> None:
    (shell.cwd / "acts.py").write_text(
        "import floto, time\nfrom pathlib import Path\n"
        "@floto.activity(name='ask', version='1')\n"
        "def ask():\n    Path('begun').touch()\n    time.sleep(120)\n"
    )
    shell.here("start", "--spec", "flow.py:other", "--workflow-id", "w", "--task-list", "floto")
    with shell.loop("decider"), shell.loop(*WORKER) as worker:
        wait_for((shell.cwd / "begun").exists)
        worker.send_signal(number)
        assert worker.stderr is not None
        assert any("interrupt again to stop at once" in line for line in iter(worker.stderr.readline, ""))
        began = time.monotonic()
        assert ended(worker, number)[0] == 130
        assert time.monotonic() - began < 60


def test_long_results_are_stored_in_the_shared_payload_store(shell: Shell) -> None:
    (shell.cwd / "acts.py").write_text(
        "import floto, random\n"
        "@floto.activity(name='ask', version='1')\n"
        "def ask():\n    return ''.join(random.Random(1).choices('abcdefghijklmnop', k=200_000))\n"
        "@floto.activity(name='tell', version='1')\n"
        "def tell(context):\n    return len(context['ask'])\n"
    )
    arguments = ("flow.py:spec", "--activities", "acts.py", "--workflow-id", "w", "--payloads", "kept")
    assert '"tell": 200000' in shell("run", *arguments).stdout
    assert len([*(shell.cwd / "kept").glob("*/*")]) == 1
    failed = shell("run", *arguments[:-2], "--service", "memory:", code=1)
    assert "--payloads" in failed.stderr
    shell.here("start", "--spec", "flow.py:spec", "--workflow-id", "again")
    with shell.loop("decider"), shell.loop(*WORKER, "--payloads", "kept"):
        assert shell.until("again", "COMPLETED")["result"] == {"tell": 200_000}
    assert len([*(shell.cwd / "kept").glob("*/*")]) == 1


def prepare_daemon(shell: Shell) -> None:
    """A daemon workflow, and a file with what its signals carry."""
    (shell.cwd / "more.py").write_text(
        "import json\nfrom flow import other\n"
        "print(json.dumps({'decider_spec': json.loads(other.to_json())}))\n"
    )
    written = subprocess.run(
        [sys.executable, "more.py"], cwd=shell.cwd, env=shell.environment, capture_output=True, check=True
    )
    (shell.cwd / "signal.json").write_bytes(written.stdout)
    # The types too: a worker that begins registers them, but a signal may come before it has.
    shell.here("register", "spec", "flow.py:spec")
    shell.here("register", "workflow", "floto_daemon_type", "v1", "--task-list", "floto_daemon")
    shell.here("start", "--type", "floto_daemon_type", "v1", "--workflow-id", "floto_daemon")


def completed(shell: Shell) -> list[str]:
    said, _ = shell.here("list", "--status", "COMPLETED", "--json")
    return [info["execution"]["workflowId"] for info in json.loads(said)]


def test_daemon_starts_a_child_for_a_signal(anywhere: Shell) -> None:
    prepare_daemon(anywhere)
    with anywhere.loop("daemon", "--identity", "the daemon") as daemon, anywhere.loop(*WORKER):
        for _ in range(2):
            anywhere("signal", "floto_daemon", "startChildWorkflowExecution", "--input", "@signal.json")
        children = wait_for(lambda: found if len(found := completed(anywhere)) == 2 else None)
        [open_run] = json.loads(anywhere.here("list", "--open", "--json")[0])
        assert open_run["execution"]["workflowId"] == "floto_daemon"
        shown = json.loads(anywhere.here("show", children[0], "--json")[0])
        assert shown["result"] == {"ask": {"n": 1, "big": "x" * 10}}
        assert '"identity": "the daemon"' in anywhere.here("history", children[1])[0]
        if anywhere.service.startswith("sqlite"):
            assert ended(daemon, signal.SIGTERM)[0] == 0
