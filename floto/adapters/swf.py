"""Amazon SWF, or whatever speaks its protocol, as a ``Service``: any boto3 SWF client."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from floto import forks, logs
from floto.adapters.aws_errors import RAISED, translated
from floto.adapters.held_polls import HeldPolls
from floto.core import registrations, wire
from floto.core.decisions import Decision
from floto.core.errors import (
    ServiceError,
    ServiceFault,
    ServiceUnavailable,
    Throttled,
    Unauthenticated,
    UnknownResource,
)
from floto.core.events import Event
from floto.core.ports import ActivityTask, DecisionTask, ExecutionInfo, StartRequest
from floto.core.shapes import ActivityType, WorkflowExecution, WorkflowType

log = logging.getLogger("floto")

_Registration = registrations.WorkflowType | registrations.ActivityType

#: SWF holds a poll for 60 seconds.
_READ_SECONDS = 70
#: Threads of a worker and a decider share one client.
_CONNECTIONS = 50
_PAGE = 1000
#: Some services answer an idle poll at once; asking again as fast would only burn their time.
_IDLE_SECONDS = 0.1
_BEGINNING = datetime(1970, 1, 2, tzinfo=UTC)
#: Seconds for which a call is made again that was throttled, where no loop does so.
_PATIENCE_SECONDS = 20.0
_EXISTS = frozenset({"DomainAlreadyExistsFault", "TypeAlreadyExistsFault"})
_FORBIDDEN = frozenset({"AccessDeniedException", "OperationNotPermittedFault"})


def make_client(
    region: str | None = None, endpoint_url: str | None = None, *, on_this_machine: bool = False
) -> Any:
    """Make a boto3 client fit for long polls; raises ``ServiceFault`` where AWS is not configured.

    Its own retries are off: floto's deciders and workers retry, and can be stopped meanwhile. A service
    ``on_this_machine`` needs no configuration, is asked directly, and with any keys where there are none.
    """
    config = Config(
        read_timeout=_READ_SECONDS,
        retries={"total_max_attempts": 1},
        max_pool_connections=_CONNECTIONS,
        proxies={} if on_this_machine else None,
    )
    session = _call(_local_session) if on_this_machine else boto3
    return _call(session.client, "swf", region_name=region, endpoint_url=endpoint_url, config=config)


class ClientOfProcess:
    """A client of boto3 of one's own in every process: a forked child must not use its parent's."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._client: Any = make()
        self._polls = HeldPolls(self._client)
        forks.let_go_in_children(self)

    def after_fork(self) -> None:
        """Make another client at the next call; the parent's stays open, for the parent."""
        _OF_PARENTS.append(self._client)
        self._client = None

    def __getattr__(self, name: str) -> Any:
        if self._client is None:
            self._client = self._make()
            self._polls = HeldPolls(self._client)
        return getattr(self._client, name)

    def close(self) -> None:
        """Let go of the connections, and end the polls under way."""
        # A forked child that has made no call of its own has its parent's, which go on.
        if self._client is not None:
            self._polls.end()
            self._client.close()


#: Clients that forked children have from their parents.
_OF_PARENTS: list[Any] = []


def _local_session() -> Any:
    session = botocore.session.Session()
    # The metadata service of a cloud would keep everybody waiting who is not in one.
    session.get_component("credential_provider").remove("iam-role")
    if session.get_credentials() is None:
        session.set_credentials("local", "local")
    if session.get_config_variable("region") is None:
        session.set_config_variable("region", "us-east-1")
    return boto3.Session(botocore_session=session)


class SwfService:
    """One domain of SWF behind the ``Service`` port. ``wait`` of a poll is SWF's: up to 60 seconds.

    ``is_patient``: calls that are throttled are made again for some seconds. Loops do that by themselves.
    """

    def __init__(self, client: Any, domain: str, *, is_patient: bool = False) -> None:
        self._client = client
        self._make = ask if is_patient else _call
        self._domain = domain
        self._answered = False
        #: What is done of ``prepare`` (None: the domain); throttled, the next attempt goes on from there.
        self._registered: set[_Registration | None] = set()

    @property
    def domain(self) -> str:
        """The domain that every call belongs to."""
        return self._domain

    @property
    def url(self) -> str | None:
        """Where SWF is; None if the client does not say."""
        return getattr(getattr(self._client, "meta", None), "endpoint_url", None)

    def prepare(self, workflow_types: Sequence[WorkflowType], activity_types: Sequence[ActivityType]) -> None:
        """Register the domain and the types that are not there yet, with defaults for everything."""
        self._prepare(None, self._domain, self.register_domain)
        for kinds, registration in (
            (workflow_types, registrations.WorkflowType),
            (activity_types, registrations.ActivityType),
        ):
            for kind in kinds:
                full = registration(domain=self._domain, name=kind.name, version=kind.version)
                self._prepare(full, kind.name, self.register, full)
        self._registered.clear()

    def register_domain(self, retention_days: int = 30, description: str | None = None) -> None:
        """Register the domain; one that exists stays as it is."""
        self._register(
            self._client.register_domain,
            name=self._domain,
            workflowExecutionRetentionPeriodInDays=str(retention_days),
            description=description,
        )

    def register(self, kind: _Registration) -> None:
        """Register a type; one that exists stays as it is."""
        is_workflow = isinstance(kind, registrations.WorkflowType)
        call = self._client.register_workflow_type if is_workflow else self._client.register_activity_type
        self._register(call, **wire.write(kind))

    def _register(self, call: Callable[..., Any], **arguments: Any) -> None:
        try:
            self._call(call, **arguments)
        except ServiceFault as fault:
            if fault.code not in _EXISTS:
                raise

    def _prepare(
        self, what: _Registration | None, name: str, register: Callable[..., None], *kind: Any
    ) -> None:
        if what in self._registered:
            return
        try:
            register(*kind)
        except ServiceFault as fault:
            if fault.code not in _FORBIDDEN:
                raise
            # Whoever may not register can still run what others registered.
            log.warning("%r is not registered from here (%s)", name, fault)
        self._registered.add(what)

    def start_workflow_execution(self, request: StartRequest) -> str:
        """Open a run and return its run id."""
        reply = self._domain_call(
            self._client.start_workflow_execution,
            workflowId=request.workflow_id,
            workflowType=wire.write(request.workflow_type),
            taskList=request.task_list and {"name": request.task_list},
            input=request.input,
            executionStartToCloseTimeout=request.execution_timeout,
            taskStartToCloseTimeout=request.decision_timeout,
            childPolicy=request.child_policy,
            tagList=list(request.tags) or None,
            taskPriority=request.priority,
        )
        run_id: str = reply["runId"]
        return run_id

    def signal_workflow_execution(self, workflow_id: str, signal_name: str, input: str | None = None) -> None:
        """Send a signal to the open run of a workflow id."""
        self._domain_call(
            self._client.signal_workflow_execution,
            workflowId=workflow_id,
            signalName=signal_name,
            input=input,
        )

    def request_cancel_workflow_execution(self, workflow_id: str) -> None:
        """Ask the decider of an open run to stop it."""
        self._domain_call(self._client.request_cancel_workflow_execution, workflowId=workflow_id)

    def terminate_workflow_execution(self, workflow_id: str, reason: str = "", details: str = "") -> None:
        """Close an open run by force."""
        self._domain_call(
            self._client.terminate_workflow_execution,
            workflowId=workflow_id,
            reason=reason or None,
            details=details or None,
        )

    def latest_execution(self, workflow_id: str) -> ExecutionInfo | None:
        """The open run of a workflow id, else the one closed last, else None."""
        listed = self._listed(self._client.list_open_workflow_executions, workflow_id)
        if listed is not None:
            return self._described(listed)
        return self._listed(self._client.list_closed_workflow_executions, workflow_id)

    def _listed(self, call: Callable[..., Any], workflow_id: str) -> ExecutionInfo | None:
        reply = self._domain_call(
            call,
            startTimeFilter={"oldestDate": _BEGINNING},
            executionFilter={"workflowId": workflow_id},
            maximumPageSize=1,
        )
        infos = reply["executionInfos"]
        return _info(infos[0]) if infos else None

    def open_executions(self, workflow_type: WorkflowType) -> tuple[ExecutionInfo, ...]:
        """All open runs of a workflow type, the newest first; SWF's listing lags a little behind its runs."""
        pages = self._pages(
            self._client.list_open_workflow_executions,
            startTimeFilter={"oldestDate": _BEGINNING},
            typeFilter=wire.write(workflow_type),
        )
        return tuple(_info(raw) for page in pages for raw in page["executionInfos"])

    def _described(self, listed: ExecutionInfo) -> ExecutionInfo:
        """What the run itself says: listings show runs as open for a while after they are closed."""
        execution = wire.write(listed.execution)
        try:
            reply = self._domain_call(self._client.describe_workflow_execution, execution=execution)
        except UnknownResource:
            return listed
        return _info(reply["executionInfo"])

    def history(self, execution: WorkflowExecution, after: int = 0) -> tuple[Event, ...]:
        """The events of a run with an id above ``after``, all pages of them."""
        # The newest first: what is known already is not read again.
        pages = self._pages(
            self._client.get_workflow_execution_history,
            execution={"workflowId": execution.workflow_id, "runId": execution.run_id},
            reverseOrder=True,
        )
        raws = itertools.chain.from_iterable(page["events"] for page in pages)
        new = itertools.takewhile(lambda raw: raw["eventId"] > after, raws)
        return tuple(wire.events_from_swf(new))[::-1]

    def poll_for_decision_task(self, task_list: str, identity: str, wait: float) -> DecisionTask | None:
        """Take the next decision task, with what its decider has not seen yet."""
        pages = self._pages(
            self._client.poll_for_decision_task,
            taskList={"name": task_list},
            identity=identity,
            startAtPreviousStartedEvent=True,
        )
        first = next(pages)
        if not first.get("taskToken"):
            _idle(wait)
            return None
        return DecisionTask(
            token=first["taskToken"],
            execution=wire.read(WorkflowExecution, first["workflowExecution"]),
            workflow_type=wire.read(WorkflowType, first["workflowType"]),
            events=tuple(wire.events_from_swf(_all_events(first, pages))),
            started_event_id=first["startedEventId"],
            previous_started_event_id=first.get("previousStartedEventId", 0),
        )

    def respond_decision_task_completed(self, token: str, decisions: Sequence[Decision]) -> None:
        """Answer a decision task."""
        raws = [wire.decision_to_swf(decision) for decision in decisions]
        self._call(self._client.respond_decision_task_completed, taskToken=token, decisions=raws)

    def poll_for_activity_task(self, task_list: str, identity: str, wait: float) -> ActivityTask | None:
        """Take the next activity task."""
        reply = self._domain_call(
            self._client.poll_for_activity_task, taskList={"name": task_list}, identity=identity
        )
        if not reply.get("taskToken"):
            _idle(wait)
            return None
        return ActivityTask(
            token=reply["taskToken"],
            execution=wire.read(WorkflowExecution, reply["workflowExecution"]),
            activity_id=reply["activityId"],
            activity_type=wire.read(ActivityType, reply["activityType"]),
            started_event_id=reply["startedEventId"],
            input=reply.get("input"),
        )

    def record_activity_task_heartbeat(self, token: str, details: str | None = None) -> bool:
        """Say that an activity is alive; True if it was asked to stop."""
        reply = self._call(self._client.record_activity_task_heartbeat, taskToken=token, details=details)
        return bool(reply["cancelRequested"])

    def respond_activity_task_completed(self, token: str, result: str | None) -> None:
        """Report an activity's result."""
        self._call(self._client.respond_activity_task_completed, taskToken=token, result=result)

    def respond_activity_task_failed(self, token: str, reason: str | None, details: str | None) -> None:
        """Report an activity's failure."""
        self._call(self._client.respond_activity_task_failed, taskToken=token, reason=reason, details=details)

    def respond_activity_task_canceled(self, token: str, details: str | None) -> None:
        """Report that an activity stopped because it was asked to."""
        self._call(self._client.respond_activity_task_canceled, taskToken=token, details=details)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _domain_call(self, call: Callable[..., Any], **arguments: Any) -> Any:
        return self._call(call, domain=self._domain, **arguments)

    def _call(self, call: Callable[..., Any], **arguments: Any) -> Any:
        try:
            reply = self._make(call, **arguments)
        except Unauthenticated as fault:
            # Credentials that were right a while ago will be again; a program that never had any waits in
            # vain.
            if self._answered:
                raise ServiceUnavailable(str(fault)) from fault
            raise
        self._answered = True
        return reply

    def _pages(self, call: Callable[..., Any], **arguments: Any) -> Iterator[dict[str, Any]]:
        page = self._domain_call(call, maximumPageSize=_PAGE, **arguments)
        yield page
        while token := page.get("nextPageToken"):
            # The task is taken with its first page: a later page that is refused in passing must not lose it.
            page = _PATIENT(self._domain_call, call, maximumPageSize=_PAGE, nextPageToken=token, **arguments)
            yield page


_PATIENT = Retrying(
    retry=retry_if_exception_type(ServiceUnavailable),
    wait=wait_random_exponential(multiplier=0.1, max=5),
    stop=stop_after_attempt(8),
    reraise=True,
)


def _call(call: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
    """Call boto3 without the arguments that are None, and raise floto's errors."""
    try:
        return call(*args, **{name: value for name, value in arguments.items() if value is not None})
    except RAISED as error:
        raise translated(error) from error


def ask(call: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
    """Call boto3 for a caller who asks once: a call that was throttled, so not carried out, is made again.

    Raises ``ServiceError``; after 20 seconds, ``Throttled``.
    """
    return _IF_THROTTLED(_call, call, *args, **arguments)


_IF_THROTTLED = Retrying(
    retry=retry_if_exception_type(Throttled),
    wait=wait_random_exponential(multiplier=0.2, max=5),
    stop=stop_after_delay(_PATIENCE_SECONDS),
    reraise=True,
)


def _all_events(first: dict[str, Any], rest: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of all pages of a task that is taken; none if one of them is not to be had."""
    try:
        return [event for page in (first, *rest) for event in page.get("events", ())]
    except ServiceError as error:
        # Tokens of pages expire after a minute. The task is ours all the same, and histories can be read.
        run = first["workflowExecution"]
        with logs.context(run["workflowId"], run["runId"]):
            log.warning("run %s: the pages of its decision task end early (%s)", run["runId"], error)
        return []


def _idle(wait: float) -> None:
    time.sleep(min(wait, _IDLE_SECONDS))


def _info(raw: dict[str, Any]) -> ExecutionInfo:
    closed = raw.get("closeTimestamp")
    return ExecutionInfo(
        execution=wire.read(WorkflowExecution, raw["execution"]),
        workflow_type=wire.read(WorkflowType, raw["workflowType"]),
        started_at=wire.moment(raw["startTimestamp"]),
        closed_at=None if closed is None else wire.moment(closed),
        close_status=raw.get("closeStatus"),
    )
