"""The values that a decider stores because they are too long for SWF.

There are two forms of reference. A plain one (``floto.core.payloads.reference``) is in place of a value such
as the result of an activity. The form of this module, ``{"floto.stored": reference}``, is in place of a value
that a decider wrote, such as the context of a task: references inside that value are resolved too.

Deciding stays pure: a reference is the hash of its value, so no store is needed to make it. A decision has a
``StoredText``, and the runtime stores its values before it responds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from attrs import frozen

from floto.core.errors import PayloadError, PayloadsNeeded, PayloadsUnavailable, StoreUnavailable
from floto.core.payloads import payload, reference
from floto.core.payloads.reference import STORE_LIMIT, Store, is_reference, is_stored
from floto.core.swf.reserved_names import STORED_KEY

T = TypeVar("T")


class StoredText(str):
    """JSON text of a decision with references to values, whose JSON texts are in ``parts``."""

    __slots__ = ("parts",)
    parts: tuple[str, ...]

    @classmethod
    def of(cls, text: str, parts: Iterable[str]) -> StoredText:
        """Return text with references to the values of the JSON texts ``parts``."""
        made = cls(text)
        made.parts = tuple(parts)
        return made


@frozen(eq=False)
class Payloads:
    """A store as the decider uses it, which only reads values."""

    store: Store

    @property
    def limit(self) -> int:
        """Maximum bytes of JSON of a stored value."""
        return limit_of(self.store)

    def get(self, wanted: Any, what: str) -> Any:
        """Return the value of a reference.

        Args:
            wanted: The reference.
            what: The name of the value in error messages.

        Raises:
            PayloadError: if the value is missing or damaged.
            PayloadsUnavailable: while the store cannot be reached.
        """
        try:
            return reached(self.store.get, wanted)
        except PayloadError as error:
            raise PayloadError(what, f"cannot be read: {error}") from error


def limit_of(store: Store) -> int:
    """Return the maximum bytes of JSON of a value in a store."""
    limit: int = getattr(store, "limit", STORE_LIMIT)
    return limit


def reached(call: Callable[[Any], T], argument: Any) -> T:
    """Call a store. Raises ``PayloadsUnavailable`` if it cannot be reached.

    That is not a ``PayloadError``, because a run must not fail while its store is unavailable.
    """
    try:
        return call(argument)
    except StoreUnavailable as error:
        raise PayloadsUnavailable(str(error)) from error


def marked(text: str, payloads: Payloads) -> dict[str, Any]:
    """Return the value in place of a stored JSON text. Raises ``PayloadError`` past the store's limit."""
    made, _ = reference.written_text(text, payloads.limit)
    return {STORED_KEY: made.to_json()}


def dumps_plain(value: Any, what: str, payloads: Payloads | None) -> str:
    """Return JSON text that fits SWF: compressed if it is too long, else a reference.

    Args:
        value: A JSON value.
        what: The name of the value in error messages.
        payloads: The store; None if values are not stored.

    Raises:
        PayloadError: if the value does not fit, and there is no store or it is past the store's limit.
    """
    text = payload.plain_text(value, what)
    fitting = payload.packed(text)
    if fitting is None and payloads is not None:
        return StoredText.of(json.dumps(marked(text, payloads), **payload.STYLE), (text,))
    return payload.pack(text, what) if fitting is None else fitting


def read(value: Any, what: str, payloads: Payloads | None) -> Any:
    """Return a value, or the stored value that it refers to in a decider's form.

    Args:
        value: A JSON value.
        what: The name of the value in error messages.
        payloads: The store; None if there is none.

    Raises:
        PayloadsNeeded: if the value is stored and there is no store.
        PayloadError: if the stored value is missing or damaged.
        PayloadsUnavailable: while the store cannot be reached.
    """
    return _fetched(value[STORED_KEY], what, payloads) if is_stored(value) else value


def read_result(value: Any, what: str, payloads: Payloads | None) -> Any:
    """Return a result, or the stored value that it refers to in either form; raise as ``read`` does."""
    if is_reference(value):
        return _fetched(value, what, payloads)
    return read(value, what, payloads)


def _fetched(wanted: Any, what: str, payloads: Payloads | None) -> Any:
    if payloads is None:
        raise PayloadsNeeded(what, json.dumps(wanted))
    return payloads.get(wanted, what)
