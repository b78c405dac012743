"""A cache of results by the identity of the arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

from attrs import frozen

_Found = TypeVar("_Found")


@frozen(eq=False)
class _Same:
    """Values compared by identity: comparing specs costs more than computing a result again."""

    values: tuple[Any, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and all(
            mine is theirs for mine, theirs in zip(self.values, other.values, strict=True)
        )

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.values)))


def cached_by_identity(function: Callable[..., _Found]) -> Callable[..., _Found]:
    """Cache the results of a function by the identity of its arguments; the last 256 are kept alive."""

    @lru_cache(maxsize=256)
    def found(same: _Same) -> _Found:
        return function(*same.values)

    @wraps(function)
    def cached(*values: Any) -> _Found:
        return found(_Same(values))

    return cached
