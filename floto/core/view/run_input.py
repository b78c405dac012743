"""The input of a run, as people are shown it."""

from __future__ import annotations

from typing import Any

from floto.core.errors import PayloadError
from floto.core.state.carried_signals import own_input_of
from floto.core.swf.events import WorkflowExecutionStarted
from floto.core.swf.reserved_names import SPEC_KEY


def run_input(start: WorkflowExecutionStarted) -> Any:
    """Return the user's input, without what floto put beside it; its text if it cannot be read."""
    try:
        value = own_input_of(start)
    except PayloadError:
        return start.input
    if isinstance(value, dict) and SPEC_KEY in value:
        # Omit the spec: it is long, and the same for every run.
        return {**value, SPEC_KEY: "..."}
    return value
