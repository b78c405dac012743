"""Redrive on real services: a run fails, is mended and redriven; activities count executions in files."""

from __future__ import annotations

import html
import json
import logging
import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from moto import mock_aws

import floto
from floto.adapters.sqlite import SqliteService
from floto.adapters.swf import SwfService
from floto.adapters.swf_client import make_client
from floto.core.errors import ServiceFault, Unreachable
from floto.core.state.redriven import awaits_parts
from floto.core.swf.reserved_names import REDRIVE_KEY
from floto.payloads import DirectoryStore
from floto.runtime.runs.redriving import start_redriven
from floto.runtime.runs.run_request import WrongWorkflow
from floto.runtime.workers.activities import Activities
from tests.integration.browser import ask, ui
from tests.integration.commands import Shell, write_files
from tests.kills import forked

COUNTED = """
import floto
from pathlib import Path

def ran(name):
    with open("ran", "a") as file:
        file.write(name + "\\n")

@floto.activity(name="ask", version="1")
def ask():
    ran("ask")
    return {"n": 1}

@floto.activity(name="tell", version="1")
def tell(context):
    ran("tell")
    if Path("broken").exists():
        raise ValueError("no such luck")
    return [context["workflow"]["who"], context["ask"]["n"]]
"""
RUN = ("run", "flow.py:spec", "--activities", "acts.py", "--workflow-id", "w")
RESULT = {"tell": ["me", 1]}


def mended(shell: Shell) -> Shell:
    """Let a run fail in its second activity, and mend it."""
    (shell.cwd / "acts.py").write_text(COUNTED)
    spec = (shell.cwd / "flow.py").read_text().replace("floto.FixedDelay(3600, 5)", "None")
    (shell.cwd / "flow.py").write_text(spec)
    (shell.cwd / "broken").touch()
    shell(*RUN, "--input", '{"who": "me"}', code=1)
    (shell.cwd / "broken").unlink()
    return shell


@pytest.fixture(scope="module")
def mended_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("mended")
    write_files(directory)
    return mended(Shell(directory)).cwd


@pytest.fixture
def flow(mended_once: Path, tmp_path: Path) -> Shell:
    """A copy of the mended run, for each test."""
    shutil.copytree(mended_once, tmp_path, dirs_exist_ok=True)
    return Shell(tmp_path)


@pytest.fixture
def flow_anywhere(anywhere: Shell) -> Shell:
    return mended(anywhere)


def ran(shell: Shell) -> Counter[str]:
    return Counter((shell.cwd / "ran").read_text().split())


def test_run_with_redrive_keeps_what_completed(flow_anywhere: Shell) -> None:
    flow = flow_anywhere
    done = flow(*RUN, "--redrive")
    assert json.loads(done.stdout) == RESULT
    assert "keeps 2 tasks; runs again: tell" in done.stderr
    assert ran(flow) == {"ask": 1, "tell": 2}
    why = flow("why", "w", "ask", "--spec", "flow.py:spec").stdout
    assert "kept from run" in why


def test_failed_run_prints_the_command_that_keeps_what_completed(flow: Shell) -> None:
    (flow.cwd / "broken").touch()
    command = " ".join(RUN)
    failed = flow(*RUN, "--redrive", code=1).stderr
    assert failed.endswith(f"after a fix, to keep what completed:\n  floto {command} --redrive\n")
    failed = flow(*RUN[:-2], "--input", '{"who": 1}', code=1).stderr
    assert re.search(r"--workflow-id floto-\w+ --redrive\n$", failed)
    kept_nowhere = flow(*RUN, "--input", '{"who": 1}', "--service", "memory:", code=1).stderr
    assert "--redrive" not in kept_nowhere


def test_run_without_redrive_starts_anew_and_names_the_option(flow: Shell) -> None:
    done = flow(*RUN, "--input", '{"who": "me"}')
    assert "ended FAILED; this one starts from the beginning" in done.stderr
    assert "--redrive" in done.stderr
    assert ran(flow) == {"ask": 2, "tell": 2}


def test_command_prints_the_plan_first_and_starts_the_run(flow: Shell) -> None:
    plan = flow.here("redrive", "w", "--spec", "flow.py:spec", "--dry-run")[0]
    rows = [line.split("\t")[:2] for line in plan.splitlines()]
    assert rows == [["ask", "keep"], ["rest", "keep"], ["tell", "run"]]
    assert json.loads(flow.here("show", "w", "--json")[0])["status"] == "FAILED"
    out, err = flow.here("redrive", "w", "--spec", "flow.py:spec", "--json")
    told = json.loads(out)
    assert [task["action"] for task in told["plan"]] == ["keep", "keep", "run"]
    assert "floto run flow.py:spec --activities FILE.py --workflow-id w" in err
    first = json.loads(flow.here("history", "w")[0])["execution"]["runId"]
    assert first == told["runId"]
    assert json.loads(flow(*RUN).stdout) == RESULT
    assert ran(flow) == {"ask": 1, "tell": 2}


def test_chosen_task_runs_again(flow: Shell) -> None:
    flow.here("redrive", "w", "--spec", "flow.py:spec", "--rerun", "ask")
    flow(*RUN)
    assert ran(flow) == {"ask": 2, "tell": 2}


def test_saved_history_is_redriven_under_another_workflow_id(flow: Shell) -> None:
    flow.here("history", "w", "-o", "old.json", "--spec", "flow.py:spec")
    flow.here("redrive", "old.json", "--workflow-id", "new")
    assert json.loads(flow(*RUN[:-1], "new").stdout) == RESULT
    assert ran(flow) == {"ask": 1, "tell": 2}


def test_open_run_of_the_workflow_id_is_named(flow: Shell) -> None:
    flow.here("redrive", "w", "--spec", "flow.py:spec", "--rerun", "ask")
    run_id = json.loads(flow.here("history", "w")[0])["execution"]["runId"]
    _, refused = flow.here("redrive", f"w@{run_id}", "--spec", "flow.py:spec", code=2)
    assert "has an open run; end that one first: floto terminate" in refused


def test_redrive_of_an_open_run_is_refused_and_its_dry_run_says_so(flow: Shell) -> None:
    flow.here("redrive", "w", "--spec", "flow.py:spec", "--rerun", "ask")
    again = ("redrive", "w", "--spec", "flow.py:spec")
    plan, note = flow.here(*again, "--dry-run")
    assert plan.startswith("ask\t")
    assert "workflow 'w' has an open run; end that one first: floto terminate" in note
    for more in ((), ("--workflow-id", "other")):
        _, refused = flow.here(*again, *more, code=2)
        assert "workflow 'w' has an open run; end that one first: floto terminate" in refused
    assert [run["execution"]["workflowId"] for run in flow.data("list")] == ["w", "w"]


def test_redrive_of_a_completed_run_with_nothing_to_run_again_is_refused(flow: Shell) -> None:
    flow(*RUN, "--redrive")
    _, refused = flow.here("redrive", "w", "--spec", "flow.py:spec", code=2)
    assert "the run completed, and no task would run again; name tasks to run again with --rerun" in refused
    assert "no task would run again" in flow.here("redrive", "w", "--spec", "flow.py:spec", "--dry-run")[1]
    flow.here("redrive", "w", "--spec", "flow.py:spec", "--rerun", "tell")


def test_tasks_that_the_spec_does_not_have_are_named(flow: Shell) -> None:
    text = (flow.cwd / "flow.py").read_text().replace('id_="ask"', 'id_="enquire"')
    (flow.cwd / "changed.py").write_text(text)
    command = ("redrive", "w", "--spec", "changed.py:spec", "--dry-run")
    assert flow.here(*command)[0].endswith("ask\tdrop\tcompleted before, but is not in this spec\n")
    assert json.loads(flow.here(*command, "--json")[0])["dropped"] == ["ask"]
    lost = "completed before, but not in this spec, so not kept: ask"
    # Its activity still reads the result of ``ask``.
    assert lost in flow(*(RUN[0], "changed.py:spec", *RUN[2:]), "--redrive", code=1).stderr


def test_run_with_redrive_of_an_unknown_workflow_says_that_it_begins(flow: Shell) -> None:
    done = flow(*RUN[:-1], "v", "--redrive", "--input", '{"who": "me"}')
    assert "workflow 'v' has no earlier run to redrive; this one starts from the beginning" in done.stderr


def test_command_without_a_spec_asks_for_it(flow: Shell) -> None:
    assert "--spec" in flow.here("redrive", "w", code=2)[1]


def test_results_before_the_failure_are_shown(flow: Shell) -> None:
    shown = flow.here("show", "w", "--spec", "flow.py:spec")[0]
    assert '{"n": 1}' in next(line for line in shown.splitlines() if line.startswith("ask"))
    tasks = json.loads(flow("show", "w", "--spec", "flow.py:spec", "--json").stdout)["tasks"]
    assert {task["task"]: task.get("result") for task in tasks} == {
        "ask": {"n": 1},
        "rest": None,
        "tell": None,
    }


NESTED = """
import floto
ask = floto.ActivityTask(id_="ask", name="ask", version="1")
tell = floto.ActivityTask(id_="tell", name="tell", version="1", requires=[ask])
inner = floto.DeciderSpec(activity_tasks=[ask, tell])

def child(id_, spec, **more):
    return floto.ChildWorkflow(
        id_=id_, workflow_type_name="part", workflow_type_version="1", spec=spec, **more
    )

first = floto.ActivityTask(id_="first", name="ask", version="1", input=1)
outer = floto.DeciderSpec(activity_tasks=[first, child("inner", inner, requires=[first])])
spec = floto.DeciderSpec(activity_tasks=[child("outer", outer)])
"""


@pytest.fixture
def nested_anywhere(anywhere: Shell) -> Shell:
    """A run that failed in the last activity of its child's child, and is mended."""
    (anywhere.cwd / "acts.py").write_text(COUNTED.replace('context["workflow"]["who"]', '"me"'))
    (anywhere.cwd / "flow.py").write_text(NESTED)
    (anywhere.cwd / "broken").touch()
    anywhere(*RUN, code=1)
    (anywhere.cwd / "broken").unlink()
    assert ran(anywhere) == {"ask": 2, "tell": 1}
    return anywhere


def test_children_that_failed_keep_what_completed_in_them(nested_anywhere: Shell) -> None:
    flow = nested_anywhere
    plan = flow("redrive", "w", "--spec", "flow.py:spec", "--dry-run").stdout
    rows = [line.split("\t")[:2] for line in plan.splitlines()]
    assert rows == [
        ["outer", "run"],
        ["  first", "keep"],
        ["  inner", "run"],
        ["    ask", "keep"],
        ["    tell", "run"],
    ]
    assert "; goes on: 1 of 2 tasks kept" in plan
    done = flow(*RUN, "--redrive")
    assert json.loads(done.stdout) == {"outer": {"inner": {"tell": ["me", 1]}}}
    assert "runs again: outer (1 of 2 tasks kept)" in done.stderr
    assert ran(flow) == {"ask": 2, "tell": 2}
    why = flow("why", "w:outer:inner", "ask").stdout
    assert "kept from run" in why


def test_page_shows_the_plan_of_the_command(nested_anywhere: Shell) -> None:
    flow = nested_anywhere
    plan = flow("redrive", "w", "--spec", "flow.py:spec", "--dry-run").stdout
    run_id = json.loads(flow("show", "w", "--json").stdout)["execution"]["runId"]
    query = urlencode({"workflow_id": "w", "run_id": run_id, "preview": "1"})
    with ui(flow.service, "--spec", "flow.py:spec", cwd=flow.cwd) as page:
        status, _, text = ask(page, "GET", f"/actions/redrive?{query}", accept="text/html")
    assert status == 200
    shown = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td></tr>", text)
    assert [[html.unescape(each) for each in row] for row in shown] == [
        line.split("\t") for line in plan.splitlines()
    ]


def test_command_lists_what_is_kept_in_children(nested_anywhere: Shell) -> None:
    flow = nested_anywhere
    told = json.loads(flow("redrive", "w", "--spec", "flow.py:spec", "--json").stdout)
    (outer,) = told["plan"]
    first, inner = outer["children"]
    assert [first["action"], inner["action"]] == ["keep", "run"]
    assert [each["action"] for each in inner["children"]] == ["keep", "run"]
    assert json.loads(flow(*RUN).stdout) == {"outer": {"inner": {"tell": ["me", 1]}}}
    assert ran(flow) == {"ask": 2, "tell": 2}


def test_children_of_a_saved_history_start_from_their_beginning(nested_anywhere: Shell) -> None:
    flow = nested_anywhere
    flow("history", "w", "-o", "old.json", "--spec", "flow.py:spec")
    plan = flow("redrive", "old.json", "--dry-run").stdout
    assert plan.rstrip().endswith("; from its beginning: its history is not at hand")
    assert len(plan.splitlines()) == 1


SPEC = floto.DeciderSpec(
    activity_tasks=[
        *(floto.ActivityTask(id_=f"part{n}", name="part", version="1", input=n) for n in range(3)),
        floto.ActivityTask(id_="sum", name="sum", version="1", requires=["part0", "part1", "part2"]),
    ]
)


def apart(version: str = "1") -> floto.DeciderSpec:
    """Return a spec whose last task starts when the parts have completed, without their results."""
    parts = SPEC.activity_tasks[:3]
    after = floto.Timer(id_="after", delay_in_seconds=0, requires=[task.id_ for task in parts])
    last = floto.ActivityTask(id_="sum", name="sum", version=version, requires=["after"])
    return floto.DeciderSpec(activity_tasks=[*parts, after, last])


def large(tmp_path: Path, length: int) -> Activities:
    """Activities of SPEC: three with results of so many characters, one that fails while a file exists."""
    found = Activities()

    @found.activity(name="part", version="1")
    def part(context: Any) -> str:
        with (tmp_path / "ran").open("a") as file:
            file.write("part\n")
        return Random(context["activity_task"]).randbytes(length // 2).hex()

    @found.activity(name="sum", version="1")
    def total(context: Any) -> int:
        if (tmp_path / "broken").exists():
            msg = "broken"
            raise ValueError(msg)
        return sum(len(context[f"part{n}"]) for n in range(3))

    (tmp_path / "broken").touch()
    return found


def failed(service: floto.Service, tmp_path: Path, length: int, **options: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"service": service, "workflow_id": "w", "activities": large(tmp_path, length)}
    given |= options
    with pytest.raises(floto.WorkflowFailed) as raised:
        floto.run(SPEC, **given)
    assert {*raised.value.results} == {"part0", "part1", "part2"}
    assert all(len(each) == length for each in raised.value.results.values())
    (tmp_path / "broken").unlink()
    return given


def parts_run(tmp_path: Path) -> int:
    return len((tmp_path / "ran").read_text().split())


@pytest.fixture
def service(tmp_path: Path) -> Iterator[SqliteService]:
    opened = floto.connect(f"sqlite:///{tmp_path}/swf.db")
    yield opened  # type: ignore[misc]
    opened.close()


def test_long_results_travel_in_a_store(service: SqliteService, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    given = failed(service, tmp_path, 60_000, payloads=store)
    assert floto.run(SPEC, redrive=True, **given) == {"sum": 180_000}
    assert parts_run(tmp_path) == 3


def test_results_too_long_for_the_input_travel_in_signals(service: SqliteService, tmp_path: Path) -> None:
    # Each fits into a result, but compressed they do not fit into one input together.
    activities = large(tmp_path, 30_000)
    activities.activity(name="sum", version="2")(lambda: None)
    given: dict[str, Any] = {"service": service, "workflow_id": "w", "activities": activities}
    with pytest.raises(floto.WorkflowFailed):
        floto.run(apart(), **given)
    assert floto.run(apart(version="2"), redrive=True, **given) == {"sum": None}
    assert parts_run(tmp_path) == 3
    last = service.latest_execution("w")
    assert last is not None
    history = service.history(last.execution)
    assert sum(getattr(event.data, "signal_name", "") == REDRIVE_KEY for event in history) > 1


class Interrupted:
    """A service that fails at the second signal."""

    def __init__(self, service: Any) -> None:
        self._service, self.signals = service, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)

    def signal_workflow_execution(self, *given: Any) -> None:
        self.signals += 1
        if self.signals == 2:
            msg = "unplugged"
            raise Unreachable(msg)
        self._service.signal_workflow_execution(*given)


def test_interrupted_redrive_is_finished_by_the_same_call(service: SqliteService, tmp_path: Path) -> None:
    spec = apart()
    given: dict[str, Any] = {"service": service, "workflow_id": "w", "activities": large(tmp_path, 30_000)}
    with pytest.raises(floto.WorkflowFailed):
        floto.run(spec, **given)
    last = service.latest_execution("w")
    assert last is not None
    old = floto.History(service.history(last.execution), last.execution)
    planned = floto.redrive(spec, old)
    assert len(planned.parts) > 1

    def call(method: Callable[..., Any], *arguments: Any) -> Any:
        return method(*arguments)

    with pytest.raises(Unreachable):
        start_redriven(planned, Interrupted(service), None, call, call)
    begun = service.latest_execution("w")
    assert begun is not None
    events = service.history(begun.execution)
    assert awaits_parts(floto.fold(events))
    assert floto.decide(spec, floto.History(events, begun.execution)) == []
    execution = start_redriven(planned, service, None, call, call)
    assert execution == begun.execution
    state = floto.fold(service.history(execution))
    assert not awaits_parts(state)
    assert state.is_completed((floto.Kind.ACTIVITY, "part2"))
    other = floto.redrive(spec, old, rerun=["part1"])
    with pytest.raises(ServiceFault, match="AlreadyStarted"):
        start_redriven(other, service, None, call, call)


def begun_redrive(service: SqliteService, tmp_path: Path) -> dict[str, Any]:
    """Redrive a run in a process that is killed when it has sent the first of several parts."""
    given: dict[str, Any] = {"service": service, "workflow_id": "w", "activities": large(tmp_path, 30_000)}
    given["activities"].activity(name="sum", version="2")(lambda: None)
    with pytest.raises(floto.WorkflowFailed):
        floto.run(apart(), **given)

    def redrive() -> None:
        with SqliteService(tmp_path / "swf.db") as own:
            floto.run(apart(version="2"), redrive=True, **{**given, "service": Mortal(own)})

    child = forked(redrive)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    last = service.latest_execution("w")
    assert last is not None
    assert awaits_parts(floto.fold(service.history(last.execution)))
    return given


class Mortal(Interrupted):
    """A service whose process is killed before the second signal."""

    def signal_workflow_execution(self, *given: Any) -> None:
        self.signals += 1
        if self.signals == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        self._service.signal_workflow_execution(*given)


@pytest.mark.parametrize("redrive", [True, False])
def test_redrive_that_was_killed_between_its_parts_is_finished_by_the_next_run(
    service: SqliteService, tmp_path: Path, *, redrive: bool
) -> None:
    given = begun_redrive(service, tmp_path)
    assert floto.run(apart(version="2"), redrive=redrive, timeout=60, **given) == {"sum": None}
    assert parts_run(tmp_path) == 3


def test_redrive_of_a_run_that_did_not_get_its_parts_keeps_what_the_run_before_it_had(
    service: SqliteService, tmp_path: Path
) -> None:
    given = begun_redrive(service, tmp_path)
    service.terminate_workflow_execution("w")
    assert floto.run(apart(version="2"), redrive=True, timeout=60, **given) == {"sum": None}
    assert parts_run(tmp_path) == 3


def test_command_finishes_the_redrive_that_was_killed_between_its_parts(
    service: SqliteService, shell: Shell, tmp_path: Path
) -> None:
    given = begun_redrive(service, tmp_path)
    spec = apart(version="2")
    (shell.cwd / "flow.json").write_text(spec.to_json())
    begun = service.latest_execution("w")
    assert begun is not None
    where = ("--spec", "flow.json", "--service", service.url)
    assert shell("redrive", "w", *where).stdout.splitlines()[-1] == begun.execution.run_id
    assert floto.run(spec, timeout=60, **given) == {"sum": None}
    assert parts_run(tmp_path) == 3


def test_page_plans_to_keep_what_the_run_before_one_without_its_parts_had(
    service: SqliteService, tmp_path: Path
) -> None:
    begun_redrive(service, tmp_path)
    service.terminate_workflow_execution("w")
    last = service.latest_execution("w")
    assert last is not None
    (tmp_path / "flow.json").write_text(apart(version="2").to_json())
    query = urlencode({"workflow_id": "w", "run_id": last.execution.run_id, "preview": "1"})
    with ui(service.url, "--spec", "flow.json", cwd=tmp_path) as page:
        status, _, text = ask(page, "GET", f"/actions/redrive?{query}", accept="text/html")
    assert status == 200
    shown = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td>", text)
    assert [task for task, action in shown if action == "keep"] == ["part0", "part1", "part2", "after"]


def test_redrive_by_another_plan_adds_no_parts_to_a_run(service: SqliteService, tmp_path: Path) -> None:
    given = begun_redrive(service, tmp_path)
    other = apart(version="2")
    changed = floto.DeciderSpec.from_json(other.to_json().replace('"input": 0', '"input": 5'))
    assert changed != other
    with pytest.raises(WrongWorkflow, match="another redrive of workflow 'w', with another plan"):
        floto.run(changed, redrive=True, take_over=True, timeout=60, **given)


class ClosedMeanwhile(Interrupted):
    """A service on which another process closes the run before the second signal."""

    def signal_workflow_execution(self, *given: Any) -> None:
        self.signals += 1
        if self.signals == 2:
            self._service.terminate_workflow_execution("w")
        self._service.signal_workflow_execution(*given)


def test_parts_for_a_run_that_is_closed_meanwhile_are_no_error(
    service: SqliteService, tmp_path: Path
) -> None:
    given = begun_redrive(service, tmp_path)
    with pytest.raises(floto.WorkflowEnded, match="TERMINATED"):
        floto.run(
            apart(version="2"), redrive=True, timeout=60, **{**given, "service": ClosedMeanwhile(service)}
        )


def test_redrive_on_moto(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        moto = SwfService(make_client("us-east-1"), "shop")
        given = failed(moto, tmp_path, 100)
        with caplog.at_level(logging.INFO, logger="floto.progress"):
            assert floto.run(SPEC, redrive=True, **given) == {"sum": 300}
        assert "keeps 3 tasks; runs again: sum" in caplog.text
        assert parts_run(tmp_path) == 3
        moto.close()
