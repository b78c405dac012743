"""The events in JSON text that comes in pieces, one at a time, however they are wrapped.

Lists, lists of pages, pages and single events may follow one another, on lines or not.
Only one value of an object is decoded at a time and what no history has is dropped or
refused, so memory and time are bounded by the limits here and not by the file: a small
packed file can hold hundreds of megabytes of brackets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any, NoReturn

from attrs import frozen

from floto.adapters.history_files.forms import swf_name
from floto.adapters.history_files.text import Cut
from floto.core.errors import HistoryError
from floto.core.swf.identifiers import shown

#: Characters of one value inside an event; SWF's texts have 32,768, and an event few of them.
VALUE_LIMIT = 1 << 20
#: Characters of a spec beside the events.
SPEC_LIMIT = 1 << 23
#: Fields of one object; events and pages have four, or one for each type of event, all but one of them null.
FIELDS_LIMIT = 80
#: Objects, lists and fields of one file down to the fields of its events; an event takes five, or some 60.
VALUES_LIMIT = 1_600_000
#: Values within the values of those fields; attributes of an event hold some ten, a spec some for each task.
PARTS_LIMIT = 2_000_000
#: Lists in lists: a file holds pages, a page its events.
DEPTH_LIMIT = 4
_SPACES = re.compile(r"[ \t\r\n]*")
_EVENTS, _SPEC, _ATTRIBUTES = "events", "spec", "EventAttributes"
#: Where programs keep the page of a history beside what they were asked.
_HISTORY = "history"
#: Members that are read piece by piece, with how their values begin.
_PAGES = {_EVENTS: "[", _HISTORY: "{"}
_KEPT = frozenset({"eventId", "eventTimestamp", "eventType", "execution", "domain", _SPEC})


@frozen
class Found:
    """An object, where it stands, and how many characters it takes.

    Members are called as SWF calls them; ``is_renamed`` says that some are called otherwise in the file.
    ``value`` has those that a history may have; ``names`` tells all.
    """

    value: dict[str, Any]
    place: str
    size: int
    names: Collection[str]
    is_renamed: bool


def _refuse(name: str) -> NoReturn:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def objects(pieces: Iterator[str], where: str) -> Iterator[Found]:
    """Every object of a text that is not inside another, but for the events of pages.

    A page is found after its events, without them. Raises ``HistoryError`` for what is
    not JSON, and ``Cut`` where the text ends too early.
    """
    text = _Text(pieces, where)
    while text.peek():
        yield from _value(text, 0)
        if text.peek() == ",":
            text.take(",")


def _value(text: _Text, depth: int) -> Iterator[Found]:
    first = text.peek()
    text.count_value()
    if depth > DEPTH_LIMIT:
        text.fail(f"lists in lists, {depth} deep, are no history")
    if first == "[":
        text.take("[")
        yield from _items(text, depth)
    elif first == "{":
        yield from _object(text, depth)
    elif not first:
        raise Cut(text.cut)
    else:
        text.fail(f"here stands no event: {text.glimpse()}")


def _items(text: _Text, depth: int) -> Iterator[Found]:
    if text.peek() == "]":
        text.take("]")
        return
    while True:
        yield from _value(text, depth + 1)
        if text.take(",]") == "]":
            return


def _object(text: _Text, depth: int) -> Iterator[Found]:
    place, began = text.place, text.offset
    value: dict[str, Any] = {}
    text.take("{")
    names: list[str] = []
    is_renamed = False
    while names or text.peek() != "}":
        if len(names) >= FIELDS_LIMIT:
            text.fail(f"an object of more than {FIELDS_LIMIT} fields is no event and no page of a history")
        text.count_value()
        key = text.decode()
        text.take(":")
        names.append(name := swf_name(key) if isinstance(key, str) else "")
        is_renamed = is_renamed or name != key
        if name in _PAGES and text.peek() == _PAGES[name]:
            yield from _value(text, depth + 1)
        else:
            found = text.decode(SPEC_LIMIT if name == _SPEC else VALUE_LIMIT)
            # SDKs write the attributes of every type there is, null but for those of the event's own.
            if name in _KEPT or (name.endswith(_ATTRIBUTES) and found is not None):
                value[name] = found
        if text.take(",}") == "}":
            break
    else:
        text.take("}")
    yield Found(value, place, text.offset - began, names, is_renamed)


class _Text:
    """A window on text that comes in pieces."""

    def __init__(self, pieces: Iterator[str], where: str) -> None:
        self._pieces, self._where = pieces, where
        self._window, self._at = "", 0
        #: Lines begun up to ``_counted`` in the window, and characters read before the window.
        self._lines, self._counted, self._dropped = 1, 0, 0
        self._values, self._parts = 0, 0
        self._is_over = False

    @property
    def offset(self) -> int:
        """How many characters were read."""
        return self._dropped + self._at

    @property
    def place(self) -> str:
        """The file and line that is being read."""
        self._count_lines()
        return f"{self._where}, line {self._lines}"

    @property
    def cut(self) -> str:
        """The message that there should be more text."""
        line = self._lines + self._window.count("\n", self._counted)
        return f"it is cut off in line {line}"

    def _count_lines(self) -> None:
        self._lines += self._window.count("\n", self._counted, self._at)
        self._counted = self._at

    def count_value(self) -> None:
        """Count another list, object or field, so that a file full of empty ones comes to an end."""
        self._values += 1
        if self._values > VALUES_LIMIT:
            self.fail(f"more than {VALUES_LIMIT:,} lists, objects and fields are no history")

    def _count_parts(self, value: Any) -> None:
        """Count what is in a decoded value, so that many large ones come to an end."""
        todo = [value]
        while todo:
            found = todo.pop()
            if isinstance(found, dict | list):
                self._parts += len(found)
                if self._parts > PARTS_LIMIT:
                    self.fail(f"more than {PARTS_LIMIT:,} values in values are no history")
                todo += found.values() if isinstance(found, dict) else found

    def fail(self, problem: str) -> NoReturn:
        """Raise for what stands here."""
        raise HistoryError(None, f"{self.place}: {problem}")

    def glimpse(self) -> str:
        """The next few characters."""
        return shown(self._window[self._at : self._at + 40])

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            # There is always a match, if an empty one.
            self._at = _SPACES.match(self._window, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._window):
                return self._window[self._at]
            if not self._more(VALUE_LIMIT):
                return ""

    def take(self, expected: str) -> str:
        """Step over the next character, which must be one of those expected."""
        found = self.peek()
        if not found:
            raise Cut(self.cut)
        if found not in expected:
            self.fail(f"expected {' or '.join(expected)}, not {self.glimpse()}")
        self._at += 1
        return found

    def decode(self, limit: int = VALUE_LIMIT) -> Any:
        """Decode the next value, of at most ``limit`` characters."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._window, self._at)
            except RecursionError:
                self.fail("values are nested too deep")
            except ValueError as error:
                if self._double(limit):
                    continue
                self._explain(error)
            # A number may go on in the next piece, with a fraction or an exponent.
            if end + _UNDECIDED < len(self._window) or not self._more(limit):
                self._at = end
                self._count_parts(value)
                return value

    def _double(self, limit: int) -> bool:
        """Read on until the window is twice as long: decoding once a piece would take quadratic time."""
        wanted = min(2 * (len(self._window) - self._at), limit)
        if not self._more(limit):
            return False
        while len(self._window) - self._at < wanted and self._more(limit):
            pass
        return True

    def _explain(self, error: ValueError) -> NoReturn:
        """Nothing more comes: the text was cut off, or never was JSON."""
        if isinstance(error, json.JSONDecodeError):
            rest = self._window[error.pos :].strip()
            half = _HALF.fullmatch(rest) or any(word.startswith(rest) for word in _WORDS)
            if (
                half
                or error.msg.startswith("Unterminated")
                or ("escape" in error.msg and len(rest) < _ESCAPE)
            ):
                raise Cut(self.cut) from None
        problem = getattr(error, "msg", None) or str(error)
        self.fail(f"this is not JSON ({problem}): {self.glimpse()}")

    def _more(self, limit: int) -> bool:
        """Read another piece; return False at the end."""
        if self._is_over:
            return False
        if len(self._window) - self._at > limit:
            self.fail(f"a value of more than {limit:,} characters; SWF has none")
        piece = next(self._pieces, None)
        if piece is None:
            self._is_over = True
            return False
        self._count_lines()
        self._dropped += self._at
        self._window, self._at, self._counted = self._window[self._at :] + piece, 0, 0
        return True


#: Characters behind a number that may belong to it if more follows, such as ``e+``.
_UNDECIDED = 2
#: What can be left of a value where a text ends too early.
_HALF, _WORDS, _ESCAPE = re.compile(r"[-+.eE0-9,]*"), ("true", "false", "null"), len("\\uffff")
