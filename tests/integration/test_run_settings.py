"""The settings of a spec, in runs that floto.run and floto start begin."""

from __future__ import annotations

import json

import floto
from floto.core.swf.events import WorkflowExecutionStarted
from tests.integration.commands import Shell

SPEC = floto.DeciderSpec(
    activity_tasks=[floto.Timer(id_="t", delay_in_seconds=0)], execution_timeout=77, child_policy="ABANDON"
)


def test_run_takes_the_settings_of_its_spec() -> None:
    states: list[floto.State] = []
    floto.run(SPEC, listener=states.append, timeout=60)
    start = states[-1].start
    assert isinstance(start, WorkflowExecutionStarted)
    assert (start.execution_start_to_close_timeout, start.child_policy) == ("77", "ABANDON")


def test_start_takes_the_settings_of_the_spec_unless_its_options_differ(shell: Shell) -> None:
    (shell.cwd / "limited.json").write_text(SPEC.to_json())
    shell.here("start", "--spec", "limited.json", "--workflow-id", "own")
    shell.here(
        "start",
        *("--spec", "limited.json", "--workflow-id", "other"),
        *("--execution-timeout", "99", "--child-policy", "TERMINATE"),
    )
    for workflow_id, expected in (("own", ("77", "ABANDON")), ("other", ("99", "TERMINATE"))):
        first = json.loads(shell.here("history", workflow_id)[0])["events"][0]
        attributes = first["workflowExecutionStartedEventAttributes"]
        assert (attributes["executionStartToCloseTimeout"], attributes["childPolicy"]) == expected


def test_check_shows_the_settings_of_a_spec(shell: Shell) -> None:
    (shell.cwd / "limited.json").write_text(SPEC.to_json())
    said = shell.here("check", "limited.json")[0]
    assert "runs time out after 77 seconds" in said
    assert "child policy ABANDON" in said
