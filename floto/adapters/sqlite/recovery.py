"""Recovery: the tasks that a crashed process owned are redelivered to the pollers of other processes.

A task names the lease of the process that claimed it (``processes.leases``). With a batch, at most every 2
seconds, each process checks the leases that own tasks. A free one belongs to a process that has ended without
closing the file: its tasks can be claimed again, with the same tokens. That adds no event and costs no
attempt, but is counted: after too many crashes a task times out (``MAX_REDELIVERIES`` of the engine).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from math import inf
from time import monotonic

from floto.adapters.processes.leases import Leases
from floto.adapters.sqlite.storage.store import SqliteStore
from floto.core.engine.engine import MAX_REDELIVERIES

log = logging.getLogger("floto")

_LOST = (
    "workflow %r: %d processes that had %s have crashed; it may be the cause, so it is timed out "
    "instead of started again"
)
#: Seconds between checks for tasks whose owner crashed.
_RECOVER_SECONDS = 2.0


class Recovery:
    """Redelivers the tasks of crashed processes.

    Args:
        store: The store of the connection that writes.
        leases: The leases of the file; None for a database in memory, which has one process.
    """

    def __init__(self, store: SqliteStore, leases: Leases | None) -> None:
        self._store, self._leases = store, leases
        self._due_at = monotonic() if leases else inf

    def redeliver(self) -> bool:
        """Redeliver the tasks of processes that crashed; return False if it is too early for a check."""
        if self._leases is None or monotonic() < self._due_at:
            return False
        self._due_at = monotonic() + _RECOVER_SECONDS
        owners = self._store.owners()
        crashed = self._leases.dead(owners)
        for lease in crashed:
            with self._store.transaction():
                lost = list(self._lost(lease))
                self._store.redeliver(lease, crashes=1)
            for workflow_id, name in lost:
                log.warning(_LOST, workflow_id, MAX_REDELIVERIES + 1, name)
            self._store.drop_owner(lease)
        self._leases.clean(owners - crashed)
        return True

    def _lost(self, lease: str) -> Iterator[tuple[str, str]]:
        """Yield the workflow id and name of each task of a lease that has had too many crashes with this."""
        for known, event_id, task in self._store.open_runs().tasks():
            if task.lease == lease and task.redeliveries >= MAX_REDELIVERIES:
                run = self._store.load(known.execution.run_id)
                key = None if run is None else run.state.opened.get(event_id)
                yield known.execution.workflow_id, "a decision task" if key is None else f"task {key[1]!r}"
