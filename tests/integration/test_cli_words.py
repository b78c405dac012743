"""Messages of commands about files, keys, deployments and canceled work."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import floto
from tests.integration.commands import PATIENCE, Shell, wait_for, write_files
from tests.integration.looks import two_runs
from tests.integration.terminal import on_terminal


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return two_runs(tmp_path_factory.mktemp("runs"))


def test_unwritable_output_file_is_reported(runs: Shell) -> None:
    (runs.cwd / "taken").mkdir(exist_ok=True)
    for command in (
        "history done -o no/x.json",
        "timeline done -o no/x.svg",
        "graph flow.py:spec -o no/x.dot",
    ):
        said = runs(*command.split(), code=2).stderr
        name = command.split()[-1]
        assert f"cannot write {name}: No such file or directory" in said
        assert "load" not in said
    said = runs("replay", "flow.py:other", "done", "--shrink", "no/test_x.py", code=2).stderr
    assert "cannot write no/test_x.py: No such file or directory" in said


def test_errors_about_json_name_the_file(runs: Shell) -> None:
    for text in ("{", '{"type": "floto.specs.DeciderSpec", "activity_tasks": 7}', "7", "\udcff"):
        (runs.cwd / "bad.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        for command in ("check bad.json", "graph bad.json", "start --spec bad.json", "replay bad.json done"):
            is_checked = command.startswith("check") and text != "\udcff"
            done = runs(*command.split(), code=1 if is_checked else 2)
            assert "bad.json" in done.stderr, (command, text, done.stderr)
    for command in (
        "start --spec flow.py:spec --input @bad.json",
        "show done --spec bad.json",
        "why bad.json",
    ):
        assert "bad.json" in runs(*command.split(), code=2).stderr


def test_interrupted_fuzz_reports_what_was_checked(runs: Shell) -> None:
    code, seen = on_terminal(
        runs, "fuzz", "flow.py:spec", "--seconds", "600", keys=b"\x03", until=" decisions "
    )
    assert code == 130, seen
    assert re.search(r"\d runs, [\d,]+ different decisions: every invariant held", seen), seen
    assert "interrupted" in seen
    assert "Traceback" not in seen


def test_replay_step_ends_at_the_end_of_input_and_explains_other_keys(runs: Shell) -> None:
    def step(keys: str, spec: str = "flow.py:spec") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "floto", "replay", spec, "done", "--step"],
            cwd=runs.cwd,
            env=runs.environment,
            input=keys,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=PATIENCE,
        )

    ended = step("")
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "the history agrees with the spec")
    assert step("", "flow.py:other").returncode == 1
    asked = step("x\n99\nq\n")
    assert "'x' is not a key" in asked.stderr
    assert "step 99" in asked.stderr
    assert asked.stdout.count("step 1 of") == 1


def test_compare_prints_decisions_that_a_deployment_makes_at_once(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    write_files(tmp_path)
    flow = tmp_path / "flow.py"
    new = "floto.ActivityTask(id_='extra', name='x', version='1')"
    added = f"extra = floto.DeciderSpec(activity_tasks=[ask, rest, tell, {new}])\n"
    flow.write_text(f"{flow.read_text()}{added}")
    (tmp_path / "broken").touch()
    shell("start", "--spec", "flow.py:spec", "--workflow-id", "open", "--input", '{"who": 1}')
    with shell.loop("decider"), shell.loop("worker", "--activities", "acts.py"):
        wait_for(lambda: "retry" in shell.here("why", "open")[0])
    said = shell("compare", "flow.py:spec", "flow.py:extra", "open", code=1).stdout
    assert "not safe: on deploy this starts 'extra' at once" in said
    said = shell("compare", "flow.py:spec", "flow.py:spec", "open").stdout
    assert "safe: on deploy nothing changes" in said


#: A run whose decider canceled a timer and an activity.
CANCELED = """
WorkflowExecutionStarted {"childPolicy": "TERMINATE", "taskList": {"name": "l"}, "parentInitiatedEventId": 0,
 "workflowType": {"name": "t", "version": "1"}}
DecisionTaskScheduled {"taskList": {"name": "l"}}
DecisionTaskStarted {"scheduledEventId": 2}
DecisionTaskCompleted {"scheduledEventId": 2, "startedEventId": 3}
TimerStarted {"timerId": "long", "startToFireTimeout": "60", "decisionTaskCompletedEventId": 4}
ActivityTaskScheduled {"activityId": "work", "activityType": {"name": "a", "version": "1"},
 "taskList": {"name": "l"}, "decisionTaskCompletedEventId": 4}
ActivityTaskStarted {"scheduledEventId": 6}
TimerCanceled {"timerId": "long", "startedEventId": 5, "decisionTaskCompletedEventId": 4}
ActivityTaskCanceled {"scheduledEventId": 6, "startedEventId": 7}
"""


def test_canceled_task_is_shown_as_canceled_in_every_picture(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    events = [
        {
            "eventId": number,
            "eventTimestamp": 1.8e9 + number,
            "eventType": (kind := text.split(maxsplit=1)[0]),
            f"{kind[0].lower()}{kind[1:]}EventAttributes": json.loads(text.split(maxsplit=1)[1]),
        }
        for number, text in enumerate(CANCELED.strip().replace("\n ", " ").split("\n"), start=1)
    ]
    (tmp_path / "gone.json").write_text(json.dumps({"events": events}))
    (tmp_path / "flow.py").write_text(
        "import floto\n"
        "long = floto.Timer(id_='long', delay_in_seconds=60)\n"
        "work = floto.ActivityTask(id_='work', name='a', version='1')\n"
        "spec = floto.DeciderSpec(activity_tasks=[long, work])\n"
    )
    for name in ("long", "work"):
        [lane] = [line for line in shell("timeline", "gone.json").stdout.splitlines() if name in line]
        assert lane.rstrip().endswith("canceled")
        assert "▒" in lane
        assert "▓" not in lane
    graph = ("graph", "flow.py:spec", "--history", "gone.json")
    assert shell(*graph).stdout.count("Timer: canceled") == 1
    shell("timeline", "gone.json", "-o", "gone.svg")
    drawn = (tmp_path / "gone.svg").read_text()
    assert ("long: canceled" in drawn, "work: canceled" in drawn, ": failed" in drawn) == (True, True, False)
    shell(*graph, "-o", "gone.dot")
    assert "fadcd9" not in (tmp_path / "gone.dot").read_text()


def test_the_same_tasks_may_clean_up_after_a_failure_and_a_cancel_request(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "flow.py").write_text(
        "import floto\n"
        "wait = floto.Signal(id_='wait', signal_name='go')\n"
        "bad = floto.ActivityTask(id_='bad', name='bad', version='1', requires=[wait])\n"
        "undo = floto.ActivityTask(id_='undo', name='undo', version='1')\n"
        "tidy = floto.Timer(id_='tidy', delay_in_seconds=0, requires=[undo])\n"
        "clean = [undo, tidy]\n"
        "spec = floto.DeciderSpec(activity_tasks=[wait, bad], on_failure=clean, on_cancel=clean)\n"
        "@floto.activity(name='bad', version='1')\n"
        "def bad():\n    raise ValueError('no')\n"
        "@floto.activity(name='undo', version='1')\n"
        "def undo():\n    return 1\n"
    )
    assert shell("check", "flow.py:spec").stdout.startswith("4 tasks")
    assert "undo  ActivityTask on failure or cancel" in shell("graph", "flow.py:spec").stdout
    for name in ("failed", "canceled"):
        shell("start", "--spec", "flow.py:spec", "--workflow-id", name)
    assert "if the run fails" in shell("why", "failed", "undo").stdout
    with shell.loop("decider"), shell.loop("worker", "--activities", "flow.py"):
        shell("signal", "failed", "go")
        shell("cancel", "canceled")
        for name in ("failed", "canceled"):
            shell.until(name, name.upper())
            done = {each["task"]: each["status"] for each in shell.data("show", name)["tasks"]}
            assert (done["undo"], done["tidy"]) == ("done", "done")


def test_cleanup_task_cannot_be_a_task_of_the_run(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "flow.py").write_text(
        "import floto\n"
        "one = floto.Timer(id_='one', delay_in_seconds=0)\n"
        "other = floto.Timer(id_='one', delay_in_seconds=1)\n"
        "def both():\n    return floto.DeciderSpec(activity_tasks=[one], on_failure=[one])\n"
        "def differ():\n    return floto.DeciderSpec(on_failure=[one], on_cancel=[other])\n"
        "def twice():\n    return floto.DeciderSpec(on_failure=[one, one], on_cancel=[one])\n"
    )
    for name in ("both", "differ", "twice"):
        (tmp_path / f"{name}.py").write_text(f"import flow\nspec = flow.{name}()\n")
        assert "duplicate task id 'one' (2 tasks)" in shell("check", f"{name}.py:spec", code=1).stdout


@pytest.mark.parametrize("command", ["why done", "show done", "report done -o x.html"])
def test_spec_that_did_not_decide_the_run_is_reported(runs: Shell, command: str) -> None:
    note = "the run was decided by another spec ("
    assert note not in runs.here(*command.split(), "--spec", "flow.py:spec")[1]
    said = runs.here(*command.split(), "--spec", "flow.py:other")[1]
    assert note in said
    assert "what is shown of its tasks is by flow.py:other, and may be wrong" in said


def test_show_without_a_spec_says_that_tasks_may_be_missing(runs: Shell) -> None:
    note = "tasks that have not begun are not known: name the spec with --spec\n"
    assert runs.here("show", "done")[1] == note
    assert runs.here("show", "done", "--spec", "flow.py:spec")[1] == runs.here("show", "open")[1] == ""


def test_graph_reports_a_spec_that_did_not_decide_the_run(runs: Shell) -> None:
    note = "the run was decided by another spec ("
    assert note not in runs.here("graph", "flow.py:spec", "--history", "done")[1]
    assert note in runs.here("graph", "flow.py:other", "--history", "done")[1]


def test_check_names_what_the_context_of_a_condition_never_has(runs: Shell) -> None:
    lines = [
        "import floto",
        'ask = floto.ActivityTask(id_="ask", name="ask", version="1")',
        'tell = floto.ActivityTask(id_="tell", name="t", version="1", requires=[ask], when="aks.n")',
        "spec = floto.DeciderSpec(activity_tasks=[ask, tell])",
    ]
    (runs.cwd / "misspelt.py").write_text("\n".join(lines))
    said = runs.here("check", "misspelt.py:spec")[0]
    assert "task 'tell': the context of its condition aks.n never has 'aks', which is null" in said


@pytest.mark.parametrize(
    "command",
    [
        "run flow.py:spec --activities acts.py --timeout nan",
        "worker --activities acts.py --heartbeat nan",
        "fuzz flow.py:spec --seconds nan",
    ],
)
def test_nan_is_not_a_number_of_seconds(runs: Shell, command: str) -> None:
    assert "'nan' is not a number of seconds" in runs.here(*command.split(), code=2)[1]


def test_nan_is_not_a_rate(runs: Shell) -> None:
    said = runs.here(*["worker", "--activities", "acts.py", "--max-per-second", "nan"], code=2)[1]
    assert "'nan' is not a number" in said
    assert "of seconds" not in said


def test_number_of_listed_runs_may_be_as_large_as_one_likes(runs: Shell) -> None:
    for limit in (sys.maxsize, 10**30):
        assert runs.here("list", "--limit", str(limit)) == runs.here("list")


def test_empty_name_is_not_the_default(runs: Shell) -> None:
    before = runs.here("list")
    for command in ("list", "terminate open", "start --spec flow.py:spec"):
        assert "service '' is not a service URL" in runs.here(*command.split(), "--service", "", code=2)[1]
    runs.here("start", "--spec", "flow.py:spec", "--workflow-id", "", code=2)
    assert runs.here("list") == before


def test_usage_error_shows_escape_sequences_of_values(runs: Shell) -> None:
    said = runs.here("list", "--service", "sqlite:///a\x1b[31m\nb.db", code=2)[1]
    assert "there is no file" in said
    assert r"a\x1b[31m\nb.db;" in said


def test_run_id_may_follow_a_workflow_id_of_any_length(tmp_path: Path) -> None:
    shell, workflow_id = Shell(tmp_path), "w" * 256
    write_files(tmp_path)
    run_id = shell.here("start", "--spec", "flow.py:spec", "--workflow-id", workflow_id)[0].strip()
    for named in (run_id, run_id[:8]):
        assert shell.data("show", f"{workflow_id}@{named}")["execution"]["runId"] == run_id
    shell.here("terminate", f"{workflow_id}@{run_id}")
    assert shell.data("show", workflow_id)["status"] == "TERMINATED"


@pytest.mark.parametrize("command", ["replay flow.py:spec", "compare flow.py:spec flow.py:spec"])
def test_run_that_does_not_exist_is_reported_and_the_others_are_read(runs: Shell, command: str) -> None:
    out, err = runs.here(*command.split(), "nosuch", "done", code=2)
    assert err.startswith("floto: there is no run 'nosuch' in domain 'floto'")
    assert "done: " in out


@pytest.mark.parametrize("command", ["show", "history", "signal {} go", "cancel", "terminate"])
@pytest.mark.parametrize("name", ["done.json", "./done.json", "-"])
def test_file_in_place_of_a_run_is_reported(runs: Shell, command: str, name: str) -> None:
    runs.here("history", "done", "-o", "done.json")
    words = command.format(name).split() if "{}" in command else [command, name]
    out, err = runs.here(*words, code=2)
    assert err.startswith(f"floto: there is no run {name!r} in domain 'floto'")
    assert "saved histories are read by floto why, " in err
    assert out == ""


@pytest.mark.parametrize("name", ["a/b", "a|b", "arn", "", "w" * 300, "done@" + "r" * 300, "done@a/b"])
def test_run_of_a_name_that_no_run_may_have_does_not_exist(runs: Shell, name: str) -> None:
    for command in ("show", "cancel", "history"):
        assert "there is no run " in runs.here(command, name, code=2)[1]
    for command in ("show", "pause"):
        assert "no schedule" in runs.here("schedule", command, name, code=2)[1]


def test_commands_on_files_take_runs_with_ids_of_any_length(tmp_path: Path) -> None:
    # No file has a name of more than 255 bytes.
    shell, workflow_id = Shell(tmp_path), "☃" * 256
    write_files(tmp_path)
    shell.here("start", "--spec", "flow.py:spec", "--workflow-id", workflow_id)
    for command in ("why", "timeline", "replay flow.py:spec", "compare flow.py:spec flow.py:spec"):
        shell.here(*command.split(), workflow_id)
    shell.here("report", workflow_id, "-o", "report.html")
    assert (tmp_path / "report.html").exists()


def test_show_says_why_a_signal_of_a_closed_run_was_skipped(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    signal = floto.Signal(id_="ok", signal_name="ok", timeout=0, on_timeout="skip")
    spec = floto.DeciderSpec(activity_tasks=[signal])
    floto.run(spec, service=f"sqlite:///{tmp_path}/floto.db", workflow_id="w")
    (tmp_path / "spec.json").write_text(spec.to_json())
    for command in ("show", "why"):
        assert "timed out after 0 seconds" in shell.here(command, "w", "--spec", "spec.json")[0]
