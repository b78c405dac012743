"""Operations on domains, types and tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import frozen

from floto.core.engine import faults
from floto.core.engine.api.call import Call, Handler, Request, Response, given
from floto.core.engine.api.pages import page, read_token
from floto.core.engine.registration.regions import domain_key, name_of, region_of
from floto.core.engine.registration.registered_types import Domain, RegisteredType
from floto.core.engine.registration.type_settings import ActivityDefaults, WorkflowDefaults
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowType
from floto.core.swf.wire import camel, write

#: ARN of a domain; there is only one account here.
_ARN = "arn:aws:swf:{}:000000000000:/domain/{}"


def register_domain(call: Call) -> Response:
    """Carry out RegisterDomain."""
    request = call.request
    call.registration.register_domain(
        Domain(
            name=_named(call),
            retention=request["workflowExecutionRetentionPeriodInDays"],
            description=request.get("description"),
            tags=_tags(request.get("tags", ())),
        )
    )
    return {}


def _named(call: Call) -> str:
    """Return the key of the domain in ``name``, its member in the operations on domains."""
    return domain_key(call.region, call.request["name"])


def _tags(shapes: Any) -> dict[str, str]:
    return {tag["key"]: tag.get("value", "") for tag in shapes}


def deprecate_domain(call: Call) -> Response:
    """Carry out DeprecateDomain."""
    call.registration.deprecate_domain(_named(call), call.now)
    return {}


def undeprecate_domain(call: Call) -> Response:
    """Carry out UndeprecateDomain."""
    call.registration.undeprecate_domain(_named(call))
    return {}


def describe_domain(call: Call) -> Response:
    """Carry out DescribeDomain."""
    domain = call.registration.need_domain(_named(call))
    configuration = {"workflowExecutionRetentionPeriodInDays": domain.retention or "NONE"}
    return {"domainInfo": _domain_info(domain), "configuration": configuration}


def _domain_info(domain: Domain) -> Response:
    name = name_of(domain.name)
    arn = _ARN.format(region_of(domain.name), name)
    return given(name=name, status=domain.status, description=domain.description, arn=arn)


def list_domains(call: Call) -> Response:
    """Carry out ListDomains."""
    own = [domain for domain in call.store.domains() if region_of(domain.name) == call.region]
    return _list(call, "domainInfos", own, _domain_name, _domain_info)


#: Position in a page token: the name of the last domain, or the name and version of the last type.
_NAMES: Mapping[str, tuple[type, ...]] = {"domainInfos": (str,), "typeInfos": (str, str)}


def _domain_name(domain: Domain) -> tuple[str]:
    return (name_of(domain.name),)


def _list(
    call: Call,
    key: str,
    rows: Iterable[Any],
    name_of: Callable[[Any], tuple[str, ...]],
    shape: Callable[[Any], Response],
) -> Response:
    """Return a page of the rows with the requested status, sorted by name, or reversed."""
    reverse = call.request.get("reverseOrder", False)
    after = read_token(call, *_NAMES[key])
    status = call.request["registrationStatus"]
    found = sorted((row for row in rows if row.status == status), key=name_of, reverse=reverse)
    if after is not None:
        last = tuple(after)
        found = [row for row in found if (name_of(row) < last if reverse else name_of(row) > last)]
    return page(call, key, found, name_of, shape)


@frozen
class _TypeKind:
    """Member names of one of the two kinds of types in SWF's operations."""

    cls: type[ActivityType | WorkflowType]
    member: str
    defaults: type
    #: Name of each default in requests, by field.
    names: Mapping[str, str]

    def read(self, shape: Request) -> ActivityType | WorkflowType:
        """Read a type from SWF's dict."""
        return self.cls(shape["name"], shape["version"])

    def named(self, call: Call) -> ActivityType | WorkflowType:
        """Return the type that the request of a call names."""
        return self.read(call.request[self.member])


_ACTIVITY = _TypeKind(
    ActivityType,
    "activityType",
    ActivityDefaults,
    {
        "task_list": "defaultTaskList",
        "task_priority": "defaultTaskPriority",
        "schedule_to_start_timeout": "defaultTaskScheduleToStartTimeout",
        "schedule_to_close_timeout": "defaultTaskScheduleToCloseTimeout",
        "start_to_close_timeout": "defaultTaskStartToCloseTimeout",
        "heartbeat_timeout": "defaultTaskHeartbeatTimeout",
    },
)
_WORKFLOW = _TypeKind(
    WorkflowType,
    "workflowType",
    WorkflowDefaults,
    {
        "task_list": "defaultTaskList",
        "task_priority": "defaultTaskPriority",
        "execution_start_to_close_timeout": "defaultExecutionStartToCloseTimeout",
        "task_start_to_close_timeout": "defaultTaskStartToCloseTimeout",
        "child_policy": "defaultChildPolicy",
        "lambda_role": "defaultLambdaRole",
    },
)


def _register(kind: _TypeKind) -> Handler:
    def handle(call: Call) -> Response:
        request = call.request
        values = {field: request.get(name) for field, name in kind.names.items()}
        task_list = values.pop("task_list")
        defaults = kind.defaults(
            task_list=None if task_list is None else TaskList(task_list["name"]), **values
        )
        registered = RegisteredType(
            type=kind.read(request),
            defaults=defaults,
            description=request.get("description"),
            created_at=call.now,
        )
        call.registration.register_type(call.domain, registered)
        return {}

    return handle


def _deprecate(kind: _TypeKind) -> Handler:
    def handle(call: Call) -> Response:
        call.registration.deprecate_type(call.domain, kind.named(call), call.now)
        return {}

    return handle


def _undeprecate(kind: _TypeKind) -> Handler:
    def handle(call: Call) -> Response:
        call.registration.undeprecate_type(call.domain, kind.named(call))
        return {}

    return handle


def _delete(kind: _TypeKind) -> Handler:
    def handle(call: Call) -> Response:
        call.registration.delete_type(call.domain, kind.named(call))
        return {}

    return handle


def _describe(kind: _TypeKind) -> Handler:
    def handle(call: Call) -> Response:
        registered = call.registration.need_type(call.domain, kind.named(call))
        values = write(registered.defaults)
        wire = {camel(field): name for field, name in kind.names.items()}
        configuration = {wire[name]: value for name, value in values.items()}
        return {"typeInfo": _type_info(kind)(registered), "configuration": configuration}

    return handle


def _type_info(kind: _TypeKind) -> Callable[[RegisteredType], Response]:
    def shape(registered: RegisteredType) -> Response:
        return given(
            **{kind.member: write(registered.type)},
            status=registered.status,
            description=registered.description,
            creationDate=registered.created_at,
            deprecationDate=registered.deprecated_at,
        )

    return shape


def _list_types(kind: _TypeKind) -> Handler:
    def handle(call: Call) -> Response:
        rows = call.store.types(call.known_domain(), kind.cls, call.request.get("name"))
        return _list(call, "typeInfos", rows, _name_and_version, _type_info(kind))

    return handle


def _name_and_version(registered: RegisteredType) -> tuple[str, str]:
    return registered.type.name, registered.type.version


def _tagged(call: Call) -> str:
    """Return the key of the domain of an ARN; only domains have tags."""
    match = re.fullmatch(r"arn:[^:]*:swf:([^:]*):[^:]*:/domain/([^/]+)", call.request["resourceArn"])
    if match is None:
        message = "Value at 'resourceArn' failed to satisfy constraint: Member must be the ARN of a domain"
        raise faults.invalid(message)
    region, name = match.groups()
    if region != call.region:
        raise faults.unknown_domain(name)
    return domain_key(region, name)


def tag_resource(call: Call) -> Response:
    """Carry out TagResource."""
    call.registration.tag(_tagged(call), _tags(call.request["tags"]))
    return {}


def untag_resource(call: Call) -> Response:
    """Carry out UntagResource."""
    call.registration.untag(_tagged(call), call.request["tagKeys"])
    return {}


def list_tags(call: Call) -> Response:
    """Carry out ListTagsForResource."""
    tags = call.registration.need_domain(_tagged(call)).tags
    return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}


OPERATIONS: Mapping[str, Handler] = {
    "RegisterDomain": register_domain,
    "DeprecateDomain": deprecate_domain,
    "UndeprecateDomain": undeprecate_domain,
    "DescribeDomain": describe_domain,
    "ListDomains": list_domains,
    "RegisterActivityType": _register(_ACTIVITY),
    "DeprecateActivityType": _deprecate(_ACTIVITY),
    "UndeprecateActivityType": _undeprecate(_ACTIVITY),
    "DeleteActivityType": _delete(_ACTIVITY),
    "DescribeActivityType": _describe(_ACTIVITY),
    "ListActivityTypes": _list_types(_ACTIVITY),
    "RegisterWorkflowType": _register(_WORKFLOW),
    "DeprecateWorkflowType": _deprecate(_WORKFLOW),
    "UndeprecateWorkflowType": _undeprecate(_WORKFLOW),
    "DeleteWorkflowType": _delete(_WORKFLOW),
    "DescribeWorkflowType": _describe(_WORKFLOW),
    "ListWorkflowTypes": _list_types(_WORKFLOW),
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags,
}
