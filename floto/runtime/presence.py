"""Showing the deciders and workers of this process to those who ask a service who polls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from floto.core.errors import ServiceError
from floto.core.swf.pollers import PollKind
from floto.core.swf.service import Announces, Service
from floto.core.swf.shapes import ActivityType


@contextmanager
def announced(
    service: Service,
    kind: PollKind,
    task_list: str,
    identity: str,
    serves: Sequence[ActivityType] | None = None,
) -> Iterator[None]:
    """Say meanwhile who polls a task list, where the service wants to know (see ``Announces``)."""
    if not isinstance(service, Announces):
        yield
        return
    # Whoever cannot be shown can work all the same.
    with suppress(ServiceError):
        service.announce(kind, task_list, identity, serves)
    try:
        yield
    finally:
        with suppress(ServiceError):
            service.withdraw(kind, task_list, identity)
