"""One run as the service sees it, and what a step of it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from attrs import evolve, frozen
from rpds import HashTrieMap

from floto.core.engine.commands import Command
from floto.core.engine.registration.registered_types import RegisteredType
from floto.core.state.state import Key, State
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType


@frozen
class Heartbeat:
    """The latest sign of life of an activity, and the latest details that came with one."""

    at: datetime
    details: str | None = None


_NO_HEARTBEATS: HashTrieMap[int, Heartbeat] = HashTrieMap()


@frozen
class EngineRun:
    """The state of one run, and the little that its history does not hold."""

    domain: str
    execution: WorkflowExecution
    state: State
    #: By the id of the ActivityTaskScheduled event.
    heartbeats: HashTrieMap[int, Heartbeat] = _NO_HEARTBEATS
    #: What the decider last attached to an answer.
    execution_context: str | None = None

    @classmethod
    def fresh(cls, domain: str, execution: WorkflowExecution) -> EngineRun:
        """A run of which nothing is written yet."""
        return cls(domain, execution, evolve(State(), execution=execution))


@frozen
class ToRun:
    """The one run with this id, while it is open."""

    run_id: str


@frozen
class ToWorkflow:
    """The open run of a workflow id; with ``run_id``, only if it is that one."""

    workflow_id: str
    run_id: str | None = None


@frozen
class ToNew:
    """A run to be opened, if no run of its workflow id is open."""

    execution: WorkflowExecution


@frozen
class ToChildren:
    """Every open run whose parent is this run."""

    run_id: str


Address = ToRun | ToWorkflow | ToNew | ToChildren


@frozen
class Message:
    """A command for another run; ``otherwise`` goes out if there is nobody at the address."""

    to: Address
    command: Command
    otherwise: Message | None = None


@frozen
class Rules:
    """What a step looks up beside its run: registered types, and refusals that are asked for."""

    registered: Callable[[ActivityType | WorkflowType], RegisteredType | None]
    #: Whether the domain has as many open runs as SWF allows.
    is_full: Callable[[], bool]
    #: Whether there is somebody who invokes Lambda functions.
    invokes_lambda: bool
    #: A cause makes SWF's ...Failed event out of a decision: how tests meet rates and limits.
    refuse: Callable[[Decision], str | None]


@frozen
class StepOutcome:
    """What one command did: the run as it is now, what was written, sent and answered."""

    run: EngineRun
    events: tuple[Event, ...]
    messages: tuple[Message, ...]
    reply: Any
    #: The items that moved, heartbeats included.
    touched: frozenset[Key]
