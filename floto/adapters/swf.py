"""Amazon SWF, or a server with its protocol, as a ``Service`` over a boto3 SWF client."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from floto import logs
from floto.adapters.answers import guard
from floto.adapters.floto_server import Announcements
from floto.adapters.swf_calls import SwfCalls
from floto.core.errors import (
    HistoryError,
    NotPermitted,
    ServiceError,
    ServiceFault,
    UnknownResource,
)
from floto.core.spec import registrations
from floto.core.swf import wire
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event
from floto.core.swf.floto_defaults import RETENTION_DAYS
from floto.core.swf.pollers import PollKind
from floto.core.swf.service import ExecutionInfo, PolledActivityTask, PolledDecisionTask, StartRequest
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType

log = logging.getLogger("floto")

_Registration = registrations.WorkflowType | registrations.ActivityType

#: Seconds between idle polls: some services respond to an idle poll at once.
_IDLE_SECONDS = 0.1
_BEGINNING = datetime(1970, 1, 2, tzinfo=UTC)
_EXISTS = frozenset({"DomainAlreadyExistsFault", "TypeAlreadyExistsFault"})
_DEPRECATED = "DomainDeprecatedFault"


class SwfService:
    """One domain of SWF behind the ``Service`` port.

    SWF itself holds a poll for up to 60 seconds, independently of ``wait``.

    Args:
        client: A boto3 SWF client. From now on it raises an error for a response that SWF did not send.
        domain: The name of the domain.
        repeat: Called with a function and its arguments for each call of SWF; it must call the function and
            may retry it. Default: each call is made once, because floto's loops retry themselves.
    """

    def __init__(self, client: Any, domain: str, *, repeat: Callable[..., Any] | None = None) -> None:
        guard(client)
        self._client = client
        self._calls = SwfCalls(domain, repeat)
        self._domain = domain
        self._announcements = Announcements()
        #: What an unfinished ``prepare`` has registered (None: the domain); its next attempt resumes there.
        self._registered: set[_Registration | None] = set()

    @property
    def domain(self) -> str:
        """The domain that every call belongs to."""
        return self._domain

    @property
    def url(self) -> str | None:
        """The endpoint's URL; None if the client does not say."""
        return getattr(getattr(self._client, "meta", None), "endpoint_url", None)

    def prepare(self, workflow_types: Sequence[WorkflowType], activity_types: Sequence[ActivityType]) -> None:
        """Register the domain and the types that are missing, with floto's defaults.

        Args:
            workflow_types: The workflow types to register.
            activity_types: The activity types to register.

        Raises:
            ServiceError: if a call fails; without permission, and in a deprecated domain, it logs a warning.
        """
        self._prepare(None, self._domain, self.register_domain)
        try:
            for kinds, registration in (
                (workflow_types, registrations.WorkflowType),
                (activity_types, registrations.ActivityType),
            ):
                for kind in kinds:
                    full = registration(domain=self._domain, name=kind.name, version=kind.version)
                    self._prepare(full, kind.name, self.register, full)
        except ServiceFault as fault:
            if fault.code != _DEPRECATED:
                raise
            # Its open runs go on, and need deciders and workers for what has started in them.
            message = "domain %r is deprecated, and so are its types: no run, child or activity starts in it"
            log.warning(message, self._domain)
        self._registered.clear()

    def register_domain(self, retention_days: int = RETENTION_DAYS, description: str | None = None) -> None:
        """Register the domain; an existing one is not changed.

        Args:
            retention_days: Days for which SWF keeps closed runs.
            description: The description of the domain.
        """
        self._register(
            self._client.register_domain,
            name=self._domain,
            workflowExecutionRetentionPeriodInDays=str(retention_days),
            description=description,
        )

    def register(self, kind: _Registration) -> None:
        """Register a type; an existing one is not changed."""
        is_workflow = isinstance(kind, registrations.WorkflowType)
        call = self._client.register_workflow_type if is_workflow else self._client.register_activity_type
        self._register(call, **wire.write(kind))

    def _register(self, call: Callable[..., Any], **arguments: Any) -> None:
        try:
            # A policy may permit single types only, so a success does not make the operation permitted.
            self._calls.authenticated(call, **arguments)
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
            # A process without permission to register can still run the types that others registered.
            log.warning("%r is not registered: no permission (%s)", name, fault)
        self._registered.add(what)

    def start_workflow_execution(self, request: StartRequest) -> str:
        """Start a run and return its run id."""
        reply = self._calls.in_domain(
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
            lambdaRole=request.lambda_role,
        )
        run_id: str = reply["runId"]
        return run_id

    def signal_workflow_execution(self, workflow_id: str, signal_name: str, input: str | None = None) -> None:
        """Send a signal to the open run of a workflow id."""
        self._calls.in_domain(
            self._client.signal_workflow_execution,
            workflowId=workflow_id,
            signalName=signal_name,
            input=input,
        )

    def request_cancel_workflow_execution(self, workflow_id: str) -> None:
        """Request the cancellation of the open run of a workflow id."""
        self._calls.in_domain(self._client.request_cancel_workflow_execution, workflowId=workflow_id)

    def terminate_workflow_execution(self, workflow_id: str, reason: str = "", details: str = "") -> None:
        """Terminate the open run of a workflow id."""
        self._calls.in_domain(
            self._client.terminate_workflow_execution,
            workflowId=workflow_id,
            reason=reason or None,
            details=details or None,
        )

    def latest_execution(self, workflow_id: str) -> ExecutionInfo | None:
        """Return the open run of a workflow id, else the run closed last, else None."""
        listed = self._listed(self._client.list_open_workflow_executions, workflow_id)
        if listed is not None:
            return self._described(listed)
        return self._listed(self._client.list_closed_workflow_executions, workflow_id)

    def _listed(self, call: Callable[..., Any], workflow_id: str) -> ExecutionInfo | None:
        reply = self._calls.in_domain(
            call,
            startTimeFilter={"oldestDate": _BEGINNING},
            executionFilter={"workflowId": workflow_id},
            maximumPageSize=1,
        )
        infos = reply["executionInfos"]
        return _info(infos[0]) if infos else None

    def open_executions(self, workflow_type: WorkflowType) -> tuple[ExecutionInfo, ...]:
        """Return all open runs of a workflow type, newest first; SWF's listing is eventually consistent."""
        pages = self._calls.pages(
            self._client.list_open_workflow_executions,
            startTimeFilter={"oldestDate": _BEGINNING},
            typeFilter=wire.write(workflow_type),
        )
        return tuple(_info(raw) for page in pages for raw in page["executionInfos"])

    def _described(self, listed: ExecutionInfo) -> ExecutionInfo:
        """Return the description of a run: listings show a run as open for a while after it has closed."""
        execution = wire.write(listed.execution)
        try:
            reply = self._calls.in_domain(self._client.describe_workflow_execution, execution=execution)
        except UnknownResource:
            return listed
        return _info(reply["executionInfo"])

    def history(self, execution: WorkflowExecution, after: int = 0) -> tuple[Event, ...]:
        """Return the events of a run with an id above ``after``, from all pages."""
        # Newest first, so that pages of known events are not read.
        pages = self._calls.pages(
            self._client.get_workflow_execution_history,
            execution={"workflowId": execution.workflow_id, "runId": execution.run_id},
            reverseOrder=True,
        )
        raws = itertools.chain.from_iterable(page["events"] for page in pages)
        new = itertools.takewhile(lambda raw: raw["eventId"] > after, raws)
        return tuple(wire.events_from_swf(new))[::-1]

    def poll_for_decision_task(self, task_list: str, identity: str, wait: float) -> PolledDecisionTask | None:
        """Poll for a decision task; return None if SWF has none.

        Args:
            task_list: The task list to poll.
            identity: The identity of the decider, for the history.
            wait: Maximum seconds to sleep after an idle poll; SWF holds the poll itself.

        Returns:
            The task, with the events since the previous decision task of its run.
        """
        pages = self._calls.task_pages(
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
        """Respond to a decision task (RespondDecisionTaskCompleted)."""
        raws = [wire.decision_to_swf(decision) for decision in decisions]
        self._calls.call(self._client.respond_decision_task_completed, taskToken=token, decisions=raws)

    def poll_for_activity_task(self, task_list: str, identity: str, wait: float) -> PolledActivityTask | None:
        """Poll for an activity task; return None if SWF has none.

        Args:
            task_list: The task list to poll.
            identity: The identity of the worker, for the history.
            wait: Maximum seconds to sleep after an idle poll; SWF holds the poll itself.
        """
        reply = self._calls.in_domain(
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
        """Record a heartbeat; return True if the cancellation of the activity is requested."""
        reply = self._calls.call(
            self._client.record_activity_task_heartbeat, taskToken=token, details=details
        )
        return bool(reply["cancelRequested"])

    def respond_activity_task_completed(self, token: str, result: str | None) -> None:
        """Report an activity's result."""
        self._calls.call(self._client.respond_activity_task_completed, taskToken=token, result=result)

    def respond_activity_task_failed(self, token: str, reason: str | None, details: str | None) -> None:
        """Report an activity's failure."""
        self._calls.call(
            self._client.respond_activity_task_failed, taskToken=token, reason=reason, details=details
        )

    def respond_activity_task_canceled(self, token: str, details: str | None) -> None:
        """Report that an activity stopped after its cancellation was requested."""
        self._calls.call(self._client.respond_activity_task_canceled, taskToken=token, details=details)

    def announce(
        self, kind: PollKind, task_list: str, identity: str, serves: Sequence[ActivityType] | None = None
    ) -> None:
        """Send, with a worker's polls, the activities that it can run; ``floto server`` shows them.

        Args:
            kind: What is polled for; nothing is sent for deciders.
            task_list: The polled task list.
            identity: The identity of the worker.
            serves: The activities that it can run; nothing is sent for None.
        """
        if kind is PollKind.ACTIVITIES and serves is not None:
            self._announcements.add(self._client, task_list, identity, serves)

    def withdraw(self, kind: PollKind, task_list: str, identity: str) -> None:
        """Stop sending what ``announce`` set."""
        if kind is PollKind.ACTIVITIES:
            self._announcements.remove(task_list, identity)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _all_events(first: dict[str, Any], rest: Iterable[dict[str, Any]]) -> tuple[Event, ...]:
    """Return the events of all pages of a claimed task; none if a page is missing or unreadable.

    The caller owns the task even then, and can read the history, which raises an error that says why.
    """
    run = first["workflowExecution"]
    try:
        raws = [event for page in (first, *rest) for event in page.get("events", ())]
        return tuple(wire.events_from_swf(raws))
    except ServiceError as error:
        # Page tokens expire after a minute.
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
