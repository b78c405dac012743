"""The description, for a digest, of objects whose class has no tag: those of users' own classes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any

import attrs

#: In the ``repr`` of an object without one of its own; it differs from process to process.
_ADDRESS = re.compile(" at 0x[0-9a-f]+")


def described(value: Any) -> Any:
    """Return the class and the fields of an object, the same in every process.

    The class has its name without its module, which depends on how a file is loaded. What an object computes
    for itself is not in it: fields of attrs classes that ``__init__`` does not take or that are not compared,
    and names that begin with an underscore.
    """
    if isinstance(value, set | frozenset):
        # The order of a set differs from process to process.
        return sorted(json.dumps(each, default=described, sort_keys=True) for each in value)
    if isinstance(value, partial):
        return {"class": "partial", "of": described(value.func), "args": value.args, "named": value.keywords}
    if attrs.has(type(value)):
        fields = _fields(value)
    elif hasattr(value, "__dict__") and not callable(value):
        fields = _attributes(value)
    else:
        return _ADDRESS.sub("", repr(value))
    return {**fields, "class": type(value).__qualname__}


def _fields(value: Any) -> Mapping[str, Any]:
    """Return the fields of an attrs object that differ from their defaults: a new field changes nothing."""
    found = {}
    for each in attrs.fields(type(value)):
        item = getattr(value, each.name) if each.init and each.eq else each.default
        if item != each.default:
            found[each.name] = item
    return found


def _attributes(value: Any) -> Mapping[str, Any]:
    return {
        name: item
        for name, item in vars(value).items()
        if not name.startswith("_") and not isinstance(getattr(type(value), name, None), cached_property)
    }
