"""One run as the engine keeps it, the messages between runs, and the outcome of a step."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from attrs import evolve, field, frozen
from rpds import HashTrieMap

from floto.core.engine.changed_keys import ChangedKeys
from floto.core.engine.commands import Command
from floto.core.engine.registration.registered_types import RegisteredType
from floto.core.quick_init import quick_init
from floto.core.state.state import Key, State
from floto.core.swf import limits
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType


@frozen
class Heartbeat:
    """Latest heartbeat of an activity, and the latest details of one."""

    at: datetime
    details: str | None = None


_NO_HEARTBEATS: HashTrieMap[int, Heartbeat] = HashTrieMap()


@quick_init
@frozen(weakref_slot=False)
class EngineRun:
    """State of one run, and the data that its history does not hold."""

    domain: str
    execution: WorkflowExecution
    state: State
    #: By the id of the ActivityTaskScheduled event.
    heartbeats: HashTrieMap[int, Heartbeat] = _NO_HEARTBEATS
    #: Latest ``executionContext`` of a response.
    execution_context: str | None = None
    #: Since the latest DecisionTaskStarted of this process, or an earlier event: what is new to a decider.
    changed: ChangedKeys = field(eq=False, default=ChangedKeys())

    @classmethod
    def fresh(cls, domain: str, execution: WorkflowExecution) -> EngineRun:
        """Return a run without events."""
        return cls(domain, execution, evolve(State(), execution=execution))


@frozen
class ToRun:
    """Address of the open run with this id."""

    run_id: str


@frozen
class ToWorkflow:
    """Address of the open run of a workflow id; with ``run_id``, only that one."""

    workflow_id: str
    run_id: str | None = None


@frozen
class ToNew:
    """Address of a run to open, if no run of its workflow id is open."""

    execution: WorkflowExecution


@frozen
class ToChildren:
    """Address of every open run whose parent is this run."""

    run_id: str


Address = ToRun | ToWorkflow | ToNew | ToChildren


@frozen
class Message:
    """A command for another run; ``otherwise`` is sent instead if no run has the address."""

    to: Address
    command: Command
    otherwise: Message | None = None


@frozen
class EngineRules:
    """Read-only context of all steps: registered types, account limits, injected refusals."""

    #: Returns the registered type of a domain.
    registered: Callable[[str, ActivityType | WorkflowType], RegisteredType | None]
    #: Returns the number of open runs of a domain.
    count_open: Callable[[str], int]
    #: Whether the process invokes Lambda functions.
    invokes_lambda: bool
    #: Returns the cause with which to refuse a decision, or None.
    refuse: Callable[[Decision], str | None]

    def is_full(self, domain: str) -> bool:
        """Return True if a domain is at SWF's limit of open runs."""
        return self.count_open(domain) >= limits.OPEN_RUN_LIMIT


@quick_init
@frozen(weakref_slot=False)
class StepOutcome:
    """Outcome of one command: the run after it, its new events, its messages and its reply."""

    run: EngineRun
    events: tuple[Event, ...]
    messages: tuple[Message, ...]
    reply: Any
    #: Keys of the items that changed, heartbeats included.
    changed_keys: tuple[Key, ...]
