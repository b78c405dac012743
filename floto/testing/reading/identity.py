"""Remembers what was found out about a value, as long as it is the very same value."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

from attrs import frozen

_Found = TypeVar("_Found")


@frozen(eq=False)
class _Same:
    """A value that equals itself alone: comparing specs costs more than looking at them again."""

    values: tuple[Any, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and all(
            mine is theirs for mine, theirs in zip(self.values, other.values, strict=True)
        )

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.values)))


def once(function: Callable[..., _Found]) -> Callable[..., _Found]:
    """Ask a function once for the same values; of the last few, for they are kept alive."""

    @lru_cache(maxsize=256)
    def found(same: _Same) -> _Found:
        return function(*same.values)

    @wraps(function)
    def asked(*values: Any) -> _Found:
        return found(_Same(values))

    return asked
