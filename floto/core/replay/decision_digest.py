"""The digest of what the result of a task may depend on, by the decision that started it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from floto.core.payloads import payload
from floto.core.payloads.reference import is_stored, stored
from floto.core.payloads.stored import StoredText, read
from floto.core.spec.activity_timeouts import without_timeouts
from floto.core.spec.tasks import TaskCodec
from floto.core.state.redriven import own_value
from floto.core.swf import decisions as d
from floto.core.swf.decisions import Decision
from floto.core.swf.reserved_names import STORED_KEY

#: The fields of each decision that its result may depend on. Time-outs, priorities and task lists are not.
_FIELDS: Mapping[type, tuple[str, ...]] = {
    d.ScheduleActivityTask: ("activity_type", "input"),
    d.ScheduleLambdaFunction: ("name", "input"),
    d.StartChildWorkflowExecution: ("workflow_type", "input"),
    d.StartTimer: ("start_to_fire_timeout",),
    d.SignalExternalWorkflowExecution: ("workflow_id", "run_id", "signal_name", "input"),
    d.RequestCancelExternalWorkflowExecution: ("workflow_id", "run_id"),
}


def digest_of(decision: Decision | None, codec: TaskCodec, *, omits: Collection[str] = ()) -> str:
    """Return the digest of what a task's result may depend on; of a context, entry by entry.

    A result has the same digest in the context and as a reference to its value, so it does not matter how the
    results of a run were kept. Nor does what a child keeps of an earlier run.

    Args:
        decision: The decision that starts the task.
        codec: Reads stored values.
        omits: Entries of the context that are not counted.

    Raises:
        PayloadError: if a stored value cannot be read.
        PayloadsNeeded: if values are stored and ``codec`` has no store.
    """
    parts: list[Any] = [type(decision).__name__]
    for name in _FIELDS.get(type(decision), ()):
        value = getattr(decision, name)
        parts.append(_context_digests(value, codec, omits) if name == "input" else str(value))
    return _sha(payload.plain_text(parts, "a decision"))[:16]


def _context_digests(text: str | None, codec: TaskCodec, omits: Collection[str]) -> Any:
    # What the spec would start now may not be stored yet.
    value = own_value(payload.loads(text.parts[0] if isinstance(text, StoredText) else text))
    # The time-outs are beside a stored context.
    value = read(without_timeouts(value), "the input of a task", codec.payloads)
    if value is None:
        # An activity without a context has an input if it has time-outs.
        return {}
    if not isinstance(value, dict):
        return _value_digest(value, codec)
    entries = sorted(without_timeouts(value).items())
    return {name: _value_digest(item, codec) for name, item in entries if name not in omits}


def _value_digest(value: Any, codec: TaskCodec) -> str:
    if is_stored(value):
        digest: str = value[STORED_KEY]["floto.payload"].removeprefix("sha256:")
        return digest
    return _sha(payload.plain_text(_in_place(value, codec), "a value"))


def _in_place(value: Any, codec: TaskCodec) -> Any:
    """Return a value with those in place that a decider stored, such as a child has in its workflow's input.

    Without a store, the references stay, which then count as another value.
    """
    if codec.payloads is None or not any(stored(value)):
        return value
    if is_stored(value):
        return read(value, "the input of a task", codec.payloads)
    if isinstance(value, Mapping):
        return {name: _in_place(item, codec) for name, item in value.items()}
    return [_in_place(item, codec) for item in value]


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
