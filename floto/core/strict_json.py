"""Decoding of JSON that refuses what Python's ``json`` also accepts: NaN, infinities and too large floats."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


def _refuse(name: str) -> NoReturn:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)


def loads(text: str | bytes) -> Any:
    """Return the value of JSON text. Raises ``ValueError`` or ``RecursionError``."""
    return decode(text if isinstance(text, str) else text.decode(json.detect_encoding(text)))


def decode(text: str) -> Any:
    """Return the value of JSON text. Raises ``ValueError`` or ``RecursionError``."""
    # ``DECODER.decode`` searches for white space around the value, which takes as long as a short one.
    value, end = DECODER.raw_decode(text) if text[:1] > " " else (None, -1)
    return value if end == len(text) else DECODER.decode(text)
