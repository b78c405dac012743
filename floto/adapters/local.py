"""boto3's SWF client without a network: the embedded engine behind the same methods, dicts and errors."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from attrs import frozen
from botocore import xform_name
from botocore.errorfactory import ClientExceptionsFactory
from botocore.exceptions import ClientError, OperationNotPageableError, ParamValidationError
from botocore.model import ServiceModel
from botocore.paginate import Paginator

from floto.adapters.lambda_invoker import Function
from floto.adapters.model import MODEL, OPERATIONS, botocore_file, input_shape
from floto.adapters.operations import Operations
from floto.adapters.sqlite.operations import SqliteOperations
from floto.adapters.sqlite.storage.database import Durability
from floto.core.engine.registration.regions import DEFAULT_REGION
from floto.core.errors import ServiceFault, ServiceUnavailable
from floto.core.swf.limits import POLL_SECONDS
from floto.core.swf.pollers import Live
from floto.core.swf.service import Clock

_METHODS: Mapping[str, str] = {xform_name(operation): operation for operation in OPERATIONS}
_MEMBERS: Mapping[str, frozenset[str]] = {
    operation: frozenset(input_shape(operation).members) for operation in OPERATIONS
}
_PAGINATORS: Mapping[str, Any] = botocore_file("paginators-1")["pagination"]
_OK, _REFUSED, _LATER = 200, 400, 503


@frozen
class Meta:
    """The metadata of a client, with the names of boto3's."""

    service_model: ServiceModel = MODEL
    region_name: str = DEFAULT_REGION
    endpoint_url: str | None = None
    method_to_api_mapping: Mapping[str, str] = _METHODS


#: An operation of SWF: takes its members as keyword arguments and returns its response.
Method = Callable[..., dict[str, Any]]


class LocalClient:
    """The methods of boto3's SWF client over an implementation of SWF's operations.

    Requests, responses and errors are boto3's; ``mypy_boto3_swf.SWFClient`` (boto3-stubs) describes them in
    detail. Errors are ``ClientError``, in the classes of ``exceptions`` where SWF's model has one. The
    service validates requests; boto3's own check only refuses unknown arguments.

    Args:
        operations: The implementation; ``close`` closes it.
    """

    meta = Meta()
    #: The exception classes of SWF's faults, by code.
    exceptions: Any = ClientExceptionsFactory().create_client_exceptions(MODEL)

    # Generated from the model, below this class.
    count_closed_workflow_executions: Method
    count_open_workflow_executions: Method
    count_pending_activity_tasks: Method
    count_pending_decision_tasks: Method
    delete_activity_type: Method
    delete_workflow_type: Method
    deprecate_activity_type: Method
    deprecate_domain: Method
    deprecate_workflow_type: Method
    describe_activity_type: Method
    describe_domain: Method
    describe_workflow_execution: Method
    describe_workflow_type: Method
    get_workflow_execution_history: Method
    list_activity_types: Method
    list_closed_workflow_executions: Method
    list_domains: Method
    list_open_workflow_executions: Method
    list_tags_for_resource: Method
    list_workflow_types: Method
    poll_for_activity_task: Method
    poll_for_decision_task: Method
    record_activity_task_heartbeat: Method
    register_activity_type: Method
    register_domain: Method
    register_workflow_type: Method
    request_cancel_workflow_execution: Method
    respond_activity_task_canceled: Method
    respond_activity_task_completed: Method
    respond_activity_task_failed: Method
    respond_decision_task_completed: Method
    signal_workflow_execution: Method
    start_workflow_execution: Method
    tag_resource: Method
    terminate_workflow_execution: Method
    undeprecate_activity_type: Method
    undeprecate_domain: Method
    undeprecate_workflow_type: Method
    untag_resource: Method

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def can_paginate(self, operation_name: str) -> bool:
        """Return True if boto3 has a paginator for a method."""
        return _METHODS.get(operation_name) in _PAGINATORS

    def get_paginator(self, operation_name: str) -> Paginator[Any]:
        """Return botocore's paginator over a method of this client.

        Args:
            operation_name: The name of the method, such as ``list_domains``.

        Raises:
            OperationNotPageableError: if the method has none.
        """
        if not self.can_paginate(operation_name):
            raise OperationNotPageableError(operation_name=operation_name)
        operation = _METHODS[operation_name]
        return Paginator(
            getattr(self, operation_name), _PAGINATORS[operation], MODEL.operation_model(operation)
        )

    @property
    def waiter_names(self) -> list[str]:
        """An empty list: SWF has no waiters."""
        return []

    def get_waiter(self, waiter_name: str) -> Any:
        """Raise ``ValueError``: SWF has no waiters."""
        msg = f"Waiter does not exist: {waiter_name}"
        raise ValueError(msg)

    def close(self) -> None:
        """Close the service; later calls raise ``ServiceError``."""
        self._operations.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if unknown := request.keys() - _MEMBERS[operation]:
            raise ParamValidationError(report=_unknown_members(operation, unknown))
        try:
            response = self._operations.call(operation, request)
        except ServiceFault as fault:
            raise self._refusal(operation, fault.code, fault.message, _REFUSED) from fault
        except ServiceUnavailable as error:
            raise self._refusal(operation, "ServiceUnavailable", str(error), _LATER) from error
        return {**response, "ResponseMetadata": _metadata(_OK)}

    def _refusal(self, operation: str, code: str, message: str, status: int) -> ClientError:
        kind: type[ClientError] = self.exceptions.from_code(code)
        response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": _metadata(status)}
        if kind is not ClientError:
            # The member of the modelled shape, which botocore adds.
            response["message"] = message
        return kind(response, operation)


class LocalSwf(LocalClient):
    """SWF on one SQLite file, with the interface of boto3's client.

    Any number of threads and processes may share the file. The domains are those of the region us-east-1.

    Args:
        path: The database file, which is created if it is missing; ``":memory:"`` for none.
        clock: Returns the current time in UTC; default: the machine's clock.
        durability: ``"full"`` syncs the disk with every commit; ``"normal"`` may lose the latest commits in a
            power cut, and nothing in a crash of the process.
        functions: The Lambda functions by name, called with their decoded JSON input in threads of this
            process; default: Lambda is not available.
        poll_seconds: Seconds that a poll waits for a task; default: 60, as SWF does.

    Raises:
        ServiceError: if the file is not a floto database, of a newer version, or damaged.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Clock | None = None,
        durability: Durability = "full",
        functions: Mapping[str, Function] | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._file = SqliteOperations(
            path, clock=clock, durability=durability, functions=functions, poll_seconds=poll_seconds
        )
        super().__init__(self._file)

    def live(self) -> Live:
        """Return the backlog and the pollers of every task list; SWF has no such operation."""
        return self._file.live()

    def check_file(self) -> None:
        """Raise ``ServiceError`` if the file is not the one that was opened; nothing is read."""
        self._file.check_file()


def _metadata(status: int) -> dict[str, Any]:
    return {"RequestId": str(uuid4()), "HTTPStatusCode": status, "HTTPHeaders": {}, "RetryAttempts": 0}


def _unknown_members(operation: str, unknown: set[str]) -> str:
    known = ", ".join(sorted(_MEMBERS[operation]))
    return "\n".join(
        f'Unknown parameter in input: "{name}", must be one of: {known}' for name in sorted(unknown)
    )


def _method(name: str, operation: str) -> Method:
    def method(self: LocalClient, *args: Any, **request: Any) -> dict[str, Any]:
        if args:
            # boto3's message.
            msg = f"{name}() only accepts keyword arguments."
            raise TypeError(msg)
        return self._call(operation, request)

    method.__name__ = name
    method.__qualname__ = f"{LocalClient.__qualname__}.{name}"
    method.__doc__ = _first_paragraph(MODEL.operation_model(operation).documentation)
    return method


def _first_paragraph(documentation: str) -> str:
    """Return the first paragraph of the model's HTML as one line of plain text."""
    first = documentation.partition("</p>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", first)).split())


for _name, _operation in _METHODS.items():
    setattr(LocalClient, _name, _method(_name, _operation))
