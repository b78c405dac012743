"""Verification of Signature Version 4 with the keys of this server, computed by botocore's signer.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.client import HTTPMessage
from typing import Any

from attrs import field, frozen
from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from starlette.datastructures import Headers

from floto.adapters.http.errors import half_signed, unknown_key, unsigned, wrong_signature
from floto.core.engine.registration.regions import DEFAULT_REGION

#: Maximum difference of the clocks of client and server; a recorded request can be replayed so long.
SKEW = timedelta(minutes=5)

_ALGORITHM = "AWS4-HMAC-SHA256"
_SWF = "swf"
#: Headers that must be signed; an unsigned one, such as the operation, could be changed in transit.
_NEEDED = frozenset({"host", "content-type", "x-amz-date", "x-amz-target"})
_BODY_HASH = "x-amz-content-sha256"
_SCOPE = re.compile(r"(.+)/([0-9]{8})/([A-Za-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_MOST_HEADERS = 100


@frozen
class Keys:
    """The pair of keys that requests must be signed with."""

    access: str
    secret: str = field(repr=False)


@frozen
class Signature:
    """The content of an Authorization header."""

    access: str
    date: str
    region: str
    service: str
    headers: tuple[str, ...]
    value: str


def claimed(keys: Keys, headers: Headers, now: datetime) -> Signature:
    """Return the signature that a request claims, after the checks that do not need the body.

    Args:
        keys: The keys of this server.
        headers: The headers of the request.
        now: The current time in UTC.

    Raises:
        Refusal: if the signature is missing, does not cover the required headers, has another access key or
            service, or is more than five minutes from ``now``.
    """
    claim = _read(headers)
    _need_our_keys(keys, claim)
    _need_now(headers.get("x-amz-date", ""), claim.date, now)
    return claim


def region_of(authorization: str | None) -> str:
    """Return the region of a request's credential scope; the default region if it is not signed."""
    if authorization is None:
        return DEFAULT_REGION
    _, _, rest = authorization.strip().partition(" ")
    scope = _SCOPE.fullmatch(_parts(rest).get("Credential", ""))
    return DEFAULT_REGION if scope is None else scope[3]


def verify(keys: Keys, claim: Signature, headers: Headers, query: str, body: bytes) -> None:
    """Verify the signature of a ``POST /``.

    Args:
        keys: The keys of this server.
        claim: The signature that ``claimed`` returned.
        headers: The headers of the request.
        query: The query string of its URL.
        body: Its whole body.

    Raises:
        Refusal: if the signature was made with another secret key, or for another request.
    """
    if not _same(_expected(keys, claim, headers, query, body), claim.value) or not _covers(headers, body):
        message = (
            "The request signature we calculated does not match the signature you provided. Check your "
            "AWS Secret Access Key and signing method. Consult the service documentation for details."
        )
        raise wrong_signature(message)


def _read(headers: Headers) -> Signature:
    given = headers.get("authorization")
    if given is None:
        raise unsigned()
    algorithm, _, rest = given.strip().partition(" ")
    parts = _parts(rest)
    scope = _SCOPE.fullmatch(parts.get("Credential", ""))
    names = tuple(parts.get("SignedHeaders", "").lower().split(";"))
    if algorithm != _ALGORITHM or scope is None or "Signature" not in parts:
        message = f"Authorization must be {_ALGORITHM} with Credential, SignedHeaders and Signature"
        raise half_signed(message)
    if not set(names) >= _NEEDED or len(names) > _MOST_HEADERS or any(name not in headers for name in names):
        message = f"SignedHeaders must list {', '.join(sorted(_NEEDED))} and only headers of the request"
        raise half_signed(message)
    access, date, region, service = scope.groups()
    return Signature(access, date, region, service, names, parts["Signature"])


def _parts(text: str) -> Mapping[str, str]:
    pairs = (part.strip().partition("=") for part in text.split(","))
    return {name: value for name, _, value in pairs}


def _need_our_keys(keys: Keys, claim: Signature) -> None:
    if not _same(keys.access, claim.access):
        raise unknown_key()
    if claim.service != _SWF:
        message = f"Credential should be scoped to correct service: '{_SWF}'."
        raise wrong_signature(message)


def _need_now(timestamp: str, date: str, now: datetime) -> None:
    try:
        signed = datetime.strptime(timestamp, SIGV4_TIMESTAMP).replace(tzinfo=UTC)
    except ValueError:
        message = "Date must be in ISO-8601 'basic format', as 20150830T123600Z."
        raise half_signed(message) from None
    if not timestamp.startswith(date):
        message = "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP"
        raise wrong_signature(message)
    if abs(now - signed) > SKEW:
        what = "Signature expired" if signed < now else "Signature not yet current"
        message = f"{what}: {timestamp} is more than {SKEW} from {now.strftime(SIGV4_TIMESTAMP)}"
        raise wrong_signature(message)


class _Verifier(SigV4Auth):
    """Botocore's signer, restricted to the headers that the client says it signed."""

    def headers_to_sign(self, request: AWSRequest) -> HTTPMessage:
        message = HTTPMessage()
        for name, value in request.headers.items():
            message[name] = value
        return message


def _expected(keys: Keys, claim: Signature, headers: Headers, query: str, body: bytes) -> str:
    request: Any = AWSRequest("POST", url=f"http://localhost/?{query}", data=body)
    for name in claim.headers:
        for value in headers.getlist(name):
            request.headers[name] = value
    request.context["timestamp"] = headers["x-amz-date"]
    signer = _Verifier(Credentials(keys.access, keys.secret), claim.service, claim.region)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return str(signer.signature(text, request))


def _covers(headers: Headers, body: bytes) -> bool:
    """Return True if the body has the hash that its header claims, which botocore would not verify."""
    named = headers.getlist(_BODY_HASH)
    return not named or (len(named) == 1 and _same(named[0].strip(), sha256(body).hexdigest()))


def _same(left: str, right: str) -> bool:
    """Return True if two strings are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(left.encode(), right.encode())
