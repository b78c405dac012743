"""The loop that asks what is next for a run, decides, and answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from subprocess import Popen
from typing import Literal, overload

from attrs import evolve

from floto import logs
from floto.core.decide.decide import decisions
from floto.core.decide.progress import Progress, begin
from floto.core.errors import (
    HistoryError,
    ServiceFault,
    ServiceGone,
    ServiceUnavailable,
    SpecError,
    UnknownResource,
)
from floto.core.payloads.payload import LIMIT
from floto.core.payloads.reference import Store
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.state.carried_signals import CHANGED_SIGNAL
from floto.core.state.fold import fold
from floto.core.state.state import State
from floto.core.swf.decisions import (
    CLOSE_DECISIONS,
    ContinueAsNewWorkflowExecution,
    Decision,
    FailWorkflowExecution,
)
from floto.core.swf.defaults import DEFAULT_TASK_LIST
from floto.core.swf.events import Event
from floto.core.swf.limits import EVENT_LIMIT, LATE_EVENTS
from floto.core.swf.pollers import PollKind
from floto.core.swf.service import PolledDecisionTask, Service
from floto.core.swf.shapes import WorkflowExecution, WorkflowType
from floto.core.swf.wire import WireError
from floto.runtime.connect import (
    absolute_service,
    absolute_store,
    checked_identity,
    closing,
    payload_store,
    service_for,
)
from floto.runtime.deciders.decider_process import Order, start
from floto.runtime.deciders.fingerprint import fingerprint
from floto.runtime.deciders.progress_cache import ProgressCache
from floto.runtime.deciders.spec_choice import NoSpec, OtherSpec, Specs
from floto.runtime.presence import announced
from floto.runtime.retrying import conclude, is_malformed, outlast, persist, poll
from floto.runtime.runs.needs import activity_types
from floto.runtime.shutdown import StopFlag, stop_on_signals
from floto.runtime.start_lines import names_of, place_of
from floto.runtime.workers.execute_activity import cut
from floto.runtime.workers.storing import keep
from floto.runtime.workers.worker import POLL_SECONDS
from floto.trouble_log import TroubleLog

log = logging.getLogger("floto")

#: Runs whose progress a decider remembers between decisions; others are folded anew.
_REMEMBERED = 256
#: Events at which a run gets close to SWF's limit.
_LONG = LATE_EVENTS
#: After a history that cannot be read.
_PAUSE_SECONDS = 1.0
#: Characters of SWF's refusal that the failure of a run quotes: well below any limit of SWF.
_REFUSAL_LIMIT = 4_000
#: SWF's histories lag behind what was answered, by seconds at most; they are read now and again.
_LAG_SECONDS, _ASK_SECONDS = 10.0, 1.0
#: Seconds for which a store is tried again before a decision task is left to time out and come again.
_STORE_SECONDS = 10.0

#: Told after each decision task: what was decided, and what went wrong, if anything.
Listener = Callable[[Sequence[Decision], Exception | None], None]
#: Decides for runs of a type of its own, for which there is no spec.
Rule = Callable[[State], Sequence[Decision]]
_NO_TASKS = DeciderSpec()
#: Reason of a run that fails because SWF refuses what was decided for it.
REFUSED_REASON = "DecisionRefused"
#: Reason of a run that fails because its history cannot be read, as it would not be the next time.
UNREADABLE_REASON = "HistoryError"


class Decider:
    """Decides for the runs of one task list.

    A run that carries a spec in its input is decided by that. A run that records which spec it is of
    (``floto.spec_tags``; ``floto.run`` always does) is decided by whichever spec of this decider it is;
    every other run by the spec of its workflow type in ``specs``, else by ``spec``. A run that this decider
    has no spec for is left alone: its decision task is not answered, times out, and comes again, for this
    decider or another. The log says so. A run whose history cannot be read fails with the reason
    ``HistoryError``.

    Args:
        spec: The spec, or its JSON.
        decider_spec: Another name for ``spec``.
        specs: Specs by workflow type.
        rules: Functions of a run's state that decide the runs of a workflow type, for which there is no spec.
        service: A ``Service``, or a URL for ``floto.connect``; default: ``FLOTO_SERVICE``, else Amazon SWF.
        domain: SWF's domain; default: that of the spec, else ``floto``.
        task_list: Where to poll for decision tasks; default: that of the spec, else ``floto``.
        identity: What histories record of this decider; default: host and process id.
        codec: Knows task kinds and retry strategies of your own.
        payloads: A store for inputs and results that are too long for SWF, or its name: a directory or
            ``s3://bucket/prefix``.
        listener: Called after each decision task, in the thread of ``run()``.
        poll_seconds: How long one poll waits where the service lets the caller choose.
        take_over: Decide runs that record another spec by this decider's own from now on, and record that.
        sole: No other decider polls this task list: a run that there is no spec for fails.

    Raises:
        SpecError: if the spec cannot be read.
        UnknownStore: if ``payloads`` names no store.
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
        take_over: bool = False,
        sole: bool = False,
    ) -> None:
        given = codec.store if payloads is None else payloads
        self._payloads = payload_store(given) if isinstance(given, str) else given
        self._codec = codec = codec.with_payloads(self._payloads)
        self._troubles = TroubleLog(log)
        self._spec = own = read_spec(decider_spec if spec is None else spec, codec)
        self._specs, self._rules = Specs(own, dict(specs or {}), codec), dict(rules or {})
        self._take_over, self._sole = take_over, sole
        #: Ids of the runs that were taken over lately, in that order.
        self._taken_over: dict[str, None] = {}
        self._given = service
        self._service = service_for(service, domain or (own and own.domain) or None)
        self._task_list = task_list or (own and own.task_list) or DEFAULT_TASK_LIST
        self._identity = checked_identity(identity)
        self._listener = listener
        self._poll_seconds = poll_seconds
        self._stop = StopFlag()
        self._is_busy = False
        self._memory = ProgressCache(_REMEMBERED, self._read, self._begin, self._is_current)
        self._order = Order(
            spec=own,
            specs=self._specs.by_type,
            service=absolute_service(service),
            domain=domain,
            task_list=task_list,
            identity=identity,
            codec=codec,
            payloads=absolute_store(given) if isinstance(given, str) else given,
            listener=listener,
            poll_seconds=poll_seconds,
            take_over=take_over,
            sole=sole,
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
        log.info(
            "deciding for task list %r as %s on %s; activities: %s",
            self._task_list,
            self._identity,
            place_of(self._service),
            names_of(activity_types(self._specs.all)),
        )
        with (
            closing(self._service, self._given),
            stop_on_signals(self.stop),
            announced(self._service, PollKind.DECISIONS, self._task_list, self._identity),
        ):
            while not self._stop.is_set():
                task = self._next_task()
                if task is not None:
                    self._handle(task)

    def _next_task(self) -> PolledDecisionTask | None:
        try:
            return poll(
                self._stop,
                self._service.poll_for_decision_task,
                self._task_list,
                self._identity,
                self._poll_seconds,
            )
        except (HistoryError, WireError) as error:
            # One run that nobody can read must not end the others: its task times out.
            message = "task list %s: a decision task that cannot be read is left"
            self._troubles.failed(str(error), message, self._task_list, level=logging.ERROR, error=error)
            self._stop.wait(_PAUSE_SECONDS)
            return None

    def stop(self) -> None:
        """Answer the decision in hand, then return from ``run()``."""
        self._stop.set()

    @property
    def is_busy(self) -> bool:
        """True while a decision task is in hand."""
        return self._is_busy

    def _handle(self, task: PolledDecisionTask) -> None:
        self._is_busy = True
        run = task.execution
        try:
            with logs.context(run.workflow_id, run.run_id):
                self._work_on(task)
        finally:
            self._is_busy = False

    def _work_on(self, task: PolledDecisionTask) -> None:
        found: Sequence[Decision] = ()
        error: Exception | None = None
        try:
            found = outlast(self._stop, _STORE_SECONDS, self._decided, task)
            self._answer(task, found)
        except NoSpec as missing:
            self._leave(task, missing)
            error = missing
        except ServiceGone:
            raise
        except Exception as raised:  # noqa: BLE001 - logged, and the other runs go on
            # Unanswered, the task times out and comes again: a bug here must not fail the run.
            message = "run %s: no decision; the decision task will come again"
            self._troubles.failed(task.execution, message, task.execution, level=logging.ERROR, error=raised)
            error = raised
        else:
            self._troubles.over(task.execution)
        if self._listener is not None:
            self._listener(found, error)

    def _leave(self, task: PolledDecisionTask, missing: NoSpec) -> None:
        """Log that a decision task is left to another decider."""
        message = (
            "run %s is left alone: %s; start a decider with that spec, "
            "or take the run over: Decider(take_over=True), floto decider --take-over"
        )
        self._troubles.failed(task.execution, message, task.execution, missing, level=logging.ERROR)

    def _decided(self, task: PolledDecisionTask) -> Sequence[Decision]:
        """Decide, and store what the decisions refer to."""
        found = self.decide(task)
        return found if self._payloads is None else keep(found, self._payloads)

    def decide(self, task: PolledDecisionTask) -> Sequence[Decision]:
        """Return the decisions for a run; one whose spec or history cannot be read fails with the reason.

        Raises:
            NoSpec: if this decider has no spec for the run.
        """
        self._warn_if_long(task)
        rule = self._rules.get(task.workflow_type)
        try:
            progress = self._follow(task)
            found = decisions(progress) if rule is None else rule(progress.state)
        except SpecError as error:
            # No traceback: what is wrong is in the spec.
            log.error("run %s fails: %s", task.execution, error)  # noqa: TRY400
            found = [FailWorkflowExecution(reason="SpecError", details=cut(str(error), LIMIT))]
        except HistoryError as error:
            self._need_spec(task)
            log.error("run %s fails: its history cannot be read: %s", task.execution, error)  # noqa: TRY400
            found = [FailWorkflowExecution(reason=UNREADABLE_REASON, details=cut(str(error), LIMIT))]
        if closes(found):
            self._memory.forget(task.execution)
        return found

    def _follow(self, task: PolledDecisionTask) -> Progress:
        try:
            return self._memory.follow(task)
        except HistoryError:
            # What comes with a task may be at fault, and the history itself is whole.
            return self._memory.follow(evolve(task, events=()))

    def _need_spec(self, task: PolledDecisionTask) -> None:
        """Raise ``NoSpec`` for a run that is another decider's, as far as its type tells."""
        if task.workflow_type not in self._rules:
            self._specs.need_any(task.workflow_type)

    def _begin(self, state: State) -> Progress:
        spec = _NO_TASKS if state.start.workflow_type in self._rules else self._spec_for(state)
        return begin(spec, state, self._codec)

    def _is_current(self, progress: Progress) -> bool:
        return progress.spec is _NO_TASKS or self._specs.is_current(progress.spec, progress.state)

    def _spec_for(self, state: State) -> DeciderSpec:
        try:
            return self._specs.choose(state)
        except OtherSpec as other:
            if not self._takes_over(state, other.own):
                raise
            return other.own
        except NoSpec as missing:
            if self._sole:
                raise SpecError((str(missing),)) from None
            raise

    def _takes_over(self, state: State, own: DeciderSpec) -> bool:
        """Record that a run goes on with another spec; once, or two deciders would take it from one another.

        A spec that holds kinds which the codec does not know has no digest to record, and takes over nothing.
        """
        digest, execution = fingerprint(own, self._codec), state.execution
        if not self._take_over or digest is None or execution is None or execution.run_id in self._taken_over:
            return False
        log.warning("run %s was begun with another spec; it goes on with this decider's", execution)
        signal = self._service.signal_workflow_execution
        # It may have closed a moment ago.
        with suppress(UnknownResource):
            persist(self._stop, signal, execution.workflow_id, CHANGED_SIGNAL, digest)
        self._taken_over[execution.run_id] = None
        while len(self._taken_over) > _REMEMBERED:
            del self._taken_over[next(iter(self._taken_over))]
        return True

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

    def _warn_if_long(self, task: PolledDecisionTask) -> None:
        # Asked at each decision, told when the line is crossed.
        if task.previous_started_event_id < _LONG <= task.started_event_id:
            log.warning(
                "run %s: more than %d events; SWF ends a run at %d", task.execution, _LONG, EVENT_LIMIT
            )

    def _answer(self, task: PolledDecisionTask, found: Sequence[Decision]) -> None:
        try:
            self._respond(task, found)
        except UnknownResource as fault:
            # Or it was accepted, and only the service's confirmation was lost.
            log.info("run %s: the decision came too late (%s)", task.execution, fault)
        if closes(found) and not self._stop.is_set() and self._was_last(task, found[-1]):
            self.stop()

    def _respond(self, task: PolledDecisionTask, found: Sequence[Decision]) -> None:
        respond = self._service.respond_decision_task_completed
        try:
            conclude(self._stop, respond, task.token, found)
        except ServiceFault as fault:
            if not is_malformed(fault):
                raise
            # The same would be decided, and refused, each time that the decision task comes again.
            log.error("run %s fails: SWF refuses the decisions: %s", task.execution, fault)  # noqa: TRY400
            self._memory.forget(task.execution)
            details = cut(str(fault).encode("ascii", "backslashreplace").decode(), _REFUSAL_LIMIT)
            conclude(
                self._stop,
                respond,
                task.token,
                [FailWorkflowExecution(reason=REFUSED_REASON, details=details)],
            )

    def _was_last(self, task: PolledDecisionTask, decision: Decision) -> bool:
        own = self._spec
        if own is None or not own.terminate_decider_after_completion:
            return False
        if isinstance(decision, ContinueAsNewWorkflowExecution):
            return False
        return self._was_closed(task)

    def _was_closed(self, task: PolledDecisionTask) -> bool:
        """Whether the answer closed a run of the decider's own spec: SWF may refuse that."""
        end = time.monotonic() + _LAG_SECONDS
        while time.monotonic() < end and not self._stop.is_set():
            state = fold(persist(self._stop, self._service.history, task.execution))
            if state.started is not None and not self._is_own(state):
                return False
            if state.closed is not None or _is_over(task, state):
                return state.closed is not None
            self._stop.wait(_ASK_SECONDS)
        return False

    def _is_own(self, state: State) -> bool:
        try:
            return self._specs.choose(state) is self._spec
        except (NoSpec, SpecError):
            return False


def _is_over(task: PolledDecisionTask, state: State) -> bool:
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
