"""Task tokens and run ids, derived from ids alone, so that they survive restarts."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from enum import StrEnum
from typing import Any

from attrs import frozen

from floto.core.errors import ServiceFault
from floto.core.quick_init import quick_init


class TaskKind(StrEnum):
    """Kind of a task that is polled for."""

    DECISION = "decision"
    ACTIVITY = "activity"
    LAMBDA = "lambda"

    # ``Enum.__hash__`` is implemented in Python; task queues are keyed by kind, so use str's C hash.
    __hash__ = str.__hash__


#: The one task list of Lambda functions in each domain; SWF has none, since it invokes them itself.
LAMBDA_LIST = "lambda"


@quick_init
@frozen(weakref_slot=False)
class Token:
    """Identity of one delivery of one task."""

    domain: str
    run_id: str
    kind: TaskKind
    scheduled_event_id: int
    started_event_id: int

    def __str__(self) -> str:
        """Return the opaque string that deciders and workers send back."""
        # The JSON of a list, as ``seal_text`` writes it, in a third of the time.
        names = f'{_quoted(self.domain)},{_quoted(self.run_id)},"{self.kind}"'
        text = _sealed_bytes(f"[{names},{self.scheduled_event_id},{self.started_event_id}]".encode())
        if len(_sealed) >= _MOST_SEALED:
            _sealed.clear()
        _sealed[text] = self
        return text


#: The latest tokens by their text: most are opened by the process that sealed them, which need not decode
#: them. Threads share it, so it is only read and written by single operations of ``dict``.
_sealed: dict[str, Token] = {}
_MOST_SEALED = 1_024

_CHECK_BYTES = 6
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_quoted = json.encoder.encode_basestring


def seal_text(value: Any) -> str:
    """Encode JSON as an opaque string with a checksum against damage; it is neither secret nor signed."""
    return _sealed_bytes(_ENCODER.encode(value).encode())


def _sealed_bytes(body: bytes) -> str:
    # As ``base64.urlsafe_b64encode``, with two calls less.
    return binascii.b2a_base64(_check(body) + body, newline=False).translate(_URL_SAFE).decode()


def _check(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_CHECK_BYTES]


def open_text(text: str) -> Any:
    """Decode a string of ``seal_text``; raise SWF's ValidationException for any other."""
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise invalid_token() from None
    body = raw[_CHECK_BYTES:]
    if not body or _check(body) != raw[:_CHECK_BYTES]:
        raise invalid_token()
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise invalid_token() from None


def read_token(text: str, kind: TaskKind) -> Token:
    """Decode a token of this kind; raise SWF's ValidationException for any other string."""
    token = any_token(text)
    if token.kind != kind:
        raise invalid_token()
    return token


def any_token(text: str) -> Token:
    """Decode a token of any kind; raise SWF's ValidationException for any other string."""
    known = _sealed.get(text) if isinstance(text, str) else None
    if known is not None:
        return known
    fields = open_text(text)
    # A checksum does not authenticate the sender, so check the shape too.
    if not isinstance(fields, list) or [type(each) for each in fields] != _FIELDS or fields[2] not in _KINDS:
        raise invalid_token()
    domain, run_id, kind, scheduled, started = fields
    return Token(domain, run_id, TaskKind(kind), scheduled, started)


_FIELDS = [str, str, str, int, int]
_KINDS = frozenset(str(kind) for kind in TaskKind)


def invalid_token() -> ServiceFault:
    """Return the fault of a token that is damaged or belongs to another operation."""
    return ServiceFault("ValidationException", "Invalid token")


def run_id_from(seed: bytes) -> str:
    """Return a run id in SWF's form (46 characters) from 32 bytes."""
    return "22" + base64.urlsafe_b64encode(seed).decode()


def derive_run_id(*origin: Any) -> str:
    """Derive a run id from its origin, such as a run and an event id; equal origins give equal ids."""
    return run_id_from(hashlib.sha256(json.dumps(origin).encode()).digest())
