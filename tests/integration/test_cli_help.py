"""The help of the commands: complete sentences on a terminal of 80 columns, and a text for every option."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from floto.runtime.cli import cli, main


def _commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        assert command.name == name
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from _commands(command, *path, name)


COMMANDS = dict(_commands(cli))
GROUPS = {(): cli, **{path: each for path, each in COMMANDS.items() if isinstance(each, click.Group)}}


@pytest.mark.parametrize("path", GROUPS, ids=" ".join)
def test_summaries_of_commands_fit_80_columns(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli, [*path, "--help"], terminal_width=80)
    assert done.exit_code == 0, done.output
    lines = done.output.partition("\nCommands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == sorted(each[-1] for each in COMMANDS if each[:-1] == path)
    for line in lines:
        assert len(line) <= 80
        assert "..." not in line
        assert not line.endswith(".")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_has_a_help_text(path: tuple[str, ...]) -> None:
    options = [each for each in COMMANDS[path].params if isinstance(each, click.Option)]
    assert [each.name for each in options if not each.help] == []


@pytest.mark.parametrize("path", GROUPS, ids=" ".join)
def test_group_without_a_command_prints_its_help_on_lines(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["floto", *path])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert "Commands:" in lines
    assert not any("\\n" in line for line in lines)
