"""Commands that look at runs, and a service with runs to look at."""

from __future__ import annotations

from pathlib import Path

from tests.integration.commands import Shell, write_files

COMMANDS = (
    "list",
    "list --long",
    "show done",
    "show open",
    "status",
    "why done --spec flow.py:spec",
    "why open",
    "why open tell",
    "timeline done",
    "graph flow.py:spec --history done",
    "replay flow.py:spec done",
    "compare flow.py:spec flow.py:other done",
)


def two_runs(directory: Path) -> Shell:
    """A completed run, and an open one, with ids and results that not every encoding has."""
    shell = Shell(directory)
    write_files(shell.cwd)
    acts = shell.cwd / "acts.py"
    acts.write_text(acts.read_text().replace('"x" * 10', '"☃é"'), encoding="utf-8")
    arguments = ("run", "flow.py:spec", "--activities", "acts.py", "--input", '{"who": "☃é"}')
    shell(*arguments, "--workflow-id", "done")
    shell("start", "--spec", "flow.py:spec", "--workflow-id", "open", "--input", '{"who": "☃é"}')
    shell("start", "--spec", "flow.py:spec", "--workflow-id", "naïve ☃")
    return shell
