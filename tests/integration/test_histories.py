"""Saved histories in every supported format, and invalid files."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import floto
from floto import ActivityTask, DeciderSpec, History, HistoryError, InstantRetry, Timer
from floto.adapters import history_files as histories
from floto.adapters.history_files import parsing
from floto.testing import fails, simulate
from tests.property.setup import SETTINGS

FIRST = ActivityTask(id_="a", name="work", version="v1", retry_strategy=InstantRetry(9), input={"ä": "𝄞\n"})
SPEC = DeciderSpec(activity_tasks=[FIRST, Timer(id_="t", delay_in_seconds=1)], activity_task_list="work")
HISTORY = simulate(SPEC, {"a": fails(2)}).main
RAW = HISTORY.to_swf()


def dated(convert: Callable[[datetime], Any], raw: Any = RAW) -> Any:
    return [{**event, "eventTimestamp": convert(event["eventTimestamp"])} for event in raw]


ISO, EPOCH, TEXT = dated(datetime.isoformat), dated(datetime.timestamp), dated(str)
HEAD = {"ResponseMetadata": {"HTTPStatusCode": 200}, "nextToken": "x"}
FORMS: dict[str, str] = {
    "AWS CLI": json.dumps({"events": EPOCH}, indent=4),
    "boto3, datetimes as text": json.dumps({**HEAD, "events": TEXT}),
    "events before the rest": json.dumps({"events": ISO, **HEAD}),
    "a list": json.dumps(ISO),
    "in reverse order": json.dumps(ISO[::-1]),
    "an event a line": "\n".join(map(json.dumps, ISO)),
    "a page a line": "\n".join(json.dumps({"events": page}) for page in (ISO[:5], ISO[5:])),
    "a list of pages": json.dumps([{"events": ISO[:5]}, {"events": ISO[5:]}], ensure_ascii=False),
    "pages with commas between": f"{json.dumps({'events': ISO[:5]})}, {json.dumps({'events': ISO[5:]})}",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize(
    "encode", [str.encode, lambda t: gzip.compress(t.encode()), lambda t: t.encode("utf-16")]
)
def test_every_history_format_is_read(text: str, encode: Callable[[str], bytes], tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_bytes(encode(text))
    read = History.load(path)
    assert (read.events, read.execution, read.cut) == (HISTORY.events, None, "")


def test_pages_in_several_files_are_joined(tmp_path: Path) -> None:
    for name, page in (("b", ISO[:7]), ("a", ISO[7:])):
        (tmp_path / name).write_text(json.dumps({"events": page}))
    assert History.load(tmp_path / "a", str(tmp_path / "b")).events == HISTORY.events
    with pytest.raises(HistoryError, match="event 8: follows event 0"):
        History.load(tmp_path / "a")


@pytest.mark.parametrize("name", ["h.json", "h.json.gz"])
def test_saved_history_is_loaded_unchanged(name: str, tmp_path: Path) -> None:
    HISTORY.save(tmp_path / name)
    assert History.load(tmp_path / name) == HISTORY
    assert (tmp_path / name).read_bytes().startswith(b"\x1f\x8b" if name.endswith("gz") else b"{")
    histories.save(HISTORY, tmp_path / name, domain="d", spec=SPEC)
    saved = histories.load_saved(tmp_path / name)
    assert (saved.history, saved.domain, saved.spec()) == (HISTORY, "d", SPEC)
    assert [path.name for path in tmp_path.iterdir()] == [name]


SAVED = json.dumps({"execution": {"workflowId": "w", "runId": "r"}, "events": ISO}, ensure_ascii=False)


@SETTINGS
@given(end=st.integers(0, len(SAVED.encode()) - 3), packed=st.booleans())
@example(end=7, packed=True)  # one byte of gzip
def test_truncated_file_is_read_up_to_the_last_complete_decision(
    tmp_path_factory: pytest.TempPathFactory, end: int, *, packed: bool
) -> None:
    """A truncated file gives a prefix of the history that replays, and a warning about the rest."""
    data = SAVED.encode()
    if packed:
        data = gzip.compress(data)
        end = end * len(data) // len(SAVED.encode())
    path = tmp_path_factory.mktemp("cut") / "h.json"
    path.write_bytes(data[:end])
    try:
        read = History.load(path)
    except HistoryError as error:
        assert "cut off" in str(error) or "no events" in str(error) or "unpacked" in str(error)
        assert end < len(data) // 5 or packed
    else:
        assert read.events == HISTORY.events[: len(read)]
        assert len(read) == len(HISTORY) or f"read to event {len(read)}" in read.cut
        assert floto.replay(SPEC, History(read.events, HISTORY.execution)).divergence is None


BESIDE = {"domain": "d", "execution": {"workflowId": "w", "runId": "r"}, "spec": json.loads(SPEC.to_json())}
BEFORE = json.dumps({**BESIDE, "events": ISO})
BEHIND = json.dumps({"events": ISO, **BESIDE})
WRAPPED = json.dumps({**BESIDE, "history": {"events": ISO}})


@SETTINGS
@given(text=st.sampled_from([BEFORE, BEHIND, WRAPPED]), share=st.floats(0, 1, exclude_max=True))
def test_truncated_file_keeps_the_values_beside_its_events_that_are_whole(
    tmp_path_factory: pytest.TempPathFactory, text: str, share: float
) -> None:
    end = int(share * len(text))
    path = tmp_path_factory.mktemp("cut") / "h.json"
    path.write_text(text[:end])
    try:
        saved = histories.load_saved(path)
    except HistoryError as error:
        assert "cut off" in str(error) or "no events" in str(error)
        return
    ends = {name: text.index(json.dumps(value)) + len(json.dumps(value)) for name, value in BESIDE.items()}
    assert {
        "domain": saved.domain is not None,
        "execution": saved.history.execution is not None,
        "spec": saved.spec_json is not None,
    } == {name: end >= whole for name, whole in ends.items()}
    assert saved.spec() in (None, SPEC)


def test_part_of_a_page_is_not_read_as_an_event(tmp_path: Path) -> None:
    text = json.dumps({"events": ISO, "eventId": 99, "eventType": "TimerFired", "domain": "d"})
    (tmp_path / "h").write_text(text[:-1])
    saved = histories.load_saved(tmp_path / "h")
    assert saved.history.events == HISTORY.events[: len(saved.history)]
    assert saved.domain == "d"


def test_part_of_an_event_says_nothing_about_the_run(tmp_path: Path) -> None:
    (tmp_path / "h").write_text(f'{BEFORE[:-2]}, {{"domain": "another", "eventId": 99')
    assert histories.load_saved(tmp_path / "h").domain == "d"


def test_file_truncated_within_a_response_is_read_up_to_the_previous_one(tmp_path: Path) -> None:
    answered = next(place for place, event in enumerate(ISO) if event["eventType"] == "DecisionTaskCompleted")
    (tmp_path / "h").write_text(json.dumps(ISO[: answered + 2])[:-1])
    read = History.load(tmp_path / "h")
    assert len(read) == answered
    assert "cut off in line 1; read to event 3" in read.cut


@pytest.mark.parametrize("token", ["nextPageToken", "NextPageToken", "next_page_token", "NextToken"])
def test_page_that_others_follow_is_no_whole_history(tmp_path: Path, token: str) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_text(json.dumps({token: "more", "events": ISO[:9]}))
    second.write_text(json.dumps({"events": ISO[9:-1], token: None}))
    read = History.load(first)
    assert 0 < len(read) <= 9
    assert f"1, line 1: it has a nextPageToken, so other pages follow; read to event {len(read)}" in read.cut
    assert History.load(second, first).cut == ""
    backwards = {"events": ISO[-2:8:-1], token: "more"}
    second.write_text(json.dumps(backwards))
    assert History.load(second, first).cut == ""


@pytest.mark.parametrize(
    "pages",
    [
        [{"events": ISO[:9], "nextPageToken": "more"}, {"events": []}],
        [{"events": ISO[8:7:-1], "nextPageToken": "more"}, {"events": ISO[7::-1]}],
        [{"events": ISO[:9]}, {"events": ISO[4:9], "nextPageToken": "more"}],
    ],
    ids=["an empty last page", "newest first", "a page again"],
)
def test_pages_of_a_whole_history_are_not_called_cut(tmp_path: Path, pages: list[Any]) -> None:
    (tmp_path / "h").write_text(json.dumps(pages))
    read = History.load(tmp_path / "h")
    assert (len(read), read.cut) == (9, "")


def test_error_names_the_line_in_which_an_event_begins(tmp_path: Path) -> None:
    lines = [json.dumps(each) for each in ISO]
    lines[4] = lines[4].replace('"eventTimestamp": "', '"eventTimestamp": "not ')
    (tmp_path / "h").write_text("[\n" + ",\n\n".join(lines) + "]")
    with pytest.raises(HistoryError, match="h, line 10"):
        History.load(tmp_path / "h")


def test_events_that_begin_with_another_member_do_not_count_as_other_objects(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(parsing._LIMITS, parsing._OTHERS, 1)  # noqa: SLF001 - so that a small file has too many
    lines = [{"level": "INFO"}, *({"level": "INFO", **event} for event in ISO)]
    (tmp_path / "h").write_text("\n".join(map(json.dumps, lines)))
    assert History.load(tmp_path / "h").events == HISTORY.events


def changed(place: int, **fields: Any) -> str:
    return json.dumps([{**event, **(fields if at == place else {})} for at, event in enumerate(ISO)])


HOSTILE: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "there are no events"),
    "no JSON": ("events: []", "h.json, line 1: not an event of a history: 'events: []'"),
    "foreign JSON": ('{"foo": [1, 2]}', "there are no events"),
    "no events": ('{"events": []}', "there are no events"),
    "text in place of events": ('{"events": "none"}', "there are no events"),
    "numbers": ("[1, 2, 3]", "line 1: not an event of a history"),
    "an event without a type": (
        json.dumps([{"eventId": "1", "eventTimestamp": 1}]),
        "eventType must be a string",
    ),
    "nested deep": ("[" * 10**6, "lists in lists"),
    "nested deep in an event": ('[{"eventId": ' + "[" * 10**6, "line 1: values are nested too deep"),
    "objects nested deep": ('{"a":' * 10**6, "nested too deep"),
    "NaN as id": (json.dumps(ISO).replace('"eventId": 3', '"eventId": NaN'), "line 1: this is not JSON (NaN"),
    "a negative id": (changed(2, eventId=-3), "an event needs an integer eventId"),
    "half an id": (changed(2, eventId=2.5), "an event needs an integer eventId"),
    "an id of many digits": (json.dumps(ISO).replace('"eventId": 3', f'"eventId": {"9" * 9999}'), "not JSON"),
    "an id twice": (changed(2, eventId=2), "event 2: is there twice: "),
    "an id missing": (changed(2, eventId=10**9), "event 4: follows event 2"),
    "a time that is none": (changed(2, eventTimestamp=1e300), "event 3: eventTimestamp must be a time"),
    "an endless number": (changed(2, eventTimestamp=7).replace("7", "1e999", 1), "eventTimestamp"),
    "attributes that are none": (changed(0, workflowExecutionStartedEventAttributes=[]), "must be an object"),
    "bytes": (b"\xff\xfe\x00\xdc", "this is no text"),
    "bytes in a text": (b'[{"eventId": "\xff"}]', "this is no text"),
    "half a gzip": (b"\x1f\x8bwhat is this", "it cannot be unpacked"),
    "many fields": (json.dumps([{str(n): n for n in range(99)}]), "more than 80 fields"),
    "a long value": ('[{"eventId": "' + "x" * 2**21, "a value of more than 1,048,576 characters"),
    "empty lists": ("[" + "[]," * 10**5 + "[]]", "more than 50,000 lists of events"),
    "an execution that is none": (
        json.dumps({"execution": 3, "events": ISO}),
        "execution must have workflowId",
    ),
    "two runs": (
        SAVED + SAVED.replace('"r"', '"s"').replace('"eventId": ', '"eventId": 1'),
        "is there twice",
    ),
    "a middle that is no JSON": (
        json.dumps(ISO).replace('"eventId": 3', "what?"),
        "line 1: this is not JSON",
    ),
}


@pytest.mark.parametrize(("content", "said"), HOSTILE.values(), ids=HOSTILE.keys())
def test_invalid_history_raises_a_typed_error_with_the_location(
    content: str | bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "h.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(HistoryError) as caught:
        History.load(path)
    assert said in str(caught.value)
    assert "h.json" in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("path", ["nowhere.json", "."])
def test_missing_file_raises_a_typed_error(path: str, tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match=r"No such file|Is a directory"):
        History.load(tmp_path / path)
    with pytest.raises(HistoryError, match="name a file"):
        History.load()


PROGRAM = """
import resource, sys
from floto import History, HistoryError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    History.load(sys.argv[1])
except HistoryError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, file=sys.stderr)
"""
_GIGABYTE = 10**9
BOMBS: dict[str, tuple[bytes, str]] = {
    "1 GB of brackets": (b"[", "lists in lists"),
    "1 GB of empty lists": (b"[],", "more than 50,000 lists of events"),
    "1 GB of space": (b" ", "more than 268,435,456 bytes"),
    "1 GB of empty lists in an event": (b'[{"eventId":[' + b"[]," * 10**6, "a value of more than"),
}


@pytest.mark.parametrize(("piece", "said"), BOMBS.values(), ids=BOMBS.keys())
def test_memory_is_bounded_for_any_file(piece: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.json.gz"
    block = piece * (10**7 // len(piece)) or piece
    # Members of a file are read as one text, and equal ones need to be packed only once.
    path.write_bytes(gzip.compress(block) * (_GIGABYTE // len(block)))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=True
    )
    assert said in done.stdout
    assert int(done.stderr) < 200, "MB"
