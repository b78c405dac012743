"""Log records with the run and the task that they concern, as text or JSON, safe against log injection.

Importing floto configures no logging, except that floto's own loggers have the filter ``ONE_LINE``. The
commands call ``configure``; programs may call it, or install handlers of their own. In both cases a record
names its run and task: ``context`` sets a context variable for the code in its block, and the filter copies
the variable to each record of every logger of the process. So a line that a user's activity logs has the same
fields as a line of floto.

floto logs ids, inputs, reasons and error messages that others chose. The filter makes each message one
printable line and marks every line of a traceback, so that no value looks like another record or sends escape
sequences to the terminal.
"""

from __future__ import annotations

import contextlib
import json as json_
import logging
import math
import sys
import time
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

from attrs import asdict, define, evolve, frozen

from floto.core.visible import shell_word, visible

#: floto's loggers, listed because the filter of a logger is not applied to records of its children.
_NAMES = ("floto", "floto.activity", "floto.progress")
#: Loggers of libraries that describe each of their steps at level INFO; only their warnings are shown.
_LOUD = ("botocore", "connected_components", "rust-sugiyama")
#: The logger to which botocore logs a traceback for each call whose credentials it cannot refresh, and the
#: least seconds between two of these records that are shown.
_REFRESHING, _REFRESHING_SECONDS = "botocore.credentials", 60.0
#: The mark before each line of a traceback.
_MARK = "  | "
#: The formats of a log, the values of ``--log-format``.
FORMATS = ("text", "json")


@frozen
class LogContext:
    """The run and the task that log records concern; None for records without a run or a task."""

    workflow_id: str | None = None
    run_id: str | None = None
    #: The task's id in the spec.
    task: str | None = None
    #: 1 for the first attempt at the task.
    attempt: int | None = None


_NOTHING = LogContext()
_CONTEXT: ContextVar[LogContext] = ContextVar("floto_log_context", default=_NOTHING)


class _Setting:
    """A block in which log records have the fields of a context."""

    def __init__(self, fields: LogContext) -> None:
        self._fields = fields

    def __enter__(self) -> None:
        self._mark = _CONTEXT.set(self._fields)

    def __exit__(self, *_exc: object) -> None:
        _CONTEXT.reset(self._mark)


def context(
    workflow_id: str | None = None,
    run_id: str | None = None,
    task: str | None = None,
    attempt: int | None = None,
) -> contextlib.AbstractContextManager[None]:
    """Add these fields to the records that the block logs in this thread.

    Args:
        workflow_id: The workflow id of the run.
        run_id: Its run id.
        task: The task's id in the spec.
        attempt: The attempt at the task; 1 for the first one.
    """
    return _Setting(LogContext(workflow_id, run_id, task, attempt))


def task_context(task: str | None, attempt: int | None) -> contextlib.AbstractContextManager[None]:
    """Add a task to the fields that ``context`` set, for the records that the block logs.

    Args:
        task: The task's id in the spec.
        attempt: The attempt at the task; 1 for the first one.
    """
    return _Setting(evolve(_CONTEXT.get(), task=task, attempt=attempt))


def set_attempt(attempt: int) -> None:
    """Set the attempt of the current context once it is known; it ends with the context."""
    now = _CONTEXT.get()
    _CONTEXT.set(LogContext(now.workflow_id, now.run_id, now.task, attempt))


class OneLine(logging.Filter):
    """A filter that makes messages one printable line, marks tracebacks and adds the context's fields."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change a record in place if necessary; return True."""
        # The arguments of other code's records may not fit the template; the handler reports that.
        with contextlib.suppress(Exception):
            message = record.getMessage()
            shown = visible(message)
            if shown != message:
                # Only if necessary, because some handlers group records by their template.
                record.msg, record.args = shown, ()
        if record.exc_info and record.exc_info[1] is not None:
            # logging.Formatter caches the traceback here; another handler may have set it.
            text = record.exc_text or "".join(traceback.format_exception(*record.exc_info))
            record.exc_text = _marked(text)
        if record.stack_info:
            record.stack_info = _marked(record.stack_info)
        for name, value in asdict(_CONTEXT.get()).items():
            # Keep a value from the filter of a logger, or from the ``extra`` argument of the call.
            if getattr(record, name, None) is None:
                setattr(record, name, value)
        return True


def _marked(text: str) -> str:
    lines = text.rstrip("\n").split("\n")
    return "\n".join(f"{_MARK}{visible(line.removeprefix(_MARK))}" for line in lines)


def _unmarked(text: str) -> str:
    return "\n".join(line.removeprefix(_MARK) for line in text.split("\n"))


ONE_LINE = OneLine()


class _FewRefreshes(logging.Filter):
    """A filter for botocore's records about credentials that it cannot refresh: few, without a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self._shown_at = -math.inf

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for a record that is left out."""
        if record.name != _REFRESHING or not record.exc_info:
            return True
        now = time.monotonic()
        if now - self._shown_at < _REFRESHING_SECONDS:
            return False
        self._shown_at = now
        record.msg, record.args = f"{record.getMessage()} ({record.exc_info[1]})", ()
        record.exc_info = record.exc_text = None
        return True


class TextFormatter(logging.Formatter):
    """Formats ``TIME LEVEL LOGGER workflow_id=... run_id=... task=... attempt=...: MESSAGE``.

    Fields without a value are left out. Values are quoted like words of a shell.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """Return the line of a record without its traceback."""
        fields = {name: getattr(record, name, None) for name in asdict(_NOTHING)}
        said = [f"{name}={shell_word(str(value))}" for name, value in fields.items() if value is not None]
        about = " ".join([visible(record.name), *said])
        return f"{self.formatTime(record, self.datefmt)} {record.levelname} {about}: {record.message}"

    def usesTime(self) -> bool:  # noqa: N802 - the name is logging's
        """Return True: lines contain the time."""
        return True


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, with the keys that the README lists."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the JSON object of a record."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: _plain(getattr(record, name, None)) for name in asdict(_NOTHING)},
        }
        if record.exc_text:
            fields["exception"] = _unmarked(record.exc_text)
        if record.stack_info:
            fields["stack"] = _unmarked(record.stack_info)
        # In ASCII, so that unprintable characters are escaped.
        return json_.dumps(fields)


def _plain(value: object) -> object:
    """Return a field as JSON has it; the ``extra`` argument of a call may bring any value."""
    return value if value is None or isinstance(value, str | int) else str(value)


def formatter(format: str, datefmt: str | None = None) -> logging.Formatter:
    """Return the formatter for a format.

    Args:
        format: One of ``FORMATS``.
        datefmt: The time format of ``time.strftime`` for text; default: that of ``logging``.
    """
    return JsonFormatter() if format == "json" else TextFormatter(datefmt=datefmt)


def guard_logs() -> None:
    """Add the filter to floto's loggers, once."""
    for name in _NAMES:
        logging.getLogger(name).addFilter(ONE_LINE)


@define
class _Installed:
    """The handler that ``configure`` installed, and the level of the root logger before."""

    handler: logging.Handler
    format: str
    level: int
    #: The loggers whose level was set to WARNING.
    loud: list[logging.Logger]


_installed: list[_Installed] = []


def configure(
    level: int | str = logging.INFO,
    *,
    json: bool = False,
    stream: TextIO | None = None,
) -> None:
    """Log all records of this process, with the fields of their run and task.

    This is for programs; call it once, before anything else configures logging. A second call replaces the
    first one. To install handlers of your own instead, add the filter ``floto.logs.ONE_LINE`` to each; then
    their formatters can use the fields of ``LogContext``.

    Args:
        level: The minimum level of records, for loggers without a level of their own. Libraries that log each
            of their steps, such as botocore, get the level WARNING. Of botocore's warnings that credentials
            cannot be refreshed, one is shown per minute.
        json: Log one JSON object per line instead of text.
        stream: The stream to write to; default: stderr.
    """
    format = FORMATS[json]
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(formatter(format))
    install(handler, level, format)


def install(handler: logging.Handler, level: int | str, format: str) -> None:
    """Add a handler to the root logger, until ``reset`` or the next call.

    Args:
        handler: The handler, with its formatter.
        level: The minimum level of records.
        format: The format of its formatter, one of ``FORMATS``.
    """
    reset()
    root = logging.getLogger()
    handler.addFilter(_FewRefreshes())
    handler.addFilter(ONE_LINE)
    # A level that the user has set stays.
    loud = [each for each in map(logging.getLogger, _LOUD) if each.level == logging.NOTSET]
    for logger in loud:
        logger.setLevel(logging.WARNING)
    _installed.append(_Installed(handler, format, root.level, loud))
    root.addHandler(handler)
    root.setLevel(level)


def reset() -> None:
    """Undo ``configure``."""
    while _installed:
        last = _installed.pop()
        root = logging.getLogger()
        root.removeHandler(last.handler)
        root.setLevel(last.level)
        for logger in last.loud:
            if logger.level == logging.WARNING:
                logger.setLevel(logging.NOTSET)


def current_format() -> str:
    """Return the format that ``configure`` set; default: ``text``."""
    return _installed[-1].format if _installed else "text"
