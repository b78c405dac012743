"""The description, for a digest, of objects whose class has no tag: those of users' own classes."""

from __future__ import annotations

import re
from typing import Any

import attrs

#: In the ``repr`` of an object without one of its own; it differs from process to process.
_ADDRESS = re.compile(" at 0x[0-9a-f]+")


def described(value: Any) -> Any:
    """Return the class and the fields of an object, the same in every process.

    The class has its name without its module, which depends on how a file is loaded.
    """
    if isinstance(value, set | frozenset):
        # The order of a set differs from process to process.
        return sorted(map(_shown, value))
    if attrs.has(type(value)):
        fields = {each.name: getattr(value, each.name) for each in attrs.fields(type(value))}
    elif hasattr(value, "__dict__") and not callable(value):
        fields = vars(value)
    else:
        return _shown(value)
    return {**fields, "class": type(value).__qualname__}


def _shown(value: Any) -> str:
    return _ADDRESS.sub("", repr(value))
