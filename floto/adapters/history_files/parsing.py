"""The events in JSON text that comes in pieces, one at a time, however they are wrapped.

Lists, lists of pages, pages and single events may follow one another, on lines or not. ``json`` decodes each
event and each other value at once, from a window of the text that holds the longest value that is allowed.
The text is never decoded as a whole: that takes longer, and a packed file of a few kilobytes can hold
hundreds of megabytes of brackets. Memory and time are bounded by the limits here and not by the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from attrs import frozen

from floto.adapters.history_files.file_text import Cut
from floto.adapters.history_files.foreign_forms import swf_name
from floto.core.errors import HistoryError
from floto.core.quick_init import maker, quick_init
from floto.core.strict_json import DECODER
from floto.core.swf.events import EVENT_TYPES
from floto.core.swf.identifiers import shown
from floto.core.swf.wire import lower_first

#: Characters of an event or of a value beside the events; SWF's texts have 32,768, and an event few of them.
VALUE_LIMIT = 1 << 20
#: Characters of a spec beside the events.
SPEC_LIMIT = 1 << 23
#: Fields of one object; events and pages have four, or one for each type of event, all but one of them null.
FIELDS_LIMIT = 80
#: Maximum numbers of what one file holds.
_LIMITS = {
    # Down to the fields of its events; an event takes five, or some 60.
    (_VALUES := "lists, objects and fields"): 1_600_000,
    (_LISTS := "lists of events"): 50_000,
    # Such as descriptions of runs between their pages, or other lines of a log.
    (_OTHERS := "objects that are neither events nor pages"): 50_000,
    # Within the values of fields; attributes of an event hold some ten, a spec some for each task.
    (_PARTS := "values in values"): 2_000_000,
}
#: Characters of a value whose parts are not counted: decoding them takes less time than counting.
SMALL = 1 << 14
#: Lists in lists: a file holds pages, a page its events.
DEPTH_LIMIT = 4
#: Members that are read piece by piece, with how their values begin; programs keep pages under "history".
_PAGES = {"events": "[", "history": "{"}
_NAMES = {"eventId", "eventTimestamp", "eventType"}.union(
    f"{lower_first(name)}EventAttributes" for name in EVENT_TYPES
)
_SPACE = " \t\r\n"
_SPACES = re.compile(f"[{_SPACE}]*")
#: The beginning of an object that holds no page: its first member is one of an event.
_EVENT = re.compile(r'\{[ \t\r\n]*"(?:[Ee]vent_?[IiTt]|\w+[Aa]ttributes")')
#: What can be left of a value where a text ends too early.
_HALF = re.compile(r"\s*([-+.eE0-9,]*|t(ru?)?|f(a(ls?)?)?|n(ul?)?|\\?u[0-9a-fA-F]{0,4})\s*")


@quick_init
@frozen(weakref_slot=False)
class Found:
    """An object, where it stands, and how many characters its values take.

    Members are called as SWF calls them; ``is_renamed`` says that some are called otherwise in the file.
    Those that were read piece by piece are None. ``is_cut`` says that the text ends before the page does; its
    members are those that were read whole.
    """

    value: dict[str, Any]
    place: str
    size: int
    is_renamed: bool
    is_cut: bool = False


_new_found = maker(Found)


def objects(pieces: Iterator[str], where: str) -> Iterator[Found]:
    """Yield every object of a text that is not inside another, but for the events of pages.

    A page follows its events, also one that the text ends in. Raises ``HistoryError`` for what is not JSON,
    and ``Cut`` where the text ends too early.
    """
    text = _Text(pieces, where)
    while text.peek():
        yield from _value(text, 0)
        text.skip(",")
    if text.cut is not None:
        raise text.cut


def _value(text: _Text, depth: int) -> Iterator[Found]:
    if depth > DEPTH_LIMIT:
        text.fail(f"lists in lists, {depth} deep, are no history")
    if text.is_at_event():
        yield _event(text)
        return
    text.count(_VALUES)
    if text.peek() == "{":
        yield from _page(text, depth)
    elif text.skip("["):
        text.count(_LISTS)
        more = not text.skip("]")
        while more:
            # Almost all that a file holds: so read without one iterator in another.
            if depth < DEPTH_LIMIT and text.is_at_event():
                yield _event(text)
            else:
                yield from _value(text, depth + 1)
            more = text.take(",]") == ","
    elif text.peek():
        text.fail(f"not an event of a history: {text.glimpse()}")
    else:
        text.end()


def _event(text: _Text) -> Found:
    place, began = text.place, text.decoded
    members = text.decode()
    text.count(_VALUES, 1 + len(members))
    return _found(text, members, place, began)


def _page(text: _Text, depth: int) -> Iterator[Found]:
    place, began = text.place, text.decoded
    members: dict[str, Any] = {}
    try:
        yield from _members(text, depth, members)
    except Cut:
        found = _found(text, members, place, began, is_cut=True)
        if not found.value.keys().isdisjoint(_PAGES):
            yield found
        raise
    found = _found(text, members, place, began)
    # An event of which another member comes first is read here, too.
    if not is_event(found.value) and found.value.keys().isdisjoint(_PAGES):
        text.count(_OTHERS)
    yield found


def is_event(value: Mapping[str, Any]) -> bool:
    """Return True if the members of an object, under SWF's names, are those of an event."""
    return "eventId" in value or "eventType" in value


def _found(text: _Text, members: dict[str, Any], place: str, began: int, *, is_cut: bool = False) -> Found:
    text.need_few_fields(len(members))
    value, is_renamed = members, not _NAMES.issuperset(members)
    if is_renamed:
        value = {swf_name(name): item for name, item in members.items()}
        is_renamed = value.keys() != members.keys()
    return _new_found(value, place, text.decoded - began, is_renamed, is_cut)


def _members(text: _Text, depth: int, members: dict[str, Any]) -> Iterator[Found]:
    """Read an object member by member into ``members``, and yield the objects of pages in it."""
    text.skip("{")
    more, fields = not text.skip("}"), 0
    while more:
        # Not the number of members, of which several fields may be one.
        fields += 1
        text.need_few_fields(fields)
        text.count(_VALUES)
        key = str(text.decode())
        text.take(":")
        name = swf_name(key)
        if name in _PAGES and text.peek() == _PAGES[name]:
            members[key] = None
            yield from _value(text, depth + 1)
        else:
            members[key] = text.decode(SPEC_LIMIT if name == "spec" else VALUE_LIMIT)
        more = text.take(",}") == ","


class _Text:
    """A window on text that comes in pieces, which holds the next value whole unless that is too long."""

    def __init__(self, pieces: Iterator[str], where: str) -> None:
        self._pieces, self._where = pieces, where
        self._window, self._at = "", 0
        #: Lines begun up to ``_counted`` in the window.
        self._lines, self._counted = 1, 0
        self._counts = dict.fromkeys(_LIMITS, 0)
        self._is_over = False
        #: Raised by the pieces where the file is cut off.
        self.cut: Cut | None = None
        #: Characters of values so far.
        self.decoded = 0

    @property
    def place(self) -> str:
        """The file and line that is being read."""
        self._lines += self._window.count("\n", self._counted, self._at)
        self._counted = self._at
        return f"{self._where}, line {self._lines}"

    def fail(self, problem: str) -> NoReturn:
        """Raise for what stands here."""
        raise HistoryError(None, f"{self.place}: {problem}")

    def glimpse(self) -> str:
        """Return the next few characters for a message."""
        return shown(self._window[self._at : self._at + 40])

    def count(self, what: str, number: int = 1) -> None:
        """Count what the file holds, so that a small packed one full of it comes to an end."""
        count = self._counts[what] = self._counts[what] + number
        if count > _LIMITS[what]:
            self.fail(f"more than {_LIMITS[what]:,} {what} are no history")

    def need_few_fields(self, number: int) -> None:
        """Refuse an object that has more fields than events and pages have."""
        if number > FIELDS_LIMIT:
            self.fail(f"an object of more than {FIELDS_LIMIT} fields is no event and no page of a history")

    def is_at_event(self) -> bool:
        """Step over space, and return True if an event begins then, as far as its first member tells."""
        self.peek()
        return _EVENT.match(self._window, self._at) is not None

    def peek(self) -> str:
        """Return the next character that is no space; empty at the end."""
        found = self._window[self._at : self._at + 1]
        # Most files have no spaces, and a match takes twice as long.
        if found and found not in _SPACE:
            return found
        while True:
            # There is always a match, if an empty one.
            self._at = _SPACES.match(self._window, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._window):
                return self._window[self._at]
            if self._is_over:
                return ""
            self._fill(1)

    def skip(self, wanted: str) -> bool:
        """Step over the next character and return True if it is the one that is wanted."""
        if self.peek() != wanted:
            return False
        self._at += 1
        return True

    def take(self, expected: str) -> str:
        """Step over the next character, which must be one of those expected, and return it."""
        found = self.peek()
        if not found:
            self.end()
        if found not in expected:
            self.fail(f"expected {' or '.join(expected)}, not {self.glimpse()}")
        self._at += 1
        return found

    def decode(self, limit: int = VALUE_LIMIT) -> Any:
        """Decode the next value, of at most ``limit`` characters."""
        self.peek()
        # One more, because a number that ends with the window may go on behind it.
        if len(self._window) - self._at <= limit:
            self._fill(limit + 1)
        try:
            value, end = DECODER.raw_decode(self._window, self._at)
        except RecursionError:
            self.fail("values are nested too deep")
        except ValueError as error:
            self._explain(error, limit)
        size = end - self._at
        if size > limit:
            self._fail_too_long(limit)
        if size > SMALL:
            self._count_parts(value)
        self._at = end
        self.decoded += size
        return value

    def _count_parts(self, value: Any) -> None:
        """Count what is in a decoded value, so that many large ones come to an end."""
        todo = [value]
        while todo:
            found = todo.pop()
            if isinstance(found, dict | list):
                self.count(_PARTS, len(found))
                todo += found.values() if isinstance(found, dict) else found

    def _explain(self, error: ValueError, limit: int) -> NoReturn:
        """Raise for text that is cut off, too long for one value, or not JSON."""
        if isinstance(error, json.JSONDecodeError):
            if error.msg.startswith("Unterminated") or _HALF.fullmatch(self._window, error.pos):
                self.end() if self._is_over else self._fail_too_long(limit)
            self._at = error.pos
        problem = getattr(error, "msg", None) or str(error)
        self.fail(f"this is not JSON ({problem}): {self.glimpse()}")

    def _fail_too_long(self, limit: int) -> NoReturn:
        self.fail(f"a value of more than {limit:,} characters; SWF has none")

    def end(self) -> NoReturn:
        """Raise for text that ends too early."""
        line = self._lines + self._window.count("\n", self._counted)
        raise self.cut or Cut(f"it is cut off in line {line}") from None

    def _fill(self, size: int) -> None:
        """Read on until the window holds ``size`` characters and some more, or all that are left."""
        if self._is_over:
            return
        self.place  # noqa: B018 - counts the lines that leave the window
        rest = [self._window[self._at :]]
        wanted = size + VALUE_LIMIT - len(rest[0])
        try:
            while wanted > 0:
                rest.append(next(self._pieces))
                wanted -= len(rest[-1])
        except StopIteration:
            self._is_over = True
        except Cut as cut:
            self._is_over, self.cut = True, cut
        self._window, self._at, self._counted = "".join(rest), 0, 0
