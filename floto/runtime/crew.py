"""Who works on one ``floto.run``: the deciders and workers of every task list its spec names."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import TypeVar

from attrs import evolve, frozen

from floto.core.identifiers import FORBIDDEN_IN_LISTS
from floto.core.kinds import ActivityTask
from floto.core.shapes import ActivityType, WorkflowExecution, WorkflowType
from floto.core.specs import ChildWorkflow, DeciderSpec
from floto.runtime.decider import Decider
from floto.runtime.worker import ActivityWorker

T = TypeVar("T")

log = logging.getLogger("floto")

#: Who has what they came for waits so long for activities that still run, and says so after a moment.
_LEAVE_SECONDS, _QUIET_SECONDS = 10.0, 1.0
_LONGEST_NAME, _HASH_DIGITS = 256, 8


@frozen
class Needs:
    """The types a spec and the specs of its children name, and the task lists they are handed out on."""

    workflow_types: tuple[WorkflowType, ...]
    activity_types: tuple[ActivityType, ...]
    decider_lists: tuple[str, ...]
    activity_lists: tuple[str, ...]


def with_lists(spec: DeciderSpec, workflow_id: str) -> DeciderSpec:
    """The spec with task lists of its own where it names none; children take them over.

    Were it one list for all, this process would decide and work for runs of other specs
    that were left open in the same file.
    """
    own = _list_name(f"floto-{workflow_id}")
    return evolve(
        spec,
        task_list=spec.task_list or own,
        default_activity_task_list=spec.default_activity_task_list or own,
    )


def _list_name(text: str) -> str:
    """The text itself where it can name a task list, else a name that no other text gets."""
    legal = FORBIDDEN_IN_LISTS.sub("-", text)
    if legal == text and len(text) <= _LONGEST_NAME:
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return f"{legal[: _LONGEST_NAME - _HASH_DIGITS - 1]}-{digest}"


def needs(spec: DeciderSpec) -> Needs:
    """What must be there before a spec ``with_lists`` can run."""
    nested = tuple(_nested(spec))
    tasks = [task for inner in nested for task in inner.all_tasks]
    activities = [task for task in tasks if isinstance(task, ActivityTask)]
    children = [task for task in tasks if isinstance(task, ChildWorkflow)]
    return Needs(
        _distinct(WorkflowType(task.workflow_type_name, task.workflow_type_version) for task in children),
        _distinct(ActivityType(task.name, task.version) for task in activities),
        _distinct(inner.task_list for inner in nested if inner.task_list),
        _distinct(
            [task.task_list for task in activities if task.task_list]
            + [inner.default_activity_task_list for inner in nested if inner.default_activity_task_list]
        ),
    )


def _nested(spec: DeciderSpec) -> Iterator[DeciderSpec]:
    yield spec
    for task in spec.all_tasks:
        if isinstance(task, ChildWorkflow) and task.spec is not None:
            yield from _nested(
                evolve(
                    task.spec,
                    task_list=task.task_list or task.spec.task_list or spec.task_list,
                    default_activity_task_list=task.spec.default_activity_task_list
                    or spec.default_activity_task_list,
                )
            )


def _distinct(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


class Crew:
    """Deciders and workers, each in a thread of its own."""

    def __init__(self, worker: Callable[[str], ActivityWorker], decider: Callable[[str], Decider]) -> None:
        self._worker, self._decider = worker, decider
        self._members: list[Decider | ActivityWorker] = []
        self._threads: list[threading.Thread] = []
        self._served: set[str] = set()
        self._decided: set[str] = set()
        self._errors: SimpleQueue[Exception] = SimpleQueue()
        self._started = False

    def add(self, member: Decider | ActivityWorker) -> None:
        """Take somebody in, and put them to work if the others are at it."""
        # A daemon: a second Ctrl-C does not wait for what it runs.
        thread = threading.Thread(target=self._run, args=(member,), daemon=True)
        self._members.append(member)
        self._threads.append(thread)
        if self._started:
            thread.start()

    def serve(self, task_list: str) -> None:
        """Make sure that somebody works on the activities of a task list."""
        if task_list not in self._served:
            self._served.add(task_list)
            self.add(self._worker(task_list))

    def decide(self, task_list: str) -> None:
        """Make sure that somebody decides for the runs of a task list."""
        if task_list not in self._decided:
            self._decided.add(task_list)
            self.add(self._decider(task_list))

    def start(self) -> None:
        """Put everybody to work."""
        self._started = True
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Let everybody finish what they do, and wait for it."""
        for member in self._members:
            member.stop()
        log.warning("interrupted: finishing what runs; interrupt again to stop at once")
        for thread in self._threads if self._started else ():
            thread.join()

    def leave(self, closed: WorkflowExecution | None = None) -> None:
        """Stop everybody, ask the activities of a closed run to stop too, and wait only so long for them."""
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
        """Note an error for the next ``check``."""
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
