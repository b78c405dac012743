"""Signature Version 4: whether a request was signed with the keys of this server, by botocore's arithmetic.

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

#: How far the clock of a client may be off, and how long a request can be sent again by who saw it.
SKEW = timedelta(minutes=5)

_ALGORITHM = "AWS4-HMAC-SHA256"
_SWF = "swf"
#: Headers that must be signed: an unsigned one could be changed on the way, as the operation in X-Amz-Target.
_NEEDED = frozenset({"host", "content-type", "x-amz-date", "x-amz-target"})
_BODY_HASH = "x-amz-content-sha256"
_SCOPE = re.compile(r"(.+)/([0-9]{8})/([A-Za-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_MOST_HEADERS = 100


@frozen
class Keys:
    """The one pair of keys that requests are signed with."""

    access: str
    secret: str = field(repr=False)


@frozen
class Signature:
    """What an Authorization header says."""

    access: str
    date: str
    region: str
    service: str
    headers: tuple[str, ...]
    value: str


def claimed(keys: Keys, headers: Headers, now: datetime) -> Signature:
    """Return the signature that a request claims to have, as far as its head can tell.

    Refuses, before the body is read, what no body can make right: no signature, one that does not cover
    the headers that decide, another access key or service, and a time more than five minutes from ``now``.
    """
    claim = _read(headers)
    _need_keys_of_ours(keys, claim)
    _need_now(headers.get("x-amz-date", ""), claim.date, now)
    return claim


def region_of(headers: Headers) -> str:
    """Return the region of a request's credential scope; that of an unsigned one is the default region."""
    _, _, rest = headers.get("authorization", "").strip().partition(" ")
    scope = _SCOPE.fullmatch(_parts(rest).get("Credential", ""))
    return DEFAULT_REGION if scope is None else scope[3]


def verify(keys: Keys, claim: Signature, headers: Headers, query: str, body: bytes) -> None:
    """Refuse a ``POST /`` whose claim was not made with these keys, or was made of another request."""
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
        message = f"SignedHeaders must list {', '.join(sorted(_NEEDED))} and only headers that are there"
        raise half_signed(message)
    access, date, region, service = scope.groups()
    return Signature(access, date, region, service, names, parts["Signature"])


def _parts(text: str) -> Mapping[str, str]:
    pairs = (part.strip().partition("=") for part in text.split(","))
    return {name: value for name, _, value in pairs}


def _need_keys_of_ours(keys: Keys, claim: Signature) -> None:
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
    """Botocore's signer, which signs what the client says it signed and not what botocore would."""

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
    """Whether the hash that a client names is that of the body: botocore would take it at its word."""
    named = headers.getlist(_BODY_HASH)
    return not named or (len(named) == 1 and _same(named[0].strip(), sha256(body).hexdigest()))


def _same(left: str, right: str) -> bool:
    """Whether two texts are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(left.encode(), right.encode())
