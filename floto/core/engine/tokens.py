"""Task tokens and run ids: text made from ids alone, so that they survive every restart."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from enum import StrEnum
from typing import Any

from attrs import frozen

from floto.core.errors import ServiceFault


class TaskKind(StrEnum):
    """Who works on a task."""

    DECISION = "decision"
    ACTIVITY = "activity"
    LAMBDA = "lambda"

    # That of an enum is written in Python, and each look at a place asks for it.
    __hash__ = str.__hash__


#: Lambda functions wait on one list in each domain: SWF invokes them, and nobody chooses.
LAMBDA_LIST = "lambda"


@frozen
class Token:
    """Names one delivery of one task."""

    domain: str
    run_id: str
    kind: TaskKind
    scheduled_event_id: int
    started_event_id: int

    def __str__(self) -> str:
        """The opaque text that deciders and workers send back."""
        return seal_text(
            [self.domain, self.run_id, self.kind, self.scheduled_event_id, self.started_event_id]
        )


_CHECK_BYTES = 6


def seal_text(said: Any) -> str:
    """JSON as opaque text that shows when it was damaged; no secret, and no proof of who wrote it."""
    body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_check(body) + body).decode()


def _check(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_CHECK_BYTES]


def open_text(text: str) -> Any:
    """What ``seal_text`` was given; SWF's ValidationException for anything else."""
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
    """Return the token in ``text``; SWF's ValidationException if it is not one of this kind."""
    token = any_token(text)
    if token.kind != kind:
        raise invalid_token()
    return token


def any_token(text: str) -> Token:
    """Return the token in ``text``, of whatever kind; SWF's ValidationException if it is not one."""
    said = open_text(text)
    # A checksum proves nothing about the sender: check the shape too.
    if not isinstance(said, list) or [type(item) for item in said] != _BODY or said[2] not in _KINDS:
        raise invalid_token()
    domain, run_id, kind, scheduled, started = said
    return Token(domain, run_id, TaskKind(kind), scheduled, started)


_BODY = [str, str, str, int, int]
_KINDS = frozenset(str(kind) for kind in TaskKind)


def invalid_token() -> ServiceFault:
    """The token says nothing, or nothing that this call can use."""
    return ServiceFault("ValidationException", "Invalid token")


def run_id_from(seed: bytes) -> str:
    """A run id in SWF's form, 46 characters, from any 32 bytes."""
    return "22" + base64.urlsafe_b64encode(seed).decode()


def derive_run_id(*origin: Any) -> str:
    """The run id of what came from ``origin``: a run and an event of it, or any other names."""
    return run_id_from(hashlib.sha256(json.dumps(origin).encode()).digest())
