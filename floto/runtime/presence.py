"""Report the deciders and workers of this process to services that list their pollers."""

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
    """Announce a poller of a task list during the block, to services that support it (see ``Announces``)."""
    if not isinstance(service, Announces):
        yield
        return
    # Polling works without the announcement.
    with suppress(ServiceError):
        service.announce(kind, task_list, identity, serves)
    try:
        yield
    finally:
        with suppress(ServiceError):
            service.withdraw(kind, task_list, identity)
