"""Names the format of a file without a history of SWF, by the members of its objects."""

from __future__ import annotations

from collections.abc import Collection

from floto.core.visible import visible

#: What is told by which names, all of which an object has; the first that fits counts.
_STRANGERS: tuple[tuple[frozenset[str], str], ...] = tuple(
    (frozenset(names.split()), what)
    for names, what in (
        ("eventId eventTime", "a history of Temporal"),
        ("eventId timestamp", "a history of Cadence"),
        ("id timestamp type", "a history of AWS Step Functions"),
        ("eventVersion eventName", "a log of AWS CloudTrail"),
        ("records", "a log of AWS CloudTrail"),
        ("executionInfos", "a listing of runs"),
        ("executionInfo", "the description of a run"),
        ("typeInfos", "a listing of types"),
        ("domainInfos", "a listing of domains"),
        ("decisionType", "decisions"),
        ("activityTasks", "a spec of floto"),
        ("taskToken activityId", "a task of an activity"),
        ("startedEventId", "the response to a poll that found no task"),
        ("__type", "an error of a service"),
        ("error", "an error of a service"),
        ("events", "a page without events"),
    )
)
_NAMES, _NAME_LENGTH = 5, 30


def likeness(names: Collection[str]) -> str | None:
    """Return what an object with these members looks like, in words; None if that is nothing known."""
    given = set(names)
    return next((what for wanted, what in _STRANGERS if wanted <= given), None)


def described(names: Collection[str]) -> str:
    """Return the members of an object in words."""
    shown = [visible(name[:_NAME_LENGTH]) for name in list(names)[:_NAMES]]
    return f"an object with {', '.join(shown)}{', ...' if len(names) > _NAMES else ''}"
