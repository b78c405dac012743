"""The JSON text in SWF's string fields, compressed if it is too long.

SWF takes 32,768 characters per field. Longer JSON is compressed (zlib and base64, after a
prefix that no JSON text can have); ``PayloadError`` is raised if it is still too long.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any, NoReturn

from cattrs.preconf.json import JsonConverter, make_converter

from floto.core.errors import PayloadError
from floto.core.frozen import frozen
from floto.core.strict_json import decode
from floto.core.swf.limits import DATA_LIMIT
from floto.core.swf.reserved_names import COMPRESSED

LIMIT = DATA_LIMIT
#: Maximum bytes of a decompressed payload.
UNPACKED_LIMIT = 16 * 2**20


def _converter() -> JsonConverter:
    converter = make_converter()

    def in_order(values: Any) -> list[Any]:
        # The order of a set differs between processes.
        return sorted(map(converter.unstructure, values), key=lambda value: json.dumps(value, sort_keys=True))

    def refuse(value: Any) -> NoReturn:
        msg = f"{type(value).__name__} is not a string: decode it, or pass a reference to where it is stored"
        raise TypeError(msg)

    hooks: dict[type, Callable[[Any], Any]] = {
        set: in_order,
        frozenset: in_order,
        bytes: refuse,
        bytearray: refuse,
    }
    for kind, hook in hooks.items():
        converter.register_unstructure_hook(kind, hook)
    return converter


_CONVERTER = _converter()
#: Style of floto's JSON: equal values have equal texts.
STYLE: dict[str, Any] = {"allow_nan": False, "sort_keys": True, "separators": (",", ":")}
_ENCODER = json.JSONEncoder(ensure_ascii=False, **STYLE)
_ASCII_ENCODER = json.JSONEncoder(ensure_ascii=True, **STYLE)


#: The first characters of JSON texts: those of values, and white space.
_FIRST = frozenset('{["-0123456789tfn \t\n\r')


def freeze(value: Any) -> Any:
    """Return the frozen JSON form of a value; cattrs converts dates, enums, attrs classes and dataclasses."""
    return None if value is None else frozen(json.loads(encode(value, "the input of a task")))


def dumps(value: Any, what: str) -> str:
    """Return a value as JSON text that fits SWF, compressed if necessary.

    Args:
        value: Any value with a JSON form; cattrs converts dates, enums, attrs classes and dataclasses.
        what: The name of the value in error messages.

    Raises:
        PayloadError: if the value has no JSON form, or is too long.
    """
    return pack(encode(value, what), what)


def dumps_plain(value: Any, what: str) -> str:
    """Return JSON values, such as a context, as JSON text that fits SWF. Raises ``PayloadError``."""
    return pack(plain_text(value, what), what)


def plain_text(value: Any, what: str) -> str:
    """Return JSON values as JSON text of any length. Raises ``PayloadError`` naming ``what``."""
    try:
        return _text(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadError(what, f"cannot be written as JSON: {error}") from error


def pack(text: str, what: str) -> str:
    """Return JSON text, compressed if it is too long for SWF. Raises ``PayloadError`` if it still is."""
    fitting = packed(text)
    if fitting is None:
        problem = (
            f"is {too_long(text)}. Keep large values in a store of floto.payloads: "
            "payloads=DirectoryStore(PATH) or S3Store(BUCKET), given to floto.run or to every Decider and "
            "ActivityWorker, stores long inputs and results (--payloads on the command line); "
            "store.put(value) stores a value that a spec holds"
        )
        raise PayloadError(what, problem)
    return fitting


def too_long(text: str) -> str:
    """Return the problem of JSON text that is too long for SWF."""
    return f"{len(text):,} characters long; SWF takes {LIMIT:,}, and compressed it does not fit either"


def packed(text: str) -> str | None:
    """Return JSON text, compressed if it is too long for SWF; None if it still is."""
    if len(text) <= LIMIT:
        return text
    data = text.encode()
    if len(data) > UNPACKED_LIMIT:
        return None
    # Level 9, the best compression.
    compressed = COMPRESSED + b64encode(zlib.compress(data, 9)).decode()
    return compressed if len(compressed) <= LIMIT else None


def loads(text: str | None) -> Any:
    """Return the value of a field of SWF; text that is not JSON, such as other programs write, unchanged.

    Args:
        text: The text of the field; None gives None.

    Raises:
        PayloadError: if compressed text cannot be decompressed.
    """
    if text is None:
        return None
    if text.startswith(COMPRESSED):
        text = _unpack(text)
    if text[:1] not in _FIRST:
        # To find no JSON takes long, and the reasons of failures are seldom JSON.
        return text
    try:
        return decode(text)
    except (ValueError, RecursionError):
        return text


def encode(value: Any, what: str) -> str:
    """Return a value as JSON text of any length. Raises ``PayloadError`` naming ``what``."""
    try:
        return _text(_CONVERTER.unstructure(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadError(what, f"cannot be written as JSON: {error}") from error


def _text(simple: Any) -> str:
    try:
        text = _ENCODER.encode(simple)
    except TypeError:
        # Keys of different types cannot be sorted until JSON has converted them to strings.
        simple = json.loads(json.dumps(simple, allow_nan=False), object_pairs_hook=_distinct)
        text = _ENCODER.encode(simple)
    try:
        text.encode()
    except UnicodeEncodeError:
        # An unpaired surrogate can only be written as an escape.
        return _ASCII_ENCODER.encode(simple)
    return text


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        msg = "two keys of an object have the same JSON text"
        raise ValueError(msg)
    return found


def _unpack(text: str) -> str:
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(b64decode(text[len(COMPRESSED) :], validate=True), UNPACKED_LIMIT)
        if unpacker.eof:
            return data.decode()
        problem = f"unpacks to more than {UNPACKED_LIMIT:,} bytes" if data else "is cut off"
    except (ValueError, zlib.error) as error:
        problem = f"cannot be unpacked: {error}"
    what = "a compressed payload"
    raise PayloadError(what, problem)
