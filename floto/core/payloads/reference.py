"""References to values that are kept in a store, because they are too long to travel through SWF.

A reference is a small JSON object that travels as any value does. It names what it stands for by its
hash, so it never goes stale and whoever follows it can tell whether they got the right thing; where
the store is, only the reader says, never the data.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from attrs import define, frozen

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.swf.identifiers import shown

KEY, SIZE_KEY = "floto.payload", "size"
#: The one key of an object that stands for what a decider stored (see ``floto.core.payloads.stored``).
STORED_KEY = "floto.stored"
#: Bytes of JSON that a store keeps as one value, unless it is told otherwise.
STORE_LIMIT = 256 * 2**20
#: References that one context may hold: each is a read of the store.
COUNT_LIMIT = 10_000
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class Store(Protocol):
    """Keeps values of any length, and gives them back for their references."""

    def put(self, value: Any) -> dict[str, Any]:
        """Keep a value; return its reference.

        Raises ``PayloadError``, and ``StoreUnavailable`` where the same call may succeed later.
        """
        ...

    def get(self, reference: Any, /) -> Any:
        """Return the value, in its JSON form, of a reference.

        Raises ``PayloadError``, and ``StoreUnavailable`` where the same call may succeed later.
        """
        ...


@frozen
class Reference:
    """What a reference says: the SHA-256 of a value's JSON in hexadecimal, and its length in bytes."""

    digest: str
    size: int

    def __str__(self) -> str:
        """How messages name it."""
        return f"payload sha256:{self.digest}"

    def to_json(self) -> dict[str, Any]:
        """The reference as it travels."""
        return {KEY: f"sha256:{self.digest}", SIZE_KEY: self.size}

    def value(self, data: bytes) -> Any:
        """What these bytes say; raises ``PayloadError`` if they are not those the reference is to."""
        if len(data) != self.size:
            more = "at least " if len(data) > self.size else ""
            raise PayloadError(str(self), f"is damaged: {more}{len(data):,} bytes instead of {self.size:,}")
        found = digest_of(data)
        if found != self.digest:
            raise PayloadError(str(self), f"is damaged: what is stored has the hash {found}")
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise PayloadError(str(self), f"is no JSON: {error}") from error


def digest_of(data: bytes) -> str:
    """The name of these bytes in every store."""
    return hashlib.sha256(data).hexdigest()


def written(value: Any, limit: int) -> tuple[Reference, bytes]:
    """A value's reference, and the bytes to keep; equal values have the same."""
    return written_text(payload.encode(value, "a value to be stored"), limit)


def written_text(text: str, limit: int) -> tuple[Reference, bytes]:
    """Return the reference of a value by its JSON text, and the bytes to keep. Raises ``PayloadError``."""
    data = text.encode()
    reference = Reference(digest_of(data), len(data))
    _check_size(reference, limit)
    return reference, data


def is_reference(value: Any) -> bool:
    """Whether a value is meant to be a reference, sound or not."""
    return isinstance(value, dict) and value.keys() == {KEY, SIZE_KEY}


def read(value: Any, limit: int) -> Reference:
    """Check a reference that came with data; raises ``PayloadError``."""
    what = f"reference {shown(value)}"
    if not is_reference(value):
        raise PayloadError(what, f"is none: it must be an object of {KEY!r} and {SIZE_KEY!r}")
    match = _DIGEST.fullmatch(value[KEY]) if isinstance(value[KEY], str) else None
    if match is None:
        raise PayloadError(what, f"names no hash: {KEY!r} must be sha256: and 64 hexadecimal digits")
    if type(value[SIZE_KEY]) is not int or value[SIZE_KEY] < 0:
        raise PayloadError(what, f"has no length: {SIZE_KEY!r} must be a whole number of bytes")
    reference = Reference(match[1], value[SIZE_KEY])
    _check_size(reference, limit)
    return reference


def _check_size(reference: Reference, limit: int) -> None:
    if reference.size > limit:
        raise PayloadError(str(reference), f"has {reference.size:,} bytes; this store takes {limit:,}")


def is_stored(value: Any) -> bool:
    """Return True if a value stands for what a decider stored."""
    return isinstance(value, dict) and value.keys() == {STORED_KEY} and is_reference(value[STORED_KEY])


def stored(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the references in a JSON value that stand for what a decider stored."""
    todo = [value]
    while todo:
        item = todo.pop()
        if is_stored(item):
            yield item[STORED_KEY]
        elif isinstance(item, dict | list):
            todo += item.values() if isinstance(item, dict) else item


def references(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every reference in a JSON value, of both forms."""
    todo = [value]
    while todo:
        item = todo.pop()
        if is_reference(item):
            yield item
        elif isinstance(item, dict):
            todo += item.values()
        elif isinstance(item, list):
            todo += item


@define
class Budget:
    """How many bytes and references may still be read from a store for one value."""

    what: str
    size: int = STORE_LIMIT
    count: int = COUNT_LIMIT
    used_size: int = 0
    used_count: int = 0

    def spend(self, value: Any) -> None:
        """Count the references in a value before any is read. Raises ``PayloadError`` if it is too much."""
        sizes = [each[SIZE_KEY] for each in references(value)]
        self.used_count += len(sizes)
        self.used_size += sum(size for size in sizes if type(size) is int)
        if self.used_size > self.size or self.used_count > self.count:
            problem = (
                f"refers to {self.used_count:,} stored values of {self.used_size:,} bytes together; at most "
                f"{self.count:,} values of {self.size:,} bytes are read for one activity: let a task combine "
                "fewer results, or give the store a higher limit"
            )
            raise PayloadError(self.what, problem)


def resolved(value: Any, get: Callable[[Any], Any], budget: Budget | None = None) -> Any:
    """Return a value with what its references stand for, wherever they are in it.

    What a plain reference stands for is taken as it is: whoever wants to follows the references in it. What
    a decider stored is read as if it stood here. ``budget`` bounds what is read; None is no bound.
    """
    if budget is not None:
        budget.spend(value)
    return _followed(value, get, budget)


def _followed(value: Any, get: Callable[[Any], Any], budget: Budget | None) -> Any:
    if is_reference(value):
        return get(value)
    if is_stored(value):
        return resolved(get(value[STORED_KEY]), get, budget)
    if isinstance(value, dict):
        return {key: _followed(item, get, budget) for key, item in value.items()}
    if isinstance(value, list):
        return [_followed(item, get, budget) for item in value]
    return value


def dumps(value: Any, what: str, store: Store | None) -> str:
    """A value as JSON text that fits SWF: the text of a reference if there is a store and it must be."""
    text = payload.encode(value, what)
    packed = payload.packed(text)
    if packed is None and store is not None:
        return payload.encode(store.put(value), what)
    return payload.pack(text, what) if packed is None else packed
