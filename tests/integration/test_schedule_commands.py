"""The commands on schedules: what they refuse, and what they print of schedules that nobody decides for."""

from __future__ import annotations

import json

import pytest
from attrs import frozen

import floto
from floto.adapters.sqlite import SqliteService
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY
from floto.runtime.schedules import create, latest
from tests.integration.commands import Shell
from tests.integration.test_schedules import SOURCE, data


def test_commands_refuse_what_is_no_schedule(shell: Shell) -> None:
    (shell.cwd / "schedules.py").write_text(SOURCE)
    assert "there is no file" in shell.here("schedule", "list", code=2)[1]
    run_id = shell("schedule", "create", "schedules.py:job").stdout.strip()
    assert run_id
    assert "there is no schedule 'x'" in shell.here("schedule", "show", "x", code=2)[1]
    for arguments, problem in (
        (
            ("schedule", "backfill", "job", "--from", "2026-01-01T00:30", "--to", "2026-01-01T00:31"),
            "no fire",
        ),
        (("schedule", "backfill", "job", "--from", "x", "--to", "y"), "time in ISO 8601"),
        (("schedule", "create", "flow.py:spec"), "there is no Schedule in it"),
        (("run", "schedules.py:job", "--input", "1"), "not for schedules"),
        # A plan of this spec's tasks would be that of no run.
        (("redrive", "job", "--spec", "flow.py:spec", "--dry-run"), "'job' is a schedule"),
    ):
        # In processes of their own: each test has a module schedules with these activities.
        assert problem in shell(*arguments, code=2).stderr
    said, _ = shell.here("schedule", "list")
    assert said.startswith("job\tevery 3600 seconds\twaiting\t20")


@frozen
class Patient:
    """A retry strategy of a program's own."""

    def delay(self, _: floto.Retry) -> float | None:
        return 2


def test_schedule_that_the_command_line_cannot_read_is_listed_and_told(shell: Shell) -> None:
    (shell.cwd / "schedules.py").write_text(SOURCE)
    shell("schedule", "create", "schedules.py:job")
    work = floto.ActivityTask(id_="a", name="a", version="1", retry_strategy=Patient())
    own = floto.Schedule(id_="own", spec=floto.DeciderSpec(activity_tasks=[work]), every=3600)
    service = SqliteService(shell.cwd / "floto.db", "floto")
    run_id = create(service, own, codec=floto.CODEC.with_type("own.Patient", Patient))
    job, listed = shell.here("schedule", "list")[0].splitlines()
    assert job.startswith("job\tevery 3600 seconds\t")
    problem = "cannot be read: $.spec.activity_tasks[0].retry_strategy: type 'own.Patient'"
    assert listed.startswith(f"own\t\t{problem}")
    found = data(shell, "schedule", "list")[1]
    assert (found["workflowId"], found["runId"], found["error"][:6]) == ("own", run_id, "$.spec")
    for command in ("pause", "resume", "trigger", "delete"):
        assert " own\n" in shell.here("schedule", command, "own")[1]
    said = shell.here("schedule", "show", "own", code=2)[1]
    assert f"schedule 'own' {problem}" in said
    signals = fold(service.history(latest(service, "own").execution), EMPTY).signals
    assert set(signals) == {"pause", "resume", "trigger"}
    service.close()


@pytest.mark.parametrize(
    ("last", "problem"),
    [
        ("2026-01-01", "--from 2026-01-02 is after --to 2026-01-01"),
        ("2999-01-01", "--to 2999-01-01 is in the future; a backfill is for past fires"),
    ],
    ids=["from later to earlier", "of future fires"],
)
def test_backfill_is_refused(shell: Shell, last: str, problem: str) -> None:
    (shell.cwd / "schedules.py").write_text(SOURCE)
    shell("schedule", "create", "schedules.py:job")
    times = ("--from", "2026-01-02", "--to", last)
    assert problem in shell.here("schedule", "backfill", "job", *times, code=2)[1]


def test_changes_of_a_schedule_that_nobody_decides_for_name_its_scheduler(shell: Shell) -> None:
    (shell.cwd / "schedules.py").write_text(SOURCE)
    shell("schedule", "create", "schedules.py:fast")
    note = "nobody decides for the schedules on task list 'floto_schedules': floto scheduler"
    for command in ("show", "pause", "resume", "trigger", "delete"):
        assert note in shell.here("schedule", command, "fast")[1], command


def test_check_of_a_schedule_without_fires_says_so(shell: Shell) -> None:
    times = {"calendar": ["2020-01-01T00:00"], "workflow_type": ["a", "1"]}
    (shell.cwd / "past.json").write_text(json.dumps({"type": "floto.Schedule", "id_": "a", **times}))
    assert "it never fires: none of its times" in shell.here("check", "past.json")[0]


def test_update_says_whether_the_schedule_is_paused_after_it(shell: Shell) -> None:
    times = {"type": "floto.Schedule", "id_": "job", "every": 3600, "workflow_type": ["a", "1"]}
    for name, more in (("off", {"paused": True}), ("noted", {"paused": True, "note": "x"}), ("on", {})):
        (shell.cwd / f"{name}.json").write_text(json.dumps({**times, **more}))
    shell.here("schedule", "create", "off.json")
    said = shell.here("schedule", "update", "noted.json", code=1)[0]
    assert said.endswith("first fire after the update: none while the schedule is paused: created paused\n")
    said = shell.here("schedule", "update", "on.json", "--yes")[0]
    assert "paused: true -> false\nfirst fire after the update: 20" in said
    assert data(shell, "schedule", "show", "job")["memory"]["paused"] is None


OWN = """
import floto
from attrs import frozen
from datetime import datetime, timedelta, UTC

@frozen
class Never:
    def delay(self, retry):
        return None

codec = floto.CODEC.with_type("Never", Never)
task = floto.ActivityTask(id_="a", name="work", version="1", retry_strategy=Never())
spec = floto.DeciderSpec(activity_tasks=[task])
hourly = floto.Schedule(id_="hourly", every=3600, spec=spec)
daily = floto.Schedule(id_="hourly", every=86400, spec=spec)
at = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
once = floto.Schedule(id_="once", calendar=[at], spec=spec)

@floto.activity(name="work", version="1")
def work():
    return 1
"""


def test_schedule_of_a_spec_with_own_types_is_created_shown_and_changed_with_its_codec(shell: Shell) -> None:
    (shell.cwd / "own.py").write_text(OWN)
    codec = ("--codec", "own.py:codec")
    assert "give it a tag" in shell.here("schedule", "create", "own.py:hourly", code=2)[1]
    shell.here("schedule", "create", "own.py:hourly", *codec)
    assert "cannot be read" in shell.here("schedule", "list")[0]
    assert "cannot be read" not in shell.here("schedule", "list", *codec)[0]
    shown = json.loads(shell.here("schedule", "show", "hourly", "--json", *codec)[0])
    assert shown["schedule"]["spec"]["activity_tasks"][0]["retry_strategy"] == {"type": "Never"}
    changed = shell.here("schedule", "update", "own.py:daily", *codec, code=1)[0]
    assert "every: 3600 -> 86400" in changed
    shell.here("schedule", "update", "own.py:daily", "--yes", *codec)
    (shell.cwd / "hourly.json").write_text(json.dumps(shown["schedule"]))
    assert "1 problem" in shell.here("check", "hourly.json", code=1)[1]
    shell.here("check", "hourly.json", *codec)


def test_schedule_of_a_spec_with_own_types_runs_with_its_codec(shell: Shell) -> None:
    (shell.cwd / "own.py").write_text(OWN)
    done = shell("run", "own.py:once", "--codec", "own.py:codec", "--activities", "own.py")
    assert json.loads(done.stdout) == {"completed": 1}


LONG = """
import random
import floto

def text(seed):
    return random.Random(seed).randbytes(15_000).hex()

task = floto.ActivityTask(id_="a", name="work", version="1", input={"text": text(1)})
spec = floto.DeciderSpec(activity_tasks=[task])
first = floto.Schedule(id_="long", every=3600, spec=spec, input={"text": text(2)})
second = floto.Schedule(id_="long", every=3600, spec=spec, input={"text": text(3)})
"""


def test_schedule_whose_spec_and_input_do_not_fit_together_is_stored(shell: Shell) -> None:
    (shell.cwd / "long.py").write_text(LONG)
    store = ("--payloads", "store")
    assert "Keep large values in a store" in shell.here("schedule", "create", "long.py:first", code=2)[1]
    shell.here("schedule", "create", "long.py:first", *store)
    assert "as in long.py:first" in shell.here("schedule", "update", "long.py:first", *store)[1]
    shell.here("schedule", "update", "long.py:second", "--yes", *store)
    assert "as in long.py:second" in shell.here("schedule", "update", "long.py:second", *store)[1]
