"""JSON text as floto reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from floto.core.strict_json import DECODER, decode


def outcome(read: Callable[[str], Any], text: str) -> Any:
    """Return the value, or the error."""
    try:
        return read(text)
    except ValueError as error:
        return str(error)


@given(st.text(alphabet=' \t\n\r\f\u00a0\u2028{}[],:"1e9.-ntrufalsNI', max_size=8))
def test_decoding_is_that_of_the_decoder_with_its_white_space_and_errors(text: str) -> None:
    assert outcome(decode, text) == outcome(DECODER.decode, text)
