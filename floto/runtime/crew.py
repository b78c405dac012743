"""The decider and the worker of one ``floto.run``, and what a spec needs before it can run."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

from attrs import frozen

from floto.core.kinds import ActivityTask
from floto.core.shapes import ActivityType, WorkflowExecution, WorkflowType
from floto.core.specs import ChildWorkflow, DeciderSpec
from floto.core.task_lists import nested
from floto.runtime.decider import Decider
from floto.runtime.worker import ActivityWorker

T = TypeVar("T")

log = logging.getLogger("floto")

#: Seconds that ``floto.run`` waits for activities which still run when its result is there, and seconds
#: until it says that it waits.
_LEAVE_SECONDS, _QUIET_SECONDS = 10.0, 1.0


@frozen
class Needs:
    """The types that a spec and the specs of its children name, and the task lists they are decided on."""

    workflow_types: tuple[WorkflowType, ...]
    activity_types: tuple[ActivityType, ...]
    decider_lists: tuple[str, ...]


def needs(spec: DeciderSpec) -> Needs:
    """Return what must be registered and polled before a spec can run."""
    inner = tuple(nested(spec, spec.task_list))
    tasks = [task for each, _ in inner for task in each.all_tasks]
    children = [task for task in tasks if isinstance(task, ChildWorkflow)]
    return Needs(
        _distinct(WorkflowType(task.workflow_type_name, task.workflow_type_version) for task in children),
        _distinct(ActivityType(task.name, task.version) for task in tasks if isinstance(task, ActivityTask)),
        _distinct(task_list for _, task_list in inner if task_list),
    )


def _distinct(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


class Crew:
    """Deciders and workers, each in a thread of its own."""

    def __init__(self, members: Sequence[Decider | ActivityWorker]) -> None:
        self._members = members
        # Daemon threads: a second Ctrl-C does not wait for what they run.
        self._threads = [threading.Thread(target=self._run, args=(each,), daemon=True) for each in members]
        self._errors: SimpleQueue[Exception] = SimpleQueue()
        self._started = False

    def start(self) -> None:
        """Start every member."""
        self._started = True
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Stop every member and wait until each has finished what it does."""
        for member in self._members:
            member.stop()
        log.warning("interrupted: finishing what runs; interrupt again to stop at once")
        for thread in self._threads if self._started else ():
            thread.join()

    def leave(self, closed: WorkflowExecution | None = None) -> None:
        """Stop every member, ask the activities of a closed run to stop, and wait some seconds for them."""
        for member in self._members:
            member.stop()
            if closed is not None and isinstance(member, ActivityWorker):
                member.drop(closed)
        if self._joined(_QUIET_SECONDS):
            return
        if busy := self._busy():
            log.warning("waiting for %d %s", busy, "activity" if busy == 1 else "activities")
        if not self._joined(_LEAVE_SECONDS - _QUIET_SECONDS) and (busy := self._busy()):
            log.warning("not waiting any longer; what still runs (%d) may lose its result", busy)

    def _joined(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        threads = self._threads if self._started else []
        for thread in threads:
            thread.join(max(end - time.monotonic(), 0))
        return not any(thread.is_alive() for thread in threads)

    def _busy(self) -> int:
        return sum(len(member.running) for member in self._members if isinstance(member, ActivityWorker))

    def fail(self, error: Exception) -> None:
        """Keep an error for the next ``check``."""
        self._errors.put(error)

    def check(self) -> None:
        """Raise the first error that stopped a member or a decision."""
        try:
            raise self._errors.get_nowait()
        except Empty:
            return

    def _run(self, member: Decider | ActivityWorker) -> None:
        try:
            member.run()
        except Exception as error:  # noqa: BLE001 - it is raised again where the caller waits
            self.fail(error)
