"""The function ``floto.run``: a decider and a worker in this process, until one workflow has closed."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

from attrs import evolve, frozen

from floto import logs
from floto.core.errors import ServiceFault, ServiceUnavailable, SpecError
from floto.core.payloads import reference
from floto.core.payloads.reference import Store
from floto.core.replay.redrive.redrive import redrive as plan_redrive
from floto.core.replay.redrive.redrive_plan import PlannedAction, Redrive
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec, as_spec, run_settings
from floto.core.spec.fingerprint import spec_tags
from floto.core.state.fold import fold
from floto.core.state.redriven import awaits_parts
from floto.core.state.state import State
from floto.core.swf.closing_events import CLOSING_EVENTS
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.identifiers import id_problems
from floto.core.swf.service import ExecutionInfo, Service, StartRequest
from floto.core.swf.shapes import WorkflowExecution
from floto.runtime.argument_checks import checked_call, checked_codec, checked_concurrency, checked_store
from floto.runtime.connect import IN_MEMORY, closing, service_for
from floto.runtime.deciders.spec_choice import read_spec
from floto.runtime.retrying import persist, persist_at_start, rereads
from floto.runtime.runs.ending_children import EndingChildren, children_to_end, wait_for_children
from floto.runtime.runs.needs import missing_activities, needs
from floto.runtime.runs.redriving import ALREADY_STARTED, last_complete, start_redriven, with_children
from floto.runtime.runs.run_follower import RunFollower
from floto.runtime.runs.run_loops import WAKE_SECONDS, RunLoops
from floto.runtime.runs.run_request import (
    WORKFLOW_TYPE,
    Listener,
    RunRequest,
    WrongWorkflow,
    check,
    check_kept,
    check_redriven,
    new_workflow_id,
)
from floto.runtime.runs.run_result import result_of_run
from floto.runtime.runs.time_limit import TimeLimit
from floto.runtime.shutdown import StopFlag
from floto.runtime.workers import activities
from floto.runtime.workers.activities import Activities, as_activities

log = logging.getLogger("floto")
progress_log = logging.getLogger("floto.progress")


def run(  # noqa: PLR0913 - all but the spec are optional and named
    spec: DeciderSpec | str,
    input: Any = None,
    *,
    service: Service | str | None = None,
    domain: str | None = None,
    workflow_id: str | None = None,
    activities: Activities = activities.DEFAULT,
    concurrency: int = 4,
    timeout: float | None = None,
    codec: Codec = CODEC,
    payloads: Store | str | None = None,
    listener: Listener | None = None,
    take_over: bool = False,
    redrive: bool = False,
) -> Any:
    """Run a spec until the workflow closes; return the result: ``{task id: result}``.

    Only this process decides and works for the run and its descendants: they have a task list of their own,
    and the task lists that the spec names are not used (``floto.core.spec.task_lists``). A child without a
    spec in its input needs another decider. A spec with ``repeat_workflow`` is followed from run to run until
    an interrupt.

    With the ``workflow_id`` of an open run, this resumes it; of a completed run, it returns the result and
    runs nothing; of a run that closed otherwise, it starts a new run, which keeps nothing of the last one
    unless ``redrive`` is set.

    Args:
        spec: The spec, or its JSON.
        input: The workflow's input, any JSON value. None resumes a run with any input.
        service: A ``Service``, or a URL for ``floto.connect``; default: ``FLOTO_SERVICE``, else in memory.
        domain: SWF's domain; default: that of the spec, else ``floto``.
        workflow_id: Default: a new id.
        activities: The activities of the worker; default: all that are decorated with ``@floto.activity``.
        concurrency: Maximum number of activities that run at the same time.
        timeout: Seconds after which this raises ``TimeoutError``; default: no limit. The run stays open;
            running activities get ten seconds to end. If the service does not respond at all, the call that
            waits for it ends this up to 30 seconds later.
        codec: Reads task kinds and retry strategies of your own in the specs of children and generators.
        payloads: A store for inputs and results that are too long for SWF, or its name: a directory or
            ``s3://bucket/prefix``.
        listener: Called in the caller's thread with the run's ``State`` after each change; the first call is
            before this process decides or runs anything of it.
        take_over: True to resume an open run of another spec with this one.
        redrive: True to let a new run keep what completed in the last run of ``workflow_id``, if that one
            failed, was canceled or terminated, or timed out (``floto.redrive``).

    Raises:
        SpecError: if the spec is not valid, or names activities that are not in ``activities``.
        ValueError: if ``timeout`` is negative or not a number, or ``concurrency`` less than 1.
        TypeError: if an argument is of another type, such as a client of boto3 as ``service``.
        WorkflowFailed: if the run failed.
        WorkflowEnded: if it was canceled or terminated, or timed out.
        WrongWorkflow: if the run of ``workflow_id`` has another type, spec or input.
        ServiceError: if the service cannot be reached, or refuses a call.
        TimeoutError: after ``timeout`` seconds.
        KeyboardInterrupt: after SIGINT or SIGTERM in the main thread, when the running activities have
            finished; after a second signal, at once.
    """
    deadline = TimeLimit.after(timeout)
    workflow_id = _usable(workflow_id)
    payloads = checked_store(checked_codec(codec).store if payloads is None else payloads)
    text = None if input is None else reference.dumps(input, "the workflow's input", payloads)
    request = RunRequest(
        spec=as_spec(read_spec(spec, codec), "spec"),
        workflow_id=workflow_id,
        input=text,
        activities=as_activities(activities),
        concurrency=checked_concurrency(concurrency),
        codec=codec.with_payloads(payloads),
        payloads=payloads,
        listener=checked_call(listener, "listener"),
        take_over=take_over,
        redrive=redrive,
    )
    with _opened(service, domain or request.spec.domain) as opened:
        result = _run(request, opened, deadline)
    return result if payloads is None else reference.resolved(result, payloads.get)


def _usable(workflow_id: str | None) -> str:
    if workflow_id is None:
        return new_workflow_id()
    problems = tuple(id_problems("workflow_id", workflow_id))
    if problems:
        raise SpecError(problems)
    return workflow_id


@contextlib.contextmanager
def _opened(service: Service | str | None, domain: str | None) -> Iterator[Service]:
    opened = service_for(service, domain, IN_MEMORY)
    with closing(opened, service):
        yield opened


def _run(request: RunRequest, service: Service, deadline: TimeLimit) -> Any:
    stop, wake = deadline.stop, threading.Event()
    with deadline.armed(), logs.context(request.workflow_id):
        loops = RunLoops(request, service, wake)
        try:
            execution, is_open = _begun(request, service, deadline, loops)
            follower = RunFollower(service, execution, stop)
            end = _follow(_Watch(request, follower, stop, wake, loops, starts=is_open))
        except Exception:
            loops.leave()
            raise
        if end is not None:
            loops.drop(follower.execution)
            # A second signal ends the wait, and not the outcome, which is known.
            with contextlib.suppress(KeyboardInterrupt):
                loops.leave(children_to_end(end[0], service, stop))
        elif deadline.is_over:
            loops.leave()
        else:
            loops.finish()
    if end is None:
        raise deadline.error(_how_to_resume(request.workflow_id))
    return result_of_run(request, *end)


def _begun(
    request: RunRequest, service: Service, deadline: TimeLimit, loops: RunLoops
) -> tuple[WorkflowExecution, bool]:
    """Return the run to follow, and True if it is open."""
    try:
        _prepare(request, service, deadline.stop)
        return _find_or_start(request, service, deadline, loops)
    except ServiceUnavailable:
        if not deadline.stop.is_set():
            raise
        raise deadline.unreached(request.workflow_id) from None


def _how_to_resume(workflow_id: str) -> str:
    return f"workflow {workflow_id!r} is still open: call run() with the same workflow_id to resume it"


def _find_or_start(
    request: RunRequest, service: Service, deadline: TimeLimit, loops: RunLoops
) -> tuple[WorkflowExecution, bool]:
    stop = deadline.stop
    info = persist(stop, service.latest_execution, request.workflow_id)
    is_closed = info is not None and info.close_status == "COMPLETED"
    # No other worker polls the run's task list, so this process must have every activity.
    if not is_closed and (problems := missing_activities(request.spec, request.activities.types)):
        raise SpecError(problems)
    if info is None:
        if request.redrive:
            found = "workflow %r has no earlier run to redrive; this one starts from the beginning"
            progress_log.warning(found, request.workflow_id)
        return _start(request, service, stop, info), True
    if info.close_status not in (None, "COMPLETED"):
        if not request.redrive:
            return _start_anew(request, service, stop, info), True
        return _redrive(request, service, deadline, loops, info), True
    state = check(info, request, service, stop)
    if info.close_status is None and awaits_parts(state):
        return _redrive(request, service, deadline, loops, info), True
    return info.execution, info.close_status is None


def _start_anew(
    request: RunRequest, service: Service, stop: StopFlag, last: ExecutionInfo
) -> WorkflowExecution:
    progress_log.info(
        "the last run of workflow %r ended %s; this one starts from the beginning. "
        "To keep what completed before: --redrive, or redrive=True",
        request.workflow_id,
        last.close_status,
    )
    return _start(request, service, stop, last)


def _redrive(
    request: RunRequest, service: Service, deadline: TimeLimit, loops: RunLoops, last: ExecutionInfo
) -> WorkflowExecution:
    stop = deadline.stop

    def read(execution: WorkflowExecution) -> History:
        return History(persist(stop, service.history, execution), execution)

    history = last_complete(read(last.execution), read)
    state = fold(history)
    check_redriven(request, state)
    # The new run keeps what they complete.
    wait_for_children(EndingChildren(state, service, stop), loops, deadline)
    planned = with_children(
        lambda children: plan_redrive(request.spec, history, codec=request.codec, children=children), read
    )
    progress_log.info(
        "redrive of run %s, which ended %s: keeps %d tasks; runs again: %s",
        history.execution and history.execution.run_id,
        state.closed and CLOSING_EVENTS[type(state.closed.data)].status,
        len(planned.kept),
        ", ".join(_again(planned)) or "none",
    )
    if planned.dropped:
        progress_log.warning("%s", planned.dropped_text)
    # Whoever decided and worked for the old run, this process does for the new one.
    start = evolve(planned.start, workflow_type=WORKFLOW_TYPE, task_list=request.task_list)
    planned = evolve(planned, start=start)
    repeat = partial(persist, stop)
    try:
        return start_redriven(planned, service, request.payloads, repeat, repeat)
    except ServiceFault as fault:
        if fault.code != ALREADY_STARTED:
            raise
        msg = (
            f"another redrive of workflow {request.workflow_id!r}, with another plan than this one, is open: "
            "repeat the command that started it, or end it with floto terminate"
        )
        raise WrongWorkflow(msg) from fault


def _again(planned: Redrive) -> Iterator[str]:
    """Yield the ids of the tasks that run again; of a child that goes on, also how many tasks it keeps."""
    for task in planned.plan:
        if task.action is PlannedAction.RUN:
            counts = f"{sum(each.kept for each in task.children)} of {len(task.children)} tasks kept"
            yield f"{task.task_id} ({counts})" if task.children else task.task_id


def _prepare(request: RunRequest, service: Service, stop: StopFlag) -> None:
    # Not the activity types of the spec: a name may be misspelt, and SWF never forgets a type.
    kinds = (WORKFLOW_TYPE, *needs(request.spec).workflow_types)
    persist_at_start(stop, service.prepare, kinds, request.activities.types)


def _start(
    request: RunRequest, service: Service, stop: StopFlag, before: ExecutionInfo | None
) -> WorkflowExecution:
    timeout, policy = run_settings(request.spec)
    start = StartRequest(
        workflow_id=request.workflow_id,
        workflow_type=WORKFLOW_TYPE,
        task_list=request.task_list,
        input=request.input,
        execution_timeout=timeout,
        child_policy=policy,
        tags=spec_tags(request.spec, request.codec),
    )
    try:
        run_id = persist(stop, service.start_workflow_execution, start)
    except ServiceFault as fault:
        # Another process has just started it, or the response to an earlier attempt of this call was lost.
        info = _listed(request, service, stop, before) if fault.code == ALREADY_STARTED else None
        if info is None:
            raise
        check(info, request, service, stop)
        return info.execution
    return WorkflowExecution(request.workflow_id, run_id)


def _listed(
    request: RunRequest, service: Service, stop: StopFlag, before: ExecutionInfo | None
) -> ExecutionInfo | None:
    """Return the latest run of the workflow id once listings show one that is not ``before``; else None."""
    for _ in rereads(stop.wait):
        info = persist(stop, service.latest_execution, request.workflow_id)
        if info is not None and (before is None or info.execution != before.execution):
            return info
    return None


@frozen
class _Watch:
    """The parts that following a run needs."""

    request: RunRequest
    follower: RunFollower
    stop: StopFlag
    wake: threading.Event
    loops: RunLoops
    #: True to start the loops, because the run is open.
    starts: bool

    def pause(self) -> None:
        """Wait until the next decision, at most ``WAKE_SECONDS``; raise errors of the decider or worker."""
        self.loops.check()
        self.wake.wait(WAKE_SECONDS)
        self.wake.clear()

    def update(self) -> None:
        """Read the new events of the run, and pass its state to the listener."""
        if not self.follower.update():
            return
        execution, state = self.follower.execution, self.follower.state
        check_kept(self.request, state)
        if self.request.listener is not None:
            with logs.context(execution.workflow_id, execution.run_id):
                self.request.listener(state)


def _follow(watch: _Watch) -> tuple[State, Event] | None:
    """Return the state of the last run and the event that closed it; None if stopped before."""
    is_first = True
    while not watch.stop.is_set():
        try:
            watch.update()
        except ServiceUnavailable:
            if not watch.stop.is_set():
                # An error of the listener.
                raise
            break
        if is_first and watch.starts:
            # Not earlier: the first state that the listener gets must be without effects of this process.
            watch.loops.start()
        is_first = False
        if watch.follower.end is not None:
            return watch.follower.state, watch.follower.end
        if watch.follower.state.closed is None:
            watch.pause()
    return None
