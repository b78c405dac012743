"""Errors of SWF's protocol: a status, a code in its namespace, and a message."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define

from floto.core.errors import ServiceFault, ServiceUnavailable

_MODELLED, _SERVICE = "com.amazonaws.swf.base.model", "com.amazon.coral.service"
#: Namespaces of codes that are neither SWF's own faults nor common to Amazon's services.
_NAMESPACES: Mapping[str, str] = {"ValidationException": "com.amazon.coral.validate"}

BAD_REQUEST, FORBIDDEN, TIMEOUT, TOO_LARGE, MEDIA_TYPE = 400, 403, 408, 413, 415
_INTERNAL, _UNAVAILABLE = 500, 503


@define
class Refusal(Exception):
    """An error response to a request; ``code`` is Amazon's code."""

    code: str
    message: str
    status: int = BAD_REQUEST

    def body(self) -> dict[str, str]:
        """Return the JSON body of the error."""
        fault = _MODELLED if self.code.endswith("Fault") else _SERVICE
        return {"__type": f"{_NAMESPACES.get(self.code, fault)}#{self.code}", "message": self.message}


def unreadable(message: str, status: int = BAD_REQUEST) -> Refusal:
    """Return the error for a request that is not valid JSON of the protocol."""
    return Refusal("SerializationException", message, status)


def late(message: str) -> Refusal:
    """Return the error for a request that took too long to arrive."""
    return Refusal("RequestTimeoutException", message, TIMEOUT)


def unknown_operation(message: str) -> Refusal:
    """Return the error for an operation that SWF does not have."""
    return Refusal("UnknownOperationException", message)


def wrong_host(message: str) -> Refusal:
    """Return the error for a Host header that does not name this server."""
    return Refusal("AccessDeniedException", message, FORBIDDEN)


def unsigned() -> Refusal:
    """Return the error for a request without a signature."""
    return Refusal("MissingAuthenticationTokenException", "Request is missing Authentication Token")


def half_signed(message: str) -> Refusal:
    """Return the error for a signature that is not version 4, or does not cover the required headers."""
    return Refusal("IncompleteSignatureException", message)


def unknown_key() -> Refusal:
    """Return the error for an unknown access key."""
    return Refusal("UnrecognizedClientException", "The security token included in the request is invalid.")


def wrong_signature(message: str) -> Refusal:
    """Return the error for a signature that does not match the request or the time."""
    return Refusal("InvalidSignatureException", message)


def refusal(error: Exception) -> Refusal:
    """Return the response to an error; it has no details of an error that the client did not cause."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ServiceFault):
        return Refusal(error.code, error.message)
    if isinstance(error, ServiceUnavailable):
        return Refusal(
            "ServiceUnavailableException", "The service cannot answer now; try again", _UNAVAILABLE
        )
    return Refusal("InternalFailure", "The request could not be processed", _INTERNAL)
