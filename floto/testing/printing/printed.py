"""Self-contained pytest files."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from floto.core.errors import SpecError
from floto.core.swf.history import History
from floto.core.visible import visible
from floto.testing.printing.source import SourceWriter, events_source

_FILE = '''\
"""{title}"""

{imports}

{given}


def {name}() -> None:
{test}
'''
_EVENTS = """\
# fmt: off
EVENTS = [
{events}
]
# fmt: on"""


def printed(source: SourceWriter, *, title: str, given: Sequence[str], name: str, test: Sequence[str]) -> str:
    """Return a file: its title, what is given, and one test."""
    return _FILE.format(
        title=title,
        imports=source.imports(),
        given="\n".join(part for part in given if part),
        name=name,
        test="\n".join(f"    {line}" for line in test),
    )


def comment(sentence: str) -> str:
    """Return a sentence as a comment of one line: what follows a line end would be code."""
    return f"# {visible(' '.join(sentence.split()))}"


def events_given(history: History) -> str:
    """Return the source of the events of a history, under the name ``EVENTS``."""
    return "\n" + _EVENTS.format(events=events_source(history))


def history_made(source: SourceWriter, history: History) -> str:
    """Return the line that makes a history of ``EVENTS``."""
    source.name("floto", "History")
    named = "" if history.execution is None else f", {source.argument(history.execution)}"
    return f"history = History.from_swf(EVENTS{named})"


def parsed(write: Callable[[], str]) -> str:
    """Return the written source; raises ``SpecError`` if Python cannot parse it."""
    try:
        text = write()
        # Python parses some 200 nested brackets.
        ast.parse(text)
    except (MemoryError, RecursionError, SyntaxError):
        raise SpecError(("the spec or the history is nested too deeply to be written",)) from None
    return text
