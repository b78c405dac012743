"""Recovery: the tasks that a crashed process owned are redelivered to the pollers of other processes.

A task names the lease of the process that claimed it (``processes.leases``). With a batch, at most every 2
seconds, each process checks the leases that own tasks. A free one belongs to a process that has ended without
closing the file: its tasks can be claimed again, with the same tokens. That adds no event and costs no
attempt, but is counted: a task may be the cause of the crashes, and time out (``crashes.py`` of the engine).
"""

from __future__ import annotations

import logging
from math import inf
from time import monotonic

from floto.adapters.processes.leases import Leases
from floto.adapters.sqlite.storage.store import SqliteStore
from floto.core.engine.crashes import MAX_REDELIVERIES, after_crash, is_lost

log = logging.getLogger("floto")

_SUSPECTED = "workflow %r: %d or more processes that had %s have crashed; it may be the cause, so it is %s"
_TIMED_OUT = "timed out instead of started again"
_ALONE = "started again when no other such task runs in the process"
#: Seconds between checks for tasks whose owner crashed.
_RECOVER_SECONDS = 2.0
#: Seconds for which a suspect may run without another one beside it.
_ALONE_SECONDS = 60.0


class Recovery:
    """Redelivers the tasks of crashed processes.

    Args:
        store: The store of the connection that writes.
        leases: The leases of the file; None for a database in memory, which has one process.
    """

    def __init__(self, store: SqliteStore, leases: Leases | None) -> None:
        self._store, self._leases = store, leases
        self._due_at = monotonic() if leases else inf
        #: Since when suspects have waited for another one.
        self._held_since = inf

    def redeliver(self) -> bool:
        """Redeliver the tasks of processes that crashed; return False if it is too early for a check."""
        if self._leases is None or monotonic() < self._due_at:
            return False
        self._due_at = monotonic() + _RECOVER_SECONDS
        self._release_suspects()
        owners = self._store.owners()
        crashed = self._leases.dead(owners)
        for lease in crashed:
            with self._store.transaction():
                tasks = after_crash(self._store.open_runs().owned(lease))
                self._store.redeliver(tasks)
            for (run_id, event_id), redeliveries in tasks.items():
                if redeliveries > MAX_REDELIVERIES:
                    self._warn(run_id, event_id, _TIMED_OUT if is_lost(redeliveries) else _ALONE)
            self._store.drop_owner(lease)
        self._leases.clean(owners - crashed)
        return True

    def _release_suspects(self) -> None:
        """Let suspects run beside one that has run for long: they may need one another, or it may hang."""
        runs = self._store.open_runs()
        if not runs.is_holding:
            self._held_since = inf
            return
        self._held_since = min(self._held_since, monotonic())
        if monotonic() - self._held_since >= _ALONE_SECONDS:
            runs.admit_suspect()

    def _warn(self, run_id: str, event_id: int, verdict: str) -> None:
        run = self._store.load(run_id)
        if run is not None:
            key = run.state.opened.get(event_id)
            name = "a decision task" if key is None else f"task {key[1]!r}"
            log.warning(_SUSPECTED, run.execution.workflow_id, MAX_REDELIVERIES + 1, name, verdict)
