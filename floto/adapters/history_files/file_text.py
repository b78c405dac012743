"""Files as pieces of text, never more than one piece in memory: plain or gzip, UTF-8 or UTF-16."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from pathlib import Path

from floto.core.errors import HistoryError

#: Bytes of a piece.
PIECE = 1 << 18
#: Bytes that files may hold, unpacked: SWF's longest histories are far below it.
BYTES_LIMIT = 1 << 28
#: Packed files one behind the other in one file; each costs time, even where it unpacks to nothing.
MEMBERS_LIMIT = 10_000
#: No text begins with the first byte of gzip, so one byte tells, even where there is no second.
_GZIP, _GZIP_WINDOW = b"\x1f", 31
#: The AWS CLI writes UTF-16 where its shell does.
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class Cut(Exception):
    """A file ends in the middle of something."""


def characters(path: Path) -> Iterator[str]:
    """Yield the text of a file, piece by piece. Raises ``Cut``, ``HistoryError`` and ``OSError``."""
    pieces = _unpacked(path)
    first = next(pieces, b"")
    mark, name = next(((m, n) for m, n in _MARKS if first.startswith(m)), (b"", "utf-8"))
    decoder = codecs.getincrementaldecoder(name)()
    size = 0
    piece: bytes | None = first[len(mark) :]
    while piece is not None:
        size += len(piece)
        if size > BYTES_LIMIT:
            raise HistoryError(None, f"{path}: more than {BYTES_LIMIT:,} bytes are not read")
        try:
            yield decoder.decode(piece)
        except UnicodeDecodeError:
            raise HistoryError(None, f"{path}: this is no text, after some {size:,} bytes") from None
        piece = next(pieces, None)
    if decoder.getstate()[0]:
        raise Cut(_CUT)


_CUT = "the file is cut off"


def _unpacked(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        # Not read and rewound: a pipe cannot be.
        packed = file.peek(len(_GZIP)).startswith(_GZIP)
        raw = iter(lambda: file.read(PIECE), b"")
        yield from _gunzipped(raw, path) if packed else raw


def _gunzipped(raw: Iterator[bytes], path: Path) -> Iterator[bytes]:
    unpacker, members = zlib.decompressobj(wbits=_GZIP_WINDOW), 1
    for data in raw:
        rest = data
        try:
            while rest:
                if unpacker.eof:
                    # Packed files may stand one behind the other.
                    unpacker, members = zlib.decompressobj(wbits=_GZIP_WINDOW), members + 1
                    if members > MEMBERS_LIMIT:
                        raise HistoryError(None, f"{path}: more than {MEMBERS_LIMIT:,} packed files in one")
                # No more than a piece at a time: a small file may unpack to a huge one.
                yield unpacker.decompress(rest, PIECE)
                rest = unpacker.unconsumed_tail or unpacker.unused_data
        except zlib.error as error:
            raise HistoryError(None, f"{path}: it cannot be unpacked: {error}") from None
    if not unpacker.eof:
        raise Cut(_CUT)
