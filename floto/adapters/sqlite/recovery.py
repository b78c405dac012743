"""Recovery: the tasks that a crashed process owned are redelivered to the pollers of other processes.

A task names the lease of the process that claimed it (``processes.leases``). With a batch, at most every 2
seconds, each process checks the leases that own tasks. A free one belongs to a process that has ended without
closing the file: its tasks can be claimed again, with the same tokens. That adds no event and costs no
attempt, but is counted: after too many crashes a task times out (``MAX_REDELIVERIES`` of the engine).
"""

from __future__ import annotations

from math import inf
from time import monotonic

from floto.adapters.processes.leases import Leases
from floto.adapters.sqlite.storage.store import SqliteStore

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
                self._store.redeliver(lease, crashes=1)
            self._store.drop_owner(lease)
        self._leases.clean(owners - crashed)
        return True
