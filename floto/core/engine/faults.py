"""The refusals of whole calls, in SWF's codes and words."""

from __future__ import annotations

from floto.core.engine.registration.regions import name_of
from floto.core.errors import ServiceFault, UnknownResource
from floto.core.swf import limits
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType

_UNKNOWN = "UnknownResourceFault"


def unknown_domain(domain: str) -> UnknownResource:
    """Nobody registered this domain."""
    return UnknownResource(_UNKNOWN, f"Unknown domain: {name_of(domain)}")


def unknown_type(type_: WorkflowType | ActivityType) -> UnknownResource:
    """Nobody registered this type."""
    return UnknownResource(_UNKNOWN, f"Unknown type: {describe_type(type_)}")


def describe_type(type_: WorkflowType | ActivityType) -> str:
    """A type as SWF writes it in messages."""
    return f"{type(type_).__name__}=[name={type_.name}, version={type_.version}]"


def unknown_run(execution: WorkflowExecution) -> UnknownResource:
    """This run never was, or is closed."""
    who = f"workflowId={execution.workflow_id}, runId={execution.run_id}"
    return UnknownResource(_UNKNOWN, f"Unknown execution: WorkflowExecution=[{who}]")


def unknown_workflow(workflow_id: str) -> UnknownResource:
    """No run of this workflow id is open."""
    return UnknownResource(_UNKNOWN, f"Unknown execution, workflowId = {workflow_id}")


def unknown_activity(scheduled_event_id: int) -> UnknownResource:
    """The activity is over, or was never handed out."""
    return UnknownResource(_UNKNOWN, f"Unknown activity, scheduledEventId = {scheduled_event_id}")


def unknown_lambda(scheduled_event_id: int) -> UnknownResource:
    """The Lambda function is over, or was never invoked."""
    return UnknownResource(_UNKNOWN, f"Unknown Lambda function, scheduledEventId = {scheduled_event_id}")


def unknown_decision_task(scheduled_event_id: int) -> UnknownResource:
    """The decision task was answered or timed out."""
    return UnknownResource(_UNKNOWN, f"Unknown decision task, scheduledEventId = {scheduled_event_id}")


def type_exists(type_: WorkflowType | ActivityType) -> ServiceFault:
    """The type is registered, with defaults that cannot change."""
    return ServiceFault("TypeAlreadyExistsFault", describe_type(type_))


def domain_exists(domain: str) -> ServiceFault:
    """The domain is registered."""
    return ServiceFault("DomainAlreadyExistsFault", name_of(domain))


def type_deprecated(type_: WorkflowType | ActivityType) -> ServiceFault:
    """The type takes no new tasks or runs."""
    return ServiceFault("TypeDeprecatedFault", describe_type(type_))


def type_not_deprecated() -> ServiceFault:
    """Only a deprecated type can be deleted."""
    message = "The type is currently registered and cannot be deleted in its current state"
    return ServiceFault("TypeNotDeprecatedFault", message)


def domain_deprecated(domain: str) -> ServiceFault:
    """The domain takes nothing new."""
    return ServiceFault("DomainDeprecatedFault", name_of(domain))


def too_many_tags() -> ServiceFault:
    """A domain has no room for so many tags."""
    return ServiceFault("TooManyTagsFault", f"at most {limits.TAG_LIMIT} tags per resource")


def limit_exceeded(most: int, of: str) -> ServiceFault:
    """SWF gives nobody more of something."""
    return ServiceFault("LimitExceededFault", f"at most {most} {of}")


def already_started() -> ServiceFault:
    """A run of the workflow id is open."""
    # Emulators that measured disagree: this text, or none.
    return ServiceFault("WorkflowExecutionAlreadyStartedFault", "Already Started")


def default_undefined(field: str) -> ServiceFault:
    """Neither the call nor the registered type says a value that a run needs."""
    # The field's own name, as moto has it; another emulator says defaultTaskList and the like.
    return ServiceFault("DefaultUndefinedFault", field)


def invalid(message: str) -> ServiceFault:
    """The request is malformed, whatever it asks for."""
    return ServiceFault("ValidationException", message)
