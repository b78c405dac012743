"""Logs of deciders, workers and runs with hostile values: one line for each record, for any content."""

from __future__ import annotations

import itertools
import json
import logging
import re
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

import floto
from floto import ActivityTask, DeciderSpec, StartRequest, WorkflowType
from floto.adapters.sqlite import SqliteService
from tests.integration.hostile import HOSTILE
from tests.integration.hostile import floto as command

FORGED = "x\n2026-01-01 00:00:00,000 WARNING forged\x1b[31m\u202e"
#: A line of a record, or of the traceback under it.
LINE = re.compile(r"RECORD (INFO|WARNING|ERROR|DEBUG) [^\n]*|  \| [^\n]*")
#: A line of progress, of a log record or of its traceback, and the last words of ``floto run``.
PROGRESS = re.compile(r"\d\d:\d\d:\d\d |  [|] |  t: |workflow |floto: ")
KIND = WorkflowType("flow", "1")
#: Activities stay registered in this process.
NUMBERS = itertools.count()


@pytest.fixture
def logged() -> Iterator[StringIO]:
    """The log of a program that configures logging itself."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("RECORD %(levelname)s %(message)s"))
    log = logging.getLogger("floto")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield stream
    log.removeHandler(handler)
    log.setLevel(level)


def checked(text: str) -> None:
    assert text
    assert all(line.isprintable() and LINE.fullmatch(line) for line in text.rstrip("\n").split("\n")), text


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_logged_values_and_tracebacks_cannot_forge_a_record(logged: StringIO, text: str) -> None:
    log = logging.getLogger("floto")
    log.warning("run %s: %r (%d)", text, text, 3)
    log.warning(text)
    error = ValueError(text)
    log.error("activity %s failed", text, stack_info=True, exc_info=error)
    logging.getLogger("floto.activity").error("activity failed", exc_info=error)
    checked(logged.getvalue())


def test_unreadable_carried_spec_cannot_forge_a_record(logged: StringIO) -> None:
    """The input of a run alone decides what the decider says of it."""
    with SqliteService(":memory:") as service:
        service.prepare([KIND], [])
        spec = {"type": FORGED, FORGED: FORGED}
        request = StartRequest(
            workflow_id="w", workflow_type=KIND, task_list="d", input=json.dumps({"decider_spec": spec})
        )
        service.start_workflow_execution(request)
        decider = floto.Decider(None, service=service, task_list="d", identity=FORGED)
        thread = threading.Thread(target=decider.run)
        thread.start()
        for _ in range(600):
            info = service.latest_execution("w")
            if info is not None and info.close_status:
                break
            threading.Event().wait(0.05)
        decider.stop()
        thread.join()
    text = logged.getvalue()
    assert "fails" in text
    checked(text)


def test_message_of_a_failed_activity_cannot_forge_a_record(logged: StringIO) -> None:
    activities = floto.Activities()

    @activities.activity(name="a", version="1")
    def fail() -> None:
        raise ValueError(FORGED)

    spec = DeciderSpec(activity_tasks=[ActivityTask(id_="a", name="a", version="1")])
    with SqliteService(":memory:") as service, pytest.raises(floto.WorkflowFailed) as caught:
        floto.run(spec, service=service, activities=activities)
    assert len(str(caught.value).split("\n")) == 2
    assert not {each for each in str(caught.value) if not each.isprintable()} - {"\n"}
    text = logged.getvalue()
    assert "forged" in text
    checked(text)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("verbose", [False, True])
def test_values_cannot_forge_a_line_of_the_progress(
    text: str, *, verbose: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    number = next(NUMBERS)
    Path(f"acts{number}.py").write_text(
        f"import floto\n@floto.activity(name='t{number}', version='1')\n"
        f"def t():\n    raise ValueError({text!r})\n"
    )
    task = ActivityTask(id_="t", name=f"t{number}", version="1")
    Path("spec.json").write_text(DeciderSpec(activity_tasks=[task]).to_json())
    arguments = ("spec.json", "--activities", f"acts{number}.py", "--service", "memory:")
    said = command("run", *arguments, *(["--verbose"] if verbose else []))
    assert said.code == 1, said
    assert not said.unsafe
    assert all(map(PROGRESS.match, said.err.rstrip("\n").split("\n"))), said.err
