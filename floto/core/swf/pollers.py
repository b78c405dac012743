"""Who polls which task list, and what waits there: what a service knows beside its histories."""

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
    """What is polled for: one task list holds tasks of both kinds, and they do not mix."""

    DECISIONS = "decision"
    ACTIVITIES = "activity"


@frozen(kw_only=True)
class Poller:
    """A decider or worker that polls a task list."""

    domain: str
    kind: PollKind
    task_list: str
    #: What histories record of it: by default, host and process id.
    identity: str
    #: The activities that a worker has functions for; None where it does not say.
    serves: tuple[ActivityType, ...] | None = None
    #: When it last asked a server for a task; None for a process on the file itself, which is alive.
    seen: datetime | None = None


@frozen(kw_only=True)
class Backlog:
    """The tasks of one kind on one task list, now."""

    domain: str
    kind: PollKind
    task_list: str
    #: How many tasks wait to be polled; at least so many where ``is_truncated``.
    waiting: int
    is_truncated: bool = False
    #: When the task was scheduled that waits longest; None if none waits, or the service does not say.
    oldest: datetime | None = None
    #: How many tasks deciders or workers have; None if the service does not say.
    taken: int | None = None

    @property
    def place(self) -> tuple[str, PollKind, str]:
        """Domain, kind and task list."""
        return self.domain, self.kind, self.task_list


@frozen(kw_only=True)
class Redelivery:
    """A task that was handed out again, because the process that had it died."""

    run_id: str
    #: The event that scheduled it.
    event_id: int
    #: Who has it now; None if it waits for somebody.
    identity: str | None


@frozen(kw_only=True)
class Live:
    """What a service knows of its task lists now.

    ``pollers`` is None where the service does not say who polls, as Amazon SWF does not.
    """

    backlogs: tuple[Backlog, ...] = ()
    pollers: tuple[Poller, ...] | None = None
    #: What keeps the service from working, such as a full disk; empty if nothing is known.
    problem: str = ""
    #: The tasks that died processes had, as far as they are open.
    redeliveries: tuple[Redelivery, ...] = ()

    def again(self, run_id: str, event_id: int) -> Redelivery | None:
        """Return what is known of a task that was handed out again; None if it was not."""
        return next(
            (each for each in self.redeliveries if (each.run_id, each.event_id) == (run_id, event_id)), None
        )

    def waiting(self, domain: str, kind: PollKind, task_list: str) -> int:
        """Return how many tasks of one kind wait on a task list."""
        place = (domain, kind, task_list)
        return sum(
            each.waiting for each in self.backlogs if (each.domain, each.kind, each.task_list) == place
        )

    def polling(self, kind: PollKind, task_list: str) -> tuple[Poller, ...]:
        """Return who polls a task list for tasks of one kind, in whatever domain."""
        return tuple(each for each in self.pollers or () if (each.kind, each.task_list) == (kind, task_list))

    def of_domain(self, domain: str) -> Live:
        """Return the same for one domain."""
        pollers = None if self.pollers is None else _of_domain(self.pollers, domain)
        return evolve(self, backlogs=_of_domain(self.backlogs, domain), pollers=pollers)


def _of_domain(items: Iterable[Any], domain: str) -> tuple[Any, ...]:
    return tuple(each for each in items if each.domain == domain)


#: How a client asks ``floto server`` for this: the operation's ``X-Amz-Target``.
OPERATION = "DescribeTaskLists"
TARGET = f"FlotoServer.{OPERATION}"
#: The header of a poll in which a worker says what it serves: a JSON list of names and versions.
SERVES_HEADER = "x-floto-serves"
#: Characters of that header.
SERVES_LIMIT = 6_000

_CONVERTER = make_converter(omit_if_default=True, forbid_extra_keys=False)


def as_json(value: Poller | Live) -> dict[str, Any]:
    """Return pollers, or what is live, as JSON values; times are ISO 8601."""
    found: dict[str, Any] = _CONVERTER.unstructure(value)
    return found


def poller_from_json(value: Mapping[str, Any]) -> Poller:
    """Read a poller. Raises ``ValueError`` for what is none."""
    found: Poller = _read(value, Poller)
    return found


def live_from_json(value: Mapping[str, Any]) -> Live:
    """Read what is live. Raises ``ValueError`` for what is not."""
    found: Live = _read(value, Live)
    return found


def serves_text(serves: Iterable[ActivityType]) -> str | None:
    """Return what a worker serves, as the header has it; None where that is too long."""
    text = json.dumps([[each.name, each.version] for each in serves])
    return text if len(text) <= SERVES_LIMIT else None


def serves_from(text: str | None) -> tuple[ActivityType, ...] | None:
    """Read the header; None where it is not there, or is none of floto's."""
    try:
        values = json.loads(text) if text is not None and len(text) <= SERVES_LIMIT else None
        return None if values is None else tuple(ActivityType(*map(str, value)) for value in values)
    except (ValueError, TypeError, RecursionError):
        return None


def _read(value: Mapping[str, Any], kind: Any) -> Any:
    try:
        return _CONVERTER.structure(value, kind)
    except Exception as error:
        # Whatever cattrs raises for values of the wrong shape, among them exception groups.
        msg = f"not what floto writes of a {kind.__name__}"
        raise ValueError(msg) from error
