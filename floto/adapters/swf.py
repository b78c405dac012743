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
from botocore.utils import is_valid_endpoint_url, is_valid_ipv6_endpoint_url
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from floto import forks, logs
from floto.adapters.answers import guard
from floto.adapters.aws_errors import called, translating
from floto.adapters.floto_server import Announcements
from floto.adapters.held_polls import HeldPolls
from floto.core.engine.registration.regions import DEFAULT_REGION
from floto.core.errors import (
    HistoryError,
    NotCarriedOut,
    NotPermitted,
    ServiceError,
    ServiceFault,
    ServiceUnavailable,
    Unauthenticated,
    UnknownResource,
)
from floto.core.spec import registration_defaults as registrations
from floto.core.swf import wire
from floto.core.swf.decisions import Decision
from floto.core.swf.defaults import RETENTION_DAYS
from floto.core.swf.events import Event
from floto.core.swf.pollers import PollKind
from floto.core.swf.service import ExecutionInfo, PolledActivityTask, PolledDecisionTask, StartRequest
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType

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
_INVALID_ENDPOINT = "InvalidEndpoint"
_EXISTS = frozenset({"DomainAlreadyExistsFault", "TypeAlreadyExistsFault"})


def make_client(
    region: str | None = None, endpoint_url: str | None = None, *, on_this_machine: bool = False
) -> Any:
    """Make a boto3 client fit for long polls; raises ``ServiceFault`` where AWS is not configured.

    Its own retries are off: floto's deciders and workers retry, and can be stopped meanwhile. A service
    ``on_this_machine`` needs no configuration, is asked directly, and with any keys where there are none.
    """
    if endpoint_url and not (is_valid_endpoint_url(endpoint_url) or is_valid_ipv6_endpoint_url(endpoint_url)):
        raise ServiceFault(_INVALID_ENDPOINT, f"{endpoint_url!r} does not name a host")
    config = Config(
        read_timeout=_READ_SECONDS,
        retries={"total_max_attempts": 1},
        max_pool_connections=_CONNECTIONS,
        proxies={} if on_this_machine else None,
    )
    session = called(_local_session) if on_this_machine else boto3
    client = called(session.client, "swf", region_name=region, endpoint_url=endpoint_url, config=config)
    guard(client)
    return client


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
        session.set_config_variable("region", DEFAULT_REGION)
    return boto3.Session(botocore_session=session)


class SwfService:
    """One domain of SWF behind the ``Service`` port. ``wait`` of a poll is SWF's: up to 60 seconds.

    ``repeat`` is given each call as a function and its arguments, makes it, and may repeat it; by default
    each call is made once, as loops repeat calls themselves. Answers that are not SWF's are errors for all
    users of ``client``.
    """

    def __init__(self, client: Any, domain: str, *, repeat: Callable[..., Any] | None = None) -> None:
        guard(client)
        self._client = client
        self._repeat = repeat
        self._domain = domain
        self._was_answered = False
        #: The names of the operations that were answered, so permitted.
        self._permitted: set[str] = set()
        self._announcements = Announcements()
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

    def register_domain(self, retention_days: int = RETENTION_DAYS, description: str | None = None) -> None:
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
            # Permissions may be those of single types: one that was given says nothing about the next.
            self._authenticated(call, **arguments)
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
        except NotPermitted as fault:
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

    def poll_for_decision_task(self, task_list: str, identity: str, wait: float) -> PolledDecisionTask | None:
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
        return PolledDecisionTask(
            token=first["taskToken"],
            execution=wire.read(WorkflowExecution, first["workflowExecution"]),
            workflow_type=wire.read(WorkflowType, first["workflowType"]),
            events=_all_events(first, pages),
            started_event_id=first["startedEventId"],
            previous_started_event_id=first.get("previousStartedEventId", 0),
        )

    def respond_decision_task_completed(self, token: str, decisions: Sequence[Decision]) -> None:
        """Answer a decision task."""
        raws = [wire.decision_to_swf(decision) for decision in decisions]
        self._call(self._client.respond_decision_task_completed, taskToken=token, decisions=raws)

    def poll_for_activity_task(self, task_list: str, identity: str, wait: float) -> PolledActivityTask | None:
        """Take the next activity task."""
        reply = self._domain_call(
            self._client.poll_for_activity_task, taskList={"name": task_list}, identity=identity
        )
        if not reply.get("taskToken"):
            _idle(wait)
            return None
        return PolledActivityTask(
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

    def announce(
        self, kind: PollKind, task_list: str, identity: str, serves: Sequence[ActivityType] | None = None
    ) -> None:
        """Say with the polls of a worker what it serves, which ``floto server`` wants to know."""
        if kind is PollKind.ACTIVITIES and serves is not None:
            self._announcements.add(self._client, task_list, identity, serves)

    def withdraw(self, kind: PollKind, task_list: str, identity: str) -> None:
        """Say it no more."""
        if kind is PollKind.ACTIVITIES:
            self._announcements.remove(task_list, identity)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _domain_call(self, call: Callable[..., Any], **arguments: Any) -> Any:
        return self._call(call, domain=self._domain, **arguments)

    def _call(self, call: Callable[..., Any], **arguments: Any) -> Any:
        """Call an operation; see ``aws_errors`` for the rules about what was answered before."""
        operation = getattr(call, "__name__", "")
        try:
            reply = self._authenticated(call, **arguments)
        except NotPermitted as fault:
            if operation in self._permitted:
                raise NotCarriedOut(str(fault)) from fault
            raise
        self._permitted.add(operation)
        return reply

    def _authenticated(self, call: Callable[..., Any], **arguments: Any) -> Any:
        try:
            if self._repeat is None:
                reply = called(call, **arguments)
            else:
                reply = self._repeat(translating(call), **arguments)
        except Unauthenticated as fault:
            if self._was_answered:
                raise NotCarriedOut(str(fault)) from fault
            raise
        self._was_answered = True
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


def _all_events(first: dict[str, Any], rest: Iterable[dict[str, Any]]) -> tuple[Event, ...]:
    """Return the events of all pages of a task that was claimed; none if a page is missing or unreadable.

    The task is the caller's all the same, and the history can be read: that also says what is wrong with it.
    """
    run = first["workflowExecution"]
    try:
        raws = [event for page in (first, *rest) for event in page.get("events", ())]
        return tuple(wire.events_from_swf(raws))
    except ServiceError as error:
        # Tokens of pages expire after a minute.
        problem = f"the pages of its decision task end early ({error})"
    except HistoryError as error:
        problem = f"the events of its decision task cannot be read ({error})"
    with logs.context(run["workflowId"], run["runId"]):
        log.warning("run %s: %s", run["runId"], problem)
    return ()


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
