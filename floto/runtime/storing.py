"""Puts into a store what decisions refer to, before the decisions are sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from attrs import evolve

from floto.core import reference
from floto.core.decisions import Decision
from floto.core.errors import PayloadError, PayloadsUnavailable, StoreUnavailable
from floto.core.reference import Store
from floto.core.stored import StoredText

#: The fields of decisions that may refer to stored values.
_FIELDS = ("input", "result", "details")


def keep(decisions: Sequence[Decision], store: Store) -> list[Decision]:
    """Store what decisions refer to, and return them with plain text in place of ``StoredText``.

    Raises ``PayloadError``, and ``PayloadsUnavailable`` while the store cannot be reached.
    """
    return [_kept(decision, store) for decision in decisions]


def _kept(decision: Decision, store: Store) -> Decision:
    kept: dict[str, Any] = {}
    for name in _FIELDS:
        text = getattr(decision, name, None)
        if isinstance(text, StoredText):
            for part in text.parts:
                _put(part, store)
            kept[name] = str(text)
    return evolve(decision, **kept) if kept else decision


def _put(part: str, store: Store) -> None:
    expected, _ = reference.written_text(part, len(part.encode()))
    try:
        made = store.put(json.loads(part))
    except StoreUnavailable as error:
        raise PayloadsUnavailable(str(error)) from error
    if made != expected.to_json():
        problem = f"was stored as {made}; a decider needs a store that names values by their SHA-256"
        raise PayloadError(str(expected), problem)
