"""The example, killed with SIGKILL again and again: nothing is lost and nothing is done twice."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from floto.core.swf import events as e
from floto.core.swf.service import ExecutionInfo
from floto.runtime.connect import connect

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "wordcount"

# The example's activities, each noting in a log that it begins.
LOGGED = f"""
import os, sys, time
import floto
from functools import wraps
from pathlib import Path

def logged(register):
    def decorator(*, name, version):
        def decorate(function):
            @wraps(function)
            def wrapper(context):
                line = f"{{time.time()}} {{floto.current().execution.workflow_id}} {{floto.current().id}}\\n"
                with open("begun.log", "a") as log:
                    log.write(line)
                return function(context)
            register(name=name, version=version)(wrapper)
            return function
        return decorate
    return decorator

floto.activity, floto.generator = logged(floto.activity), logged(floto.generator)
path = Path({str(EXAMPLE / "activities.py")!r})
exec(compile(path.read_text(), str(path), "exec"))
"""


def command(directory: Path) -> list[str]:
    """Return the README's command, over text that does not change during the test."""
    text = directory.parent / "text"
    if not text.exists():
        shutil.copytree(ROOT / "floto", text)
    activities = directory / "logged.py"
    activities.write_text(LOGGED)
    return [
        *(sys.executable, "-m", "floto", "run", f"{EXAMPLE / 'workflow.py'}:spec"),
        *("--activities", str(activities), "--workflow-id", "words"),
        *("--input", json.dumps({"directory": str(text)})),
    ]


def start(directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(directory),
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def killed(directory: Path, seconds: float) -> bool:
    """Return True if the command was still running after these seconds, and was killed."""
    with start(directory) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        _, err = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), err
    return process.returncode != 0


def finish(directory: Path) -> object:
    with start(directory) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return json.loads(out)


def check_history(directory: Path) -> None:
    service = connect(f"sqlite:///{directory / 'floto.db'}")
    try:
        for workflow_id in ("words", "words:report"):
            info = service.latest_execution(workflow_id)
            assert info is not None
            check_run(info, service.history(info.execution), directory)
    finally:
        service.close()


def check_run(info: ExecutionInfo, events: tuple[e.Event, ...], directory: Path) -> None:
    scheduled = {event.id: event.data for event in events if isinstance(event.data, e.ActivityTaskScheduled)}
    completed = [
        (scheduled[event.data.scheduled_event_id].activity_id, event.at.timestamp())
        for event in events
        if isinstance(event.data, e.ActivityTaskCompleted)
    ]
    assert {times for _, times in Counter(id_ for id_, _ in completed).items()} == {1}
    assert {id_ for id_, _ in completed} == {data.activity_id for data in scheduled.values()}
    ends = dict(completed)
    for line in (directory / "begun.log").read_text().splitlines():
        moment, workflow_id, activity_id = line.split(" ", 2)
        if workflow_id == info.execution.workflow_id:
            # SWF keeps milliseconds.
            assert float(moment) <= ends[activity_id] + 0.001, f"{activity_id} ran again after its completion"


def check_file(path: Path) -> None:
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()


def survives(tmp_path: Path, kills: int, seed: int) -> None:
    """Kill at random moments, beginning a new run whenever one got to its end."""
    chance = random.Random(seed)
    (calm := tmp_path / "calm").mkdir()
    expected = finish(calm)
    while kills:
        directory = tmp_path / f"{kills} left"
        directory.mkdir()
        while kills and killed(directory, chance.uniform(0.3, 1.8)):
            kills -= 1
        assert finish(directory) == expected
        check_history(directory)
        check_file(directory / "floto.db")


def test_example_survives_four_kills(tmp_path: Path) -> None:
    survives(tmp_path, 4, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_example_survives_fifty_kills(tmp_path: Path) -> None:
    survives(tmp_path, 50, seed=2)


def test_interrupted_run_resumes_at_once(tmp_path: Path) -> None:
    (directory := tmp_path / "interrupted").mkdir()
    with start(directory) as process:
        while not (directory / "begun.log").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "--workflow-id words" in err
    assert "report" in str(finish(directory))
    check_history(directory)
