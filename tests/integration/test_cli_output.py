"""Output of commands: on 80 columns, on a pipe, in other encodings, and for read-only files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.commands import PATIENCE, Shell, write_files
from tests.integration.looks import COMMANDS, two_runs
from tests.integration.terminal import on_terminal

#: A time as people read it.
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return two_runs(tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize("command", [each for each in COMMANDS if "--long" not in each])
def test_tables_fit_80_columns_and_times_have_a_time_zone(runs: Shell, command: str) -> None:
    code, seen = on_terminal(runs, *command.split())
    assert code in (0, 1), seen
    if not command.startswith("compare"):
        assert [line for line in seen.splitlines() if len(line.rstrip()) > 80 and not _sentence(line)] == []
    assert not re.search(r"\d\d:\d\d:\d\d(?!Z)", seen), seen


def _sentence(line: str) -> bool:
    """A terminal wraps those by itself."""
    return "  " not in line.strip()


def test_list_on_a_terminal_has_one_line_for_each_run(runs: Shell) -> None:
    _, seen = on_terminal(runs, "list")
    head, *lines = seen.splitlines()
    assert head.split() == ["workflow", "run", "type", "status", "started", "took"]
    assert len(lines) == 3
    assert all(TIME.search(line) for line in lines)
    [done] = [line for line in lines if line.startswith("done ")]
    run_id = done.split()[1]
    assert len(run_id) == 8
    assert run_id in runs.here("list", "--workflow-id", "done")[0].split("\t")[1]


def test_list_long_has_whole_run_ids(runs: Shell) -> None:
    _, seen = on_terminal(runs, "list", "--long")
    whole = runs.here("list", "--workflow-id", "done")[0].split("\t")[1]
    assert re.search(rf"^done .*{re.escape(whole)} ", seen, re.MULTILINE)


def test_short_run_id_is_accepted_by_every_command(runs: Shell) -> None:
    whole = runs.here("list", "--workflow-id", "done")[0].split("\t")[1]
    short = f"done@{whole[:8]}"
    for command in ("show", "why", "timeline", "history"):
        runs.here(command, short)
        runs.here(command, "done", "--run-id", whole[:8]) if command != "timeline" else None
    runs.here("replay", "flow.py:spec", short)
    assert f"run {short!r} is closed: COMPLETED" in runs.here("signal", short, "x", code=2)[1]
    assert "there is no run 'done@zz'" in runs.here("show", "done@zz", code=2)[1]


def test_a_short_run_id_reaches_an_open_run(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    write_files(tmp_path)
    whole = shell.here("start", "--spec", "flow.py:spec", "--workflow-id", "a@b")[0].strip()
    shell.here("signal", f"a@b@{whole[:8]}", "x")
    shell.here("terminate", f"a@b@{whole[:8]}")
    assert json.loads(shell.here("show", f"a@b@{whole[:8]}", "--json")[0])["status"] == "TERMINATED"


def test_ambiguous_short_run_id_is_an_error_listing_the_matches(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    write_files(tmp_path)
    ids = []
    for _ in range(2):
        ids.append(shell.here("start", "--spec", "flow.py:spec", "--workflow-id", "twice")[0].strip())
        shell.here("terminate", "twice")
    assert {each[:2] for each in ids} == {"22"}  # as those of SWF
    said = shell.here("show", "twice@22", code=2)[1]
    assert all(each in said for each in ids)
    assert "Traceback" not in said


def test_empty_list_names_service_and_domain(runs: Shell) -> None:
    out, err = runs.here("list", "--domain", "floto", "--tag", "none", "--open", "--since", "2h")
    assert out == ""
    assert f"sqlite:///{runs.cwd / 'floto.db'}" in err
    assert "domain 'floto'" in err
    assert all(each in err for each in ("open", "--tag none", "--since 20"))
    assert runs.here("list", "--tag", "none", "--json")[0] == "[]\n"


def test_list_with_open_and_closed_shows_both(runs: Shell) -> None:
    def ids(*options: str) -> set[str]:
        return {line.split("\t")[0] for line in runs.here("list", *options)[0].splitlines()}

    both = {"done", "open", "naïve ☃"}
    assert ids("--closed") == {"done"}
    assert ids("--open") == both - {"done"}
    assert ids("--open", "--closed") == ids("--closed", "--open") == ids() == both


END = "\x1e"
#: Gives several commands, and marks the end of what each printed, on stderr after its exit code.
EACH = f"""
import sys
from floto.runtime.cli import main
for command in sys.argv[1:]:
    sys.argv = ["floto", *command.split()]
    # Each command has to set this for itself.
    sys.stdout.reconfigure(errors="strict")
    try:
        main()
    except SystemExit as ended:
        print({END!r}, end="", flush=True)
        print(f"\\n{{ended.code}}", end={END!r}, file=sys.stderr, flush=True)
"""


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "C"])
def test_every_command_prints_in_an_encoding_that_lacks_characters(runs: Shell, encoding: str) -> None:
    env = (
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        if encoding == "C"
        else {"PYTHONIOENCODING": encoding}
    )
    more = (
        "list --json",
        "show done --json",
        "history done",
        "fuzz flow.py:spec --seconds 0.2",
        "check flow.py:spec",
    )
    commands = (*COMMANDS, *more)
    # All in one process: most of the time of a command is its start.
    done = subprocess.run(
        [sys.executable, "-c", EACH, *commands],
        cwd=runs.cwd,
        env={**runs.environment, **env},
        capture_output=True,
        check=True,
        timeout=5 * PATIENCE,
    )
    outs, errs = (
        text.decode("latin-1" if encoding == "latin-1" else "ascii").split(END)[:-1]
        for text in (done.stdout, done.stderr)
    )
    for command, out, err in zip(commands, outs, errs, strict=True):
        said, code = err.rsplit("\n", 1)
        assert int(code) in ((0, 1) if command.startswith("compare") else (0,)), (command, out, said)
        assert "Error" not in err
        if command == "list":
            assert ("naïve \\u2603" if encoding == "latin-1" else "na\\xefve \\u2603") in out
        if command == "timeline done":
            assert "= running" in out
            assert "\\u" not in out


def test_a_timeline_in_ascii_is_as_wide_as_one_in_utf_8(runs: Shell) -> None:
    plain = runs("timeline", "done", PYTHONIOENCODING="ascii").stdout.splitlines()
    drawn = runs("timeline", "done").stdout.splitlines()
    assert [len(line.rstrip()) for line in plain] == [len(line.rstrip()) for line in drawn]


def test_words_are_wrapped_on_a_terminal_and_commands_are_not(runs: Shell) -> None:
    _, seen = on_terminal(runs, "why", "open")
    lines = seen.splitlines()
    assert max(map(len, lines)) <= 80
    assert "    floto decider --task-list floto" in lines
    assert "the run: decision task queued since" in " ".join(seen.split())
    assert len(runs("why", "open").stdout.splitlines()) < len(lines)


def test_show_without_the_spec_omits_wait_timers_of_floto(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    write_files(tmp_path)
    flow = tmp_path / "flow.py"
    flow.write_text(flow.read_text().replace("FixedDelay(3600, 5)", "FixedDelay(0.1, 1)"))
    (tmp_path / "broken").touch()
    shell("run", "flow.py:spec", "--activities", "acts.py", "--workflow-id", "w", code=1)
    assert {each["task"] for each in shell.data("show", "w")["tasks"]} == {"ask", "rest", "tell"}


#: Redirections of a shell, for streams that take nothing and for streams that do not exist.
REDIRECTIONS = ("2>/dev/full", "2>&-", ">&-", "<&- >&- 2>&-")


@pytest.mark.parametrize("redirection", REDIRECTIONS)
def test_command_does_its_work_without_its_streams(tmp_path: Path, redirection: str) -> None:
    shell = Shell(tmp_path)
    write_files(tmp_path)
    run_id = _redirected(shell, redirection, "start", "--spec", "flow.py:spec", "--workflow-id", "w")
    [info] = shell.data("list")
    assert run_id == ("" if ">&-" in redirection.split() else f"{info['execution']['runId']}\n")
    for command in (["list"], ["list", "--json"], ["show", "w"], ["why", "w"], ["status"], ["history", "w"]):
        _redirected(shell, redirection, *command)
    _redirected(shell, redirection, "terminate", "w")
    result = _redirected(
        shell, redirection, "run", "flow.py:other", "--activities", "acts.py", "--workflow-id", "x"
    )
    assert bool(result) == (">&-" not in redirection.split())
    assert shell.data("show", "x")["status"] == "COMPLETED"


def _redirected(shell: Shell, redirection: str, *arguments: str) -> str:
    """Run a command behind a redirection; return what it wrote on stdout."""
    line = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "floto", *arguments]
    done = subprocess.run(
        line,
        cwd=shell.cwd,
        env=shell.environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, (arguments, done)
    return done.stdout


def test_unexpected_error_names_verbose_only_where_it_is_an_option(runs: Shell) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "floto", "list"],
            cwd=runs.cwd,
            # As for most users: what is not written is in a buffer until the end.
            env={**runs.environment, "PYTHONUNBUFFERED": ""},
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
            timeout=PATIENCE,
        )
    assert (done.returncode, done.stderr) == (1, "floto: OSError: [Errno 28] No space left on device\n")
