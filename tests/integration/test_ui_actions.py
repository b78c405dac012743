"""Actions of the pages: each shows the command line that does the same, and does it where that is allowed."""

from __future__ import annotations

import html
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from attrs import evolve

import floto
from floto.core.decide.schedule import SCHEDULE_TYPE
from floto.core.swf.events import WorkflowExecutionCancelRequested, WorkflowExecutionSignaled
from floto.core.swf.reserved_names import SPEC_KEY, STORED_KEY
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowExecution
from floto.runtime.schedules import create
from tests.integration.browser import Ui, ask, ui
from tests.integration.commands import PATIENCE, Shell, wait_for
from tests.integration.shown import LIST, ORDER, Shop, shop, spec_of

HTML = "text/html"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Shop]:
    with shop(tmp_path) as made:
        yield made


@pytest.fixture
def page(made: Shop, tmp_path: Path) -> Iterator[Ui]:
    with ui(made.url, "--allow-actions", cwd=tmp_path) as page:
        yield page


@pytest.fixture
def reading(made: Shop, tmp_path: Path) -> Iterator[Ui]:
    with ui(made.url, cwd=tmp_path) as page:
        yield page


def preview(page: Ui, action: str, /, **given: str) -> str:
    """The page that shows an action before it is done."""
    status, _, text = ask(
        page, "GET", f"/actions/{action}?{urlencode({**given, 'preview': '1'})}", accept=HTML
    )
    assert status == 200, text
    return text


def run_shown(text: str, made: Shop) -> None:
    """Give the command line that a page shows to a shell."""
    found = re.search(r'<pre class="command">(.*?)</pre>', text, re.DOTALL)
    assert found is not None
    floto = f'floto() {{ {shlex.quote(sys.executable)} -m floto "$@"; }}'
    subprocess.run(
        ["bash", "-c", f"{floto}; {html.unescape(found[1])}"],
        env=Shell(Path(), made.url).environment,
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )


def confirmed(page: Ui, text: str) -> tuple[int, dict[str, str], str]:
    """Press the button of a page that shows an action."""
    form = re.search(r'<form method="post" action="([^"]*)">(.*?)</form>', text, re.DOTALL)
    assert form is not None
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form[2])
    body = urlencode({name: html.unescape(value) for name, value in fields})
    return ask(page, "POST", form[1], body, accept=HTML)


def named(run: WorkflowExecution) -> dict[str, str]:
    return {"workflow_id": run.workflow_id, "run_id": run.run_id, "domain": "floto"}


def status_of(made: Shop, workflow_id: str) -> str | None:
    found = made.service.latest_execution(workflow_id)
    assert found is not None
    return found.close_status


def test_terminate_by_button_and_by_the_command_that_is_shown(made: Shop, page: Ui) -> None:
    one, other = made.running("one"), made.running("other id")
    given = {"reason": 'it\'s "late" & <old>', "details": "line\nline"}
    text = preview(page, "terminate", **named(one), **given)
    assert status_of(made, "one") is None
    status, headers, _ = confirmed(page, text)
    assert (status, headers["location"].startswith("/runs/one/")) == (303, True)
    assert status_of(made, "one") == "TERMINATED"
    last: Any = made.service.history(one)[-1].data
    assert (last.reason, last.details) == (given["reason"], "line\nline")
    run_shown(preview(page, "terminate", **named(other), **given), made)
    last = made.service.history(other)[-1].data
    assert (last.reason, last.details) == (given["reason"], "line\nline")


def test_signal_by_button_and_by_the_command_that_is_shown(made: Shop, page: Ui) -> None:
    run = made.running("one")
    text = preview(page, "signal", **named(run), name="go --on", input='{"a": "ä\'"}')
    assert confirmed(page, text)[0] == 303
    run_shown(text, made)
    signals = [
        each.data for each in made.service.history(run) if isinstance(each.data, WorkflowExecutionSignaled)
    ]
    assert [(each.signal_name, each.input) for each in signals] == [("go --on", signals[0].input)] * 2
    assert floto.core.strict_json.loads(str(signals[0].input)) == {"a": "ä'"}


def test_cancel(made: Shop, page: Ui) -> None:
    run = made.running("one")
    text = preview(page, "cancel", **named(run))
    assert confirmed(page, text)[0] == 303
    # Without a run id, the action is of the open run, and leads to it.
    where = confirmed(page, preview(page, "cancel", workflow_id="one"))[1]["location"]
    assert ask(page, "GET", where, accept=HTML)[1]["location"].startswith(f"/runs/one/{quote(run.run_id)}")
    data = [type(each.data) for each in made.service.history(run)]
    assert WorkflowExecutionCancelRequested in data
    run_shown(text, made)


def test_action_on_a_run_that_has_closed_meanwhile_says_how_it_ended(made: Shop, page: Ui) -> None:
    run = made.running("one")
    shown = [preview(page, name, **named(run), name="go") for name in ("signal", "cancel", "terminate")]
    made.service.terminate_workflow_execution("one")
    for text in shown:
        status, _, said = confirmed(page, text)
        assert (status, "run 'one' is closed: TERMINATED" in html.unescape(said)) == (409, True)


def test_start_by_button_and_by_the_command_that_is_shown(made: Shop, page: Ui) -> None:
    given = {"type": "order", "version": "1", "input": "[1]", "tags": "a b", "new_workflow_id": "new"}
    text = preview(page, "start", **given)
    status, headers, _ = confirmed(page, text)
    assert (status, headers["location"].startswith("/runs/new/")) == (303, True)
    assert ">new</a>" in ask(page, "GET", "/?filter=tag:a")[2]
    status, _, text = confirmed(page, preview(page, "start", **given))
    assert (status, "WorkflowExecutionAlreadyStarted" in text) == (409, True)
    made.service.terminate_workflow_execution("new")
    run_shown(preview(page, "start", **given), made)
    assert status_of(made, "new") is None


def test_form_that_is_sent_twice_acts_once(page: Ui) -> None:
    text = preview(page, "start", type="order", version="1")
    with ThreadPoolExecutor() as pool:
        found = [sent.result() for sent in [pool.submit(confirmed, page, text) for _ in range(3)]]
    [location] = {headers["location"] for _, headers, _ in [*found, confirmed(page, text)]}
    again = confirmed(page, preview(page, "start", type="order", version="1"))[1]["location"]
    assert again != location
    assert "2 runs" in ask(page, "GET", "/")[2]


def test_form_whose_action_failed_is_tried_again(made: Shop, page: Ui) -> None:
    run = made.running("one")
    text = preview(page, "start", type="order", version="1", new_workflow_id="one")
    assert confirmed(page, text)[0] == 409
    made.service.terminate_workflow_execution(run.workflow_id)
    assert confirmed(page, text)[0] == 303


def test_redrive_shows_its_plan_and_starts_the_run(made: Shop, page: Ui) -> None:
    run = made.failed("one")
    text = preview(page, "redrive", **named(run))
    assert re.findall(r"<tr><td>(\w+)</td><td>(\w+)</td>", text) == [("pack", "run"), ("send", "run")]
    assert "--dry-run" not in text
    status, headers, _ = confirmed(page, text)
    assert status == 303
    new = made.service.latest_execution("one")
    assert new is not None
    assert new.execution.run_id != run.run_id
    # The button of the same page again finds the run that it has started.
    assert confirmed(page, text)[1]["location"] == headers["location"]
    made.service.terminate_workflow_execution("one")
    run_shown(preview(page, "redrive", **named(run), rerun="pack"), made)
    assert status_of(made, "one") is None


@pytest.mark.parametrize("name", ["flow.py:spec", "spec.json"])
def test_command_of_a_redrive_names_the_spec_of_a_run_that_carries_none(
    made: Shop, tmp_path: Path, name: str
) -> None:
    (tmp_path / "spec.json").write_text(spec_of().to_json())
    (tmp_path / "flow.py").write_text(
        "import floto, pathlib\n"
        "text = (pathlib.Path(__file__).parent / 'spec.json').read_text()\n"
        "spec = floto.DeciderSpec.from_json(text)\n"
    )
    request = StartRequest(workflow_id="bare", workflow_type=ORDER, task_list=LIST)
    carrying = made.failed("one")
    bare = WorkflowExecution("bare", made.service.start_workflow_execution(request))
    made.service.terminate_workflow_execution("bare")
    with ui("sqlite:///floto.db", "--spec", name, cwd=tmp_path) as page:
        assert "--spec" not in preview(page, "redrive", **named(carrying))
        run_shown(preview(page, "redrive", **named(bare)), made)
    assert status_of(made, "bare") is None


def test_commands_name_the_file_of_the_service_by_its_absolute_path(made: Shop, tmp_path: Path) -> None:
    run = made.start("lost", task_list="nobody")
    with ui("sqlite:///floto.db", cwd=tmp_path) as page:
        found = preview(page, "terminate", **named(run))
        helped = ask(page, "GET", f"/runs/lost/{quote(run.run_id)}", accept=HTML)[2]
    for text in (found, helped):
        assert f"--service {made.url}" in text


def test_schedule_that_cannot_be_read_has_a_row_with_the_reason(made: Shop, page: Ui) -> None:
    create(made.service, floto.Schedule(id_="nightly", cron="0 3 * * *", workflow_type=("order", "1")))
    request = StartRequest(workflow_id="odd", workflow_type=SCHEDULE_TYPE, task_list="odd", input="{}")
    made.service.start_workflow_execution(request)
    text = ask(page, "GET", "/schedules", accept=HTML)[2]
    assert "At 03:00 every day" in text
    assert "cannot be read: " in text
    assert confirmed(page, preview(page, "trigger", workflow_id="odd", domain="floto"))[0] == 303


def test_schedule_is_paused_resumed_and_triggered(made: Shop, page: Ui, tmp_path: Path) -> None:
    shell = Shell(tmp_path, made.url)
    schedule = floto.Schedule(id_="nightly", cron="0 3 * * *", workflow_type=("order", "1"))
    create(made.service, schedule)
    text = ask(page, "GET", "/schedules", accept=HTML)[2]
    assert "nightly" in text
    assert "/actions/pause?" in text
    with shell.loop("scheduler"):
        given = {"workflow_id": "nightly", "domain": "floto"}
        assert confirmed(page, preview(page, "pause", **given, note="holidays"))[0] == 303
        wait_for(lambda: "paused: holidays" in ask(page, "GET", "/schedules", accept=HTML)[2])
        run_shown(preview(page, "resume", **given), made)
        wait_for(lambda: "paused:" not in ask(page, "GET", "/schedules", accept=HTML)[2])
        run_shown(preview(page, "pause", **given, note="x"), made)
        assert confirmed(page, preview(page, "resume", **given))[0] == 303
        assert confirmed(page, preview(page, "trigger", **given))[0] == 303
        wait_for(lambda: "nightly-" in ask(page, "GET", "/", accept=HTML)[2])


def test_redrive_that_cannot_start_or_would_run_nothing_is_refused(made: Shop, page: Ui) -> None:
    done, failed = made.completed("done"), made.failed("open")
    running = made.running("open")
    nothing = "the run completed, and no task would run again; name tasks to run again"
    end = "workflow 'open' has an open run; end that one first: floto terminate "
    for run, said in ((done, nothing), (failed, end), (running, end)):
        status, _, text = confirmed(page, preview(page, "redrive", **named(run)))
        assert status == 409
        assert said in html.unescape(text)
    assert status_of(made, "done") == "COMPLETED"
    # Without a run id, the latest run is redriven.
    assert confirmed(page, preview(page, "redrive", workflow_id="done", rerun="send"))[0] == 303
    assert status_of(made, "done") is None


@pytest.mark.parametrize("options", [(), ("--spec", "spec.json")], ids=["no spec", "a spec"])
def test_schedule_is_not_redriven_and_has_no_tasks(
    made: Shop, tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "spec.json").write_text(spec_of().to_json())
    create(made.service, floto.Schedule(id_="nightly", cron="0 3 * * *", workflow_type=("order", "1")))
    made.service.terminate_workflow_execution("nightly")
    found = made.service.latest_execution("nightly")
    assert found is not None
    given = named(found.execution)
    said = "'nightly' is a schedule: redrive one of its runs, or use 'floto schedule create'"
    with ui(made.url, "--allow-actions", *options, cwd=tmp_path) as page:
        status, _, text = ask(page, "GET", f"/actions/redrive?{urlencode(given)}&preview=1", accept=HTML)
        assert status == 409
        assert said in html.unescape(text)
        where = f"/runs/nightly/{quote(found.execution.run_id)}/document"
        assert '"pack"' not in ask(page, "GET", where)[2]
    assert said in Shell(tmp_path, made.url).here("redrive", "nightly", "--spec", "spec.json", code=2)[1]
    assert status_of(made, "nightly") == "TERMINATED"


def test_page_that_only_reads_shows_commands_and_no_button(made: Shop, reading: Ui) -> None:
    run = made.running("one")
    text = preview(reading, "terminate", **named(run))
    assert '<pre class="command">floto terminate ' in text
    assert 'method="post"' not in text
    assert "--allow-actions" in text


@pytest.mark.parametrize(
    ("name", "given", "problem"),
    [
        ("signal", {"name": "go", "input": "{"}, "the input is not JSON"),
        ("start", {"type": "unknown", "version": "1"}, "unknown type"),
        ("trigger", {"workflow_id": "none"}, "there is no schedule"),
        ("terminate", {"workflow_id": "gone"}, "there is no run 'gone@"),
        ("redrive", {"workflow_id": "gone", "run_id": "x"}, "there is no run 'gone@x'"),
    ],
)
def test_action_that_is_refused_says_why(
    made: Shop, page: Ui, name: str, given: dict[str, str], problem: str
) -> None:
    run = made.running("one")
    token = re.search(r'data-token="([^"]+)"', ask(page, "GET", "/")[2])
    assert token is not None
    body = urlencode({**named(run), **given, "csrf": token[1]})
    status, _, text = ask(page, "POST", f"/actions/{name}", body, accept=HTML)
    assert (status, problem.lower() in html.unescape(text).lower(), "Traceback" in text) == (
        409,
        True,
        False,
    ), text


def test_page_of_a_run_leads_to_the_actions_for_its_status(made: Shop, page: Ui) -> None:
    for run, names in ((made.running("one"), "signal cancel terminate"), (made.failed("two"), "redrive")):
        text = ask(page, "GET", f"/runs/{run.workflow_id}/{run.run_id}/actions", accept=HTML)[2]
        assert re.findall(r'<li><a href="/actions/(\w+)\?', text) == names.split()


def other_spec(delay: int) -> str:
    old: Any = spec_of().activity_tasks
    tasks = [evolve(task, input=delay) for task in old]
    return evolve(spec_of(), activity_tasks=tasks).to_json()


def compared(page: Ui, run: WorkflowExecution, text: str) -> str:
    """The page that compares a run with another spec, as text."""
    where = f"/runs/{run.workflow_id}/{quote(run.run_id)}/compare"
    token = re.search(r'name="csrf" value="([^"]+)"', ask(page, "GET", where, accept=HTML)[2])
    assert token is not None
    status, _, found = ask(page, "POST", where, urlencode({"spec": text, "csrf": token[1]}), accept=HTML)
    assert status == 200
    return html.unescape(found)


def test_run_is_compared_with_another_spec_on_a_page_that_only_reads(made: Shop, reading: Ui) -> None:
    run = made.failed("one")
    same, other = compared(reading, run, spec_of().to_json()), compared(reading, run, other_spec(7))
    assert "no change</span>" in same
    assert "changes</span>" in other
    assert "input was" in other
    assert re.findall(r"<tr><td>(\w+)</td><td>(\w+)</td>", other) == [("pack", "run"), ("send", "run")]
    assert "safe: on deploy" in compared(reading, made.running("two"), other_spec(7))


@pytest.mark.parametrize("text", ["{", "[]", '{"type": "x"}', "</textarea><script>x</script>"])
def test_spec_that_is_not_valid_is_explained(made: Shop, reading: Ui, text: str) -> None:
    found = compared(reading, made.failed("one"), text)
    assert 'role="alert"' in found
    run = made.failed("two")
    where = f"/runs/two/{quote(run.run_id)}/compare"
    assert ask(reading, "POST", where, urlencode({"spec": text}))[0] == 403


def test_page_of_a_stuck_run_has_the_command_that_helps(made: Shop, reading: Ui) -> None:
    run = made.start("lost", task_list="nobody")
    text = html.unescape(ask(reading, "GET", f"/runs/lost/{quote(run.run_id)}", accept=HTML)[2])
    assert "no decider polls this task list" in text
    assert f"floto decider --task-list nobody --service {made.url}</pre>" in text
    made.service.terminate_workflow_execution("lost")
    text = ask(reading, "GET", f"/runs/lost/{quote(run.run_id)}", accept=HTML)[2]
    assert "floto decider" not in text


def test_help_says_of_how_many_waits_it_leaves_out(made: Shop, reading: Ui) -> None:
    tasks = [
        floto.ActivityTask(id_=f"t{number}", name="pack", version="1", task_list=f"list {number}")
        for number in range(7)
    ]
    spec = floto.DeciderSpec(activity_tasks=tasks, task_list=LIST)
    input = json.dumps({SPEC_KEY: json.loads(spec.to_json())})
    request = StartRequest(workflow_id="wide", workflow_type=ORDER, task_list=LIST, input=input)
    run_id = made.service.start_workflow_execution(request)
    made.decide()
    text = html.unescape(ask(reading, "GET", f"/runs/wide/{quote(run_id)}", accept=HTML)[2])
    assert text.count("floto worker") == 5
    assert "and 2 more" in text
    assert f"floto why --service {made.url} wide</pre>" in text


@pytest.mark.parametrize(
    "input",
    [{SPEC_KEY: {"type": "own"}}, {STORED_KEY: {"floto.payload": f"sha256:{'0' * 64}", "size": 2}}],
    ids=["types of a user's own", "a value in a store"],
)
def test_page_of_an_open_run_opens_that_carries_what_only_its_decider_can_read(
    made: Shop, reading: Ui, input: dict[str, Any]
) -> None:
    request = StartRequest(
        workflow_id="own", workflow_type=ORDER, task_list="nobody", input=json.dumps(input)
    )
    run_id = made.service.start_workflow_execution(request)
    status, _, text = ask(reading, "GET", f"/runs/own/{quote(run_id)}", accept=HTML)
    assert status == 200, text
    assert "no decider polls this task list" in html.unescape(text)
