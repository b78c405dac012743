"""Values of floto's own beside the user's input of a run, under reserved keys."""

from __future__ import annotations

from typing import Any

from floto.core.payloads.reference import is_reference
from floto.core.swf.reserved_names import INPUT_KEY, REDRIVE_KEY, SIGNALS_KEY

_KEYS = frozenset({INPUT_KEY, REDRIVE_KEY, SIGNALS_KEY})


def with_reserved(own: Any, key: str, carried: Any) -> Any:
    """Return an input with a value of floto's under a reserved key, beside the user's."""
    is_open = isinstance(own, dict) and not own.keys() & _KEYS and not is_reference(own)
    return {**own, key: carried} if is_open else {INPUT_KEY: own, key: carried}


def without_reserved(value: Any, key: str) -> Any:
    """Return the user's input in an input that has this reserved key: the inverse of ``with_reserved``."""
    if value.keys() == {INPUT_KEY, key}:
        return value[INPUT_KEY]
    return {name: item for name, item in value.items() if name != key}
