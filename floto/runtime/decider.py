"""The loop that asks what is next for a run, decides, and answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from subprocess import Popen
from typing import Literal, overload

from floto.core import events as e
from floto.core.codec import Codec
from floto.core.decide import decisions, spec_of
from floto.core.decisions import (
    CLOSE_DECISIONS,
    ContinueAsNewWorkflowExecution,
    Decision,
    FailWorkflowExecution,
)
from floto.core.errors import HistoryError, ServiceUnavailable, SpecError, UnknownResource
from floto.core.events import Event
from floto.core.fold import fold
from floto.core.limits import EVENT_LIMIT
from floto.core.payload import LIMIT
from floto.core.ports import DecisionTask, Service
from floto.core.progress import Progress, begin
from floto.core.reference import Store
from floto.core.shapes import WorkflowExecution, WorkflowType
from floto.core.specs import CODEC, DeciderSpec
from floto.core.state import State
from floto.core.wire import WireError
from floto.runtime.connect import (
    DEFAULT_TASK_LIST,
    absolute_service,
    absolute_store,
    closing,
    default_identity,
    payload_store,
    service_for,
)
from floto.runtime.memory import Memory
from floto.runtime.outcomes import cut
from floto.runtime.resilient import conclude, outlast, persist, poll
from floto.runtime.separate import Order, start
from floto.runtime.stopping import StopFlag, stop_on_signals
from floto.runtime.storing import keep
from floto.runtime.worker import POLL_SECONDS

log = logging.getLogger("floto")

#: Runs whose progress a decider remembers between decisions; others are folded anew.
_REMEMBERED = 256
#: Events at which a run gets close to SWF's limit.
_LONG = EVENT_LIMIT * 4 // 5
#: After a history that cannot be read.
_PAUSE_SECONDS = 1.0
#: SWF's histories lag behind what was answered, by seconds at most; they are read now and again.
_LAG_SECONDS, _ASK_SECONDS = 10.0, 1.0
#: Seconds for which a store is tried again before a decision task is left to time out and come again.
_STORE_SECONDS = 10.0

#: Told after each decision task: what was decided, and what went wrong, if anything.
Listener = Callable[[Sequence[Decision], Exception | None], None]
#: Decides for runs of a type of its own, for which there is no spec.
Rule = Callable[[State], Sequence[Decision]]
_NO_TASKS = DeciderSpec()


class Decider:
    """Decides for the runs of one task list.

    A run that carries a spec in its input is decided by that, else by the spec of its
    workflow type in ``specs``, else by ``spec`` (a ``DeciderSpec`` or its JSON). For runs of
    a type in ``rules`` there is no spec: that function of their state decides.
    ``service`` is a ``Service`` or a URL for ``floto.connect`` (default: ``FLOTO_SERVICE``, else Amazon SWF).
    ``payloads`` is a store for inputs and results that are too long for SWF, or its name: a directory or
    ``s3://bucket/prefix``. Raises ``SpecError`` and ``UnknownStore``.
    """

    def __init__(  # noqa: PLR0913 - all but the spec are optional and named
        self,
        spec: DeciderSpec | str | None = None,
        *,
        decider_spec: DeciderSpec | str | None = None,
        specs: Mapping[WorkflowType, DeciderSpec] | None = None,
        rules: Mapping[WorkflowType, Rule] | None = None,
        service: Service | str | None = None,
        domain: str | None = None,
        task_list: str | None = None,
        identity: str | None = None,
        codec: Codec = CODEC,
        payloads: Store | str | None = None,
        listener: Listener | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        given = codec.store if payloads is None else payloads
        self._payloads = payload_store(given) if isinstance(given, str) else given
        self._codec = codec.with_payloads(self._payloads)
        self._spec = read_spec(decider_spec if spec is None else spec, codec)
        self._specs, self._rules = dict(specs or {}), dict(rules or {})
        own = self._spec
        self._given = service
        self._service = service_for(service, domain or (own and own.domain) or None)
        self._task_list = task_list or (own and own.task_list) or DEFAULT_TASK_LIST
        self._identity = identity or default_identity()
        self._listener = listener
        self._poll_seconds = poll_seconds
        self._stop = StopFlag()
        self._memory = Memory(_REMEMBERED, self._read, self._begin)
        self._order = Order(
            spec=own,
            specs=self._specs,
            service=absolute_service(service),
            domain=domain,
            task_list=task_list,
            identity=identity,
            codec=codec,
            payloads=absolute_store(given) if isinstance(given, str) else given,
            listener=listener,
            poll_seconds=poll_seconds,
        )

    @overload
    def run(self, *, separate_process: Literal[False] = False) -> None: ...

    @overload
    def run(self, *, separate_process: Literal[True]) -> Popen[bytes]: ...

    def run(self, *, separate_process: bool = False) -> Popen[bytes] | None:
        """Decide until stopped, by ``stop()`` or (in the main thread) SIGINT or SIGTERM.

        With ``separate_process``, another process does, which is returned at once: it stops when told to
        (``terminate()``) and when this process has ended. Raises ``CannotSeparate`` where the decider has
        what another process cannot have.

        A service that was given as a URL is closed then; one closed before is a ``ServiceError``.
        """
        if separate_process:
            process = start(self._order)
            with closing(self._service, self._given):
                return process
        self._run()
        return None

    def _run(self) -> None:
        log.info("deciding for task list %r as %s", self._task_list, self._identity)
        with closing(self._service, self._given), stop_on_signals(self.stop):
            while not self._stop.is_set():
                task = self._next_task()
                if task is not None:
                    self._handle(task)

    def _next_task(self) -> DecisionTask | None:
        try:
            return poll(
                self._stop,
                self._service.poll_for_decision_task,
                self._task_list,
                self._identity,
                self._poll_seconds,
            )
        except (HistoryError, WireError):
            # One run that nobody can read must not end the others: its task times out.
            log.exception("task list %s: a decision task that cannot be read is left", self._task_list)
            self._stop.wait(_PAUSE_SECONDS)
            return None

    def stop(self) -> None:
        """Answer the decision in hand, then return from ``run()``."""
        self._stop.set()

    def _handle(self, task: DecisionTask) -> None:
        found: Sequence[Decision] = ()
        error: Exception | None = None
        try:
            found = outlast(self._stop, _STORE_SECONDS, self._decided, task)
            self._answer(task, found)
        except Exception as raised:
            # Unanswered, the task times out and comes again: a bug here must not fail the run.
            log.exception("run %s: no decision; the decision task will come again", task.execution)
            error = raised
        if self._listener is not None:
            self._listener(found, error)

    def _decided(self, task: DecisionTask) -> Sequence[Decision]:
        """Decide, and store what the decisions refer to."""
        found = self.decide(task)
        return found if self._payloads is None else keep(found, self._payloads)

    def decide(self, task: DecisionTask) -> Sequence[Decision]:
        """What is next for a run; one that has no readable spec fails, and says why."""
        self._warn_if_long(task)
        rule = self._rules.get(task.workflow_type)
        try:
            progress = self._memory.follow(task)
            found = decisions(progress) if rule is None else rule(progress.state)
        except SpecError as error:
            # No traceback: what is wrong is in the spec.
            log.error("run %s fails: %s", task.execution, error)  # noqa: TRY400
            found = [FailWorkflowExecution(reason="SpecError", details=cut(str(error), LIMIT))]
        if closes(found):
            self._memory.forget(task.execution)
        return found

    def _begin(self, state: State) -> Progress:
        spec = _NO_TASKS if state.start.workflow_type in self._rules else self._spec_for(state.start)
        return begin(spec, state, self._codec)

    def _read(self, execution: WorkflowExecution, after: int, until: int) -> Sequence[Event]:
        """Events that are known to be there, as soon as the service shows them all."""
        end = time.monotonic() + _LAG_SECONDS
        while True:
            found = conclude(self._stop, self._service.history, execution, after)[: until - after]
            if len(found) == until - after:
                return found
            if time.monotonic() >= end:
                problem = f"the history shows events up to {after + len(found)}, of {until} there must be"
                raise ServiceUnavailable(problem)
            # Also when stopped: the task is in hand.
            time.sleep(_ASK_SECONDS)

    def _warn_if_long(self, task: DecisionTask) -> None:
        # Asked at each decision, told when the line is crossed.
        if task.previous_started_event_id < _LONG <= task.started_event_id:
            log.warning(
                "run %s: more than %d events; SWF ends a run at %d", task.execution, _LONG, EVENT_LIMIT
            )

    def _spec_for(self, start: e.WorkflowExecutionStarted) -> DeciderSpec:
        kind = start.workflow_type
        spec = spec_of(start.input, self._codec) or self._specs.get(kind) or self._spec
        if spec is None:
            name = f"{kind.name!r} version {kind.version!r}"
            raise SpecError((f"this decider has no spec for workflow type {name}, and the run carries none",))
        return spec

    def _answer(self, task: DecisionTask, found: Sequence[Decision]) -> None:
        try:
            conclude(self._stop, self._service.respond_decision_task_completed, task.token, found)
        except UnknownResource as fault:
            # Or it was taken, and only the service's word on that was lost.
            log.info("run %s: the decision came too late (%s)", task.execution, fault)
        if closes(found) and not self._stop.is_set() and self._was_last(task, found[-1]):
            self.stop()

    def _was_last(self, task: DecisionTask, decision: Decision) -> bool:
        own = self._spec
        if own is None or not own.terminate_decider_after_completion:
            return False
        if isinstance(decision, ContinueAsNewWorkflowExecution):
            return False
        return self._was_closed(task)

    def _was_closed(self, task: DecisionTask) -> bool:
        """Whether the answer closed a run of the decider's own spec: SWF may refuse that."""
        end = time.monotonic() + _LAG_SECONDS
        while time.monotonic() < end and not self._stop.is_set():
            state = fold(persist(self._stop, self._service.history, task.execution))
            if state.started is not None and not self._is_own(state.start):
                return False
            if state.closed is not None or _is_over(task, state):
                return state.closed is not None
            self._stop.wait(_ASK_SECONDS)
        return False

    def _is_own(self, start: e.WorkflowExecutionStarted) -> bool:
        try:
            return self._spec_for(start) is self._spec
        except SpecError:
            return False


def _is_over(task: DecisionTask, state: State) -> bool:
    """Whether a decision task was answered, or timed out, by the time of a state."""
    started = state.decision_tasks.started
    return state.last_event_id > task.started_event_id and (
        started is None or started.id != task.started_event_id
    )


def closes(found: Sequence[Decision]) -> bool:
    """Whether these decisions close their run."""
    return bool(found) and isinstance(found[-1], CLOSE_DECISIONS)


def read_spec(spec: DeciderSpec | str | None, codec: Codec = CODEC) -> DeciderSpec | None:
    """A spec given as itself or as its JSON. Raises ``SpecError``."""
    if not isinstance(spec, str):
        return spec
    read = codec.loads(spec)
    if not isinstance(read, DeciderSpec):
        raise SpecError((f"$: must be a floto.specs.DeciderSpec, not a {type(read).__name__}",))
    return read
