"""Words that a shell reads: completed workflow ids, and commands that are printed to be copied."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floto.adapters.local import LocalSwf
from floto.core.visible import shell_command, shell_word
from tests.integration.hostile import floto
from tests.property.setup import SETTINGS

FLOTO = f"{sys.executable} -m floto"
#: Each does something to a shell that reads it as it is, or to a command that takes it for an option.
HOSTILE = (
    "monday$(touch X)",
    "monday`touch X`",
    "monday;touch X",
    "monday&touch X",
    "monday>X",
    "monday'$(touch X)'",
    'monday"$(touch X)"',
    "monday touch X",
    "monday*",
    "monday?",
    "monday[a]",
    "monday{a,b}",
    "monday\\",
    "monday!!",
    "monday#",
    "monday~",
    "monday\u2028touch X",
    "--monday",
    "~monday",
    "=monday",
)
PLAIN = ("monday", "monday-1", "monday.2", "monday:3", "monday_4", "müll-5")
COMPLETE = """
eval "$(_FLOTO_COMPLETE=bash_source {floto})"
floto() {{ {floto} "$@"; }}
COMP_WORDS=(floto show "$1") COMP_CWORD=2
_floto_completion floto
for word in "${{COMPREPLY[@]}}"; do
    eval "printf '%s\\n' $word"
done
"""


def bash(script: str, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script, "bash", *arguments],
        cwd=cwd,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "FLOTO_SERVICE": "sqlite:///floto.db",
        },
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    kind = {"name": "flow", "version": "1"}
    with closing(LocalSwf(str(tmp_path / "floto.db"))) as swf:
        swf.register_domain(name="floto", workflowExecutionRetentionPeriodInDays="7")
        swf.register_workflow_type(domain="floto", **kind)
        for workflow_id in (*HOSTILE, *PLAIN):
            swf.start_workflow_execution(
                domain="floto",
                workflowId=workflow_id,
                workflowType=kind,
                taskList={"name": "d"},
                childPolicy="TERMINATE",
                executionStartToCloseTimeout="600",
                taskStartToCloseTimeout="60",
            )
    return tmp_path


@pytest.mark.parametrize("typed", ["", "m", "monday", "-", "~"])
def test_bash_completion_offers_only_words_that_need_no_quoting(runs: Path, typed: str) -> None:
    (runs / "floto").write_text(f'#!/bin/sh\nexec {FLOTO} "$@"\n')
    (runs / "floto").chmod(0o755)
    script = f'PATH="$PWD:$PATH"\n{COMPLETE.format(floto="floto").replace("floto() {", "unused() {")}'
    before = set(runs.iterdir())
    done = bash(script, runs, typed)
    assert set(runs.iterdir()) == before, "a completed word was executed"
    offered = done.stdout.splitlines()
    assert "--monday" not in offered
    assert sorted(each for each in offered if not each.startswith("-")) == sorted(
        each for each in PLAIN if each.startswith(typed)
    ), done.stderr


@pytest.mark.parametrize("text", HOSTILE)
def test_register_hint_is_quoted_for_the_shell(runs: Path, text: str) -> None:
    where = ["--service", f"sqlite:///{runs / 'floto.db'}"]
    said = floto("list", "--domain", text, *where)
    hint = said.err.rstrip("\n").rpartition("or register it: ")[2]
    done = bash(f"floto() {{ printf '%s\\0' \"$@\"; }}\n{hint}", runs)
    dashes = ["--"] if text.startswith("-") else []
    assert done.stdout.split("\0")[:-1] == ["register", "domain", *where, *dashes, text]
    assert not (runs / "X").exists()


@SETTINGS
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8), max_size=4))
def test_quoted_words_round_trip_through_bash(words: list[str]) -> None:
    line = shell_command("printf", "%s\\0", arguments=words)
    assert line.isprintable()
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    read = done.stdout.decode().split("\0")[:-1]
    dashes = ["--"] if any(each.startswith("-") for each in words) else []
    # printf writes one empty word where it has none.
    assert read in (words or [""], [*dashes, *words])


def test_empty_word_is_quoted() -> None:
    assert shell_word("") == "''"
