"""The filter of the list of runs: ``status:failed type:x tag:y age<1h some text``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from datetime import timedelta

from attrs import define, frozen

from floto.core.errors import FlotoError
from floto.core.swf.identifiers import shown
from floto.pages.runs import STATUSES, RunRow

#: Maximum characters of a filter.
LIMIT = 500
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"([0-9]{1,6})([smhdw])")
#: Characters of a text from which it may be the beginning of a run id; run ids are random.
_RUN_ID = 8
#: Names of several statuses.
_GROUPS = {"open": ("RUNNING", "retrying", "stuck"), "closed": STATUSES[3:]}
_USAGE = 'use status:, type:, tag:, age<1h, age>1h, took<1m, took>1m, or text; put "quotes" around blanks'


@define
class FilterError(FlotoError, ValueError):
    """A filter that cannot be understood, and the problem."""

    text: str
    problem: str

    def __str__(self) -> str:
        """Return the problem and what a filter may have."""
        return f"the filter is not valid: {self.problem}; {_USAGE}"


@frozen
class Filter:
    """The conditions that a run must meet, all of them; those on its status are separate, to be counted."""

    #: Accepted statuses; empty: all.
    statuses: frozenset[str] = frozenset()
    #: Called with a run and the current time in milliseconds.
    conditions: tuple[Callable[[RunRow, int], bool], ...] = ()
    #: True if a condition may hold of a run at one time and not at another.
    depends_on_time: bool = False

    def admits(self, run: RunRow, now: int) -> bool:
        """Return True if a run meets every condition but that on its status."""
        return all(condition(run, now) for condition in self.conditions)

    def accepts(self, run: RunRow) -> bool:
        """Return True if a run has one of the wanted statuses."""
        return not self.statuses or run.status in self.statuses


def parse(text: str) -> Filter:
    """Return the filter of a text. Raises ``FilterError``."""
    if len(text) > LIMIT:
        raise FilterError(text, f"it has more than {LIMIT} characters")
    statuses: set[str] = set()
    conditions = []
    words = [_parts(word) for word in _words(text)]
    for name, sign, value in words:
        if name == "status":
            statuses.update(_statuses(text, value))
        else:
            conditions.append(_CONDITIONS[name](text, sign, value))
    depends_on_time = any(name in _OF_TIME for name, _, _ in words)
    return Filter(frozenset(statuses), tuple(conditions), depends_on_time)


def with_status(text: str, status: str) -> str:
    """Return a filter whose condition on the status is this one, or none if it is empty."""
    words = [word for word in _words(text) if _parts(word)[0] != "status"]
    words += [f"status:{status.lower()}"] if status else []
    return " ".join(f'"{word}"' if re.search(r"\s", word) else word for word in words)


def _words(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escape, lexer.quotes = True, "", "", '"'
    try:
        return list(lexer)
    except ValueError:
        raise FilterError(text, "a quotation mark is not closed") from None


def _parts(word: str) -> tuple[str, str, str]:
    """Return the name, the sign and the value of a word; the name of plain text is empty."""
    match = re.fullmatch(r"([a-z]+)([:<>])(.*)", word, re.DOTALL)
    if match is None:
        return "", "", word
    name, sign, value = match.groups()
    if _SIGNS.get(name, "") and sign not in _SIGNS[name]:
        raise FilterError(word, f"{name} takes {' or '.join(_SIGNS[name])}, not {sign!r}")
    if name not in _SIGNS:
        raise FilterError(word, f"there is no condition {shown(name)}")
    if not value:
        raise FilterError(word, f"{name}{sign} has no value")
    return name, sign, value


def _statuses(text: str, value: str) -> tuple[str, ...]:
    found = _GROUPS.get(value.lower()) or tuple(
        each for each in STATUSES if each.lower() == value.lower().replace("-", "_")
    )
    if not found:
        known = ", ".join(each.lower() for each in (*STATUSES, *_GROUPS))
        raise FilterError(text, f"there is no status {shown(value)}; the statuses are {known}")
    return found


def _milliseconds(text: str, value: str) -> int:
    match = _SPAN.fullmatch(value)
    if match is None:
        raise FilterError(text, f"{shown(value)} is not a span of time; say 30s, 15m, 2h or 7d")
    return int(timedelta(**{_UNITS[match[2]]: int(match[1])}).total_seconds() * 1000)


def _age(text: str, sign: str, value: str) -> Callable[[RunRow, int], bool]:
    most = _milliseconds(text, value)
    if sign == "<":
        return lambda run, now: now - run.started < most
    return lambda run, now: now - run.started > most


def _took(text: str, sign: str, value: str) -> Callable[[RunRow, int], bool]:
    most = _milliseconds(text, value)
    if sign == "<":
        return lambda run, now: run.took(now) < most
    return lambda run, now: run.took(now) > most


def _text(_text: str, _sign: str, value: str) -> Callable[[RunRow, int], bool]:
    wanted = value.casefold()
    is_run_id = len(value) >= _RUN_ID
    return lambda run, _now: wanted in run.searched or (is_run_id and run.run_id.startswith(value))


def _type(_text: str, _sign: str, value: str) -> Callable[[RunRow, int], bool]:
    return lambda run, _now: value in {run.type_name, f"{run.type_name} {run.type_version}"}


def _tag(_text: str, _sign: str, value: str) -> Callable[[RunRow, int], bool]:
    return lambda run, _now: value in run.tags


_SIGNS = {"status": ":", "type": ":", "tag": ":", "age": "<>", "took": "<>"}
#: Conditions that compare a run with the current time.
_OF_TIME = frozenset({"age", "took"})
_CONDITIONS: Mapping[str, Callable[[str, str, str], Callable[[RunRow, int], bool]]] = {
    "": _text,
    "type": _type,
    "tag": _tag,
    "age": _age,
    "took": _took,
}
