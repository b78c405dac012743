"""The fields by which an event refers to earlier events of its run."""

from __future__ import annotations

from functools import cache
from typing import Any

from attrs import fields

#: Event-id fields that refer to another run's history.
_OF_OTHER_RUNS = frozenset({"parent_initiated_event_id", "external_initiated_event_id"})


@cache
def references(cls: Any) -> tuple[str, ...]:
    """Return the names of an event class's fields that are ids of earlier events of the same run."""
    names = (field.name for field in fields(cls))
    return tuple(name for name in names if name.endswith("_event_id") and name not in _OF_OTHER_RUNS)
