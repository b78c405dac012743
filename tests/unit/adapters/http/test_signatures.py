"""Signature Version 4: what botocore signed is accepted, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from botocore import auth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from starlette.datastructures import Headers

from floto.adapters.http.errors import Refusal
from floto.adapters.http.signatures import SKEW, Keys, claimed, verify

KEYS = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BODY = b'{"registrationStatus":"REGISTERED"}'


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    if hasattr(auth, "get_current_datetime"):
        monkeypatch.setattr(auth, "get_current_datetime", lambda: NOW)
    else:
        # Earlier versions of botocore read the clock themselves.
        clock = SimpleNamespace(utcnow=lambda: NOW)
        monkeypatch.setattr(auth, "datetime", SimpleNamespace(datetime=clock))


def signed(
    keys: Keys = KEYS,
    more: Mapping[str, str] = MappingProxyType({}),
    *,
    body: bytes = BODY,
    scope: tuple[str, str] = ("swf", "eu-west-1"),
    query: str = "",
) -> dict[str, str]:
    """The headers of a request as botocore signs it."""
    headers = {
        "Host": "localhost:8044",
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "SimpleWorkflowService.ListDomains",
        **more,
    }
    request: Any = AWSRequest("POST", url=f"http://localhost:8044/?{query}", data=body, headers=headers)
    SigV4Auth(Credentials(keys.access, keys.secret), *scope).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def check(headers: dict[str, str], body: bytes = BODY, query: str = "", now: datetime = NOW) -> None:
    given = Headers(headers)
    verify(KEYS, claimed(KEYS, given, now), given, query, body)


def code(headers: dict[str, str], **request: Any) -> str:
    with pytest.raises(Refusal) as raised:
        check(headers, **request)
    assert raised.value.status == 400
    assert KEYS.secret not in raised.value.message
    return raised.value.code


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "local"])
def test_signature_of_botocore_is_accepted_in_any_region(region: str) -> None:
    check(signed(scope=("swf", region)))


def test_unusual_signed_parts_are_accepted() -> None:
    check(signed(query="b=2&a=1", body=b""), body=b"", query="b=2&a=1")
    check(signed(more={"X-Amz-Meta": "  two   spaces "}))
    check(signed(more={"X-Amz-Content-SHA256": sha256(BODY).hexdigest()}))


def test_unsigned_headers_are_ignored() -> None:
    check({**signed(), "via": "proxy", "user-agent": "somebody", "x-amz-unsigned": "1"})


def test_request_without_a_signature_is_refused() -> None:
    assert code({"host": "localhost"}) == "MissingAuthenticationTokenException"


def test_unknown_access_key_is_refused() -> None:
    assert code(signed(Keys("AKIDOTHER", KEYS.secret))) == "UnrecognizedClientException"
    assert code(signed(Keys("é", KEYS.secret))) == "UnrecognizedClientException"


def test_wrong_secret_is_refused() -> None:
    assert code(signed(Keys(KEYS.access, "guess"))) == "InvalidSignatureException"


@pytest.mark.parametrize(
    "change",
    [
        {"host": "localhost:8045"},
        {"content-type": "application/json"},
        {"x-amz-date": "20260102T030406Z"},
        {"x-amz-target": "SimpleWorkflowService.TerminateWorkflowExecution"},
    ],
)
def test_changed_signed_headers_are_refused(change: dict[str, str]) -> None:
    headers = signed()
    assert code({**headers, **change}) == "InvalidSignatureException"


def test_changed_body_or_query_is_refused() -> None:
    assert code(signed(), body=BODY + b" ") == "InvalidSignatureException"
    assert code(signed(), query="a=1") == "InvalidSignatureException"


@pytest.mark.parametrize(
    "hash_", ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", sha256(b"").hexdigest(), ""]
)
def test_body_hash_is_computed_and_not_taken_from_the_header(hash_: str) -> None:
    assert code(signed(more={"X-Amz-Content-SHA256": hash_})) == "InvalidSignatureException"


def test_unsigned_hash_header_is_ignored() -> None:
    headers = {**signed(), "x-amz-content-sha256": sha256(BODY + b" ").hexdigest()}
    assert code(headers, body=BODY + b" ") == "InvalidSignatureException"


def test_signature_is_valid_for_five_minutes_before_and_after() -> None:
    for off in (SKEW, -SKEW):
        check(signed(), now=NOW + off)
        assert code(signed(), now=NOW + off * 1.01) == "InvalidSignatureException"
    with pytest.raises(Refusal, match="Signature expired"):
        check(signed(), now=NOW + timedelta(hours=1))


def test_signature_is_valid_for_swf_and_its_own_date_only() -> None:
    assert code(signed(scope=("dynamodb", "eu-west-1"))) == "InvalidSignatureException"
    headers = signed()
    headers["authorization"] = headers["authorization"].replace("/20260102/", "/20260101/")
    assert code(headers) == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256"),
        ("aws4_request", "aws5_request"),
        ("Signature=", "Sign="),
        ("Credential=", "Cred="),
        ("SignedHeaders=", "Headers="),
        ("host;", ""),
        (";x-amz-date", ""),
        (";x-amz-target", ""),
        ("content-type;", ""),
        ("content-type;", "content-type;x-not-there;"),
        ("content-type;", ";"),
        ("content-type;host", ";".join(["host"] * 200)),
    ],
)
def test_incomplete_signature_is_refused(old: str, new: str) -> None:
    headers = signed()
    assert old in headers["authorization"]
    headers["authorization"] = headers["authorization"].replace(old, new)
    assert code(headers) == "IncompleteSignatureException"


@pytest.mark.parametrize("given", ["", " ", "AWS4-HMAC-SHA256", "Basic dXNlcjpwYXNz", "=,=,=", "\xff" * 100])
def test_malformed_signature_is_refused(given: str) -> None:
    assert code({**signed(), "authorization": given}) == "IncompleteSignatureException"


@pytest.mark.parametrize(
    "given", ["", "now", "20260102T030405", "2026-01-02T03:04:05Z", "20260102T030405Z\x85"]
)
def test_invalid_date_is_refused(given: str) -> None:
    assert code({**signed(), "x-amz-date": given}) == "IncompleteSignatureException"


def test_repr_hides_the_secret() -> None:
    assert KEYS.secret not in repr(KEYS)
