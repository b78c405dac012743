"""Registering, starting, listing, showing and stopping runs from the command line, on a file and a server."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import floto
from floto.adapters.sqlite import SqliteService
from floto.core.state.state import Kind
from tests.integration.commands import Shell, wait_for
from tests.integration.terminal import on_terminal

ON_FILE = "sqlite:///floto.db"


def started(shell: Shell, workflow_id: str, *more: str) -> str:
    run_id, said = shell.here("start", "--type", "flow", "1", "--workflow-id", workflow_id, *more)
    assert said == f"started {workflow_id}\n"
    return run_id.strip()


def registered(shell: Shell) -> None:
    shell.here("register", "domain", "floto")
    options = ("--task-list", "deciders", "--decision-timeout", "NONE")
    shell.here("register", "workflow", "flow", "1", *options)


def test_commands_take_a_run_from_registration_to_close(anywhere: Shell) -> None:
    registered(anywhere)
    run_id = started(anywhere, "w", "--input", '{"n": 1}', "--tag", "blue", "--tag", "red")
    [info] = anywhere.data("list")
    assert info["execution"] == {"workflowId": "w", "runId": run_id}
    assert datetime.fromisoformat(info["startTimestamp"]).tzinfo == UTC
    line = anywhere("list").stdout.rstrip("\n").split("\t")
    assert (line[:5], line[6:]) == (["w", run_id, "flow", "1", "OPEN"], ["", "blue, red"])

    assert anywhere("signal", "w", "go", "--input", "[1]").stderr == "sent go to w\n"
    assert anywhere("cancel", "w").stdout == ""
    shown = anywhere.data("show", "w")
    assert shown["taskList"] == "deciders"
    assert shown["input"] == {"n": 1}
    assert shown["counts"] == {"events": 4, "signals": 1}
    assert shown["cancelRequested"] >= shown["started"]
    assert [(item["kind"], item["status"]) for item in shown["open"]] == [("decision", "scheduled")]

    anywhere("terminate", f"w@{run_id}", "--reason", "enough", "--details", "of it")
    shown = anywhere.data("show", f"w@{run_id}")
    assert (shown["status"], shown["reason"], shown["details"]) == ("TERMINATED", "enough", "of it")
    assert "open" not in shown
    assert "TERMINATED" in anywhere("signal", "w", "go", code=2).stderr


def test_history_command_writes_the_form_of_swf(anywhere: Shell) -> None:
    registered(anywhere)
    run_id = started(anywhere, "w", "--input", '"hé"')
    anywhere("terminate", "w")
    done = anywhere("history", "w")
    saved = json.loads(done.stdout)
    assert done.stderr == "3 events\n"
    assert (saved["domain"], saved["execution"]) == ("floto", {"workflowId": "w", "runId": run_id})
    assert saved["events"][0]["eventTimestamp"].endswith("+00:00")
    history = floto.History.from_swf(saved["events"])
    assert history.start.input == '"hé"'
    anywhere("history", "w", "-o", "run.json")
    assert (anywhere.cwd / "run.json").read_text() == done.stdout


def test_history_command_writes_a_known_spec_beside_the_history(shell: Shell) -> None:
    """The one the run carries, or the one that is named; files that have it are read as any other."""
    shell.here("start", "--spec", "flow.py:spec", "--workflow-id", "w")
    carried = json.loads(shell("history", "w").stdout)["spec"]
    assert [task["id_"] for task in carried["activity_tasks"]] == ["ask", "rest", "tell"]
    shell("history", "w", "--spec", "flow.py:other", "-o", "run.json")
    saved = json.loads((shell.cwd / "run.json").read_text())
    assert saved["spec"]["task_list"] == "others"
    assert len(floto.History.load(shell.cwd / "run.json")) == len(saved["events"])
    registered(shell)
    started(shell, "plain")
    assert "spec" not in json.loads(shell("history", "plain").stdout)


def test_history_command_writes_all_pages(shell: Shell) -> None:
    registered(shell)
    started(shell, "w")
    client = floto.LocalSwf(shell.cwd / "floto.db")
    for number in range(2_500):
        client.signal_workflow_execution(domain="floto", workflowId="w", signalName=f"s{number}")
    client.close()
    events = json.loads(shell("history", "w").stdout)["events"]
    assert [event["eventId"] for event in events] == list(range(1, 2_503))
    assert shell.data("show", "w")["counts"] == {"events": 2_502, "signals": 2_500}


@pytest.mark.parametrize(
    ("command", "done"), [("terminate", "terminated"), ("cancel", "requested cancellation of")]
)
def test_several_runs_are_ended_although_one_of_them_cannot_be(
    anywhere: Shell, command: str, done: str
) -> None:
    registered(anywhere)
    for name in ("a", "b", "c"):
        started(anywhere, name)
    anywhere("terminate", "b")
    listed = anywhere("list", "--open").stdout.splitlines()
    names = [line.split("\t")[0] for line in listed]
    assert names == ["c", "a"]
    said = anywhere(command, "a", "b", "nobody", "c", code=2).stderr.splitlines()
    assert said[0] == f"{done} a"
    assert said[1] == "floto: run 'b' is closed: TERMINATED"
    assert said[2].startswith("floto: there is no run 'nobody'")
    assert said[3] == f"{done} c"
    assert "--run-id belongs to one RUN" in anywhere(command, "a", "c", "--run-id", "x", code=2).stderr


def test_register_reports_and_keeps_what_exists(anywhere: Shell) -> None:
    first = anywhere.data("register", "spec", "flow.py:spec")
    kinds = ["domain", "workflow", "activity", "activity"]
    assert [row["kind"] for row in first] == kinds
    assert all(row["registered"] for row in first)
    assert not any(row["registered"] for row in anywhere.data("register", "spec", "flow.py:spec"))
    again = anywhere("register", "domain", "floto", "--retention", "5")
    assert again.stdout == "domain\tfloto\t\texisted\n"
    options = ("--heartbeat", "7", "--task-list", "mine", "--description", "what it does", "--priority", "3")
    assert anywhere("register", "activity", "new", "2", *options).stdout.endswith("registered\n")


def test_register_uses_option_values_else_the_standard_defaults(shell: Shell) -> None:
    registered(shell)
    shell("register", "activity", "new", "2", "--heartbeat", "7", "--priority", "3")
    client = floto.LocalSwf(shell.cwd / "floto.db")
    kind = {"name": "new", "version": "2"}
    found = client.describe_activity_type(domain="floto", activityType=kind)["configuration"]
    kind = {"name": "flow", "version": "1"}
    flow = client.describe_workflow_type(domain="floto", workflowType=kind)["configuration"]
    client.close()
    assert (found["defaultTaskHeartbeatTimeout"], found["defaultTaskPriority"]) == ("7", "3")
    assert (found["defaultTaskStartToCloseTimeout"], found["defaultTaskList"]) == ("NONE", {"name": "floto"})
    assert (flow["defaultTaskStartToCloseTimeout"], flow["defaultChildPolicy"]) == ("NONE", "TERMINATE")


LISTED = [
    ((), ["d", "c", "b", "a"]),
    (("--open",), ["d", "b"]),
    (("--closed",), ["c", "a"]),
    (("--status", "terminated"), ["c", "a"]),
    (("--status", "FAILED"), []),
    (("--tag", "red"), ["c", "b"]),
    (("--tag", "red", "--open"), ["b"]),
    (("--tag", "red", "--status", "TERMINATED"), ["c"]),
    (("--type", "other"), ["d"]),
    (("--type", "flow", "--tag", "red", "--workflow-id", "b"), ["b"]),
    (("--workflow-id", "a", "--open"), []),
    (("--workflow-id", "a", "--tag", "red"), []),
    (("--tag", "red", "--type", "other"), []),
    (("--type", "flow", "--status", "FAILED"), []),
    (("--since", "1h"), ["d", "c", "b", "a"]),
    (("--since", "2099-01-01"), []),
    (("--limit", "2"), ["d", "c"]),
]


def test_list_filters_and_sorts_newest_first(anywhere: Shell) -> None:
    anywhere.here("register", "domain", "floto")
    anywhere.here("register", "workflow", "flow", "1", "--task-list", "deciders")
    anywhere.here("register", "workflow", "other", "1")
    tags = {"a": (), "b": ("--tag", "red"), "c": ("--tag", "blue", "--tag", "red"), "d": ()}
    for workflow_id, more in tags.items():
        kind = "other" if workflow_id == "d" else "flow"
        anywhere.here("start", "--type", kind, "1", "--workflow-id", workflow_id, *more)
    for workflow_id in "ac":
        anywhere.here("terminate", workflow_id)
    for options, expected in LISTED:
        found = json.loads(anywhere.here("list", "--json", *options)[0])
        assert [info["execution"]["workflowId"] for info in found] == expected, options
    assert "--limit shows more than 2" in anywhere.here("list", "--limit", "2")[1]
    assert anywhere.here("list", "--limit", "4")[1] == ""


def test_run_is_selected_by_its_run_id(shell: Shell) -> None:
    registered(shell)
    first = started(shell, "w@home")
    shell.here("terminate", "w@home")
    second = started(shell, "w@home")
    for arguments, expected in (
        (("w@home",), second),
        ((f"w@home@{first}",), first),
        (("w@home", "--run-id", first), first),
    ):
        assert json.loads(shell.here("show", *arguments, "--json")[0])["execution"]["runId"] == expected
    assert "TERMINATED" in shell.here("signal", "w@home", "s", "--run-id", first, code=2)[1]
    shell.here("terminate", f"w@home@{second}")
    assert second in shell.here("show", "w@home")[0]


WRONG = [
    (("show", "nothing"), "there is no run 'nothing' in domain 'floto' on sqlite:////"),
    (("show", "wednesdy"), "; there is 'wednesday'"),
    (("history", "wednesday@nothing"), "there is 'wednesday'"),
    (("signal", "wednesdy", "s"), "there is 'wednesday'"),
    (("show", "wednesday", "--domain", "nowhere"), "floto register domain nowhere"),
    (("start", "--type", "nothing", "1"), "floto register workflow nothing 1"),
    (
        ("start", "--type", "flow", "1", "--workflow-id", "wednesday"),
        "workflow 'wednesday' has an open run; end that one first: floto terminate wednesday",
    ),
    (("start", "--type", "flow", "1", "--input", "{"), "not JSON"),
    (
        ("start", "--type", "flow", "1", "--execution-timeout", "soon"),
        "SECONDS|NONE|'soon' is not an integer",
    ),
    (("start", "--spec", "flow.py:spec", "--input", "1"), "--input must be an object"),
    (("start",), "--spec SPEC or --type NAME VERSION"),
    (("list", "--since", "yesterday"), "say 30s, 15m, 2h, 7d or 2026-12-31T23:59"),
    (("list", "--open", "--status", "FAILED"), "--status is about closed runs"),
    (("list", "--service", "sqlite:///nowhere.db"), "/nowhere.db; give another --service"),
    (("list", "--service", "memory:"), "--service memory: does not outlive this command"),
    (("history", "wednesday", "-o", "no/such/file"), "No such file or directory"),
    (("register", "spec", "nowhere.json"), "No such file"),
    (("decider", "flow.py:spec", "flow.py:spec"), "have the same task list, 'floto'"),
    (
        ("decider", "flow.py:spec", "flow.py:other", "--task-list", "x"),
        "--task-list can be given with one SPEC only",
    ),
    (("worker",), "--activities"),
    (
        ("worker", "--activities", "acts.py", "--payloads", "ftp://x"),
        "give a directory or s3://bucket/prefix",
    ),
]


def test_usage_errors_of_run_commands_print_one_line(shell: Shell) -> None:
    registered(shell)
    started(shell, "wednesday")
    for arguments, said in WRONG:
        out, err = shell.here(*arguments, code=2)
        assert any(text in err for text in said.split("|")), err
        assert out == ""
    assert not (shell.cwd / "nowhere.db").exists()


def test_commands_in_messages_name_the_service_and_the_domain(shell: Shell) -> None:
    registered(shell)
    elsewhere = ("--service", "sqlite:///other db.db")
    shell.here("register", "domain", "given", *elsewhere)
    said = shell.here("list", *elsewhere, code=2)[1]
    assert "floto register domain --service 'sqlite:///other db.db' floto" in said
    said = shell.here("start", "--type", "nothing", "1", *elsewhere, "--domain", "given", code=2)[1]
    assert "floto register workflow --service 'sqlite:///other db.db' --domain given nothing 1" in said
    shell.here("register", "domain", *elsewhere, "floto")
    assert "there is no run" in shell.here("list", *elsewhere)[1]


def test_show_prints_open_tasks_and_reasons_for_waiting(shell: Shell) -> None:
    (shell.cwd / "broken").touch()
    shell("start", "--spec", "flow.py:spec", "--workflow-id", "w", "--input", '{"who": "me"}')
    with shell.loop("decider"), shell.loop("worker", "--activities", "acts.py"):
        found = _until_waiting(shell)
    assert found["counts"]["activity"] == {"completed": 1, "failed": 1}
    assert found["counts"]["failed attempts"] == 1
    assert found["input"] == {"who": "me", "decider_spec": "..."}
    [wait] = found["open"]
    assert (wait["kind"], wait["retries"]) == ("timer", "tell")
    # The same, from the history alone.
    client = floto.LocalSwf(shell.cwd / "floto.db")
    events = client.get_workflow_execution_history(domain="floto", execution=found["execution"])["events"]
    client.close()
    state = floto.fold(floto.History.from_swf(events))
    assert [key[0] for key in state.opened.values()] == [Kind.TIMER]
    shown = shell("show", "w").stdout
    assert "tell: waiting for its retry; retry 1 of 5, after ValueError: no such luck, is due at " in shown


def _until_waiting(shell: Shell) -> Any:
    def look() -> Any:
        found = json.loads(shell.here("show", "w", "--json")[0])
        waits = [item for item in found.get("open", ()) if "retries" in item]
        return found if waits and len(found["open"]) == 1 else None

    return wait_for(look)


def test_terminal_output_is_a_table(shell: Shell) -> None:
    registered(shell)
    started(shell, "w", "--tag", "a\x1b[31mb")
    _, text = on_terminal(shell, "list", "--long", COLUMNS="300")
    assert "workflow" in text
    assert "\t" not in text
    assert r"a\x1b[31mb" in text


@pytest.mark.parametrize(
    ("words", "offered"),
    [("floto show mon", ["monday"]), ("floto cancel ", ["monday", "tuesday"]), ("floto reg", ["register"])],
)
def test_the_shell_completes_commands_and_workflow_ids(shell: Shell, words: str, offered: list[str]) -> None:
    registered(shell)
    for workflow_id in ("tuesday", "monday"):
        started(shell, workflow_id)
    done = shell(_FLOTO_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split(" ")) - 1))
    assert done.stdout.split() == [f"plain,{found}" for found in offered]


def test_shell_completion_uses_no_network_and_creates_no_file(shell: Shell) -> None:
    for service in (ON_FILE, "http://127.0.0.1:1", "nonsense:"):
        done = shell(
            _FLOTO_COMPLETE="bash_complete",
            COMP_WORDS="floto show ",
            COMP_CWORD="2",
            FLOTO_SERVICE=service,
        )
        assert (done.stdout, done.stderr) == ("\n", "")
    assert not (shell.cwd / "floto.db").exists()


def test_show_prints_deciders_that_gave_back_decision_tasks_and_the_recorded_spec(tmp_path: Path) -> None:
    spec = floto.DeciderSpec(activity_tasks=[floto.Timer(id_="t", delay_in_seconds=0)])
    other = floto.DeciderSpec(activity_tasks=[floto.Timer(id_="t", delay_in_seconds=1)])
    with SqliteService(tmp_path / "floto.db") as service:
        flow = floto.WorkflowType("flow", "v1")
        service.prepare([flow], [])
        service.start_workflow_execution(
            floto.StartRequest(
                workflow_id="w",
                workflow_type=flow,
                task_list="decide",
                decision_timeout="1",
                tags=floto.spec_tags(spec),
            )
        )
        decider = floto.Decider(
            other, service=service, task_list="decide", identity="host:7", poll_seconds=0.2
        )
        thread = threading.Thread(target=decider.run)
        thread.start()
        wait_for(lambda: "and did not respond; see its log" in Shell(tmp_path).here("show", "w")[0])
        decider.stop()
        thread.join()
    shell = Shell(tmp_path)
    (digest,) = floto.spec_tags(spec)
    assert shell.data("show", "w")["spec"] == digest.rpartition(":")[2]
    shown = shell("show", "w").stdout
    assert "host:7 claimed it" in shown
    assert "and did not respond; see its log" in shown
