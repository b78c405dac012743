"""What errors of boto3 and of AWS mean to floto: one table for every call of AWS.

Each class says what happened and how long it lasts; ``floto.runtime.retrying`` says which caller repeats
which.

- ``ServiceUnavailable``: transient, and the call may have been carried out (time-out of a read, HTTP 500, a
  proxy's page).
- ``NotCarriedOut``: transient, and the call was not carried out (expired token, wrong clock, credentials
  that cannot be retrieved). Its kinds are ``Throttled``; ``Unreachable``, where no connection could be made;
  and of that ``NotListening``, where the address is one of this machine.
- ``Unauthenticated`` (no, unknown or wrong credentials): permanent until the first good answer of all, then
  ``NotCarriedOut``.
- ``NotPermitted`` (``AccessDeniedException``): permanent until the first good answer of the same operation,
  then ``NotCarriedOut``.
- ``UnknownResource`` and every other ``ServiceFault``: permanent, as SWF has refused the call.

``SwfService`` knows what was answered before, and applies the two rules that depend on it. Credentials that
were accepted once will be again, when they are refreshed or a person logs in. A permission is one of an
operation, so only an operation that was permitted before is expected to be permitted again: a policy is
being changed, or has not arrived everywhere. ``floto.run`` without permission to start a run must say so
instead of waiting for ever. The one exception is registering: whoever may not register a type goes on with
what others registered.

A clock that is wrong is transient from the first call on, as NTP mends it: callers limit the time.

botocore takes the status of an answer that is not SWF's as the code. Such an answer is one of a proxy or of
a load balancer, and transient whatever its status.
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

#: The classes of AWS's own codes; those of SWF that are not here are faults.
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
#: How messages begin that say that a clock is wrong; their codes are those of wrong signatures.
_SKEWED = ("Signature expired", "Signature not yet current")
#: How botocore's only error of expired credentials begins; it is a plain ``RuntimeError``.
_EXPIRED = "Credentials were refreshed, but"
#: Exceptions of boto3, those of subclasses first. What botocore raises before it sends a request as well as
#: when it parses the answer is ``ServiceUnavailable``.
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
    # A token file that is being replaced, a credential process that is not there.
    (OSError, ServiceUnavailable),
    # Malformed answers: of a credential process, a metadata service or SSO, and members deep in one of SWF.
    (RuntimeError, ServiceUnavailable),
    (ValueError, ServiceUnavailable),
    (LookupError, ServiceUnavailable),
    (AttributeError, ServiceUnavailable),
    (TypeError, ServiceUnavailable),
)
RAISED: tuple[type[Exception], ...] = (ClientError, *(kind for kind, _ in EXCEPTIONS))
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


def called(method: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
    """Call a method of boto3, without arguments that are None; raise ``ServiceError`` for boto3's errors."""
    try:
        return method(*args, **{name: value for name, value in arguments.items() if value is not None})
    except RAISED as error:
        raise translated(error) from error


def translating(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``called`` for one method, under the method's name: logs say which call was repeated."""
    call: Any = functools.wraps(method)(functools.partial(called, method))
    return call  # type: ignore[no-any-return]


def translated(error: Exception) -> ServiceError:
    """Return floto's error for one that a call of boto3 raised."""
    if isinstance(error, ClientError):
        return _answered(error)
    kind = next(kind for raised, kind in EXCEPTIONS if isinstance(error, raised))
    if str(error).startswith(_EXPIRED):
        kind = NotCarriedOut
    if kind is Unreachable and is_loopback_url(getattr(error, "kwargs", {}).get("endpoint_url")):
        kind = NotListening
    return _made(kind, type(error).__name__, str(error))


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
    is_strange = not code or code.isdigit() or status >= _SERVER_ERROR
    return ServiceUnavailable if kind is ServiceFault and is_strange else kind


def _made(kind: type[ServiceError], code: str, message: str) -> ServiceError:
    return kind(code, message) if issubclass(kind, ServiceFault) else kind(f"{code}: {message}")
