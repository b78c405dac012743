"""The commands that draw, as real processes."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import floto
from floto.adapters.sqlite import SqliteService
from tests.integration import commands

FLOW = """
import floto
parts = floto.Generator(id_="parts", name="parts", version="1")
wait = floto.Timer(id_="wait", delay_in_seconds=0, requires=[parts])
again = floto.InstantRetry(1)
shaky = floto.ActivityTask(id_="shaky", name="shaky", version="1", requires=[wait], retry_strategy=again)
spec = floto.DeciderSpec(activity_tasks=[parts, wait, shaky])
"""


command = partial(commands.command, COLUMNS="100")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A spec, and the history of a run of it in which a generated task fails and a retry helps."""
    (tmp_path / "flow.py").write_text(FLOW)
    scope: dict[str, floto.DeciderSpec] = {}
    exec(FLOW, scope)  # noqa: S102 - the test's own text
    activities, tries = floto.Activities(), iter((ZeroDivisionError, None))

    @activities.generator(name="parts", version="1")
    def parts() -> list[floto.Task]:
        return [floto.ActivityTask(id_="one <part>", name="part", version="1")]

    @activities.activity(name="part", version="1")
    def part() -> int:
        return 1

    @activities.activity(name="shaky", version="1")
    def shaky() -> int:
        if (error := next(tries)) is not None:
            raise error
        return 2

    with SqliteService(":memory:") as service:
        floto.run(scope["spec"], service=service, workflow_id="wf", activities=activities)
        info = service.latest_execution("wf")
        assert info is not None
        floto.History(service.history(info.execution), info.execution).save(tmp_path / "run.json")
    return tmp_path


def test_timeline_is_drawn_on_a_terminal(files: Path) -> None:
    done = command(files, "timeline", "run.json")
    assert done.returncode == 0, done.stderr
    assert "wf  WorkflowExecutionCompleted" in done.stdout
    for name in ("parts", "one <part>", "wait"):
        assert name in done.stdout
    (shaky,) = [line for line in done.stdout.splitlines() if "shaky" in line]
    assert "2 attempts" in shaky


def test_pictures_are_written_to_files(files: Path) -> None:
    for name in ("a.svg", "a.html"):
        assert command(files, "timeline", "run.json", "-o", name).returncode == 0
        assert "shaky" in (files / name).read_text()
    for name in ("g.svg", "g.html", "g.mmd", "g.dot"):
        done = command(files, "graph", "flow:spec", "--history", "run.json", "-o", name)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", f"wrote {name}\n")
        assert "one" in (files / name).read_text()
    for name in ("a.svg", "g.svg"):
        ET.parse(files / name)  # noqa: S314 - our own picture


def test_graph_is_drawn_on_a_terminal(files: Path) -> None:
    assert "ActivityTask" in command(files, "graph", "flow:spec").stdout
    lines = command(files, "graph", "flow:spec", "--history", "run.json").stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["task", "parts", "", "wait", "shaky"]
    assert "done (attempt 2)" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("timeline", "run.json", "-o", "x.pdf"), "the name must end in one of .svg, .html"),
        (("timeline", "none.json"), "none.json"),
        (("graph", "flow:spec", "-o", "no/where.svg"), "no/where.svg"),
        (("graph", "flow:spec", "--history", "flow.py"), "flow.py"),
    ],
)
def test_undrawable_input_is_reported(files: Path, arguments: tuple[str, ...], said: str) -> None:
    done = command(files, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["timeline", "why"])
def test_history_that_does_not_begin_with_a_start_is_named(tmp_path: Path, name: str) -> None:
    event = {
        "eventId": 1,
        "eventTimestamp": 1.8e9,
        "eventType": "DecisionTaskScheduled",
        "decisionTaskScheduledEventAttributes": {"taskList": {"name": "l"}},
    }
    (tmp_path / "part.json").write_text(json.dumps({"events": [event]}))
    done = command(tmp_path, name, "part.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "event 1: DecisionTaskScheduled: a history has one start, and it is event 1" in done.stderr
