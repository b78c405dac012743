"""The engine's store on SQLite: the open runs in memory, and what a transaction changed as rows.

A step changes runs in memory only. ``transaction`` writes all that its steps have changed, in few statements,
before it commits; a rollback puts back the runs as they were. Each commit has a number, the revision of the
runs that it changed, by which other processes read what is new.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from math import inf

from attrs import evolve

from floto.adapters.sqlite.storage import rows
from floto.adapters.sqlite.storage.database import Database, begin, leave
from floto.adapters.sqlite.storage.reads import NEVER, Cache, ReadStore
from floto.adapters.sqlite.storage.rows import CLIENTS, CachedRun, StagedRun
from floto.adapters.sqlite.storage.schema import Sql
from floto.core.engine.run import EngineRun
from floto.core.engine.stores.changes import Changes, all_entries
from floto.core.engine.stores.open_runs import OpenRun
from floto.core.engine.stores.records import TaskQueue
from floto.core.engine.stores.store import Deadline, Ready
from floto.core.engine.tokens import TaskKind, Token
from floto.core.swf.events import Event
from floto.core.swf.wire import from_ms, to_ms

log = logging.getLogger("floto")

#: Seconds that a transaction waits for the lock, if another process has it.
LOCK_SECONDS = 5.0

#: A change to undo: a run, and what the transaction and the memory had of it.
_Undo = tuple[str, StagedRun | None, OpenRun | None]
#: Number of changes to undo, and of writes to the database.
Mark = tuple[int, int]


class SqliteStore(ReadStore):
    """A ``RunStore`` on one connection of a database.

    Args:
        database: The open file.
        for_clients: True if clients, which may outlive this process, own the tasks that it claims; otherwise
            the lease of this process owns them.
        is_given_up: Returns True to end the wait for the lock.
        is_reading: True for the store of queries, on the connection that only reads.
    """

    def __init__(
        self,
        database: Database,
        *,
        for_clients: bool = False,
        is_given_up: Callable[[], bool] = lambda: False,
        is_reading: bool = False,
    ) -> None:
        self._for_clients, self._is_given_up, self._is_reading = for_clients, is_given_up, is_reading
        #: Seconds that a transaction waits for the lock, if another process has it.
        self.patience = LOCK_SECONDS
        self.rebind(database)

    def rebind(self, database: Database) -> None:
        """Use the connection of another database, with empty caches."""
        self._database = database
        db = database.reading if self._is_reading or database.writing is None else database.writing
        assert db is not None  # noqa: S101 - a database has one of them
        # Lambda functions run in this process, even if clients own the other tasks.
        owner = CLIENTS if self._for_clients else database.lease
        self._use(db, database.lease, {**dict.fromkeys(TaskKind, owner), TaskKind.LAMBDA: database.lease})
        #: True from the first change of a transaction until the memory has what is in the file; an interrupt
        #: may prevent that.
        self._is_changing = False
        #: The runs that the transaction has changed, and those that changed without a step.
        self._staged: dict[str, StagedRun] = {}
        self._reworked: dict[str, None] = {}
        self._undo: list[_Undo] = []
        self._at_once = False

    @property
    def offered(self) -> set[TaskQueue]:
        """Task queues that may have new tasks; the caller clears it."""
        return self._open.offered

    @contextmanager
    def transaction(self, *, at_once: bool = False) -> Iterator[None]:
        """Run the block in a write transaction, which an exception rolls back.

        Args:
            at_once: Write the rows of each step at once, so that an error is raised in the step that causes
                it. By default they are written together before the commit, which is faster.
        """
        self._at_once = at_once
        is_committing = False
        try:
            # Within ``try``: an interrupt during the wait is raised when this has the lock.
            begin(self._db, self.patience, self._is_given_up)
            self.refresh()
            self._is_changing = True
            yield
            self._write()
            is_committing = True
            self._db.execute(Sql.COMMIT)
        except BaseException:
            leave(self._db)
            self._roll_back(is_unknown=is_committing)
            self._is_changing = False
            raise
        else:
            self._keep_all()
            self._is_changing = False
            # A commit to a file that was deleted or replaced is not acknowledged.
            self._database.check()
        finally:
            self._staged.clear()
            self._reworked.clear()
            self._undo.clear()

    def _roll_back(self, *, is_unknown: bool) -> None:
        """Put back the runs as they were; read them again if it is not known whether they were committed."""
        self._domains.clear()
        self._types.clear()
        self._undo_to(0)
        self._is_read = self._is_read and not is_unknown

    def _undo_to(self, position: int) -> None:
        while len(self._undo) > position:
            run_id, staged, open_run = self._undo.pop()
            self._open.restore(run_id, open_run)
            if staged is None:
                self._staged.pop(run_id, None)
            else:
                self._staged[run_id] = staged

    def mark(self) -> Mark:
        """Return the current position in the transaction, for ``undo``."""
        return len(self._undo), self._writes

    def undo(self, mark: Mark) -> bool:
        """Undo what was changed since a mark; return False if only a rollback of the transaction can."""
        position, writes = mark
        if self._writes != writes:
            return False
        self._undo_to(position)
        return True

    def _keep_all(self) -> None:
        """Cache what was committed; after an error, which does not undo the commit, clear the caches."""
        try:
            self._keep()
        except Exception:
            log.exception("cannot cache what was committed; it is read again")
            self._cache, self._is_read = Cache(), False

    def _keep(self) -> None:
        if self._staged or self._reworked:
            self._revision += 1
        for run_id, staged in self._staged.items():
            if staged.run.state.closed is None:
                self._grow(staged.entry, staged.run, staged.events, staged.size, self._revision)
            else:
                self._cache.drop(run_id)

    def refresh(self) -> bool:
        """Read what other connections have committed; return True if one has."""
        if self._is_changing:
            self._is_read = self._is_changing = False
        return super().refresh()

    def load(self, run_id: str) -> EngineRun | None:
        """Return an open run, or None."""
        staged = self._staged.get(run_id)
        if staged is None:
            return super().load(run_id)
        return staged.run if staged.run.state.closed is None else None

    def history(self, run_id: str, after: int = 0, most: int | None = None) -> tuple[Event, ...]:
        """Return at most ``most`` events of a run with an id above ``after``."""
        staged = self._staged.get(run_id)
        if staged is None:
            return super().history(run_id, after, most)
        old, new = staged.entry.events, staged.events
        end = sys.maxsize if most is None else after + most
        return (*old[after:end], *new[max(after - len(old), 0) : max(end - len(old), 0)])

    def last_event_id(self, run_id: str) -> int:
        """Return the id of the last event of a run, open or closed; 0 for an unknown run."""
        staged = self._staged.get(run_id)
        return super().last_event_id(run_id) if staged is None else staged.run.state.last_event_id

    def next_task(self, task_queue: TaskQueue) -> Ready | None:
        """Return the next task of a task queue: highest priority first, then oldest."""
        return self._open.next_task(task_queue)

    def count_tasks(self, task_queue: TaskQueue) -> int:
        """Return the number of tasks of a task queue that wait to be claimed."""
        return self.open_runs().count_tasks(task_queue)

    def reclaim(self, ready: Ready, kind: TaskKind) -> None:
        """Make this process the owner of a redelivered task."""
        self._own(ready.run_id, ready.event_id, self._leases[kind], ready.redeliveries)

    def _own(self, run_id: str, event_id: int, lease: str | None, redeliveries: int) -> None:
        self._note(run_id)
        self._open.own(run_id, event_id, lease, redeliveries)

    def _note(self, run_id: str) -> None:
        """Note a run whose tasks or deadlines change without a step: to undo it, and to write it."""
        self._undo.append((run_id, self._staged.get(run_id), self._open.get(run_id)))
        self._reworked[run_id] = None

    def is_due(self, now: datetime) -> bool:
        """Return True if a deadline is due."""
        if not self.may_be_due(now):
            return False
        due = self._open.next_deadline()
        return now >= self._expires_at or (due is not None and due.at <= now)

    def may_be_due(self, now: datetime) -> bool:
        """Return True if a deadline is due, or was; called in any thread."""
        due_at = self._open.first_due()
        return (due_at is not None and due_at <= now) or now >= self._expires_at

    def due_in(self, now: datetime) -> float:
        """Return the seconds until the first known deadline of an open run; may be called in any thread."""
        due_at = self._open.first_due()
        return inf if due_at is None else (due_at - now).total_seconds()

    def next_deadline(self) -> Deadline | None:
        """Return the earliest deadline of all runs, or None; of equal times, one of an open run."""
        due = self._open.next_deadline()
        if due is not None and due.at <= self._expires_at:
            return due
        row = self._one(
            "SELECT expires_at, run_id FROM runs WHERE expires_at IS NOT NULL"
            " ORDER BY expires_at, number LIMIT 1"
        )
        self._expires_at = NEVER if row is None else from_ms(row[0])
        if row is None or (due is not None and due.at <= self._expires_at):
            return due
        return Deadline(self._expires_at, row[1], 0)

    def follow_clock_back(self, now: datetime) -> None:
        """Bring deadlines forward that were set while the clock was ahead, as if they were set now."""
        sql = (
            "SELECT run_id FROM runs WHERE closed_at IS NULL"
            " AND (SELECT at FROM events WHERE run = number ORDER BY id DESC LIMIT 1) > ?"
        )
        for (run_id,) in self._db.execute(sql, (to_ms(now),)).fetchall():
            run, known = self.load(run_id), self._open.get(run_id)
            if run is not None and known is not None:
                dues = {entry.event_id: entry.due for entry in all_entries(run, (), now) if entry.due}
                earlier = {id: due for id, due in dues.items() if due.at < known.dues.get(id, due).at}
                self._note(run_id)
                self._open.set_dues(run_id, earlier)

    def postpone(self, deadline: Deadline, until: datetime) -> None:
        """Postpone a deadline that cannot fire, so that it does not block the others."""
        run = self._open.get(deadline.run_id)
        if run is None:
            sql = "UPDATE runs SET expires_at = ? WHERE run_id = ? AND expires_at IS NOT NULL"
            self._written().execute(sql, (to_ms(until), deadline.run_id))
            self._writes += 1
        elif deadline.event_id in run.dues:
            due = evolve(run.dues[deadline.event_id], at=until)
            self._note(deadline.run_id)
            self._open.set_dues(deadline.run_id, {deadline.event_id: due})

    def owners(self) -> frozenset[str]:
        """Return the leases of other processes that own tasks, or have owned some."""
        return frozenset(self._others)

    def redeliver(self, redeliveries: Mapping[tuple[str, int], int]) -> None:
        """Redeliver tasks with the same tokens, and set their redeliveries; see ``OpenRuns.owned``."""
        for (run_id, event_id), count in redeliveries.items():
            self._own(run_id, event_id, None, count)

    def drop_owner(self, lease: str) -> None:
        """Remove a lease from ``owners``: its process has ended, and its tasks are redelivered."""
        self._others.discard(lease)

    def give_back(self, token: Token) -> None:
        """Redeliver a started task with the same token, uncounted; do nothing if it has ended."""
        run = self._open.get(token.run_id)
        task = None if run is None else run.tasks.get(token.scheduled_event_id)
        if task is not None and task.started == token.started_event_id and task.lease is not None:
            self._own(token.run_id, token.scheduled_event_id, None, task.redeliveries)

    def set_aside(self, run_id: str) -> bool:
        """Hide the tasks of a run from polls until the file is opened again; return False if they are."""
        if run_id in self._open.hidden or self._open.get(run_id) is None:
            return False
        self._open.hidden.add(run_id)
        return True

    def save(self, changes: Changes) -> None:
        """Stage the changes of a step for the commit."""
        run_id = changes.run.execution.run_id
        staged, open_run = self._staged.get(run_id), self._open.get(run_id)
        self._undo.append((run_id, staged, open_run))
        self._staged[run_id] = after = self._stage(changes, staged, open_run)
        if changes.is_closed:
            self._open.drop(run_id)
        else:
            before = open_run or OpenRun.started(after.entry.number, changes.run)
            self._open.apply(changes, before, self._revision + 1)
        if self._at_once:
            self._written()

    def _stage(self, changes: Changes, staged: StagedRun | None, open_run: OpenRun | None) -> StagedRun:
        """Return a run after a step; ``staged`` is None if the transaction has not changed it so far."""
        run, events = changes.run, changes.events
        if staged is not None:
            events = (*staged.events, *events)
            return StagedRun(
                staged.entry, run, events, staged.written, staged.size, staged.beats, staged.is_new
            )
        if open_run is not None:
            entry = self._current(open_run)
            return StagedRun(entry, run, events, beats=entry.run.heartbeats)
        self._last_number += 1
        entry = CachedRun(self._last_number, 0, run, [])
        return StagedRun(entry, run, events, beats=run.heartbeats, is_new=True)

    def expire(self, run_id: str, at: datetime) -> None:
        """Set the time at which a closed run is deleted."""
        self._expires_at = min(self._expires_at, at)
        self._staged[run_id] = evolve(self._staged[run_id], expires_at=at, is_changed=True)

    def forget(self, run_id: str) -> None:
        """Delete a closed run and its history."""
        row = self._one("SELECT number FROM runs WHERE run_id = ? AND closed_at IS NOT NULL", run_id)
        if row is not None:
            rows.forget_run(self._db, row[0])
            self._writes += 1

    def _written(self) -> sqlite3.Connection:
        """Return the connection, after writing all changes of the current transaction so far."""
        if self._undo:
            self._write()
        return self._db

    def _write(self) -> None:
        revision = self._revision + 1
        changed = {run_id: staged for run_id, staged in self._staged.items() if staged.is_changed}
        if changed:
            self._writes += 1
            pairs = [(staged, self._open.get(run_id)) for run_id, staged in changed.items()]
            written = rows.write_runs(self._db, pairs, revision)
            self._staged.update(zip(changed, written, strict=True))
        reworked = [
            run for run_id in self._reworked if run_id not in changed and (run := self._open.get(run_id))
        ]
        if reworked:
            self._writes += 1
            rows.write_work(self._db, reworked, revision)
