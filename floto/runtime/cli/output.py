"""What the commands print: data on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

log = logging.getLogger("floto")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def readable(result: Any) -> str:
    """A value as JSON for people, in characters that stdout can show; times are ISO 8601 in UTC."""
    text = json.dumps(result, indent=2, ensure_ascii=False, default=utc)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, or a terminal that shows no such character
        return json.dumps(result, indent=2, default=utc)
    return text


def utc(at: datetime) -> str:
    """A time in ISO 8601, in UTC, to the millisecond as SWF keeps it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def local(at: datetime | None) -> str:
    """A time as the person before a terminal reads it; elsewhere in ISO 8601."""
    if at is None:
        return ""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if sys.stdout.isatty() else utc(at)


def one_line(value: Any) -> str:
    """A value in one line, without characters that move the cursor or command a terminal."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=utc)
    return _CONTROL.sub(" ", text).encode(errors="replace").decode()


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Rows as a table on a terminal; elsewhere without the head, with tabs between."""
    lines = [[one_line(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for line in lines:
            click.echo("\t".join(line))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in lines:
        table.add_row(*map(Text, line))
    Console().print(table)


class _LogHandler(logging.Handler):
    """Prints records where the progress is shown, so that neither spoils the other."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(self.format(record), markup=False, highlight=False, soft_wrap=True)


def log_to(console: Console, *, verbose: bool) -> None:
    """Show what floto logs on the console; with ``verbose`` more of it, and tracebacks."""
    log.addHandler(_LogHandler(console))
    log.setLevel(logging.INFO if verbose else logging.WARNING)
    # The failure of an activity is shown with its task; its traceback is for who asks.
    logging.getLogger("floto.activity").setLevel(logging.INFO if verbose else logging.ERROR)


@contextlib.contextmanager
def stdout_for_the_result() -> Iterator[None]:
    """Send what activities and their child processes print to stderr: stdout is for the result alone."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
