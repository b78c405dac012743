"""The pollers and backlogs of task lists, which a service knows beside its histories."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from attrs import evolve, frozen
from cattrs.preconf.json import make_converter

from floto.core.swf.shapes import ActivityType


class PollKind(StrEnum):
    """The kind of tasks that a poll requests; a task list has a separate queue for each kind."""

    DECISIONS = "decision"
    ACTIVITIES = "activity"


@frozen(kw_only=True)
class Poller:
    """A decider or worker that polls a task list."""

    domain: str
    kind: PollKind
    task_list: str
    #: The identity that histories record; by default host and process id.
    identity: str
    #: The activities that a worker has functions for; None if unknown.
    serves: tuple[ActivityType, ...] | None = None
    #: Time of its last poll at a server; None for a process that uses the file itself, which is alive.
    seen: datetime | None = None

    @property
    def key(self) -> tuple[str, PollKind, str, str]:
        """What distinguishes it from others: domain, kind, task list and identity."""
        return self.domain, self.kind, self.task_list, self.identity


@frozen(kw_only=True)
class Backlog:
    """The current tasks of one kind on one task list."""

    domain: str
    kind: PollKind
    task_list: str
    #: Number of tasks that no poll has claimed; a lower bound if ``is_truncated``.
    waiting: int
    is_truncated: bool = False
    #: Time when the oldest waiting task was scheduled; None if no task waits, or unknown.
    oldest: datetime | None = None
    #: Number of tasks that deciders or workers have claimed; None if unknown.
    taken: int | None = None

    @property
    def place(self) -> tuple[str, PollKind, str]:
        """The queue: domain, kind and task list."""
        return self.domain, self.kind, self.task_list


@frozen(kw_only=True)
class Redelivery:
    """A task that was redelivered because its owner crashed."""

    run_id: str
    #: The id of the event that scheduled it.
    event_id: int
    #: The identity of its owner; None if no poll has claimed it.
    identity: str | None


@frozen(kw_only=True)
class Live:
    """The current pollers and backlogs of a service.

    ``pollers`` is None if the service does not report them, as Amazon SWF does not.
    """

    backlogs: tuple[Backlog, ...] = ()
    pollers: tuple[Poller, ...] | None = None
    #: Current problem of the service, such as a full disk; empty if none is known.
    problem: str = ""
    #: The open tasks that were redelivered.
    redeliveries: tuple[Redelivery, ...] = ()

    def again(self, run_id: str, event_id: int) -> Redelivery | None:
        """Return the redelivery of a task; None if it was not redelivered."""
        return next(
            (each for each in self.redeliveries if (each.run_id, each.event_id) == (run_id, event_id)), None
        )

    def waiting(self, domain: str, kind: PollKind, task_list: str) -> int:
        """Return the number of tasks of one kind that wait on a task list."""
        place = (domain, kind, task_list)
        return sum(
            each.waiting for each in self.backlogs if (each.domain, each.kind, each.task_list) == place
        )

    def polling(self, kind: PollKind, task_list: str) -> tuple[Poller, ...]:
        """Return the pollers of a task list for tasks of one kind, in all domains."""
        return tuple(each for each in self.pollers or () if (each.kind, each.task_list) == (kind, task_list))

    def of_domain(self, domain: str) -> Live:
        """Return the pollers and backlogs of one domain."""
        pollers = None if self.pollers is None else _of_domain(self.pollers, domain)
        return evolve(self, backlogs=_of_domain(self.backlogs, domain), pollers=pollers)


def _of_domain(items: Iterable[Any], domain: str) -> tuple[Any, ...]:
    return tuple(each for each in items if each.domain == domain)


#: The operation of ``floto server`` that returns ``Live``, and its ``X-Amz-Target``.
OPERATION = "DescribeTaskLists"
TARGET = f"FlotoServer.{OPERATION}"
#: Header of a worker's poll with the activities that it serves: a JSON list of names and versions.
SERVES_HEADER = "x-floto-serves"
#: Maximum characters of that header.
SERVES_LIMIT = 6_000

_CONVERTER = make_converter(omit_if_default=True, forbid_extra_keys=False)


def as_json(value: Poller | Live) -> dict[str, Any]:
    """Return a poller or a ``Live`` as JSON values; times are ISO 8601."""
    found: dict[str, Any] = _CONVERTER.unstructure(value)
    return found


def poller_from_json(value: Mapping[str, Any]) -> Poller:
    """Read a poller. Raises ``ValueError`` if the value is not one."""
    found: Poller = _read(value, Poller)
    return found


def live_from_json(value: Mapping[str, Any]) -> Live:
    """Read a ``Live``. Raises ``ValueError`` if the value is not one."""
    found: Live = _read(value, Live)
    return found


def serves_text(serves: Iterable[ActivityType]) -> str | None:
    """Return the value of the header for the activities of a worker; None if it is too long."""
    text = json.dumps([[each.name, each.version] for each in serves])
    return text if len(text) <= SERVES_LIMIT else None


def serves_from(text: str | None) -> tuple[ActivityType, ...] | None:
    """Read the header; None if it is missing or invalid."""
    try:
        values = json.loads(text) if text is not None and len(text) <= SERVES_LIMIT else None
        return None if values is None else tuple(ActivityType(*map(str, value)) for value in values)
    except (ValueError, TypeError, RecursionError):
        return None


def _read(value: Mapping[str, Any], kind: Any) -> Any:
    try:
        return _CONVERTER.structure(value, kind)
    except Exception as error:
        # cattrs raises many types for values of the wrong shape, among them exception groups.
        msg = f"not the JSON form of a {kind.__name__}"
        raise ValueError(msg) from error
