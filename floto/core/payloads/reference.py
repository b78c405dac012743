"""References to values in a store, which are too long for SWF.

A reference is a small JSON object in place of the value. It names the value by its hash, so it never goes
stale, and a reader can verify the value. The reader chooses the store; data never names one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from attrs import define, frozen

from floto.core import strict_json
from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.swf.identifiers import shown
from floto.core.swf.reserved_names import REFERENCE_KEY, STORED_KEY

SIZE_KEY = "size"
#: Default of the maximum bytes of JSON of a stored value.
STORE_LIMIT = 256 * 2**20
#: Maximum references of one context: each is a read of the store.
COUNT_LIMIT = 10_000
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class Store(Protocol):
    """A store of values of any length, which are read by their references."""

    def put(self, value: Any) -> dict[str, Any]:
        """Store a value and return its reference.

        Args:
            value: Any value with a JSON form.

        Raises:
            PayloadError: if the value cannot be stored.
            StoreUnavailable: if the same call may succeed later.
        """
        ...

    def get(self, reference: Any, /) -> Any:
        """Return the value of a reference in its JSON form.

        Args:
            reference: A reference that ``put`` returned.

        Raises:
            PayloadError: if the reference is invalid, or its value missing or damaged.
            StoreUnavailable: if the same call may succeed later.
        """
        ...


@frozen
class Reference:
    """A reference: the SHA-256 of a value's JSON in hexadecimal, and its length in bytes."""

    digest: str
    size: int

    def __str__(self) -> str:
        """Return the name of the reference in messages."""
        return f"payload sha256:{self.digest}"

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of the reference."""
        return {REFERENCE_KEY: f"sha256:{self.digest}", SIZE_KEY: self.size}

    def value(self, data: bytes) -> Any:
        """Return the value of stored bytes. Raises ``PayloadError`` if they do not match the reference."""
        if len(data) != self.size:
            more = "at least " if len(data) > self.size else ""
            raise PayloadError(str(self), f"is damaged: {more}{len(data):,} bytes instead of {self.size:,}")
        found = digest_of(data)
        if found != self.digest:
            raise PayloadError(str(self), f"is damaged: the stored bytes have the hash {found}")
        try:
            return strict_json.loads(data)
        except (ValueError, RecursionError) as error:
            raise PayloadError(str(self), f"is not JSON: {error}") from error


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of bytes, which names them in every store."""
    return hashlib.sha256(data).hexdigest()


def written(value: Any, limit: int) -> tuple[Reference, bytes]:
    """Return the reference and the bytes of a value, equal for equal values. Raises ``PayloadError``."""
    return written_text(payload.encode(value, "a value to be stored"), limit)


def written_text(text: str, limit: int) -> tuple[Reference, bytes]:
    """Return the reference and the bytes of a value from its JSON text. Raises ``PayloadError``."""
    data = text.encode()
    reference = Reference(digest_of(data), len(data))
    _check_size(reference, limit)
    return reference, data


def is_reference(value: Any) -> bool:
    """Return True if a value has the form of a reference, valid or not."""
    return isinstance(value, dict) and value.keys() == {REFERENCE_KEY, SIZE_KEY}


def read(value: Any, limit: int) -> Reference:
    """Return a reference from its JSON object. Raises ``PayloadError`` if it is invalid."""
    what = f"reference {shown(value)}"
    if not is_reference(value):
        raise PayloadError(
            what, f"is invalid: expected an object with exactly the keys {REFERENCE_KEY!r} and {SIZE_KEY!r}"
        )
    match = _DIGEST.fullmatch(value[REFERENCE_KEY]) if isinstance(value[REFERENCE_KEY], str) else None
    if match is None:
        raise PayloadError(what, f"is invalid: {REFERENCE_KEY!r} must be 'sha256:' and 64 hexadecimal digits")
    if type(value[SIZE_KEY]) is not int or value[SIZE_KEY] < 0:
        raise PayloadError(what, f"is invalid: {SIZE_KEY!r} must be an integer number of bytes")
    reference = Reference(match[1], value[SIZE_KEY])
    _check_size(reference, limit)
    return reference


def _check_size(reference: Reference, limit: int) -> None:
    if reference.size > limit:
        raise PayloadError(str(reference), f"has {reference.size:,} bytes; this store takes {limit:,}")


def is_stored(value: Any) -> bool:
    """Return True if a value is in place of one that a decider stored."""
    return isinstance(value, dict) and value.keys() == {STORED_KEY} and is_reference(value[STORED_KEY])


def stored(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the references in a JSON value to values that a decider stored."""
    todo = [value]
    while todo:
        item = todo.pop()
        if is_stored(item):
            yield item[STORED_KEY]
        elif isinstance(item, dict | list):
            todo += item.values() if isinstance(item, dict) else item


def references(value: Any) -> Iterator[dict[str, Any]]:
    """Yield all references in a JSON value, of both forms."""
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
    """The limit of the bytes and references that are read from a store for one value."""

    what: str
    size: int = STORE_LIMIT
    count: int = COUNT_LIMIT
    used_size: int = 0
    used_count: int = 0

    def spend(self, value: Any) -> None:
        """Count the references in a value before any is read. Raises ``PayloadError`` past the limit."""
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
    """Return a value with the referenced values in place of all its references.

    References inside the value of a plain reference stay; those inside a value that a decider stored are
    resolved too.

    Args:
        value: A JSON value.
        get: Returns the value of a reference.
        budget: Limits the reads; None for no limit.

    Raises:
        PayloadError: past the limit.
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
    """Return a value as JSON text that fits SWF: of a reference if it is too long and there is a store."""
    text = payload.encode(value, what)
    packed = payload.packed(text)
    if packed is None and store is not None:
        return payload.encode(store.put(value), what)
    return payload.pack(text, what) if packed is None else packed
