"""Faults of whole calls, with SWF's codes and messages."""

from __future__ import annotations

from floto.core.engine.registration.regions import name_of
from floto.core.errors import ServiceFault, UnknownResource
from floto.core.swf import limits
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType

_UNKNOWN = "UnknownResourceFault"


def unknown_domain(domain: str) -> UnknownResource:
    """Return the fault of a domain that is not registered."""
    return UnknownResource(_UNKNOWN, f"Unknown domain: {name_of(domain)}")


def unknown_type(type_: WorkflowType | ActivityType) -> UnknownResource:
    """Return the fault of a type that is not registered."""
    return UnknownResource(_UNKNOWN, f"Unknown type: {describe_type(type_)}")


def describe_type(type_: WorkflowType | ActivityType) -> str:
    """Return a type as SWF's messages have it."""
    return f"{type(type_).__name__}=[name={type_.name}, version={type_.version}]"


def unknown_run(execution: WorkflowExecution) -> UnknownResource:
    """Return the fault of a run that does not exist or is closed."""
    who = f"workflowId={execution.workflow_id}, runId={execution.run_id}"
    return UnknownResource(_UNKNOWN, f"Unknown execution: WorkflowExecution=[{who}]")


def unknown_workflow(workflow_id: str) -> UnknownResource:
    """Return the fault of a workflow id without an open run."""
    return UnknownResource(_UNKNOWN, f"Unknown execution, workflowId = {workflow_id}")


def unknown_activity(scheduled_event_id: int) -> UnknownResource:
    """Return the fault of an activity that is closed or not started."""
    return UnknownResource(_UNKNOWN, f"Unknown activity, scheduledEventId = {scheduled_event_id}")


def unknown_lambda(scheduled_event_id: int) -> UnknownResource:
    """Return the fault of a Lambda function that is closed or not started."""
    return UnknownResource(_UNKNOWN, f"Unknown Lambda function, scheduledEventId = {scheduled_event_id}")


def unknown_decision_task(scheduled_event_id: int) -> UnknownResource:
    """Return the fault of a decision task that is closed."""
    return UnknownResource(_UNKNOWN, f"Unknown decision task, scheduledEventId = {scheduled_event_id}")


def type_exists(type_: WorkflowType | ActivityType) -> ServiceFault:
    """Return the fault of a type that is already registered."""
    return ServiceFault("TypeAlreadyExistsFault", describe_type(type_))


def domain_exists(domain: str) -> ServiceFault:
    """Return the fault of a domain that is already registered."""
    return ServiceFault("DomainAlreadyExistsFault", name_of(domain))


def type_deprecated(type_: WorkflowType | ActivityType) -> ServiceFault:
    """Return the fault of a deprecated type."""
    return ServiceFault("TypeDeprecatedFault", describe_type(type_))


def type_not_deprecated() -> ServiceFault:
    """Return the fault of deleting a type that is not deprecated."""
    message = "The type is currently registered and cannot be deleted in its current state"
    return ServiceFault("TypeNotDeprecatedFault", message)


def domain_deprecated(domain: str) -> ServiceFault:
    """Return the fault of a deprecated domain."""
    return ServiceFault("DomainDeprecatedFault", name_of(domain))


def too_many_tags() -> ServiceFault:
    """Return the fault of too many tags of one domain."""
    return ServiceFault("TooManyTagsFault", f"at most {limits.TAG_LIMIT} tags per resource")


def limit_exceeded(most: int, of: str) -> ServiceFault:
    """Return the fault of exceeding a limit of the account."""
    return ServiceFault("LimitExceededFault", f"at most {most} {of}")


def already_started() -> ServiceFault:
    """Return the fault of a workflow id that has an open run."""
    # Emulators disagree: this text, or none.
    return ServiceFault("WorkflowExecutionAlreadyStartedFault", "Already Started")


def default_undefined(field: str) -> ServiceFault:
    """Return the fault of a required setting that neither the call nor the registered type has."""
    # The name of the field, as in moto; another emulator has defaultTaskList and the like.
    return ServiceFault("DefaultUndefinedFault", field)


def invalid(message: str) -> ServiceFault:
    """Return the fault of a malformed request."""
    return ServiceFault("ValidationException", message)
