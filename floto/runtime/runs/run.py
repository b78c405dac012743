"""``floto.run``: a decider and workers in this process, until one workflow has its result."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import evolve, frozen

from floto import logs
from floto.core.errors import (
    FlotoError,
    PayloadsUnavailable,
    ServiceFault,
    ServiceUnavailable,
    SpecError,
    WorkflowEnded,
    WorkflowFailed,
)
from floto.core.payloads import payload, reference
from floto.core.payloads.reference import Store
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY, State
from floto.core.swf import events as e
from floto.core.swf.closing_events import CLOSING_EVENTS
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event
from floto.core.swf.identifiers import id_problems, shown
from floto.core.swf.service import ExecutionInfo, Service, StartRequest
from floto.core.swf.shapes import WorkflowExecution
from floto.runtime.connect import closing, service_for
from floto.runtime.deciders.decider import Decider, closes, read_spec
from floto.runtime.deciders.fingerprint import spec_tags
from floto.runtime.deciders.spec_choice import NoSpec
from floto.runtime.retrying import persist, reach
from floto.runtime.runs.needs import missing_activities, needs
from floto.runtime.runs.run_request import (
    WORKFLOW_TYPE,
    Listener,
    RunRequest,
    WrongWorkflow,
    check,
    check_kept,
)
from floto.runtime.runs.supervisor import Supervisor
from floto.runtime.shutdown import StopFlag, stop_on_signals
from floto.runtime.workers import activities
from floto.runtime.workers.activities import Activities
from floto.runtime.workers.worker import ActivityWorker

log = logging.getLogger("floto")

#: Often enough for every heartbeat time-out a spec may set: SWF counts whole seconds.
_HEARTBEAT_SECONDS = 0.7
_LOOK_SECONDS = 0.2
#: SWF's listings lag behind what was started, by seconds at most; they are asked now and again.
_LAG_SECONDS, _ASK_SECONDS = 10.0, 1.0
_ALREADY_STARTED = "WorkflowExecutionAlreadyStartedFault"


def run(  # noqa: PLR0913 - all but the spec are optional and named
    spec: DeciderSpec | str,
    input: Any = None,
    *,
    service: Service | str = "memory:",
    domain: str | None = None,
    workflow_id: str | None = None,
    activities: Activities = activities.DEFAULT,
    concurrency: int = 4,
    timeout: float | None = None,
    codec: Codec = CODEC,
    payloads: Store | None = None,
    listener: Listener | None = None,
    take_over: bool = False,
) -> Any:
    """Run a spec to its end and return its result: ``{task id: result}``.

    This process alone decides and works for the run and its descendants: they have a task list of their own,
    whatever task lists the spec names (``floto.core.spec.task_lists``). A child that carries no spec is
    decided elsewhere. ``repeat_workflow`` is followed from run to run until interrupted.

    With the ``workflow_id`` of an open run, this resumes it; of a completed one, it returns the result and
    runs nothing; of one that ended otherwise, it starts a new run.

    Args:
        spec: The spec, or its JSON.
        input: The workflow's input, any JSON value. None resumes a run with whatever input it has.
        service: A ``Service``, or a URL for ``floto.connect``.
        domain: SWF's domain; default: that of the spec, else ``floto``.
        workflow_id: Default: an id that was never used before.
        activities: What the worker can run; default: everything decorated with ``@floto.activity``.
        concurrency: How many activities run at a time.
        timeout: Seconds after which this stops waiting, for a service that does not answer too; the run stays
            open. Activities that run then have ten seconds to end.
        codec: Knows task kinds and retry strategies of your own that children and generators bring.
        payloads: Stores every input and result that is too long for SWF.
        listener: Called in this thread with the run's ``State`` after each change that was seen; first with
            the state before this process decides or runs anything.
        take_over: Resume an open run of another spec with this one.

    Raises:
        SpecError: if the spec cannot work, or names activities that ``activities`` does not have.
        ValueError: if ``timeout`` is negative or not a number.
        WorkflowFailed: if the run failed.
        WorkflowEnded: if it was canceled or terminated, or timed out.
        WrongWorkflow: if the workflow id is that of a run of another type, spec or input.
        TimeoutError: after ``timeout`` seconds.
        KeyboardInterrupt: after SIGINT or SIGTERM, when the activities that run are finished; after a second
            signal, at once.
    """
    deadline = _Deadline.after(timeout)
    workflow_id = _usable(workflow_id)
    payloads = codec.store if payloads is None else payloads
    text = None if input is None else reference.dumps(input, "the workflow's input", payloads)
    job = RunRequest(
        spec=_readable(spec, codec),
        workflow_id=workflow_id,
        input=text,
        activities=activities,
        concurrency=concurrency,
        codec=codec.with_payloads(payloads),
        payloads=payloads,
        listener=listener,
        take_over=take_over,
    )
    with _opened(service, domain or job.spec.domain) as opened:
        result = _run(job, opened, deadline)
    return result if payloads is None else reference.resolved(result, payloads.get)


def new_workflow_id() -> str:
    """A workflow id that was never used before."""
    return f"floto-{uuid.uuid4().hex[:12]}"


def _usable(workflow_id: str | None) -> str:
    if workflow_id is None:
        return new_workflow_id()
    problems = tuple(id_problems("workflow_id", workflow_id))
    if problems:
        raise SpecError(problems)
    return workflow_id


def _readable(spec: DeciderSpec | str, codec: Codec) -> DeciderSpec:
    read = read_spec(spec, codec)
    if not isinstance(read, DeciderSpec):
        raise SpecError((f"a run needs a DeciderSpec or its JSON, not {shown(read)}",))
    return read


@contextlib.contextmanager
def _opened(service: Service | str, domain: str | None) -> Iterator[Service]:
    opened = service_for(service, domain)
    with closing(opened, service):
        yield opened


class _Deadline:
    """The moment when a run is not waited for any longer: a flag is set then, which every wait looks at."""

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds
        self._interrupted = False
        self.stop = StopFlag()

    @staticmethod
    def after(seconds: float | None) -> _Deadline:
        """Return the deadline in so many seconds; None: never. Raises ``ValueError``."""
        if seconds is not None and not seconds >= 0:
            msg = f"timeout must be a number of seconds from 0 on, not {seconds!r}"
            raise ValueError(msg)
        return _Deadline(seconds)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Set the flag when the time comes, while the block runs, and at SIGINT or SIGTERM."""
        seconds = math.inf if self._at is None else self._at - time.monotonic()
        timer = threading.Timer(seconds, self.stop.set) if seconds < threading.TIMEOUT_MAX else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            with stop_on_signals(self._interrupt):
                yield
        finally:
            if timer is not None:
                timer.cancel()

    def _interrupt(self) -> None:
        self._interrupted = True
        self.stop.set()

    @property
    def is_over(self) -> bool:
        """Return True if the flag was set because the time is over."""
        return self.stop.is_set() and not self._interrupted

    def error(self, workflow_id: str) -> BaseException:
        """Return what a stopped run raises."""
        if not self.is_over:
            return KeyboardInterrupt()
        msg = f"timed out; workflow {workflow_id!r} is still open; go on with the same workflow_id"
        return TimeoutError(msg)


def _run(job: RunRequest, service: Service, deadline: _Deadline) -> Any:
    stop, woken = deadline.stop, threading.Event()
    with deadline.kept(), logs.context(job.workflow_id):
        try:
            _prepare(job, service, stop)
            execution, is_open = _find_or_start(job, service, stop)
        except ServiceUnavailable:
            if not stop.is_set():
                raise
            raise deadline.error(job.workflow_id) from None
        crew = _crew(job, service, woken)
        try:
            end = _follow(_Watch(job, service, stop, woken, crew, starts=is_open), execution)
        except Exception:
            crew.leave()
            raise
        if end is not None:
            crew.leave(closed=end[0])
        elif deadline.is_over:
            crew.leave()
        else:
            crew.finish()
    if end is None:
        raise deadline.error(job.workflow_id)
    return _result(*end)


def _find_or_start(job: RunRequest, service: Service, stop: StopFlag) -> tuple[WorkflowExecution, bool]:
    """The run to follow, and whether it is open."""
    info = persist(stop, service.latest_execution, job.workflow_id)
    is_closed = info is not None and info.close_status == "COMPLETED"
    # The task list is this run's own: nobody else could run what this process cannot.
    if not is_closed and (problems := missing_activities(job.spec, job.activities.types)):
        raise SpecError(problems)
    if info is None or info.close_status not in (None, "COMPLETED"):
        return _start(job, service, stop, info), True
    check(info, job, service, stop)
    return info.execution, info.close_status is None


def _prepare(job: RunRequest, service: Service, stop: StopFlag) -> None:
    # Activity types that only the spec names may be misspelt, and SWF forgets no type.
    kinds = (WORKFLOW_TYPE, *needs(job.spec).workflow_types)
    reach(stop, service.prepare, kinds, job.activities.types)


def _start(
    job: RunRequest, service: Service, stop: StopFlag, before: ExecutionInfo | None
) -> WorkflowExecution:
    request = StartRequest(
        workflow_id=job.workflow_id,
        workflow_type=WORKFLOW_TYPE,
        task_list=job.task_list,
        input=job.input,
        tags=spec_tags(job.spec, job.codec),
    )
    try:
        run_id = persist(stop, service.start_workflow_execution, request)
    except ServiceFault as fault:
        # Started by somebody else a moment ago, or by a call of ours whose answer was lost.
        info = _listed(job, service, stop, before) if fault.code == _ALREADY_STARTED else None
        if info is None:
            raise
        check(info, job, service, stop)
        return info.execution
    return WorkflowExecution(job.workflow_id, run_id)


def _listed(
    job: RunRequest, service: Service, stop: StopFlag, before: ExecutionInfo | None
) -> ExecutionInfo | None:
    """The latest run of the workflow id, as soon as it is another one than before."""
    end = time.monotonic() + _LAG_SECONDS
    while time.monotonic() < end:
        info = persist(stop, service.latest_execution, job.workflow_id)
        if info is not None and (before is None or info.execution != before.execution):
            return info
        if stop.wait(_ASK_SECONDS):
            break
    return None


def _crew(job: RunRequest, service: Service, woken: threading.Event) -> Supervisor:
    def decided(found: Sequence[Decision], error: Exception | None) -> None:
        if isinstance(error, NoSpec):
            error = WrongWorkflow(f"workflow {job.workflow_id!r} was taken over by another spec: {error}")
        # A store that cannot be reached ends nothing: the decision task comes again.
        if error is not None and not isinstance(error, PayloadsUnavailable):
            crew.fail(error)
        # Not for every decision: each look costs as much as the run has tasks.
        if error is not None or closes(found):
            woken.set()

    decider = Decider(
        # By type, so that a child without a spec of its own is not decided by its parent's, for ever.
        specs={WORKFLOW_TYPE: job.spec},
        service=service,
        task_list=job.task_list,
        codec=job.codec,
        payloads=job.payloads,
        listener=decided,
        poll_seconds=_LOOK_SECONDS,
        take_over=job.take_over,
        sole=True,
    )
    worker = ActivityWorker(
        task_list=job.task_list,
        service=service,
        activities=job.activities,
        concurrency=job.concurrency,
        task_heartbeat_in_seconds=_HEARTBEAT_SECONDS,
        codec=job.codec,
        payloads=job.payloads,
        poll_seconds=_LOOK_SECONDS,
        sole=True,
    )
    crew = Supervisor([decider, worker])
    return crew


@frozen
class _Watch:
    job: RunRequest
    service: Service
    stop: StopFlag
    woken: threading.Event
    crew: Supervisor
    #: True if the crew is to decide and work for the run.
    starts: bool

    def pause(self) -> None:
        """Wait for the next decision, or a moment; raise what went wrong meanwhile."""
        self.crew.check()
        self.woken.wait(_LOOK_SECONDS)
        self.woken.clear()

    def look(self, execution: WorkflowExecution, state: State) -> State:
        """The state of a run with what is new."""
        new = persist(self.stop, self.service.history, execution, state.last_event_id)
        moved = fold(new, state)
        if new:
            check_kept(self.job, moved)
        if new and self.job.listener is not None:
            with logs.context(execution.workflow_id, execution.run_id):
                self.job.listener(moved)
        return moved


def _follow(watch: _Watch, execution: WorkflowExecution) -> tuple[WorkflowExecution, Event] | None:
    """The last run and the event that closed it; None when stopped before."""
    state = evolve(EMPTY, execution=execution)
    is_first = True
    while not watch.stop.is_set():
        try:
            state = watch.look(execution, state)
        except ServiceUnavailable:
            break  # only when stopped
        if is_first and watch.starts:
            # Not before: the listener learns first what was done before this process did anything.
            watch.crew.start()
        is_first = False
        closed = state.closed
        if closed is None:
            watch.pause()
        elif isinstance(closed.data, e.WorkflowExecutionContinuedAsNew):
            execution = evolve(execution, run_id=closed.data.new_execution_run_id)
            state = evolve(EMPTY, execution=execution)
        else:
            return execution, closed
    return None


def _result(execution: WorkflowExecution, closed: Event) -> Any:
    """The result a closing event carries; raises how the run ended, if there is none."""
    if isinstance(closed.data, e.WorkflowExecutionCompleted):
        return payload.loads(closed.data.result)
    raise _end(execution, closed.data)


def _end(execution: WorkflowExecution, data: Any) -> FlotoError:
    workflow_id, run_id = execution.workflow_id, execution.run_id
    if isinstance(data, e.WorkflowExecutionFailed):
        details = payload.loads(data.details)
        if isinstance(details, dict):
            failures = {str(task): str(message) for task, message in details.items()}
            return WorkflowFailed(workflow_id, run_id, data.reason or "", failures)
        reason = ": ".join(str(part) for part in (data.reason, details) if part)
        return WorkflowFailed(workflow_id, run_id, reason, {})
    details = getattr(data, "details", None) or getattr(data, "reason", None) or ""
    return WorkflowEnded(workflow_id, run_id, CLOSING_EVENTS[type(data)].status, details)
