"""The mapping of errors of boto3 and AWS to errors of floto: one table for all calls of AWS.

The class says whether the call was carried out and whether the error is transient;
``floto.runtime.retrying`` says which caller retries which class.

- ``ServiceUnavailable``: transient, and the call may have been carried out (read time-out, HTTP 500, a
  proxy's page).
- ``NotCarriedOut``: transient, and the call was not carried out (expired token, wrong clock, credentials
  that cannot be retrieved). Its subclasses are ``Throttled`` and ``Unreachable`` (no connection could be
  made), whose subclass ``NotListening`` is for an address of this machine that refuses connections.
- ``Unauthenticated`` (missing, unknown or wrong credentials): permanent until any call of the client has
  succeeded, then ``NotCarriedOut``.
- ``NotPermitted`` (``AccessDeniedException``): permanent until a call of the same operation has succeeded,
  then ``NotCarriedOut``.
- ``UnknownResource`` and every other ``ServiceFault``: permanent, as SWF has refused the call.

``SwfService`` records which calls have succeeded and applies these two rules. Credentials that were accepted
once are accepted again after they are refreshed, replaced (``renewed_credentials``), or a person logs in.
Permissions are given per operation, so only an operation that was permitted before is expected to be
permitted again: its policy is being changed, or has not reached every server of AWS. ``floto.run`` without
permission to start a run must raise an error instead of waiting for ever. Registration is the exception: a
process without permission to register a type uses the types that others registered.

A wrong clock is transient from the first call on, because NTP corrects it; callers limit the time.

For a response that SWF did not send, botocore uses the status as the code. A proxy or a load balancer sends
such responses, and they are transient for every status.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from botocore import exceptions as b
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from floto.core.errors import (
    NotCarriedOut,
    NotListening,
    NotPermitted,
    ServiceError,
    ServiceFault,
    ServiceUnavailable,
    Throttled,
    Unauthenticated,
    UnknownResource,
    Unreachable,
)
from floto.core.hosts import is_loopback_url

#: AWS's error codes by class; SWF's codes that are not listed are ``ServiceFault``.
CODES: Mapping[type[ServiceError], frozenset[str]] = {
    UnknownResource: frozenset({"UnknownResourceFault"}),
    ServiceUnavailable: frozenset(
        {
            "IDPCommunicationError",
            "InternalFailure",
            "InternalServerError",
            "RequestTimeout",
            "ServiceUnavailable",
            "ServiceUnavailableException",
        }
    ),
    NotCarriedOut: frozenset(
        {
            "ExpiredToken",
            "ExpiredTokenException",
            "RequestExpired",
            "RequestInTheFuture",
            "RequestTimeTooSkewed",
        }
    ),
    Throttled: frozenset({"RequestLimitExceeded", "SlowDown", "TooManyRequestsException"}),
    NotPermitted: frozenset(
        {"AccessDenied", "AccessDeniedException", "NotAuthorized", "OperationNotPermittedFault"}
    ),
    Unauthenticated: frozenset(
        {
            "Forbidden",
            "IncompleteSignature",
            "IncompleteSignatureException",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidIdentityToken",
            "InvalidSignatureException",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        }
    ),
}
#: The beginnings of messages about a wrong clock, whose codes are those of wrong signatures.
_SKEWED = ("Signature expired", "Signature not yet current")
#: The beginning of botocore's error for expired credentials, which is a plain ``RuntimeError``.
_EXPIRED = "Credentials were refreshed, but"
#: Exceptions of boto3, subclasses before their bases. An exception that botocore raises both before it sends
#: a request and when it parses a response is ``ServiceUnavailable``.
EXCEPTIONS: tuple[tuple[type[Exception], type[ServiceError]], ...] = (
    (b.EndpointConnectionError, Unreachable),
    (b.ProxyConnectionError, Unreachable),
    (b.ConnectTimeoutError, Unreachable),
    (b.NoCredentialsError, Unauthenticated),
    (b.PartialCredentialsError, Unauthenticated),
    (b.NoAuthTokenError, Unauthenticated),
    (b.SSOError, Unauthenticated),
    # The login of ``aws login``; older versions of botocore do not know it.
    (getattr(b, "LoginError", b.SSOError), Unauthenticated),
    (b.CredentialRetrievalError, NotCarriedOut),
    (b.TokenRetrievalError, NotCarriedOut),
    (b.MetadataRetrievalError, NotCarriedOut),
    (b.ConnectionError, ServiceUnavailable),
    (b.HTTPClientError, ServiceUnavailable),
    (b.IncompleteReadError, ServiceUnavailable),
    (ResponseParserError, ServiceUnavailable),
    (BotoCoreError, ServiceFault),
    # A token file that is being replaced, or a missing credential process.
    (OSError, ServiceUnavailable),
    # Malformed responses: of a credential process, a metadata service or SSO, or nested members of SWF's.
    (RuntimeError, ServiceUnavailable),
    (ValueError, ServiceUnavailable),
    (LookupError, ServiceUnavailable),
    (AttributeError, ServiceUnavailable),
    (TypeError, ServiceUnavailable),
)
_OTHER_SERVICE = "or set FLOTO_SERVICE, or name a service, to use another one than Amazon SWF"
#: What to do about an AWS configuration that is missing, by exception.
ADVICE: Mapping[type[Exception], str] = {
    b.NoRegionError: f" Set AWS_DEFAULT_REGION, or name aws:REGION, {_OTHER_SERVICE}.",
    b.NoCredentialsError: f". Configure the credentials of AWS, {_OTHER_SERVICE}.",
}
RAISED: tuple[type[Exception], ...] = (ClientError, *(kind for kind, _ in EXCEPTIONS))
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


def called(method: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
    """Call a method of boto3, leaving out the arguments that are None.

    Args:
        method: The method of a boto3 client or session.
        args: Its positional arguments.
        arguments: Its keyword arguments.

    Raises:
        ServiceError: for every error of boto3, in the class that this module's table says.
    """
    try:
        return method(*args, **{name: value for name, value in arguments.items() if value is not None})
    except RAISED as error:
        raise translated(error) from error


def translating(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``called`` bound to one method, with the method's name, which log lines about retries show."""
    call: Any = functools.wraps(method)(functools.partial(called, method))
    return call  # type: ignore[no-any-return]


def translated(error: Exception) -> ServiceError:
    """Return floto's error for an error that a call of boto3 raised."""
    if isinstance(error, ClientError):
        return _answered(error)
    kind = next(kind for raised, kind in EXCEPTIONS if isinstance(error, raised))
    if str(error).startswith(_EXPIRED):
        kind = NotCarriedOut
    is_refused = kind is Unreachable and not isinstance(error, b.ConnectTimeoutError)
    if is_refused and is_loopback_url(getattr(error, "kwargs", {}).get("endpoint_url")):
        kind = NotListening
    return _made(kind, type(error).__name__, f"{error}{_reason(error)}{ADVICE.get(type(error), '')}")


def _reason(error: Exception) -> str:
    """Return why there is no connection, such as a name that is unknown; botocore's message lacks it."""
    inner = getattr(error, "kwargs", {}).get("error")
    while isinstance(inner, Exception) and not isinstance(inner, OSError):
        inner = inner.__context__
    return f" ({inner.strerror or inner})" if isinstance(inner, OSError) else ""


def _answered(error: ClientError) -> ServiceError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    message = str(error.response.get("Error", {}).get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return _made(_kind(code, message, status), code, message)


def _kind(code: str, message: str, status: int) -> type[ServiceError]:
    if "Throttl" in code or status == _TOO_MANY_REQUESTS:
        return Throttled
    kind = next((kind for kind, codes in CODES.items() if code in codes), ServiceFault)
    if kind is Unauthenticated and message.startswith(_SKEWED):
        return NotCarriedOut
    is_not_swfs = not code or code.isdigit() or status >= _SERVER_ERROR
    return ServiceUnavailable if kind is ServiceFault and is_not_swfs else kind


def _made(kind: type[ServiceError], code: str, message: str) -> ServiceError:
    return kind(code, message) if issubclass(kind, ServiceFault) else kind(f"{code}: {message}")
