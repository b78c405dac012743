"""What a decider writes and SWF cannot take: how it is stored, and how it is read again.

Two forms of reference travel. A plain one (``floto.core.payloads.reference``) stands for a value as it is,
such as the result of an activity. The form of this module, ``{"floto.stored": reference}``, stands for what a
decider wrote, such as the context of a task: it is read as if the value stood in its place, so the references
in that are followed, too.

Deciding stays pure: a reference is the hash of its value, so no store is asked for it. A decision carries
``StoredText``, and the runtime stores what is behind it before it responds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from attrs import frozen

from floto.core.errors import PayloadError, PayloadsNeeded, PayloadsUnavailable, StoreUnavailable
from floto.core.payloads import payload, reference
from floto.core.payloads.reference import STORE_LIMIT, STORED_KEY, Store, is_reference, is_stored

T = TypeVar("T")


class StoredText(str):
    """JSON text of a decision that refers to values, with the JSON texts of these values in ``parts``."""

    __slots__ = ("parts",)
    parts: tuple[str, ...]

    @classmethod
    def of(cls, text: str, parts: Iterable[str]) -> StoredText:
        """Return text that refers to the values of these JSON texts."""
        made = cls(text)
        made.parts = tuple(parts)
        return made


@frozen(eq=False)
class Payloads:
    """A store as the decider uses it: the values of references can be read, and nothing is written."""

    store: Store

    @property
    def limit(self) -> int:
        """The most bytes of JSON that the store keeps as one value."""
        return limit_of(self.store)

    def get(self, wanted: Any, what: str) -> Any:
        """Return the value of a reference.

        Raises ``PayloadError`` naming ``what`` for a value that is missing or damaged, and
        ``PayloadsUnavailable`` while the store cannot be reached.
        """
        try:
            return reached(self.store.get, wanted)
        except PayloadError as error:
            raise PayloadError(what, f"cannot be read: {error}") from error


def limit_of(store: Store) -> int:
    """Return the most bytes of JSON that a store keeps as one value."""
    limit: int = getattr(store, "limit", STORE_LIMIT)
    return limit


def reached(call: Callable[[Any], T], argument: Any) -> T:
    """Call a store, and raise ``PayloadsUnavailable`` where it cannot be reached.

    That is no ``PayloadError``: a run must not fail because its store is away for a moment.
    """
    try:
        return call(argument)
    except StoreUnavailable as error:
        raise PayloadsUnavailable(str(error)) from error


def marked(text: str, payloads: Payloads) -> dict[str, Any]:
    """Return the value that stands for a stored JSON text. Raises ``PayloadError`` past the store's limit."""
    made, _ = reference.written_text(text, payloads.limit)
    return {STORED_KEY: made.to_json()}


def dumps_plain(value: Any, what: str, payloads: Payloads | None) -> str:
    """Return JSON text that fits SWF: compressed if it is too long, a reference if it must be.

    Raises ``PayloadError`` naming ``what`` if it does not fit and there is no store, or past its limit.
    """
    text = payload.plain_text(value, what)
    fitting = payload.packed(text)
    if fitting is None and payloads is not None:
        return StoredText.of(json.dumps(marked(text, payloads), **payload.STYLE), (text,))
    return payload.pack(text, what) if fitting is None else fitting


def read(value: Any, what: str, payloads: Payloads | None) -> Any:
    """Return a value, or what it stands for where a decider stored it.

    Raises ``PayloadsNeeded`` where there is no store, and what ``Payloads.get`` raises.
    """
    return _fetched(value[STORED_KEY], what, payloads) if is_stored(value) else value


def read_result(value: Any, what: str, payloads: Payloads | None) -> Any:
    """Return a result, or what it stands for, whoever stored it; raises what ``read`` raises."""
    if is_reference(value):
        return _fetched(value, what, payloads)
    return read(value, what, payloads)


def _fetched(wanted: Any, what: str, payloads: Payloads | None) -> Any:
    if payloads is None:
        raise PayloadsNeeded(what, json.dumps(wanted))
    return payloads.get(wanted, what)
