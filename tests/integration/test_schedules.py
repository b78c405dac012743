"""Schedules for real: commands on a file and on a server, the example, killed schedulers, and moto."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from typing import Any

import pytest
from attrs import evolve
from moto import mock_aws

import floto
from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.sqlite_engine import SqliteEngine
from floto.adapters.swf import SwfService
from floto.adapters.swf_client import make_client
from floto.core.decide.schedule import PAUSE, RESUME, SCHEDULE_TYPE, UPDATE
from floto.core.spec.schedule import SCHEDULE_CODEC
from floto.core.swf import events as e
from floto.runtime.deciders.scheduler import Scheduler
from floto.runtime.loading import load_schedule
from floto.runtime.runs.run_schedule import run_schedule
from floto.runtime.schedules import create, find
from tests.integration.commands import PATIENCE, ROOT, Shell
from tests.property.schedule_stage import BEGINNING, Stage, Work

EXAMPLE = str(ROOT / "examples" / "nightly" / "nightly.py")
SOURCE = """
import floto, os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product

@floto.activity(name="touch", version="1")
def touch(context):
    fire = floto.current().scheduled_for
    with open(f"done/{fire:%H%M%S}.{os.urandom(4).hex()}", "x"):
        return str(fire)

spec = floto.DeciderSpec(activity_tasks=[floto.ActivityTask(id_="touch", name="touch", version="1")])
fast = floto.Schedule(id_="fast", spec=spec, every=2, overlap="allow_all")
slower = floto.Schedule(id_="fast", spec=spec, every=3600, overlap="allow_all", note="less")
job = floto.Schedule(id_="job", workflow_type=("job", "1"), every=3600, input={"n": 1})
"""


def until(holds: Callable[[], Any]) -> Any:
    """Wait for a condition, and return what it returns."""
    end = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


@pytest.fixture
def place(anywhere: Shell) -> Shell:
    (anywhere.cwd / "schedules.py").write_text(SOURCE)
    (anywhere.cwd / "done").mkdir()
    return anywhere


def data(shell: Shell, *arguments: str) -> Any:
    """Return the parsed JSON output of a command in this process."""
    return json.loads(shell.here(*arguments, "--json")[0])


def runs(shell: Shell, id_: str = "fast") -> Counter[str]:
    """Return the number of runs with each status that a schedule has noted."""
    return Counter(data(shell, "schedule", "show", id_)["memory"]["counts"])


def test_schedule_that_nobody_decides_for_shows_no_runs_and_names_its_scheduler(place: Shell) -> None:
    place("schedule", "create", "schedules.py:fast")
    fire = datetime.fromisoformat(data(place, "schedule", "show", "fast")["next"][0])
    until(lambda: datetime.now(UTC) > fire)
    place.here("schedule", "backfill", "fast", "--from", "2026-01-01", "--to", "2026-01-01T01:00")
    shown = place.here("schedule", "show", "fast")[0]
    assert "; waiting\n" in shown
    assert "open " not in shown
    assert "totals   none" in shown
    for command in ("why", "fast"), ("status",):
        assert "floto scheduler --task-list floto_schedules" in place.here(*command)[0]
    said = place.here("schedule", "list")[1]
    assert "nobody decides for the schedules on task list 'floto_schedules': floto scheduler" in said
    place.here("schedule", "delete", "fast")
    for command in ("show", "fast"), ("list",):
        shown = place.here("schedule", *command)[0]
        assert "cancellation requested" in shown
        assert "20" not in shown.partition("cancellation requested")[2]


def test_closed_schedule_shows_which_runs_were_open_when_it_closed(place: Shell) -> None:
    place("schedule", "create", "schedules.py:fast")
    with place.loop("scheduler"):
        until(lambda: "\nopen     20" in place.here("schedule", "show", "fast")[0])
        place.here("terminate", "fast")
    shown = place.here("schedule", "show", "fast")[0]
    assert "; TERMINATED\nrun      20" in shown
    assert "  open when the schedule closed\n" in shown
    assert "\nopen " not in shown
    found = data(place, "schedule", "show", "fast")
    assert (found["status"], found["next"]) == ("TERMINATED", [])
    assert "open" not in found["memory"]
    assert found["memory"]["open_when_closed"]


def test_why_of_a_schedule_says_until_when_it_waits_and_whether_it_is_paused(place: Shell) -> None:
    place("schedule", "create", "schedules.py:slower")
    with place.loop("scheduler"):
        until(lambda: "next fire" in place.here("why", "fast")[0])
        said = place.here("why", "fast")
        assert "the run: waiting for a signal or its next fire, at the latest until 20" in said[0]
        assert "0 of 0 tasks done" in said[0]
        assert said[1] == ""
        assert place.here("schedule", "list")[1] == ""
        place.here("schedule", "pause", "fast", "--note", "for now")
        until(lambda: "paused: for now" in place.here("why", "fast")[0])


def test_scheduler_and_worker_run_a_schedule_until_it_is_changed(place: Shell) -> None:
    run_id = place("schedule", "create", "schedules.py:fast").stdout.strip()
    said = place("schedule", "create", "schedules.py:fast", code=2).stderr
    assert "is open already" in said
    assert said.endswith(": floto terminate fast\n")
    with place.loop("scheduler"), place.loop("worker", "--activities", "schedules.py"):
        until(lambda: runs(place)["completed"] >= 2)
        place.here("schedule", "pause", "fast", "--note", "for now")
        until(lambda: data(place, "schedule", "show", "fast")["memory"]["paused"] == "for now")
        skipped = datetime.fromisoformat(data(place, "schedule", "list")[0]["next"][0])
        count = len(list((place.cwd / "done").iterdir()))
        place.here("schedule", "trigger", "fast")
        until(lambda: len(list((place.cwd / "done").iterdir())) > count)
        until(lambda: datetime.now(UTC) > skipped)
        plan = place("schedule", "update", "schedules.py:slower", code=1).stdout
        assert "every: 2 -> 3600\nnote: null -> less\nfirst fire after the update: none while the" in plan
        place("schedule", "update", "schedules.py:slower", "--yes")
        place.here("schedule", "resume", "fast")
        until(lambda: data(place, "schedule", "list")[0]["memory"]["paused"] is None)
        assert "is as in" in place("schedule", "update", "schedules.py:slower").stderr
        (listed,) = data(place, "schedule", "list")
        assert (listed["runId"], listed["words"]) == (run_id, "every 3600 seconds")
        last = datetime.fromisoformat(listed["next"][0])
        place.here("schedule", "backfill", "fast", "--from", "2026-01-01", "--to", "2026-01-01T01:00")
        until(lambda: {"000000", "010000"} <= {path.name[:6] for path in (place.cwd / "done").iterdir()})
        place.here("schedule", "delete", "fast")
        until(lambda: data(place, "schedule", "show", "fast")["status"] == "CANCELED")
    assert last.second == 0
    shown = place.here("schedule", "show", "fast")[0]
    assert "fast: every 3600 seconds; overlap allow_all; CANCELED" in shown
    assert "no run" in shown
    assert "the schedule was paused" in shown
    assert "is closed: CANCELED" in place.here("schedule", "pause", "fast", code=2)[1]


def test_commands_on_an_unknown_domain_or_schedule_say_so(place: Shell) -> None:
    place("schedule", "create", "schedules.py:job")
    for command in ("list", "show job", "pause job", "delete job"):
        said = place.here("schedule", *command.split(), "--domain", "elsewhere", code=2)[1]
        assert "there is no domain 'elsewhere' on " in said, command
        assert "floto register domain elsewhere" in said
    # None of the commands has registered the domain.
    assert "there is no domain" in place.here("list", "--domain", "elsewhere", code=2)[1]
    for command in ("show", "pause", "delete"):
        said = place.here("schedule", command, "jobb", code=2)[1]
        assert "there is no schedule 'jobb' in domain 'floto' on " in said
        assert "; there is 'job'" in said
    assert "floto schedule list" in place.here("schedule", "show", "other", code=2)[1]
    place.here("register", "domain", "empty")
    assert "no open schedule in domain 'empty' on" in place.here("schedule", "list", "--domain", "empty")[1]


def test_time_out_of_a_schedule_says_how_to_go_on_with_it() -> None:
    spec = floto.DeciderSpec(activity_tasks=[floto.Timer(id_="wait", delay_in_seconds=0)])
    job = floto.Schedule(id_="job", spec=spec, every=3600)
    with pytest.raises(TimeoutError) as timed_out:
        run_schedule(job, lambda _: None, service="memory:", timeout=0.1)
    assert str(timed_out.value) == (
        "timed out; schedule 'job' is still open: run it again to go on, or end it with 'floto terminate'"
    )


def test_check_says_the_times_in_words_and_warns_of_clock_changes(shell: Shell) -> None:
    said, _ = shell.here("check", f"{EXAMPLE}:nightly")
    assert said.startswith("nightly: At 02:00 every day, Europe/Berlin\nnext 20")
    assert "02:00 does not exist in Europe/Berlin: it fires" in said
    assert "02:00 occurs twice in Europe/Berlin: it fires" in said
    assert "2 tasks" in said
    bad = {"type": "floto.Schedule", "id_": "a", "cron": "x", "workflow_type": ["a", "1"]}
    (shell.cwd / "bad.json").write_text(json.dumps(bad))
    assert "cron must be 5 fields" in shell.here("check", "bad.json", code=1)[0]


def test_example_runs_for_a_first_try(shell: Shell) -> None:
    done = shell("run", f"{EXAMPLE}:often", "--timeout", "11", code=124)
    assert "often-20" in done.stderr
    assert "completed" in done.stderr
    assert "Hamburg: " in done.stderr
    assert "and the schedule is still open; to resume:\n  floto run" in done.stderr


def test_run_of_a_schedule_ends_with_its_end_and_prints_its_counts(shell: Shell) -> None:
    (shell.cwd / "done").mkdir()
    ending = f"every=1, end={(datetime.now(UTC) + timedelta(seconds=12)).isoformat()!r}, overlap='allow_all'"
    (shell.cwd / "ending.py").write_text(f"{SOURCE}\nending = floto.Schedule(id_='e', spec=spec, {ending})")
    done = shell("run", "ending.py:ending", "--service", "memory:")
    assert json.loads(done.stdout)["completed"] >= 1


def test_run_of_a_schedule_reads_each_event_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read, history = Counter[tuple[str, int]](), SqliteService.history

    def counted(self: SqliteService, execution: floto.WorkflowExecution, after: int = 0) -> tuple[Any, ...]:
        found = history(self, execution, after)
        if threading.current_thread() is threading.main_thread():
            read.update((execution.run_id, event.id) for event in found)
        return found

    monkeypatch.setattr(SqliteService, "history", counted)
    end = datetime.now(UTC) + timedelta(seconds=4)
    spec = floto.DeciderSpec(activity_tasks=[floto.Timer(id_="wait", delay_in_seconds=0)])
    job = floto.Schedule(id_="job", spec=spec, every=1, end=end.isoformat())
    run_schedule(job, lambda _: None, service="memory:", timeout=PATIENCE)
    assert len(read) > 10
    assert set(read.values()) == {1}


def test_list_of_schedules_opens_its_service_once(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    (shell.cwd / "schedules.py").write_text(SOURCE)
    shell("schedule", "create", "schedules.py:fast")
    opened, begin = [], SqliteEngine.__init__

    def counted(self: SqliteEngine, *arguments: Any, **named: Any) -> None:
        opened.append(self)
        begin(self, *arguments, **named)

    monkeypatch.setattr(SqliteEngine, "__init__", counted)
    assert "nobody decides" in shell.here("schedule", "list")[1]
    assert len(opened) == 1


def test_example_in_virtual_time() -> None:
    stage = Stage(load_schedule(f"{EXAMPLE}:nightly"), lambda _: Work(600))
    stage.run(BEGINNING + timedelta(days=10))
    fires = [info.execution.workflow_id for info in stage.world.executions()][1:]
    assert fires == [f"nightly-202601{day:02}T010000Z" for day in range(1, 11)]
    started = stage.world.history(stage.world.executions()[1].execution).start
    assert json.loads(started.input or "")["shop"] == "Hamburg"


def _start(shell: Shell, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=shell.cwd,
        env=shell.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _killed_at_random(shell: Shell, chance: random.Random) -> None:
    """Start a scheduler and kill it at some moment, 20 times."""
    for _ in range(20):
        process = _start(shell, "floto", "scheduler")
        time.sleep(chance.uniform(0.4, 6))
        process.kill()
        process.wait()


def _killed_at_each_commit(shell: Shell, chance: random.Random) -> None:
    """Start schedulers that are killed before or after each of their first commits, in random order."""
    lives = list(product(range(1, 16), ("before", "after")))
    chance.shuffle(lives)
    for number, when in lives:
        process = _start(shell, "tests.mortal_scheduler", str(number), when)
        assert process.wait(PATIENCE) == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("killed", [_killed_at_random, _killed_at_each_commit])
def test_killed_schedulers_start_each_fire_once_and_lose_none(
    shell: Shell, killed: Callable[[Shell, random.Random], None]
) -> None:
    (shell.cwd / "schedules.py").write_text(SOURCE)
    (shell.cwd / "done").mkdir()
    shell("schedule", "create", "schedules.py:fast")
    worker = _start(shell, "floto", "worker", "--activities", "schedules.py")
    try:
        with ThreadPoolExecutor(2) as pool:
            for each in [pool.submit(killed, shell, random.Random(seed)) for seed in (7, 8)]:
                each.result()
        with shell.loop("scheduler"):
            shell("schedule", "pause", "fast")
            until(lambda: data(shell, "schedule", "show", "fast")["memory"]["paused"])
            until(lambda: not data(shell, "schedule", "show", "fast")["memory"]["open"])
    finally:
        worker.kill()
        worker.wait()
    memory = data(shell, "schedule", "show", "fast")["memory"]
    assert set(memory["counts"]) == {"completed"}
    fires = sorted(path.name[:6] for path in (shell.cwd / "done").iterdir())
    assert len(fires) == len(set(fires)) == memory["counts"]["completed"] > 20
    times = [datetime.strptime(each, "%H%M%S") for each in fires]  # noqa: DTZ007 - of one day, in UTC
    steps = {(after - before).total_seconds() % 86_400 for before, after in pairwise(times)}
    assert steps == {2.0}
    (info,) = [each for each in _executions(shell) if each.workflow_type == SCHEDULE_TYPE]
    assert info.close_status is None


def _executions(shell: Shell) -> list[floto.ExecutionInfo]:
    service = SqliteService(shell.cwd / "floto.db", "floto")
    try:
        return list(service.open_executions(SCHEDULE_TYPE))
    finally:
        service.close()


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[SwfService]:
    """SWF as moto has it, with a scheduler."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        service = SwfService(make_client("us-east-1"), "shop")
        scheduler = Scheduler("shop", service=service, poll_seconds=0.2)
        thread = threading.Thread(target=scheduler.run)
        try:
            service.prepare([SCHEDULE_TYPE], [])
            thread.start()
            yield service
        finally:
            scheduler.stop()
            thread.join()
            service.close()


def test_schedule_on_moto_is_paused_updated_resumed_and_ends(moto: SwfService) -> None:
    job = floto.Schedule(id_="job", workflow_type=("job", "1"), every=3600)
    create(moto, job)
    info, _ = find(moto, "job")
    until(lambda: any(isinstance(each.data, e.TimerStarted) for each in moto.history(info.execution)))
    # moto's signals need an input, and it has no operation that requests a cancellation.
    moto.signal_workflow_execution("job", PAUSE, '"for now"')
    until(lambda: find(moto, "job")[1].recorded.paused == "for now")
    end = datetime.now(UTC) + timedelta(seconds=1)
    ending = SCHEDULE_CODEC.unstructure(evolve(job, end=end.isoformat(), note="less"))
    moto.signal_workflow_execution("job", UPDATE, json.dumps(ending))
    until(lambda: find(moto, "job")[1].schedule.note == "less" and datetime.now(UTC) > end)
    moto.signal_workflow_execution("job", RESUME, "null")
    until(lambda: find(moto, "job")[0].close_status == "COMPLETED")


def test_schedule_on_moto_fires_until_moto_refuses_the_start_of_a_child(
    moto: SwfService, caplog: pytest.LogCaptureFixture
) -> None:
    often = floto.Schedule(id_="often", workflow_type=("job", "1"), every=6)
    until(lambda: often.fires(datetime.now(UTC), 1)[0] > datetime.now(UTC) + timedelta(seconds=4))
    create(moto, often)
    info, _ = find(moto, "often")
    until(lambda: any(isinstance(each.data, e.TimerFired) for each in moto.history(info.execution)))
    until(lambda: "Cannot handle decision: StartChildWorkflowExecution" in caplog.text)
    # moto carries out what is before it in the decisions: the fire is noted as started.
    (launch,) = find(moto, "often")[1].recorded.open
    assert launch.workflow_id == f"often-{launch.fire:%Y%m%dT%H%M%SZ}"
