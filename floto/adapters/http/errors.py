"""What goes wrong, as SWF's protocol has it: a status, a code in its namespace, and a message."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define

from floto.core.errors import ServiceFault, ServiceUnavailable

_MODELLED, _SERVICE = "com.amazonaws.swf.base.model", "com.amazon.coral.service"
#: Where codes are at home that are neither SWF's own faults nor common to all of Amazon's services.
_NAMESPACES: Mapping[str, str] = {"ValidationException": "com.amazon.coral.validate"}

BAD_REQUEST, FORBIDDEN, TIMEOUT, TOO_LARGE, MEDIA_TYPE = 400, 403, 408, 413, 415
_INTERNAL, _UNAVAILABLE = 500, 503


@define
class Refusal(Exception):
    """A request that is answered with an error; ``code`` is Amazon's name for it."""

    code: str
    message: str
    status: int = BAD_REQUEST

    def body(self) -> dict[str, str]:
        """The error as clients read it."""
        fault = _MODELLED if self.code.endswith("Fault") else _SERVICE
        return {"__type": f"{_NAMESPACES.get(self.code, fault)}#{self.code}", "message": self.message}


def unreadable(message: str, status: int = BAD_REQUEST) -> Refusal:
    """The request is not what JSON 1.0 has for one."""
    return Refusal("SerializationException", message, status)


def late(message: str) -> Refusal:
    """The request took too long to arrive."""
    return Refusal("RequestTimeoutException", message, TIMEOUT)


def unknown_operation(message: str) -> Refusal:
    """The request is for nothing that SWF does."""
    return Refusal("UnknownOperationException", message)


def wrong_host(message: str) -> Refusal:
    """The request was meant for somebody else."""
    return Refusal("AccessDeniedException", message, FORBIDDEN)


def unsigned() -> Refusal:
    """The request has no signature."""
    return Refusal("MissingAuthenticationTokenException", "Request is missing Authentication Token")


def half_signed(message: str) -> Refusal:
    """The signature is not one of version 4, or does not cover what it must."""
    return Refusal("IncompleteSignatureException", message)


def unknown_key() -> Refusal:
    """The request was signed with other keys."""
    return Refusal("UnrecognizedClientException", "The security token included in the request is invalid.")


def wrong_signature(message: str) -> Refusal:
    """The signature is not that of this request, or of this time."""
    return Refusal("InvalidSignatureException", message)


def refusal(error: Exception) -> Refusal:
    """Return what a client is told of an error; of those that no client can have caused, nothing but that."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ServiceFault):
        return Refusal(error.code, error.message)
    if isinstance(error, ServiceUnavailable):
        return Refusal(
            "ServiceUnavailableException", "The service cannot answer now; try again", _UNAVAILABLE
        )
    return Refusal("InternalFailure", "The request could not be processed", _INTERNAL)
