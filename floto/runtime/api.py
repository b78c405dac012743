"""A simple API of SWF (register, start, signal, cancel, terminate) over any client with boto3's methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from attrs import frozen

from floto.core.errors import PayloadError, ServiceFault
from floto.core.payloads import payload
from floto.core.spec.codec import Codec, Timeout
from floto.core.spec.decider_spec import CODEC, DeciderSpec, run_settings
from floto.core.spec.registrations import ActivityType, WorkflowType
from floto.core.swf.floto_defaults import RETENTION_DAYS
from floto.core.swf.reserved_names import SPEC_KEY
from floto.core.swf.service import ExecutionInfo, StartRequest
from floto.core.swf.shapes import WorkflowExecution
from floto.core.swf.shapes import WorkflowType as TypeName
from floto.runtime.connect import client as connected
from floto.runtime.connect import domain_of

_FIRST_THE_DOMAIN = "register the domain first: swf.domains.register_domain(name)"
_RETRY_LATER = "SWF's limits are per account; wait, or ask AWS to raise them"
_NO_OPEN_RUN = "there is no open run of this workflow id; check the workflow id and the domain"

#: What to do about a refusal, by the code of SWF's fault; one table for each kind of call.
_REGISTERING = {
    "UnknownResourceFault": _FIRST_THE_DOMAIN,
    "DomainDeprecatedFault": "undeprecate the domain, or use another",
    "LimitExceededFault": _RETRY_LATER,
}
_STARTING = {
    "UnknownResourceFault": f"{_FIRST_THE_DOMAIN}, and the type: swf.register_workflow_type(...)",
    "TypeDeprecatedFault": "undeprecate the workflow type, or register another version",
    "DomainDeprecatedFault": "undeprecate the domain, or use another",
    "WorkflowExecutionAlreadyStartedFault": "this workflow id is in use by an open run; give another",
    "DefaultUndefinedFault": "the workflow type has no default for it; give a value at the start",
    "LimitExceededFault": _RETRY_LATER,
}
_CALLING_RUN = {"UnknownResourceFault": _NO_OPEN_RUN}
_READING = {"UnknownResourceFault": _FIRST_THE_DOMAIN}


@frozen(eq=False)
class Started(WorkflowExecution):
    """A run that was started. ``["runId"]`` gives its run id, as in the response of boto3."""

    def __getitem__(self, name: str) -> str:
        """Return the run id for ``runId``; raise ``KeyError`` for every other name."""
        return {"runId": self.run_id}[name]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorkflowExecution) and (self.workflow_id, self.run_id) == (
            other.workflow_id,
            other.run_id,
        )

    __hash__ = WorkflowExecution.__hash__


@frozen
class Domains:
    """The domains of the account."""

    client: Any

    def register_domain(
        self, name: str, *, retention_days: int = RETENTION_DAYS, description: str | None = None
    ) -> None:
        """Register a domain; leave one that exists as it is.

        Args:
            name: The domain.
            retention_days: Days for which the domain keeps closed runs.
            description: At most 1,024 characters.
        """
        with _advice(_REGISTERING):
            domain_of(self.client, name).register_domain(retention_days, description)


class Swf:
    """A client for everyday use of Amazon SWF, of a server with its protocol, or of the embedded engine.

    A call is repeated only if it cannot have been carried out, for up to 30 seconds. Every method raises
    ``ServiceUnavailable`` if the same call may succeed later, ``ServiceFault`` if SWF refuses the call (the
    message says what to do), and ``PayloadError`` or ``SpecError`` for an input that is not valid.

    Args:
        service: A URL for ``floto.connect``; default: ``FLOTO_SERVICE``, else Amazon SWF.
        client: A client with boto3's methods, in place of ``service``.
        codec: Writes specs, tasks and retry strategies in inputs, with task kinds of your own.

    Raises:
        TypeError: if both ``service`` and ``client`` are given.
        UnknownService: if ``service`` is not a URL of a service.
    """

    def __init__(self, service: str | None = None, *, client: Any = None, codec: Codec = CODEC) -> None:
        if service is not None and client is not None:
            msg = "give a service or a client, not both"
            raise TypeError(msg)
        #: The client: SWF's operations as methods, named as boto3 names them.
        self.client: Any = connected(service) if client is None else client
        self.domains = Domains(self.client)
        self._codec = codec

    def register_workflow_type(self, workflow_type: WorkflowType) -> None:
        """Register a workflow type with its defaults; leave one that exists as it is."""
        with _advice(_REGISTERING):
            domain_of(self.client, workflow_type.domain).register(workflow_type)

    def register_activity_type(self, activity_type: ActivityType) -> None:
        """Register an activity type with its defaults; leave one that exists as it is."""
        with _advice(_REGISTERING):
            domain_of(self.client, activity_type.domain).register(activity_type)

    def start_workflow_execution(  # noqa: PLR0913 - they are SWF's, and named
        self,
        *,
        domain: str,
        workflow_type_name: str,
        workflow_type_version: str,
        task_list: str | None = None,
        workflow_id: str | None = None,
        input: Any = None,
        execution_start_to_close_timeout: Timeout = None,
        task_start_to_close_timeout: Timeout = None,
        child_policy: str | None = None,
        task_priority: int | None = None,
        tags: Sequence[str] = (),
    ) -> Started:
        """Start a workflow; return its run.

        SWF uses the default of the registered workflow type for every option that is None. Before that, the
        ``execution_timeout`` and ``child_policy`` of a ``DeciderSpec`` in the input count, as in
        ``input={"decider_spec": spec}``.

        Args:
            domain: SWF's domain.
            workflow_type_name: Name of a registered workflow type.
            workflow_type_version: Version of that type.
            task_list: Task list of the run's decision tasks.
            workflow_id: Default: ``<workflow_type_name>_<workflow_type_version>``. SWF refuses a second open
                run of one workflow id.
            input: A JSON value, in which specs, tasks and retry strategies are written as their JSON; a
                string is sent unchanged.
            execution_start_to_close_timeout: Seconds until SWF times the run out.
            task_start_to_close_timeout: Seconds until SWF times a decision task out.
            child_policy: ``TERMINATE``, ``REQUEST_CANCEL`` or ``ABANDON``.
            task_priority: Priority of the run's decision tasks.
            tags: At most five tags.

        Returns:
            The workflow id and run id; ``["runId"]`` gives the run id, as in the response of boto3.
        """
        spec = input.get(SPEC_KEY) if isinstance(input, Mapping) else None
        timeout, policy = run_settings(
            spec if isinstance(spec, DeciderSpec) else None, execution_start_to_close_timeout, child_policy
        )
        request = StartRequest(
            workflow_id=workflow_id or f"{workflow_type_name}_{workflow_type_version}",
            workflow_type=TypeName(workflow_type_name, workflow_type_version),
            task_list=task_list,
            input=self._written(input, "the workflow's input"),
            execution_timeout=timeout,
            decision_timeout=_text(task_start_to_close_timeout),
            child_policy=policy,
            tags=tuple(tags),
            priority=_text(task_priority),
        )
        with _advice(_STARTING):
            run_id = domain_of(self.client, domain).start_workflow_execution(request)
        return Started(request.workflow_id, run_id)

    def signal_workflow_execution(
        self, *, domain: str, workflow_id: str, signal_name: str, input: Any = None
    ) -> None:
        """Send a signal to the open run of a workflow id; for ``input`` see ``start_workflow_execution``."""
        text = self._written(input, f"the input of signal {signal_name!r}")
        with _advice(_CALLING_RUN):
            domain_of(self.client, domain).signal_workflow_execution(workflow_id, signal_name, text)

    def request_cancel_workflow_execution(self, *, domain: str, workflow_id: str) -> None:
        """Request cancellation of the open run of a workflow id; its decider closes the run."""
        with _advice(_CALLING_RUN):
            domain_of(self.client, domain).request_cancel_workflow_execution(workflow_id)

    def terminate_workflow_execution(
        self, *, domain: str, workflow_id: str, reason: str = "", details: str = ""
    ) -> None:
        """Terminate the open run of a workflow id, without its decider."""
        with _advice(_CALLING_RUN):
            domain_of(self.client, domain).terminate_workflow_execution(workflow_id, reason, details)

    def latest_execution(self, *, domain: str, workflow_id: str) -> ExecutionInfo | None:
        """Return the open run of a workflow id, else the one that closed last, else None."""
        with _advice(_READING):
            return domain_of(self.client, domain).latest_execution(workflow_id)

    def close(self) -> None:
        """Close the client, also one that was given."""
        self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _written(self, value: Any, what: str) -> str | None:
        if value is None:
            return None
        if isinstance(value, str):
            if len(value) > payload.LIMIT:
                raise PayloadError(what, f"is {len(value):,} characters long; SWF takes {payload.LIMIT:,}")
            return value
        try:
            return payload.dumps(_tagged(value, self._codec), what)
        except RecursionError as error:
            raise PayloadError(what, "is nested too deeply to be written as JSON") from error


def _tagged(value: Any, codec: Codec) -> Any:
    """Return a value in which every spec, task and retry strategy is in its JSON form."""
    if type(value) in codec.types.values():
        return codec.unstructure(value)
    if isinstance(value, Mapping):
        return {key: _tagged(item, codec) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tagged(item, codec) for item in value]
    return value


def _text(value: Timeout) -> str | None:
    return None if value is None else str(value)


@contextmanager
def _advice(by_code: Mapping[str, str]) -> Iterator[None]:
    """Add what to do to the message of a ``ServiceFault`` that is raised in the block."""
    try:
        yield
    except ServiceFault as fault:
        what_to_do = by_code.get(fault.code)
        if what_to_do is None:
            raise
        parts = [part for part in (fault.message, what_to_do) if part]
        raise type(fault)(fault.code, "; ".join(parts)) from fault
