"""What errors of boto3 and of AWS mean to floto: one table for everything that calls AWS.

``ServiceUnavailable`` may pass whatever is done; ``Throttled`` and ``Unreachable`` are of this kind, and
nothing has happened. ``Unauthenticated`` is a mistake at the first call, and passes later: tokens are
refreshed, people log in again, clocks are set. Every other ``ServiceFault`` is SWF's answer, and stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from botocore import exceptions as b
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from floto.core.errors import (
    ServiceError,
    ServiceFault,
    ServiceUnavailable,
    Throttled,
    Unauthenticated,
    UnknownResource,
    Unreachable,
)

_Made = Callable[[str, str], ServiceError]


def _unavailable(code: str, message: str) -> ServiceError:
    return ServiceUnavailable(f"{code}: {message}")


def _throttled(code: str, message: str) -> ServiceError:
    return Throttled(f"{code}: {message}")


def _unreachable(_code: str, message: str) -> ServiceError:
    return Unreachable(message)


#: AWS's own codes; those of SWF that are not here are faults.
CODES: Mapping[str, _Made] = {
    "UnknownResourceFault": UnknownResource,
    **dict.fromkeys(
        (
            "InternalFailure",
            "InternalServerError",
            "RequestTimeout",
            "ServiceUnavailable",
            "ServiceUnavailableException",
            "IDPCommunicationError",
            # Tokens are refreshed, and clocks are set, without a person.
            "ExpiredToken",
            "ExpiredTokenException",
            "RequestExpired",
            "RequestTimeTooSkewed",
        ),
        _unavailable,
    ),
    **dict.fromkeys(
        ("RequestLimitExceeded", "TooManyRequestsException", "Throttling", "ThrottlingException", "SlowDown"),
        _throttled,
    ),
    **dict.fromkeys(
        (
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "IncompleteSignature",
            "IncompleteSignatureException",
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "InvalidAccessKeyId",
            "InvalidIdentityToken",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            # What a proxy or a firewall says, on a page of its own.
            "403",
            "Forbidden",
        ),
        Unauthenticated,
    ),
}
#: Exceptions of boto3, those of subclasses first.
EXCEPTIONS: tuple[tuple[type[Exception], _Made], ...] = (
    (b.EndpointConnectionError, _unreachable),
    (b.ProxyConnectionError, _unreachable),
    (b.NoCredentialsError, Unauthenticated),
    (b.PartialCredentialsError, Unauthenticated),
    (b.CredentialRetrievalError, _unavailable),
    (b.TokenRetrievalError, _unavailable),
    (b.SSOError, Unauthenticated),
    (b.NoAuthTokenError, Unauthenticated),
    (b.MetadataRetrievalError, _unavailable),
    (b.ConnectionError, _unavailable),
    (b.HTTPClientError, _unavailable),
    (b.IncompleteReadError, _unavailable),
    (ResponseParserError, _unavailable),
    # A token file of a web identity that is being replaced, for one.
    (OSError, _unavailable),
    (BotoCoreError, ServiceFault),
)
RAISED: tuple[type[Exception], ...] = (ClientError, *(kind for kind, _ in EXCEPTIONS))
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


def translated(error: Exception) -> ServiceError:
    """Return floto's error for one that a call of boto3 raised."""
    if isinstance(error, ClientError):
        return _answered(error)
    made = next(made for kind, made in EXCEPTIONS if isinstance(error, kind))
    return made(type(error).__name__, str(error))


def _answered(error: ClientError) -> ServiceError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    message = str(error.response.get("Error", {}).get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if "Throttl" in code or status == _TOO_MANY_REQUESTS:
        return _throttled(code, message)
    if code in CODES:
        return CODES[code](code, message)
    return _unavailable(code, message) if status >= _SERVER_ERROR else ServiceFault(code, message)
