"""The last run of a child, from which the child goes on in a redriven run."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve, field, frozen

from floto.core.decide.decide import spec_of
from floto.core.decide.progress import Progress
from floto.core.payloads import payload
from floto.core.payloads.stored import StoredText
from floto.core.replay.decision_digest import digest_of
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.state.carried_signals import own_input_of
from floto.core.state.fold import state_of
from floto.core.state.redriven import Checkpoint, with_redriven
from floto.core.state.state import Item, State
from floto.core.swf.decisions import StartChildWorkflowExecution
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.reserved_names import SPEC_KEY
from floto.core.swf.shapes import WorkflowExecution


@frozen
class ChildRuns:
    """The histories of children by run id, and the runs whose histories were wanted and are not there."""

    known: Mapping[str, History]
    unread: dict[str, WorkflowExecution] = field(factory=dict)

    def of(self, execution: WorkflowExecution) -> History | None:
        """Return the history of a run; None, and note the run, if it is not there."""
        found = self.known.get(execution.run_id)
        if found is None:
            self.unread[execution.run_id] = execution
        return found


@frozen
class StartingChild:
    """A child that a redriven run is to start, and carries its spec."""

    decision: StartChildWorkflowExecution
    spec: DeciderSpec
    progress: Progress

    @property
    def digest(self) -> str:
        """The digest of the child's type and context without its spec. Raises as ``digest_of`` does."""
        return digest_of(self.decision, self.progress.codec, omits=(SPEC_KEY,))

    def before(self, item: Item | None, kept: Checkpoint | None, runs: ChildRuns) -> State | str:
        """Return the state from which the child goes on, or why it does not; empty if it never started.

        Args:
            item: The item of the child's task in the old run.
            kept: What the old run kept for the child; None if that is nothing.
            runs: The histories of children.

        Raises:
            HistoryError: if the history of the child cannot have happened.
            PayloadError: if its input cannot be read.
            PayloadsNeeded: if values are stored and the codec has no store.
        """
        execution = last_run(item, self.progress.state)
        history = None if execution is None else runs.of(execution)
        if history is not None:
            state = evolve(state_of(history), execution=execution)
            if state.closed is None:
                return "its run is still open"
            digest = self._digest_of(state)
        elif kept is not None:
            state, digest = self._begun(kept), kept.digest
        else:
            return "" if execution is None else "its history is not at hand"
        return state if digest == self.digest else "its input or context changed"

    def _digest_of(self, state: State) -> str:
        start = state.start
        own = own_input_of(start)
        text = payload.plain_text(own, "the input of a child")
        began = evolve(self.decision, workflow_type=start.workflow_type, input=text)
        return digest_of(began, self.progress.codec, omits=(SPEC_KEY,))

    def _begun(self, kept: Checkpoint) -> State:
        """Return the state of a run of the child that has only begun, with what is kept for it."""
        context, record = payload.loads(_plain(self.decision.input)), payload.loads(kept.text)
        text = payload.plain_text(with_redriven(context, record), "the input of a child")
        state, decision = self.progress.state, self.decision
        data = evolve(
            state.start, workflow_type=decision.workflow_type, input=text, continued_execution_run_id=None
        )
        execution = WorkflowExecution(decision.workflow_id, record["run"])
        return state_of(History([Event(1, state.begun_at, data)], execution))


def starting_child(decision: object, progress: Progress) -> StartingChild | None:
    """Return the child that a decision starts; None if it starts none, or one that carries no spec.

    Raises ``SpecError`` if the spec cannot be read.
    """
    if not isinstance(decision, StartChildWorkflowExecution):
        return None
    spec = spec_of(_plain(decision.input), progress.codec)
    return None if spec is None else StartingChild(decision, spec, progress)


def _plain(text: str | None) -> str | None:
    """Return the input of a decision, the stored one where it is a reference to what is not stored yet."""
    return text.parts[0] if isinstance(text, StoredText) else text


def last_run(item: Item | None, state: State) -> WorkflowExecution | None:
    """Return the last run of a child; None if none has started."""
    if item is None:
        return None
    running = None if item.opened is None else state.children.get(item.opened.id)
    ended = (item.closed, *reversed(item.failures))
    found = (getattr(event.data, "workflow_execution", None) for event in (running, *ended) if event)
    return next((each for each in found if each is not None), None)
