"""Files for pytest that show what was found, each whole in itself."""

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
    """A file: what it is about, what is given, and one test."""
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
    """The events of a history, under the name ``EVENTS``."""
    return "\n" + _EVENTS.format(events=events_source(history))


def history_made(source: SourceWriter, history: History) -> str:
    """The line that makes a history of them."""
    source.name("floto", "History")
    named = "" if history.execution is None else f", {source.argument(history.execution)}"
    return f"history = History.from_swf(EVENTS{named})"


def parsed(write: Callable[[], str]) -> str:
    """What is written, if Python can read it; raises ``SpecError``."""
    try:
        text = write()
        # Python takes some 200 brackets within one another.
        ast.parse(text)
    except (MemoryError, RecursionError, SyntaxError):
        raise SpecError(("the spec or the history is nested too deeply to be written",)) from None
    return text
