"""Round trips: specs as JSON, events and decisions as SWF's dicts, payloads."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from floto import DeciderSpec, History, PayloadError
from floto.core.payloads import payload
from floto.core.swf import wire
from floto.core.swf.decisions import DECISION_TYPES
from floto.core.swf.events import EVENT_TYPES, Event
from floto.testing import Simulation
from floto.testing.simulation.context import BEGINNING
from floto.testing.strategies import json_values, runs, specs
from tests.property.setup import SETTINGS

_texts = st.text(max_size=20)


def _values(field: Any) -> st.SearchStrategy[Any]:
    if field.nested:
        return objects(field.kind)
    plain = {str: _texts, int: st.integers(0, 2**40), tuple: st.lists(_texts, max_size=3).map(tuple)}
    return plain[field.kind]


def objects(cls: type) -> st.SearchStrategy[Any]:
    """Any object of an event, decision or shape class."""
    fields = {
        field.name: _values(field) if field.required else st.none() | _values(field)
        for field in wire.fields_of(cls)
    }
    return st.builds(cls, **fields)


@SETTINGS
@given(
    st.sampled_from(sorted(EVENT_TYPES)).flatmap(lambda name: objects(EVENT_TYPES[name])),
    st.integers(1, 2**40),
)
def test_events_round_trip(data: Any, event_id: int) -> None:
    """An event written as SWF writes it reads back equal, also as JSON."""
    event = Event(event_id, BEGINNING, data)
    swf = wire.event_to_swf(event)
    assert wire.event_from_swf(swf) == event
    text = json.dumps({**swf, "eventTimestamp": BEGINNING.timestamp()})
    assert wire.event_from_swf(json.loads(text)) == event


@SETTINGS
@given(st.sampled_from(sorted(DECISION_TYPES)).flatmap(lambda name: objects(DECISION_TYPES[name])))
def test_decisions_round_trip(decision: Any) -> None:
    """A decision written as boto3 takes it reads back equal."""
    swf = wire.decision_to_swf(decision)
    assert wire.decision_from_swf(json.loads(json.dumps(swf))) == decision
    assert None not in attrs.asdict(decision, filter=lambda _, value: value is not None).values()


@SETTINGS
@given(runs(specs()), st.randoms(use_true_random=False))
def test_histories_round_trip(run: Simulation, random: Any) -> None:
    """A history reads back equal from SWF's dicts in any order."""
    for history in run.histories:
        raw = history.to_swf()
        random.shuffle(raw)
        assert History.from_swf(raw, history.execution) == history


@SETTINGS
@given(specs())
def test_specs_round_trip(spec: DeciderSpec) -> None:
    """A spec reads back equal from its JSON, and writes the same JSON again."""
    text = spec.to_json()
    again = DeciderSpec.from_json(text)
    assert again == spec
    assert again.to_json() == text


@SETTINGS
@given(json_values())
def test_payloads_round_trip(value: Any) -> None:
    """Results round-trip as payloads."""
    assert payload.loads(payload.dumps(value, "it")) == value


@SETTINGS
@given(
    st.integers(0, 2**32), st.integers(30_000, 70_000), st.sampled_from(["ab", "0123456789abcdef", "aäß漢😀"])
)
def test_15_payloads_fit_or_raise(seed: int, length: int, alphabet: str) -> None:
    """No payload is longer than SWF takes: it is compressed, or named in an error before it is sent."""
    text = "".join(Random(seed).choices(alphabet, k=length))
    try:
        packed = payload.dumps(text, "the result")
    except PayloadError as error:
        said, packed = str(error), None
    if packed is None:
        assert "the result is" in said
        assert length + 2 > payload.LIMIT
    else:
        assert len(packed) <= payload.LIMIT
        assert payload.loads(packed) == text


@SETTINGS
@given(st.text() | st.sampled_from(["NaN", "[" * 100_000, "Infinity", "-Infinity", "", "1" * 5_000]))
def test_text_not_written_by_floto_is_passed_on(text: str) -> None:
    """A result that is not JSON, from a worker in another language, comes through as text."""
    value = payload.loads(text)
    try:
        assert value == json.loads(text) or text in ("NaN", "Infinity", "-Infinity")
    except (ValueError, RecursionError):
        assert value == text


@pytest.mark.parametrize("text", ["floto:zlib:", "floto:zlib:AAAA", "floto:zlib:!!", "floto:zlib:eJw="])
def test_broken_compression_is_named(text: str) -> None:
    with pytest.raises(PayloadError, match="compressed payload"):
        payload.loads(text)
