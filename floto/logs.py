"""Log records that nothing in them can forge: a message is one line, a traceback's lines are marked.

floto logs ids, inputs, reasons and error messages that others chose. The filter here makes each message
one printable line and puts a mark before every line of a traceback, so that no value looks like another
record and none commands the terminal that shows the log. It is attached to floto's own loggers, so it
works for every handler that a program installs, and to the handlers that the command line makes.
"""

from __future__ import annotations

import contextlib
import logging
import traceback

from floto.core.visible import visible

#: floto's loggers; filters of a logger do not see the records of its children.
_NAMES = ("floto", "floto.activity")
#: Before each line of a traceback.
_MARK = "  | "


class OneLine(logging.Filter):
    """Makes the message of a record one printable line, and marks the lines of its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change a record where it needs it; every record passes."""
        # Arguments in other code's records may not fit their template; the handler reports that.
        with contextlib.suppress(Exception):
            message = record.getMessage()
            shown = visible(message)
            if shown != message:
                # Only then, because some handlers group records by their template.
                record.msg, record.args = shown, ()
        if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
            # Where logging.Formatter keeps its own text of the traceback.
            record.exc_text = _marked("".join(traceback.format_exception(record.exc_info[1])))
        if record.stack_info:
            record.stack_info = _marked(record.stack_info)
        return True


def _marked(text: str) -> str:
    lines = text.rstrip("\n").split("\n")
    return "\n".join(f"{_MARK}{visible(line.removeprefix(_MARK))}" for line in lines)


ONE_LINE = OneLine()


def guard_logs() -> None:
    """Put the filter on floto's loggers; to do it twice changes nothing."""
    for name in _NAMES:
        logging.getLogger(name).addFilter(ONE_LINE)
