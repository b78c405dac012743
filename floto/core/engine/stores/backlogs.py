"""Backlogs and redeliveries of the open runs of a store, for ``floto status``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from floto.core.engine.stores.open_runs import OpenRuns
from floto.core.engine.tokens import TaskKind
from floto.core.swf.pollers import Backlog, PollKind

#: Maximum number of redelivered tasks that are listed.
_MOST_REDELIVERIES = 1000


def backlogs(runs: OpenRuns) -> tuple[Backlog, ...]:
    """Return the backlog of every task list of every domain."""
    found: defaultdict[tuple[str, PollKind, str], list[datetime | None]] = defaultdict(list)
    for run, _, task in runs.tasks():
        if task.kind is not TaskKind.LAMBDA:
            waits = task.lease is None
            key = (run.domain, PollKind(task.kind), task.task_list)
            found[key].append(task.scheduled_at if waits else None)
    return tuple(_backlog(key, since) for key, since in sorted(found.items()))


def _backlog(key: tuple[str, PollKind, str], since: Sequence[datetime | None]) -> Backlog:
    domain, kind, task_list = key
    waiting = [at for at in since if at is not None]
    return Backlog(
        domain=domain,
        kind=kind,
        task_list=task_list,
        waiting=len(waiting),
        taken=len(since) - len(waiting),
        oldest=min(waiting, default=None),
    )


def redelivered(runs: OpenRuns) -> list[tuple[str, int, str | None]]:
    """Return run id, event id and current lease of every task whose former owner has ended."""
    found = [
        (run.execution.run_id, event_id, task.lease)
        for run, event_id, task in runs.tasks()
        if task.redeliveries or (task.started and task.lease is None)
    ]
    return found[:_MOST_REDELIVERIES]
