"""A service that fails by script, with time that stands still while a task is claimed."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from enum import Enum
from functools import partial
from typing import Any

from attrs import evolve
from hypothesis import strategies as st

from floto.adapters.sqlite import SqliteService
from floto.core.errors import ServiceFault, ServiceUnavailable, Throttled, UnknownResource
from floto.core.swf.service import PolledActivityTask, PolledDecisionTask
from floto.core.swf.shapes import WorkflowExecution
from tests.integration.contract.clock import Clock


class Fault(Enum):
    """The fault of one call."""

    NONE = "nothing"
    #: The call times out, and was not executed.
    BEFORE = "before"
    #: The call times out, and was executed; the task of a poll has no owner.
    AFTER = "after"
    THROTTLED = "throttled"
    #: SWF's response to too many polls: a refusal, not throttling.
    REFUSED = "refused"
    #: The call is executed twice, with the second response; a task is dispatched twice.
    TWICE = "twice"
    #: The pages of a decision task are unavailable.
    UNREAD = "unread"


ANY_CALL = (Fault.NONE, Fault.BEFORE, Fault.AFTER, Fault.THROTTLED, Fault.TWICE)
ANY_POLL = (*ANY_CALL, Fault.REFUSED)
FAULTS: Mapping[str, Sequence[Fault]] = {
    "prepare": ANY_CALL,
    "start_workflow_execution": ANY_CALL,
    "latest_execution": ANY_CALL,
    "history": ANY_CALL,
    "poll_for_decision_task": (*ANY_POLL, Fault.UNREAD),
    "respond_decision_task_completed": ANY_CALL,
    "poll_for_activity_task": ANY_POLL,
    "record_activity_task_heartbeat": ANY_CALL,
    "respond_activity_task_completed": ANY_CALL,
    "respond_activity_task_failed": ANY_CALL,
}
#: Which fault the first calls of each operation meet.
Script = Mapping[str, Sequence[Fault]]

scripts: st.SearchStrategy[Script] = st.fixed_dictionaries(
    {name: st.lists(st.sampled_from(faults), max_size=8) for name, faults in FAULTS.items()}
)

_IDLE_SECONDS = 5
_RAISED: Mapping[Fault, Exception] = {
    Fault.BEFORE: ServiceUnavailable("timed out, and was never carried out"),
    Fault.THROTTLED: Throttled("ThrottlingException: slow down"),
    Fault.REFUSED: ServiceFault("LimitExceededFault", "too many pollers"),
}
_AFTER = "timed out, but was carried out"

Task = PolledDecisionTask | PolledActivityTask


class Faulty:
    """The ``Service`` of an engine whose calls meet the faults of a script; one call at a time.

    Claimed tasks must be completed before their timeouts, so time only advances while no task is
    claimed: a task whose owner is lost times out, as it would on SWF.
    """

    def __init__(self, engine: SqliteService, clock: Clock, script: Script) -> None:
        self._engine, self._clock = engine, clock
        self._script = {name: iter(faults) for name, faults in script.items()}
        self._lock = threading.Lock()
        self._in_hand: Counter[str] = Counter()
        self._again: defaultdict[tuple[str, str], list[Task]] = defaultdict(list)
        self.runs: set[WorkflowExecution] = set()

    def __getattr__(self, name: str) -> Any:
        make = self._poll if name.startswith("poll_for") else self._call
        return partial(self._locked, make, name)

    def _locked(self, make: Callable[..., Any], name: str, *args: Any) -> Any:
        with self._lock:
            fault = next(self._script.get(name, iter(())), Fault.NONE)
            if fault in _RAISED:
                raise copy(_RAISED[fault])
            return make(fault, name, *args)

    def _call(self, fault: Fault, name: str, *args: Any) -> Any:
        call = partial(getattr(self._engine, name), *args)
        try:
            answer = call()
            if fault is Fault.TWICE:
                answer = call()
        except ServiceFault as error:
            if fault is Fault.AFTER:
                raise ServiceUnavailable(_AFTER) from error
            if isinstance(error, UnknownResource):
                self._in_hand.pop(str(args[0]), None)
            raise
        if fault is Fault.AFTER:
            raise ServiceUnavailable(_AFTER)
        if name.startswith("respond"):
            self._in_hand -= Counter([args[0]])
        return answer

    def _poll(self, fault: Fault, name: str, task_list: str, identity: str, _wait: float) -> Task | None:
        again = self._again[name, task_list]
        task = again.pop() if again else getattr(self._engine, name)(task_list, identity, 0)
        if task is None:
            if not self._in_hand:
                self._clock.advance(_IDLE_SECONDS)
            return None
        if fault is Fault.AFTER:
            raise ServiceUnavailable(_AFTER)
        if fault is Fault.TWICE:
            again.append(task)
        self._in_hand[task.token] += 1
        self.runs.add(task.execution)
        return _shown(task, fault)


def _shown(task: Task, fault: Fault) -> Task:
    """Return a task as SWF shows it: with only as much of the history as the decider requested."""
    if isinstance(task, PolledActivityTask):
        return task
    first = len(task.events) if fault is Fault.UNREAD else max(task.previous_started_event_id - 1, 0)
    return evolve(task, events=task.events[first:])
