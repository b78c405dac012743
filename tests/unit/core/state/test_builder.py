"""A state under construction."""

from __future__ import annotations

from typing import Any

from attrs import fields
from rpds import HashTrieMap

from floto.core.state.builder import StateBuilder
from floto.core.state.state import State


def test_every_field_of_a_state_is_kept() -> None:
    others: dict[str, Any] = {field.name: field.name for field in fields(State)}
    maps: dict[str, Any] = {name: HashTrieMap({name: 1}) for name in ("items", "opened", "open_count")}
    state = State(**(others | maps))
    assert StateBuilder(state).state() == state
