"""Log records with the run and task they are about, as text or JSON, in lines that no value can forge.

Importing floto configures no logging, except that floto's own loggers have the filter ``ONE_LINE``. The
commands call ``configure``, and programs may call it or install handlers of their own. Either way, a record
says which run and task it is about: ``context`` keeps that in a context variable while the code inside it
runs, and the filter copies it to each record, whichever logger of the process the record comes from. So a
line that a user's activity logs has the same fields as a line of floto.

floto logs ids, inputs, reasons and error messages that others chose. The filter makes each message one
printable line and puts a mark before every line of a traceback, so that no value looks like another record
and none commands the terminal that shows the log.
"""

from __future__ import annotations

import contextlib
import json as json_
import logging
import sys
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

from attrs import asdict, define, evolve, frozen

from floto.core.visible import shell_word, visible

#: floto's loggers; filters of a logger do not see the records of its children.
_NAMES = ("floto", "floto.activity", "floto.progress")
#: Before each line of a traceback.
_MARK = "  | "
#: The formats of a log, as ``--log-format`` names them.
FORMATS = ("text", "json")


@frozen
class LogContext:
    """What log records are about; None where a record is about no run, or about no task of its run."""

    workflow_id: str | None = None
    run_id: str | None = None
    #: The task's id in the spec.
    task: str | None = None
    #: 1 for the first attempt at the task.
    attempt: int | None = None


_NOTHING = LogContext()
_CONTEXT: ContextVar[LogContext] = ContextVar("floto_log_context", default=_NOTHING)


@contextlib.contextmanager
def context(
    workflow_id: str | None = None,
    run_id: str | None = None,
    task: str | None = None,
    attempt: int | None = None,
) -> Iterator[None]:
    """Give the records that are logged inside the block these fields."""
    mark = _CONTEXT.set(LogContext(workflow_id, run_id, task, attempt))
    try:
        yield
    finally:
        _CONTEXT.reset(mark)


@contextlib.contextmanager
def task_context(task: str | None, attempt: int | None) -> Iterator[None]:
    """Give the records that are logged inside the block a task of the run that they are about already."""
    mark = _CONTEXT.set(evolve(_CONTEXT.get(), task=task, attempt=attempt))
    try:
        yield
    finally:
        _CONTEXT.reset(mark)


def set_attempt(attempt: int) -> None:
    """Set the attempt of the context in effect, once it is known; the context ends as it would have."""
    _CONTEXT.set(evolve(_CONTEXT.get(), attempt=attempt))


class OneLine(logging.Filter):
    """Makes a record's message one printable line, marks its traceback, adds the fields of its context."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change a record where it needs it; every record passes."""
        # Arguments in other code's records may not fit their template; the handler reports that.
        with contextlib.suppress(Exception):
            message = record.getMessage()
            shown = visible(message)
            if shown != message:
                # Only then, because some handlers group records by their template.
                record.msg, record.args = shown, ()
        if record.exc_info and record.exc_info[1] is not None:
            # Where logging.Formatter keeps its own text of the traceback; another handler may have made it.
            text = record.exc_text or "".join(traceback.format_exception(record.exc_info[1]))
            record.exc_text = _marked(text)
        if record.stack_info:
            record.stack_info = _marked(record.stack_info)
        for name, value in asdict(_CONTEXT.get()).items():
            # What the filter of a logger set, or the ``extra`` of the call, is kept.
            if getattr(record, name, None) is None:
                setattr(record, name, value)
        return True


def _marked(text: str) -> str:
    lines = text.rstrip("\n").split("\n")
    return "\n".join(f"{_MARK}{visible(line.removeprefix(_MARK))}" for line in lines)


def _unmarked(text: str) -> str:
    return "\n".join(line.removeprefix(_MARK) for line in text.split("\n"))


ONE_LINE = OneLine()


class TextFormatter(logging.Formatter):
    """Formats ``TIME LEVEL LOGGER workflow_id=... run_id=... task=... attempt=...: MESSAGE``.

    A field that says nothing is left out. Values are quoted as words of a shell: none looks like two.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """Return the line of a record, without its traceback."""
        fields = {name: getattr(record, name, None) for name in asdict(_NOTHING)}
        said = [f"{name}={shell_word(str(value))}" for name, value in fields.items() if value is not None]
        about = " ".join([visible(record.name), *said])
        return f"{self.formatTime(record, self.datefmt)} {record.levelname} {about}: {record.message}"

    def usesTime(self) -> bool:  # noqa: N802 - the name is logging's
        """Return True: each line begins with the time."""
        return True


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; the README lists the keys."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object of a record."""
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: getattr(record, name, None) for name in asdict(_NOTHING)},
        }
        if record.exc_text:
            said["exception"] = _unmarked(record.exc_text)
        # In ASCII, so that every character that is not printable is an escape.
        return json_.dumps(said)


def formatter(format: str, datefmt: str | None = None) -> logging.Formatter:
    """Return the formatter of one of ``FORMATS``."""
    return JsonFormatter() if format == "json" else TextFormatter(datefmt=datefmt)


def guard_logs() -> None:
    """Put the filter on floto's loggers; to do it twice changes nothing."""
    for name in _NAMES:
        logging.getLogger(name).addFilter(ONE_LINE)


@define
class _Installed:
    """The handler that ``configure`` installed, and the level of the root logger before."""

    handler: logging.Handler
    format: str
    level: int


_installed: list[_Installed] = []


def configure(
    level: int | str = logging.INFO,
    *,
    json: bool = False,
    stream: TextIO | None = None,
) -> None:
    """Log everything that this process logs, with the fields of the run and task that it is about.

    This is for programs; call it once, before anything else configures logging. A second call replaces what
    the first one did. To install handlers of your own instead, add the filter ``floto.logs.ONE_LINE`` to
    each; then their formatters can use the fields of ``LogContext``.

    Args:
        level: The least level that is logged, of every logger that has no level of its own.
        json: Log one JSON object per line instead of text.
        stream: Where to log; default: stderr.
    """
    format = FORMATS[json]
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(formatter(format))
    install(handler, level, format)


def install(handler: logging.Handler, level: int | str, format: str) -> None:
    """Make a handler that has its formatter the root logger's, until ``reset`` or the next call."""
    reset()
    root = logging.getLogger()
    handler.addFilter(ONE_LINE)
    _installed.append(_Installed(handler, format, root.level))
    root.addHandler(handler)
    root.setLevel(level)


def reset() -> None:
    """Undo ``configure``."""
    while _installed:
        last = _installed.pop()
        root = logging.getLogger()
        root.removeHandler(last.handler)
        root.setLevel(last.level)


def current_format() -> str:
    """Return the format that ``configure`` set, else text."""
    return _installed[-1].format if _installed else "text"
