"""What the commands print: data on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console

log = logging.getLogger("floto")


def readable(result: Any) -> str:
    """A value as JSON for people, in characters that stdout can show."""
    text = json.dumps(result, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, or a terminal that shows no such character
        return json.dumps(result, indent=2)
    return text


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
