"""The commands that read saved histories, as real processes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from attrs import evolve

from floto import ActivityTask, DeciderSpec, FixedDelay, History
from floto.adapters.history_files import save
from floto.testing import fails, simulate
from tests.integration.commands import Shell, command
from tests.integration.terminal import on_terminal

FIRST = ActivityTask(id_="first", name="work", version="v1", retry_strategy=FixedDelay(5, 3))
SECOND = ActivityTask(id_="second", name="work", version="v1", requires=["first"])
SPEC = DeciderSpec(activity_tasks=[FIRST, SECOND], activity_task_list="work")
OTHER = evolve(SPEC, activity_tasks=[FIRST, evolve(SECOND, input={"title": "Monday"})])


def _names(history: History) -> list[str]:
    return [type(event.data).__name__ for event in history]


HISTORY = simulate(SPEC, {"first": fails(1)}).main
FAILED_AT = _names(HISTORY).index("ActivityTaskFailed") + 1


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(SPEC.to_json())
    (tmp_path / "other.json").write_text(OTHER.to_json())
    runs = tmp_path / "runs"
    runs.mkdir()
    HISTORY.save(runs / "a.json")
    simulate(SPEC).main.save(runs / "b.json.gz")
    (runs / "notes.txt").write_text("no history")


def test_replay_reports_agreement(tmp_path: Path) -> None:
    done = command(tmp_path, "replay", "spec.json", "runs")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first.startswith("runs/a.json: agrees in ")
    assert second == "runs/b.json.gz: agrees in 3 steps"


def test_replay_reports_divergences_as_text_and_json(tmp_path: Path) -> None:
    done = command(tmp_path, "replay", "other.json", "runs/b.json.gz")
    assert done.returncode == 1
    assert "runs/b.json.gz: step 2 (event 10): ScheduleActivityTask 'second': input was " in done.stdout
    done = command(tmp_path, "replay", "other.json", "runs", "--json")
    assert done.returncode == 1
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["file"] for each in told] == ["runs/a.json", "runs/b.json.gz"]
    found = told[1]["divergence"]
    assert (found["step"], found["event"], found["field"]) == (2, 10, "input")
    assert json.loads(found["decided"])["activity_task"] == {"title": "Monday"}
    done = command(tmp_path, "replay", "spec.json", "runs/a.json", "--json")
    assert json.loads(done.stdout)["divergence"] is None


def test_replay_writes_the_first_divergence_as_a_minimised_test(tmp_path: Path) -> None:
    done = command(tmp_path, "replay", "other.json", "runs", "--shrink", "test_it.py")
    assert (done.returncode, done.stderr) == (1, "test_it.py: 1 task and 5 events\n")
    assert len(done.stdout.splitlines()) == 2
    text = (tmp_path / "test_it.py").read_text()
    assert "# step 1 (event 4): ScheduleActivityTask 'second': input was None" in text
    walked = command(
        tmp_path, "replay", "other.json", "runs/a.json", "--step", "--shrink", "it.py", keys="q\n"
    )
    assert "it.py: 1 task and 5 events\n" in walked.stderr
    assert (tmp_path / "it.py").read_text() == text
    assert not command(tmp_path, "replay", "spec.json", "runs", "--shrink", "no.py").returncode
    assert not (tmp_path / "no.py").exists()


def test_replay_reports_a_test_file_that_cannot_be_written(tmp_path: Path) -> None:
    done = command(tmp_path, "replay", "other.json", "runs", "--shrink", "nowhere/test_it.py")
    assert done.returncode == 2
    assert "nowhere/test_it.py: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_unreadable_files_are_reported_and_the_others_replayed(tmp_path: Path) -> None:
    (tmp_path / "runs" / "c.json").write_text("[" * 10**6)
    done = command(tmp_path, "replay", "other.json", "runs", "nowhere.json")
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 2
    assert "runs/c.json, line 1: lists in lists" in done.stderr
    assert "nowhere.json: No such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_truncated_file_is_read_up_to_the_last_complete_decision(tmp_path: Path) -> None:
    data = gzip.decompress((tmp_path / "runs" / "b.json.gz").read_bytes())
    (tmp_path / "cut.json").write_bytes(data[: len(data) * 2 // 3])
    done = command(tmp_path, "replay", "spec.json", "cut.json")
    assert done.returncode == 0
    assert "cut.json: agrees in " in done.stdout
    assert "it is cut off in line " in done.stderr


def test_truncated_file_still_names_its_run_and_has_its_spec(tmp_path: Path) -> None:
    failed = simulate(SPEC, {"second": fails(None)}).main
    save(failed, tmp_path / "whole.json", domain="d", spec=SPEC)
    (tmp_path / "cut.json").write_text((tmp_path / "whole.json").read_text().removesuffix("\n]\n}\n") + ",")
    assert failed.execution is not None
    done = command(tmp_path, "why", "cut.json")
    assert (done.returncode, failed.execution.workflow_id in done.stdout) == (0, True), done.stderr
    again = command(tmp_path, "redrive", "cut.json", "--dry-run")
    assert again.returncode == 0, again.stderr
    assert "second" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("replay", "spec.json"), "Missing argument 'RUN|HISTORY...'"),
        (("replay", "nowhere.json", "runs"), "No such file"),
        (("replay", "spec.json", "runs", "runs", "--step"), "one history at a time"),
        (("replay", "spec.json", "empty"), "contains no history"),
        (
            ("why", "runs/a.json", "third", "--spec", "spec.json"),
            "no task 'third'; the tasks are 'first, second'",
        ),
        (("why", "runs/a.json", "first"), "--spec"),
        (
            ("why", "runs/a.json", "first", "--spec", "spec.json", "--at", "9999"),
            "no event 9999: the history has events 1 to ",
        ),
        (("why", "runs/a.json", "first", "--spec", "spec.json", "--at", "0"), "x>=1"),
        (("compare", "spec.json", "nowhere.json", "runs"), "No such file"),
    ],
)
def test_errors_about_histories_print_one_line(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = command(tmp_path, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_replay_step_moves_forward_and_back(tmp_path: Path) -> None:
    done = command(tmp_path, "replay", "other.json", "runs/b.json.gz", "--step", keys="\nb\n3\nd\nwhat\nq\n")
    shown = [line.split(",")[0] for line in done.stdout.splitlines() if line.startswith("step ")]
    assert [line for line in shown if " of " in line] == [f"step {n} of 3" for n in (1, 2, 1, 3, 2)]
    assert "'what' is not a key here" in done.stderr
    assert "ActivityTaskCompleted" in done.stdout
    assert "ScheduleActivityTask 'second': input was " in done.stdout
    assert done.returncode == 1


def test_replay_step_works_on_a_terminal(tmp_path: Path) -> None:
    """Keys typed on a terminal work; Ctrl-D leaves, and the exit code is that of the history."""
    code, text = on_terminal(
        Shell(tmp_path), "replay", "spec.json", "runs/a.json", "--step", keys=b"\nb\n\x04", until="step 1 of "
    )
    assert code == 0
    assert text.count("step 1 of ") == 2
    assert text.count("step 2 of ") == 1


def test_why_prints_the_reason_for_a_wait(tmp_path: Path) -> None:
    asked = ("why", "runs/a.json", "second", "--spec", "spec.json", "--at")
    done = command(tmp_path, *asked, str(FAILED_AT))
    assert done.returncode == 0, done.stderr
    assert "second: waiting\n  waiting for first to complete\n    first: due" in done.stdout
    started = _names(HISTORY).index("TimerStarted") + 1
    done = command(tmp_path, *asked, str(started))
    due = HISTORY.events[started - 1].at.replace(microsecond=0).second + 5
    assert "    first: waiting for its retry" in done.stdout
    assert "retry 1 of 3, after " in done.stdout
    assert f"is due at 2026-01-01 00:00:{due:02}Z" in done.stdout
    done = command(tmp_path, "why", "runs/a.json", "first", "--spec", "spec.json")
    assert "first: done, attempt 2: {'by': 'first'}\n  attempt 1: failed at " in done.stdout


def test_why_uses_the_spec_in_the_input_of_the_run(tmp_path: Path) -> None:
    value = json.loads(SPEC.to_json())
    simulate(SPEC, input={"decider_spec": value}).main.save(tmp_path / "own.json")
    done = command(tmp_path, "why", "own.json", "second")
    assert "second: done" in done.stdout, done.stderr


def test_why_uses_the_spec_saved_beside_a_history(tmp_path: Path) -> None:
    save(HISTORY, tmp_path / "with.json", spec=SPEC)
    done = command(tmp_path, "why", "with.json", "second")
    assert "second: done" in done.stdout, done.stderr
    (tmp_path / "first.json").write_text(evolve(SPEC, activity_tasks=[FIRST]).to_json())
    done = command(tmp_path, "why", "with.json", "second", "--spec", "first.json")
    assert done.returncode, "the spec that is named counts, and there is no such task in it"


def test_compare_prints_changed_decisions(tmp_path: Path) -> None:
    done = command(tmp_path, "compare", "spec.json", "spec.json", "runs")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "2 histories: 2 same")
    done = command(tmp_path, "compare", "spec.json", "other.json", "runs")
    assert done.returncode == 1
    assert "different input: step 2 (event 10): ScheduleActivityTask 'second': input was " in done.stdout
    assert done.stdout.splitlines()[-1] == "2 histories: 2 different input"


def test_compare_reports_if_an_open_run_is_safe(tmp_path: Path) -> None:
    History(HISTORY.events[:FAILED_AT], HISTORY.execution).save(tmp_path / "flying.json")
    done = command(tmp_path, "compare", "spec.json", "other.json", "flying.json", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["verdict"], told["in_flight"], told["safe"]) == (0, "same", True, True)
    patient = evolve(SPEC, activity_tasks=[evolve(FIRST, retry_strategy=FixedDelay(60, 3)), SECOND])
    (tmp_path / "other.json").write_text(patient.to_json())
    done = command(tmp_path, "compare", "spec.json", "other.json", "flying.json")
    assert done.returncode == 1
    changed = "StartTimer 'floto.retry:first:1': start_to_fire_timeout was '5'"
    assert f"not safe: on deploy this decides otherwise at once ({changed}" in done.stdout
