"""Task tokens and run ids."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from floto.core.engine.tokens import TaskKind, Token, derive_run_id, read_token
from floto.core.errors import ServiceFault

#: A token that no test of this process has sealed before it is read.
TEXT = "07xwxnJeWyJkw7Ztw6RpbiIsIm90aGVyIiwiYWN0aXZpdHkiLDUsNl0="


def test_token_round_trips_and_other_text_is_refused() -> None:
    token = Token("dömäin", "run", TaskKind.ACTIVITY, 5, 6)
    assert read_token(str(token), TaskKind.ACTIVITY) == token
    text = str(token)
    for wrong in (text[:-4], text[4:], text.swapcase(), text + "AAAA"):
        with pytest.raises(ServiceFault, match="Invalid token"):
            read_token(wrong, TaskKind.ACTIVITY)


def test_token_of_another_process_is_decoded() -> None:
    token = read_token(TEXT, TaskKind.ACTIVITY)
    assert token == Token("dömäin", "other", TaskKind.ACTIVITY, 5, 6)
    assert type(token.kind) is TaskKind
    assert str(token) == TEXT


def test_all_of_many_tokens_are_read() -> None:
    tokens = [Token("d", "run", TaskKind.DECISION, 2, started) for started in range(3, 3_000)]
    texts = [str(token) for token in tokens]
    assert [read_token(text, TaskKind.DECISION) for text in texts] == tokens


def test_token_of_another_kind_is_refused() -> None:
    text = str(Token("d", "run", TaskKind.DECISION, 2, 3))
    with pytest.raises(ServiceFault, match="ValidationException: Invalid token"):
        read_token(text, TaskKind.ACTIVITY)


@pytest.mark.parametrize("wrong", [None, 5, ["token"]])
def test_token_that_is_not_a_string_is_refused(wrong: Any) -> None:
    with pytest.raises(ServiceFault, match="ValidationException: Invalid token"):
        read_token(wrong, TaskKind.ACTIVITY)


@pytest.mark.parametrize(
    "body",
    [b"5", b"[", b"\xff", b"[]", b'["d","r","activity",1,"2"]', b'["d",1,"activity",1,2]', b"[" * 99_999],
)
def test_checksum_alone_is_not_a_token(body: bytes) -> None:
    text = base64.urlsafe_b64encode(hashlib.sha256(body).digest()[:6] + body).decode()
    with pytest.raises(ServiceFault, match="ValidationException: Invalid token"):
        read_token(text, TaskKind.ACTIVITY)


def test_token_with_a_wrong_checksum_is_refused() -> None:
    checksum, body = (
        base64.urlsafe_b64decode(str(Token("d", "run", TaskKind.ACTIVITY, 5, started))) for started in (6, 7)
    )
    text = base64.urlsafe_b64encode(checksum[:6] + body[6:]).decode()
    with pytest.raises(ServiceFault, match="ValidationException: Invalid token"):
        read_token(text, TaskKind.ACTIVITY)


def test_run_id_has_the_length_of_an_id_of_swf() -> None:
    assert len(derive_run_id("d", 0)) == 46
