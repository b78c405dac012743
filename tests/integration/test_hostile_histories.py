"""Small packed files that hold a lot: each is refused with a clear error, within seconds."""

from __future__ import annotations

import gzip
import re
import time
import zlib
from pathlib import Path

import pytest

from floto import History, HistoryError
from floto.adapters.history_files.file_text import PIECE

#: Seconds of processor time for any file; the largest take about four.
MOST_SECONDS = 15
MEGABYTES = 240

EVENT = (
    b'{"eventId":1,"eventTimestamp":1.5,"eventType":"WorkflowExecutionSignaled",'
    b'"workflowExecutionSignaledEventAttributes":{"signalName":"a"}}'
)
SHAPES = {
    "empty objects": (b"{},", r"neither events nor pages"),
    "empty lists": (b"[],", r"lists of events"),
    "empty pages": (b'{"events":[]},', r"lists of events"),
    "fields": (b"{" + b'"a":0,' * 400_000 + b'"a":0},', r"more than 80 fields"),
    "objects of fields": (b"{" + b",".join(b'"a":0' for _ in range(16)) + b"},", r"neither events nor pages"),
    "short arrays": (b'{"a":[0,0,0,0,0,0,0,0]},', r"neither events nor pages"),
    "equal events": (EVENT + b",", r"lists, objects and fields"),
    "equal events after another member": (b'{"a":0,' + EVENT[1:] + b",", r"lists, objects and fields"),
    "long arrays": (b'{"a":[' + b"0," * 400_000 + b"0]},", r"values in values"),
    "nested lists": (b'{"a":[' + b"[]," * 300_000 + b"0]},", r"values in values"),
    "nested objects": (b'{"a":[' + b"{}," * 300_000 + b"0]},", r"values in values"),
    "specs": (b'{"spec":[' + b"0," * 4_000_000 + b"0]},", r"values in values"),
    "blanks": (b" " * 1000, r"no events of SWF"),
    "line ends": (b"\n" * 1000, r"no events of SWF"),
    "strings": (b'{"a":"' + b"a" * 1_000_000 + b'"},', r"no events of SWF"),
    "escapes": (b'{"a":"' + rb"\u0041" * 160_000 + b'"},', r"no events of SWF"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_decompression_bomb_is_refused_within_seconds(shape: str, tmp_path: Path) -> None:
    part, problem = SHAPES[shape]
    file = tmp_path / "run.json.gz"
    many = part * (1_000_000 // len(part) + 1)
    # Members of a file are read as one text, and equal ones need to be packed only once.
    packed = gzip.compress(many) * (MEGABYTES * 1_000_000 // len(many))
    file.write_bytes(gzip.compress(b"[") + packed + gzip.compress(b"{}]"))
    assert file.stat().st_size < 1_000_000
    began = time.process_time()
    with pytest.raises(HistoryError, match=problem) as caught:
        History.load(file)
    assert time.process_time() - began < MOST_SECONDS
    assert re.match(rf"{re.escape(str(file))}", str(caught.value))


def test_file_decompressing_past_the_limit_is_refused(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, wbits=31)
    blanks = b" " * (1 << 20)
    with (tmp_path / "run.json.gz").open("wb") as opened:
        opened.writelines(packer.compress(blanks) for _ in range(257))
        opened.write(packer.flush())
    with pytest.raises(HistoryError, match="bytes are not read"):
        History.load(tmp_path / "run.json.gz")


def test_file_of_very_many_empty_members_is_refused_within_seconds(tmp_path: Path) -> None:
    """Members that unpack to nothing never reach the limit of bytes."""
    (tmp_path / "run.json.gz").write_bytes(gzip.compress(b"") * 1_000_000)
    began = time.process_time()
    with pytest.raises(HistoryError, match="packed files"):
        History.load(tmp_path / "run.json.gz")
    assert time.process_time() - began < MOST_SECONDS


@pytest.mark.parametrize("number", ["12.5", "1.25e1", "125E-1"])
def test_number_across_a_chunk_boundary_is_read(number: str, tmp_path: Path) -> None:
    for place in range(len(number) + 1):
        head = '[{"eventId":1,"eventType":"Foo","eventTimestamp":'
        blanks = " " * (PIECE - len(head) - place)
        (tmp_path / "run.json").write_text(f"{blanks}{head}{number}}}]")
        (event,) = History.load(tmp_path / "run.json")
        assert event.at.timestamp() == 12.5


def test_value_across_several_chunks_is_read(tmp_path: Path) -> None:
    """As long as a value may be, it is one value, wherever the pieces of the file end."""
    event = '{"eventId":1,"eventTimestamp":1,"eventType":"Foo","fooEventAttributes":{"a":"%s"}}'
    for size in (2**18 - 90, 2**19 - 7, 950_000):
        (tmp_path / "run.json").write_text(f"[{event % ('x' * size)}]")
        assert len(History.load(tmp_path / "run.json")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "[%s,]",
        "[%s %s]",
        '{"events": [%s],}',
        '{"events": [%s] "domain": "d"}',
        '[{"a": 1,}, %s]',
        '{"events" [%s]}',
    ],
)
def test_missing_or_extra_comma_or_colon_is_refused(text: str, tmp_path: Path) -> None:
    event = '{"eventId":1,"eventTimestamp":1,"eventType":"Foo"}'
    (tmp_path / "run.json").write_text(text.replace("%s", event))
    with pytest.raises(
        HistoryError, match=r"run\.json, line 1: (expected|not an event of a history|this is not JSON)"
    ):
        History.load(tmp_path / "run.json")
