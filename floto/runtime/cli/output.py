"""Output of the commands: data on stdout, everything else on stderr; and the files that they write.

Every command prints through this module, so that no text of others commands a terminal: ``visible`` makes
a value one line where it is put into a sentence, and ``say`` escapes what is left in the whole text.
Characters that the encoding of stdout lacks are printed as the same escapes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import click
from attrs import define

from floto.core.errors import FlotoError, SpecError, WorkflowFailed
from floto.core.visible import moment_text, visible, visible_json, visible_lines
from floto.files import whole_file
from floto.logs import configure, formatter, install

if TYPE_CHECKING:
    from rich.console import Console

log = logging.getLogger("floto")

#: Errors that list several problems, one on each line.
_SEVERAL_LINES = (SpecError, WorkflowFailed)


#: Columns of the narrowest terminal for which words are wrapped.
_NARROWEST = 40
#: Characters of a line that is not wrapped.
_UNWRAPPED = 10_000


@define
class WriteError(FlotoError):
    """A file that a command was to write, and why it cannot."""

    path: Path
    problem: str

    def __str__(self) -> str:
        """Name the file and the problem."""
        return f"cannot write {self.path}: {self.problem}"


@contextlib.contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """Open a text file in UTF-8 that gets its name when the block ends. Raises ``WriteError``."""
    try:
        with whole_file(path) as file:
            text = TextIOWrapper(file, "utf-8")
            yield text
            text.detach()  # writes what is left, and leaves the file open
    except OSError as error:
        raise WriteError(path, str(error.strerror or error)) from None


def open_missing_streams() -> None:
    """Open the null device in place of each standard stream that the process was started without.

    Python sets such a stream to None, and gives its descriptor to the next file that is opened.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - the standard library's own parameter
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8"))


def escape_what_cannot_be_encoded() -> None:
    """Let stdout and stderr print characters that their encodings lack as escapes, as ``visible`` does."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str = "", *, err: bool = False, ends_line: bool = True) -> None:
    """Print lines of text on stdout, or on stderr if ``err``; their values must be ``visible`` already.

    Text that stderr does not take is lost: it must not change what a command does, nor its exit code.
    """
    # Not through click's own choice of a stream: it writes UTF-8 where the encoding is ASCII.
    click.echo(visible_lines(text), file=_lossy_stderr() if err else sys.stdout, nl=ends_line)


def say_wrapped(line: str) -> None:
    """Print one line of words on stdout; a narrower terminal gets several, the others indented."""
    if sys.stdout.isatty():
        indent = line[: len(line) - len(line.lstrip())]
        width = max(shutil.get_terminal_size().columns, _NARROWEST)
        line = textwrap.fill(
            line,
            width,
            subsequent_indent=f"{indent}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    say(line)


def drop_unwritten_text() -> None:
    """Drop what stdout and stderr do not take: Python would exit with 120 for it, not as the command did."""
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except OSError:
            setattr(sys, name, StringIO())


class _Lossy:
    """A stream that loses what cannot be written, as on a terminal that was closed or a disk that is full."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text if that is possible."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream if that is possible."""
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _lossy_stderr() -> TextIO:
    return cast("TextIO", _Lossy(sys.stderr))


def progress_console() -> Console:
    """Return the console on stderr for progress and logs, which must not decide what becomes of a run."""
    from rich.console import Console  # noqa: PLC0415 - only the commands with a progress need it

    return Console(file=_lossy_stderr())


def say_on(console: Console, text: str) -> None:
    """Print one line on a console, such as the one that progress is shown on."""
    from rich.text import Text  # noqa: PLC0415 - only the commands with a progress need it

    console.print(Text(visible(text)), highlight=False, soft_wrap=True)


def error_text(error: Exception) -> str:
    """Return the message of an error, as one line unless the error lists several problems."""
    text = str(error)
    return visible_lines(text) if isinstance(error, _SEVERAL_LINES) else visible(text)


def json_text(result: Any) -> str:
    """Return a value as JSON for people, in characters that stdout can show; times are ISO 8601 in UTC."""
    text = visible_json(json.dumps(result, indent=2, ensure_ascii=False, default=utc))
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # a terminal that shows no such character
        return visible_json(json.dumps(result, indent=2, default=utc))
    return text


def json_line(value: Any) -> str:
    """Return a value as one line of JSON in ASCII; times are ISO 8601 in UTC."""
    return visible_json(json.dumps(value, default=utc))


def utc(at: datetime) -> str:
    """Return a time for programs: ISO 8601, in UTC, to the millisecond as SWF keeps it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def one_line(value: Any) -> str:
    """Return a value as one printable line: text as it is, a time as people read it, all else as JSON."""
    if isinstance(value, datetime):
        return moment_text(value)
    return visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=utc))


def print_rows(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    whole: Collection[str] = (),
    wraps: bool = True,
) -> None:
    """Print rows as a table on a terminal; elsewhere without the head, with tabs between the values.

    A table is as wide as the terminal at most, unless it does not wrap. Values of the columns in ``whole``
    are broken last.
    """
    lines = [[one_line(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for line in lines:
            click.echo("\t".join(line), file=sys.stdout)  # each value is one line already
        return
    _print_table(columns, lines, whole=whole, wraps=wraps)


def _print_table(
    columns: Sequence[str], lines: Sequence[Sequence[str]], *, whole: Collection[str], wraps: bool
) -> None:
    # Only a terminal needs rich, and importing it takes longer than most commands do.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=not wraps or column in whole)
    for line in lines:
        table.add_row(*map(Text, line))
    console = Console(width=None if wraps else _UNWRAPPED)
    console.print(table, crop=wraps, soft_wrap=not wraps)


class _LogHandler(logging.Handler):
    """A handler that prints records on the console of the progress, which they must not overwrite."""

    def __init__(self, console: Console, format: str) -> None:
        super().__init__()
        self._console = console
        self.setFormatter(formatter(format, "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        from rich.text import Text  # noqa: PLC0415 - only the commands with a progress need it

        try:
            self._console.print(Text(self.format(record)), highlight=False, soft_wrap=True)
        except Exception:  # noqa: BLE001 - as the handlers of ``logging``: not raised by the code that logs
            self.handleError(record)


def log_to(console: Console, format: str, *, verbose: bool) -> None:
    """Show log records on the console; of floto's own, only warnings.

    With ``verbose``, show all of them, and the tracebacks of activities, whose messages the progress shows.
    """
    install(_LogHandler(console, format), logging.INFO, format)
    log.setLevel(logging.INFO if verbose else logging.WARNING)
    is_full = verbose or format == "json"
    logging.getLogger("floto.activity").setLevel(logging.INFO if is_full else logging.ERROR)
    logging.getLogger("floto.progress").setLevel(logging.INFO)


def log_loop(format: str, *, verbose: bool) -> None:
    """Show log records of a loop and its activities on stderr; with ``verbose``, at level DEBUG."""
    configure(json=format == "json")
    log.setLevel(logging.DEBUG if verbose else logging.INFO)


@contextlib.contextmanager
def stdout_for_the_result() -> Iterator[None]:
    """Redirect stdout, of this process and its children, to stderr: stdout is for the result only."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            # Text that is left in a stream would be written with the result.
            os.dup2(nowhere := os.open(os.devnull, os.O_WRONLY), 1)
            os.close(nowhere)
            sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
