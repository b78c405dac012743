"""boto3's SWF client without the network: the embedded engine behind the same methods, dicts and errors."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from uuid import uuid4

from attrs import frozen
from botocore import xform_name
from botocore.errorfactory import ClientExceptionsFactory
from botocore.exceptions import ClientError, OperationNotPageableError, ParamValidationError
from botocore.model import ServiceModel
from botocore.paginate import Paginator

from floto.adapters.model import API_VERSION, LOADER, MODEL, OPERATIONS, input_shape
from floto.adapters.sqlite.file.schema import Durability
from floto.adapters.sqlite.lambda_invoker import Function
from floto.adapters.sqlite.operations import POLL_SECONDS, SqliteOperations
from floto.core.engine.registration.regions import DEFAULT_REGION
from floto.core.errors import ServiceFault, ServiceUnavailable
from floto.core.swf.pollers import Live
from floto.core.swf.service import Clock

_METHODS: Mapping[str, str] = {xform_name(operation): operation for operation in OPERATIONS}
_MEMBERS: Mapping[str, frozenset[str]] = {
    operation: frozenset(input_shape(operation).members) for operation in OPERATIONS
}
_PAGINATORS: Mapping[str, Any] = LOADER.load_service_model("swf", "paginators-1", API_VERSION)["pagination"]
_OK, _REFUSED, _LATER = 200, 400, 503


class Operations(Protocol):
    """What carries the operations out, by SWF's own names."""

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an operation; raises ``ServiceFault`` or ``ServiceUnavailable``."""
        ...

    def close(self) -> None:
        """Let go of what is behind it."""
        ...


@frozen
class Meta:
    """What boto3's clients say of themselves."""

    service_model: ServiceModel = MODEL
    region_name: str = DEFAULT_REGION
    endpoint_url: str | None = None
    method_to_api_mapping: Mapping[str, str] = _METHODS


#: One of SWF's operations: takes its members as keyword arguments, and answers a dict.
Method = Callable[..., dict[str, Any]]


class LocalClient:
    """The methods of boto3's SWF client over anything that carries out SWF's operations.

    Requests, responses and errors are boto3's; ``mypy_boto3_swf.SWFClient`` (boto3-stubs) describes them in
    detail. Errors are ``ClientError``, in the classes of ``exceptions`` where SWF's model has one. What is
    wrong in a request is said by the service; boto3's own check only refuses arguments that are no members.
    """

    meta = Meta()
    #: The classes of SWF's faults, by their codes.
    exceptions: Any = ClientExceptionsFactory().create_client_exceptions(MODEL)

    # Made from the model below this class.
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
        """Whether there is a paginator for a method."""
        return _METHODS.get(operation_name) in _PAGINATORS

    def get_paginator(self, operation_name: str) -> Paginator[Any]:
        """Botocore's own paginator over one of this client's methods."""
        if not self.can_paginate(operation_name):
            raise OperationNotPageableError(operation_name=operation_name)
        operation = _METHODS[operation_name]
        return Paginator(
            getattr(self, operation_name), _PAGINATORS[operation], MODEL.operation_model(operation)
        )

    @property
    def waiter_names(self) -> list[str]:
        """No names: SWF has no waiters."""
        return []

    def get_waiter(self, waiter_name: str) -> Any:
        """Refuse: SWF has no waiters."""
        msg = f"Waiter does not exist: {waiter_name}"
        raise ValueError(msg)

    def close(self) -> None:
        """Let go of the service; calls raise ``ServiceError`` from then on."""
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
    """All of SWF on one file, which any number of threads and processes may share, as a client like boto3's.

    Its domains are those of the region us-east-1.

    ``functions`` are the Lambda functions by name, each called with its input read from JSON.
    ``poll_seconds`` is how long an idle poll is held.
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
        """Return what waits on every task list, and who polls; not one of SWF's operations."""
        return self._file.live()


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
            # In boto3's words.
            msg = f"{name}() only accepts keyword arguments."
            raise TypeError(msg)
        return self._call(operation, request)

    method.__name__ = name
    method.__qualname__ = f"{LocalClient.__qualname__}.{name}"
    method.__doc__ = _said(MODEL.operation_model(operation).documentation)
    return method


def _said(documentation: str) -> str:
    """The first paragraph of the model's HTML, as one line of text."""
    first = documentation.partition("</p>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", first)).split())


for _name, _operation in _METHODS.items():
    setattr(LocalClient, _name, _method(_name, _operation))
