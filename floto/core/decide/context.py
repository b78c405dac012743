"""The part of the context that all tasks of a run share: the workflow's input."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from floto.core.frozen import frozen
from floto.core.payloads.reference import is_stored
from floto.core.payloads.stored import Payloads, read
from floto.core.spec.tasks import TaskCodec
from floto.core.state.carried_signals import own_input
from floto.core.state.state import State
from floto.core.swf.reserved_names import SPEC_KEY, STORED_KEY


def workflow_context(state: State, codec: TaskCodec) -> dict[str, Any]:
    """Return the context that all tasks of a run share: the workflow's input.

    Raises:
        PayloadError: if the input cannot be read.
        PayloadsNeeded: if it is stored and ``codec`` has no store.
        PayloadsUnavailable: while the store cannot be reached.
    """
    start = state.start
    value = _own_input(start.input, start.continued_execution_run_id is not None)
    if is_stored(value):
        value = _stored_input(value[STORED_KEY], codec.payloads)
    return {} if value is None else {"workflow": value}


@lru_cache(maxsize=64)
def _own_input(text: str | None, is_continued: bool) -> Any:  # noqa: FBT001 - a cached function takes no names
    """Return the input of a workflow, frozen and cached for all tasks and decisions."""
    return without_spec(frozen(own_input(text, is_continued=is_continued)))


@lru_cache(maxsize=4)
def _stored_input(wanted: Any, payloads: Payloads | None) -> Any:
    return without_spec(frozen(read({STORED_KEY: wanted}, "the workflow's input", payloads)))


def without_spec(value: Any) -> Any:
    """Return an input without its spec, which only the decider needs."""
    if isinstance(value, dict) and SPEC_KEY in value:
        return frozen({key: item for key, item in value.items() if key != SPEC_KEY}) or None
    return value
