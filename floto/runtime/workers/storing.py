"""Payload stores in deciders and workers: values stored before a response, and retries."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from attrs import evolve, frozen

from floto.core.errors import PayloadError, PayloadsUnavailable
from floto.core.payloads import reference
from floto.core.payloads.reference import Store
from floto.core.payloads.stored import StoredText, limit_of, reached
from floto.core.swf.decisions import Decision
from floto.runtime.retrying import retry_payload
from floto.runtime.shutdown import StopFlag

T = TypeVar("T")

#: The fields of decisions that may refer to stored values.
_FIELDS = ("input", "result", "details")
#: Seconds for which a worker retries to read the input of an activity, and to store its result.
_GET_SECONDS, _PUT_SECONDS = 60.0, 3600.0


class DroppedAtStop(PayloadsUnavailable):
    """A payload store was still unavailable ten seconds after the stop of a worker."""


@frozen
class RetryingStore:
    """A payload store whose calls are retried while it is unavailable.

    A result is retried for an hour, as its report is; an input for a minute. After ``stop``, both are for ten
    seconds, and then raise ``DroppedAtStop``.
    """

    store: Store
    stop: StopFlag

    @property
    def limit(self) -> int:
        """Maximum bytes of JSON of one value."""
        return limit_of(self.store)

    def put(self, value: Any) -> dict[str, Any]:
        """Store a value; return its reference. Raises ``PayloadError`` and ``PayloadsUnavailable``."""
        return self._retried(_PUT_SECONDS, self.store.put, value)

    def get(self, reference: Any) -> Any:
        """Return the value of a reference. Raises ``PayloadError`` and ``PayloadsUnavailable``."""
        return self._retried(_GET_SECONDS, self.store.get, reference)

    def _retried(self, seconds: float, call: Callable[[Any], T], argument: Any) -> T:
        try:
            return retry_payload(self.stop, seconds, reached, call, argument)
        except PayloadsUnavailable as error:
            if not self.stop.is_set():
                raise
            raise DroppedAtStop(str(error)) from error


def store_values(decisions: Sequence[Decision], store: Store) -> list[Decision]:
    """Store the values that decisions refer to; return the decisions with plain strings for ``StoredText``.

    Raises ``PayloadError``, and ``PayloadsUnavailable`` if the store is unavailable.
    """
    return [_kept(decision, store) for decision in decisions]


def _kept(decision: Decision, store: Store) -> Decision:
    texts = {name: getattr(decision, name, None) for name in _FIELDS}
    kept: dict[str, Any] = {
        name: store_text(text, store) for name, text in texts.items() if isinstance(text, StoredText)
    }
    return evolve(decision, **kept) if kept else decision


def store_text(text: str | None, store: Store) -> str | None:
    """Store the values that a text refers to; return it as a plain string. Raises as ``store_values``."""
    if not isinstance(text, StoredText):
        return text
    for part in text.parts:
        _put(part, store)
    return str(text)


def _put(part: str, store: Store) -> None:
    expected, _ = reference.written_text(part, len(part.encode()))
    made = reached(store.put, json.loads(part))
    if made != expected.to_json():
        problem = f"was stored as {made}; a decider needs a store that names values by their SHA-256"
        raise PayloadError(str(expected), problem)
