"""The decider's loop: polls for decision tasks, decides, and responds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from subprocess import Popen
from typing import TYPE_CHECKING, Literal, overload

from attrs import evolve

from floto import logs
from floto.core.decide.decide import decisions
from floto.core.decide.progress import Progress, begin
from floto.core.engine.embedded import embedded
from floto.core.errors import HistoryError, ServiceGone, SpecError, UnknownResource
from floto.core.payloads.reference import Store
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.state.state import State
from floto.core.swf.decisions import ContinueAsNewWorkflowExecution, Decision, closes
from floto.core.swf.floto_defaults import DEFAULT_TASK_LIST
from floto.core.swf.limits import EVENT_LIMIT, LATE_EVENTS
from floto.core.swf.pollers import PollKind
from floto.core.swf.service import PolledDecisionTask, Service
from floto.core.swf.shapes import WorkflowType
from floto.core.swf.wire import WireError
from floto.runtime.argument_checks import (
    checked_call,
    checked_codec,
    checked_identity,
    checked_metrics,
    checked_seconds,
    checked_store,
    checked_task_list,
)
from floto.runtime.connect import (
    absolute_service,
    absolute_store,
    closing,
    service_for,
)
from floto.runtime.deciders.decider_process import DeciderSettings, start
from floto.runtime.deciders.deciding_at_once import DecidingAtOnce
from floto.runtime.deciders.late_histories import LateHistories
from floto.runtime.deciders.progress_cache import ProgressCache
from floto.runtime.deciders.responding import fail_run, log_left_alone, log_no_response, respond
from floto.runtime.deciders.spec_choice import DeciderSpecs, NoSpec, OtherSpec, read_spec, rules_by_type
from floto.runtime.deciders.takeovers import Takeovers
from floto.runtime.presence import announced
from floto.runtime.retrying import poll, poll_alone, retry_store
from floto.runtime.runs.needs import activity_types
from floto.runtime.shutdown import StopFlag, no_exit, stop_on_signals
from floto.runtime.start_lines import describe_service, describe_types
from floto.runtime.workers.storing import store_values
from floto.runtime.workers.worker import POLL_SECONDS
from floto.trouble_log import TroubleLog

if TYPE_CHECKING:
    from floto.runtime.metrics.metrics import Metrics

log = logging.getLogger("floto")

#: Runs whose progress is cached between decision tasks; the progress of others is rebuilt.
_REMEMBERED = 256
#: Number of events from which a run is close to SWF's limit.
_LONG = LATE_EVENTS
#: Seconds to wait after a decision task that cannot be parsed.
_PAUSE_SECONDS = 1.0
#: Seconds for which a payload store is retried; then the decision task times out and is scheduled again.
_STORE_SECONDS = 10.0

#: Called after each decision task with its decisions and the error, if any.
Listener = Callable[[Sequence[Decision], Exception | None], None]
#: A function that decides, from a run's state, for runs of a workflow type without a spec.
Rule = Callable[[State], Sequence[Decision]]
_NO_TASKS = DeciderSpec()
#: Reason of a run that fails because its history cannot be read, which retrying would not change.
UNREADABLE_REASON = "HistoryError"


class Decider:
    """Decides for the runs of one task list.

    A run is decided by the spec in its input, if there is one. A run that records the digest of its spec
    (``floto.spec_tags``; ``floto.run`` always records it) is decided by the spec with this digest; every
    other run by the spec of its workflow type in ``specs``, else by ``spec``. The decider logs and leaves
    alone a run that it has no spec for: the decision task gets no response, times out, and SWF schedules it
    again, for this decider or another. A run whose history cannot be read fails with the reason
    ``HistoryError``.

    Args:
        spec: The spec, or its JSON.
        decider_spec: Another name for ``spec``.
        specs: Specs by workflow type.
        rules: Functions that decide, from a run's state, for the runs of workflow types without a spec.
        service: A ``Service``, or a URL for ``floto.connect``; default: ``FLOTO_SERVICE``, else Amazon SWF.
        domain: SWF's domain; default: that of the spec, else ``floto``.
        task_list: Task list to poll; default: that of the spec, else ``floto``.
        identity: Identity that histories record, at most 256 characters; default: host and process id.
        codec: Reads task kinds and retry strategies of your own.
        payloads: A store for inputs and results that are too long for SWF, or its name: a directory or
            ``s3://bucket/prefix``.
        listener: Called in the thread of ``run()`` after each decision task, with its decisions and the error
            or None; within a second, or without delay if they decide more than to schedule activities.
        poll_seconds: Seconds that one poll waits, for services that let the caller choose.
        take_over: True to decide runs that record another spec by this decider's spec from now on, and to
            record that in the run.
        sole: True if no other decider polls this task list: a run without a spec then fails, and a poll
            without permission ends ``run()``.
        metrics: Metrics for Prometheus that count what it decides, and what the events of its runs say.

    Raises:
        SpecError: if a spec cannot be read, a rule is no function, or the key of one is no workflow type.
        UnknownService: if ``service`` is not a URL of a service.
        UnknownStore: if ``payloads`` is not the name of a store.
        TypeError: if an argument is of another type, such as a client of boto3 as ``service``.
        ValueError: if ``identity`` is longer than 256 characters.
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
        metrics: Metrics | None = None,
    ) -> None:
        given = checked_codec(codec).store if payloads is None else payloads
        self._payloads = checked_store(given)
        self._codec = codec = codec.with_payloads(self._payloads)
        self._troubles = TroubleLog(log)
        self._spec = own = read_spec(decider_spec if spec is None else spec, codec)
        self._specs = DeciderSpecs(own, specs, codec)
        self._rules = rules_by_type(rules)
        self._sole = sole
        self._task_list = checked_task_list(task_list or (own and own.task_list) or DEFAULT_TASK_LIST)
        self._identity = checked_identity(identity)
        self._listener, self._metrics = checked_call(listener, "listener"), checked_metrics(metrics)
        self._poll_seconds = checked_seconds(poll_seconds, "poll_seconds")
        # Last of what may raise an error, which would leave it open.
        self._given = service
        self._service = service_for(service, domain or (own and own.domain) or None)
        self._stop = StopFlag()
        self._is_busy = False
        self._histories = LateHistories(self._service, self._stop)
        self._takeovers = Takeovers(self._service, self._stop, codec, _REMEMBERED) if take_over else None
        self._cache = ProgressCache(
            _REMEMBERED, self._histories.read, self._choose, self._begin, self._is_current
        )
        self._at_once = DecidingAtOnce(self._cache, decisions, self._stop, self._decided_at_once)
        self._embedded = embedded(self._service) if self._may_decide_at_once() else None
        self._settings = DeciderSettings(
            spec=own,
            specs=self._specs.by_type,
            service=absolute_service(service),
            domain=domain,
            task_list=task_list,
            identity=identity,
            codec=codec,
            payloads=absolute_store(given) if isinstance(given, str) else given,
            listener=listener,
            metrics=metrics,
            poll_seconds=poll_seconds,
            take_over=take_over,
            sole=sole,
        )

    def _may_decide_at_once(self) -> bool:
        """Return True if deciding needs no store, no code of users, and no call of the service."""
        has_own_code = (
            type(self._codec) is not Codec
            or self._codec.types != CODEC.types
            or type(self).decide is not Decider.decide
            or self._rules
        )
        return not has_own_code and self._payloads is None and self._takeovers is None

    @overload
    def run(self, *, separate_process: Literal[False] = False) -> None: ...

    @overload
    def run(self, *, separate_process: Literal[True]) -> Popen[bytes]: ...

    def run(self, *, separate_process: bool = False) -> Popen[bytes] | None:
        """Decide until ``stop()`` or (in the main thread) SIGINT or SIGTERM.

        Afterwards, a service that was given as a URL is closed.

        Args:
            separate_process: True to decide in another process, which is returned at once. It stops at
                ``terminate()`` and when this process ends.

        Raises:
            CannotSeparate: if an argument of the decider cannot be passed to another process.
            ServiceError: if the service was closed before, or fails permanently.
        """
        if separate_process:
            process = start(self._settings)
            with closing(self._service, self._given):
                return process
        self._run()
        return None

    def _run(self) -> None:
        log.info(
            "deciding for task list %r as %s on %s; activities: %s",
            self._task_list,
            self._identity,
            describe_service(self._service),
            describe_types(activity_types(self._specs.all)),
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
        how = self._task_list, self._identity, self._poll_seconds
        polled = poll_alone if self._sole else poll
        try:
            if self._embedded is not None:
                return polled(self._stop, self._embedded.poll_and_decide, *how, self._at_once)
            return polled(self._stop, self._service.poll_for_decision_task, *how)
        except (HistoryError, WireError) as error:
            # A run that cannot be parsed must not stop the others: its decision task times out.
            message = "task list %s: a decision task cannot be parsed and is left to time out"
            self._troubles.failed(str(error), message, self._task_list, level=logging.ERROR, error=error)
            self._stop.wait(_PAUSE_SECONDS)
            return None

    def stop(self) -> None:
        """Make ``run()`` finish its decision task, if any, and return; may be called in any thread."""
        self._stop.set()

    @property
    def is_busy(self) -> bool:
        """True while the decider works on a decision task."""
        return self._is_busy

    def _handle(self, task: PolledDecisionTask) -> None:
        self._is_busy = True
        run = task.execution
        try:
            with logs.context(run.workflow_id, run.run_id):
                self._decide_and_respond(task)
        finally:
            self._is_busy = False

    def _decided_at_once(self, task: PolledDecisionTask, state: State, found: Sequence[Decision]) -> None:
        run = task.execution
        with logs.context(run.workflow_id, run.run_id):
            self._warn_if_long(task)
            self._troubles.over(run)
            self._report(task, state, found, found)

    def _decide_and_respond(self, task: PolledDecisionTask) -> None:
        found: Sequence[Decision] = ()
        taken: Sequence[Decision] | None = None
        state: State | None = None
        error: Exception | None = None
        try:
            found = retry_store(self._stop, _STORE_SECONDS, self._decided, task)
            state = self._cache.state_at(task)
            taken = self._complete(task, found)
        except NoSpec as missing:
            log_left_alone(self._troubles, task, missing)
            error = missing
        except ServiceGone:
            raise
        except Exception as raised:  # noqa: BLE001 - logged; other runs continue
            # A bug here must not fail the run: without a response, the task times out and is scheduled again.
            log_no_response(self._troubles, task, raised)
            error = raised
        else:
            self._troubles.over(task.execution)
        self._report(task, state, found, taken, error)

    def _report(
        self,
        task: PolledDecisionTask,
        state: State | None,
        found: Sequence[Decision],
        taken: Sequence[Decision] | None,
        error: Exception | None = None,
    ) -> None:
        if self._metrics is not None:
            self._metrics.handled(task, state, taken)
        if self._listener is not None:
            self._listener(found, error)

    def _decided(self, task: PolledDecisionTask) -> Sequence[Decision]:
        """Decide, and store the values that the decisions refer to."""
        with no_exit():
            found = self.decide(task)
        return found if self._payloads is None else store_values(found, self._payloads)

    def decide(self, task: PolledDecisionTask) -> Sequence[Decision]:
        """Return the decisions for a run; fail a run whose spec or history cannot be read.

        Args:
            task: A decision task; if its events are not the whole history, the rest is read from the service.

        Raises:
            NoSpec: if this decider has no spec for the run.
        """
        self._warn_if_long(task)
        rule = self._rules.get(task.workflow_type)
        try:
            progress = self._follow(task)
            return decisions(progress) if rule is None else rule(progress.state)
        except SpecError as error:
            return fail_run(task, "SpecError", str(error))
        except HistoryError as error:
            self._need_spec(task)
            return fail_run(task, UNREADABLE_REASON, str(error), "its history cannot be read: ")

    def _follow(self, task: PolledDecisionTask) -> Progress:
        try:
            return self._cache.follow(task)
        except HistoryError:
            # The events of the task may be faulty although the stored history is not: read all of it.
            return self._cache.follow(evolve(task, events=()))

    def _need_spec(self, task: PolledDecisionTask) -> None:
        """Raise ``NoSpec`` if, by its workflow type, the run belongs to another decider."""
        if task.workflow_type not in self._rules:
            self._specs.need_any(task.workflow_type)

    def _choose(self, state: State) -> DeciderSpec:
        return _NO_TASKS if state.start.workflow_type in self._rules else self._spec_for(state)

    def _begin(self, spec: DeciderSpec, state: State) -> Progress:
        return begin(spec, state, self._codec)

    def _is_current(self, progress: Progress) -> bool:
        return progress.spec is _NO_TASKS or self._specs.is_current(progress.spec, progress.state)

    def _spec_for(self, state: State) -> DeciderSpec:
        try:
            return self._specs.choose(state)
        except OtherSpec as other:
            if self._takeovers is None or not self._takeovers.take_over(state, other.own):
                raise
            return other.own
        except NoSpec as missing:
            if self._sole:
                raise SpecError((str(missing),)) from None
            raise

    def _warn_if_long(self, task: PolledDecisionTask) -> None:
        # Only for the decision task that crosses the line.
        if task.previous_started_event_id < _LONG <= task.started_event_id:
            log.warning(
                "run %s: more than %d events; SWF ends a run at %d", task.execution, _LONG, EVENT_LIMIT
            )

    def _complete(self, task: PolledDecisionTask, found: Sequence[Decision]) -> Sequence[Decision] | None:
        """Respond; return the decisions that the service has taken, None if the response came too late."""
        taken: Sequence[Decision] | None = None
        try:
            taken = respond(self._service, self._stop, task, found)
            if closes(taken):
                self._cache.forget(task.execution)
        except UnknownResource as fault:
            message = "run %s: the response came too late, or an earlier attempt to send it succeeded (%s)"
            log.info(message, task.execution, fault)
        if closes(found) and not self._stop.is_set() and self._was_last(task, found[-1]):
            self.stop()
        return taken

    def _was_last(self, task: PolledDecisionTask, decision: Decision) -> bool:
        own = self._spec
        if own is None or not own.terminate_decider_after_completion:
            return False
        if isinstance(decision, ContinueAsNewWorkflowExecution):
            return False
        return self._histories.shows_close(task, self._is_own)

    def _is_own(self, state: State) -> bool:
        try:
            return self._specs.choose(state) is self._spec
        except (NoSpec, SpecError):
            return False
