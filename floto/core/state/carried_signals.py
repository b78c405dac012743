"""Signals that a run carries over to the run that continues it.

SWF passes an input to the next run, but not the signals that the previous run received. So the signals that
no task has used yet travel in the input, beside the user's, under reserved keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from attrs import evolve

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.payloads.reference import is_stored
from floto.core.payloads.stored import Payloads, StoredText, marked
from floto.core.state.envelope import with_reserved, without_reserved
from floto.core.state.redriven import own_value, redriven_of
from floto.core.state.state import State
from floto.core.swf.events import Event, WorkflowExecutionSignaled, WorkflowExecutionStarted
from floto.core.swf.reserved_names import CHANGED_SIGNAL, REDRIVE_KEY, SIGNALS_KEY

_WHAT = "the input of the next run"
#: Maximum characters of text that stays in place: a reference to its value would hardly be shorter.
_SHORT = 150


def with_signals(value: Any, signals: Sequence[WorkflowExecutionSignaled]) -> Any:
    """Return an input with signals beside the user's value; the value itself if there are no signals."""
    if not signals and split_signals(value) == (value, ()):
        return value
    carried = [{"name": each.signal_name, "input": each.input} for each in signals]
    return with_reserved(value, SIGNALS_KEY, carried)


def split_signals(value: Any) -> tuple[Any, tuple[WorkflowExecutionSignaled, ...]]:
    """Return the user's input and the carried signals: the inverse of ``with_signals``."""
    if not isinstance(value, dict) or not _is_carrying(value.get(SIGNALS_KEY)):
        return value, ()
    signals = tuple(
        WorkflowExecutionSignaled(signal_name=each["name"], input=each["input"])
        for each in value[SIGNALS_KEY]
    )
    return without_reserved(value, SIGNALS_KEY), signals


def _is_carrying(written: Any) -> bool:
    """Return True if this is a list of signals as floto writes it."""
    return isinstance(written, list) and all(
        isinstance(each, dict)
        and each.keys() == {"name", "input"}
        and isinstance(each["name"], str)
        and isinstance(each["input"], str | None)
        for each in written
    )


def own_input(text: str | None, *, is_continued: bool) -> Any:
    """Return the user's input of a run, without what floto put beside it. Raises ``PayloadError``.

    Only a run that continues another carries signals, and a redriven one what it keeps.
    """
    value = own_value(payload.loads(text))
    return split_signals(value)[0] if is_continued else value


def own_input_of(start: WorkflowExecutionStarted) -> Any:
    """Return the user's input of a run with this start. Raises ``PayloadError`` if it cannot be read."""
    return own_input(start.input, is_continued=start.continued_execution_run_id is not None)


def carried_events(started: Event[WorkflowExecutionStarted]) -> list[Event[WorkflowExecutionSignaled]]:
    """Return the signals that a run continues with, as events with the id and the time of its start."""
    if started.data.continued_execution_run_id is None:
        return []
    try:
        _, signals = split_signals(payload.loads(started.data.input))
    except PayloadError:
        # The decider fails the run when it uses the unreadable input.
        return []
    return [Event(started.id, started.at, signal) for signal in signals]


def unused(state: State, awaited: Collection[str]) -> list[WorkflowExecutionSignaled]:
    """Return the signals of a run that no task has used, in order of arrival.

    A task uses the first signal of the name that it waits for; ``awaited`` are the names of all tasks.
    """
    to_use = set(awaited)
    left: list[WorkflowExecutionSignaled] = []
    for signal in arrived_signals(state):
        if signal.signal_name in to_use:
            to_use.discard(signal.signal_name)
        else:
            left.append(signal)
    changes = [each for each in left if each.signal_name == CHANGED_SIGNAL]
    return [each for each in left if each.signal_name != CHANGED_SIGNAL or each is changes[-1]]


def arrived_signals(state: State) -> Iterator[WorkflowExecutionSignaled]:
    """Yield all signals of a run in order of arrival, carried ones first."""
    if state.started is None:
        return
    first = state.started.id
    yield from (event.data for event in carried_events(state.started))
    kept = redriven_of(state)
    yield from () if kept is None else kept.signals
    later = (
        event
        for name, events in state.signals.items()
        for event in events
        if event.id != first and name != REDRIVE_KEY
    )
    yield from (event.data for event in sorted(later, key=lambda event: event.id))


def continued_input(state: State, awaited: Collection[str], payloads: Payloads | None) -> str | None:
    """Return the input of the run that continues this one: the user's, and the unused signals.

    An input that is too long is compressed, or else stored.

    Args:
        state: The state of this run.
        awaited: The names of the signals that its tasks wait for.
        payloads: The store; None if values are not stored.

    Raises:
        PayloadError: if the input cannot be read, or the signals do not fit; the message names them.
    """
    start, signals = state.start, unused(state, awaited)
    own = own_input_of(start)
    value = with_signals(own, signals)
    if value == payload.loads(start.input):
        return start.input
    text = payload.plain_text(value, _WHAT)
    fitting = payload.packed(text)
    if fitting is None and payloads is not None:
        fitting = _by_reference(own, signals, payloads)
    if fitting is None:
        raise PayloadError(_WHAT, _too_long(text, signals, payloads))
    return fitting


def _by_reference(
    own: Any, signals: Sequence[WorkflowExecutionSignaled], payloads: Payloads
) -> StoredText | None:
    """Return the input with references in place of long values; None if it is still too long.

    The list itself stays in the input, so that the history shows the signals without the store.
    """
    parts: list[str] = []
    texts = {
        text: shortened_text(text, payloads, parts) for each in signals if (text := each.input) is not None
    }
    short = [evolve(each, input=each.input and texts[each.input]) for each in signals]
    for_own = list(parts)
    own_text = payload.plain_text(own, _WHAT)
    stored = own if is_stored(own) else payload.loads(shortened_text(own_text, payloads, for_own))
    for value, behind in ((own, parts), (stored, for_own)):
        fitting = payload.packed(payload.plain_text(with_signals(value, short), _WHAT))
        if fitting is not None:
            return StoredText.of(fitting, behind)
    return None


def shortened_text(text: str, payloads: Payloads, parts: list[str]) -> str:
    """Return text, or a shorter reference to its value; add the value's JSON to ``parts``."""
    if len(text) <= _SHORT:
        return text
    part = payload.plain_text(payload.loads(text), _WHAT)
    parts.append(part)
    return payload.plain_text(marked(part, payloads), _WHAT)


def _too_long(text: str, signals: Sequence[WorkflowExecutionSignaled], payloads: Payloads | None) -> str:
    counts = Counter(each.signal_name for each in signals)
    names = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
    advice = (
        "give the decider a store with payloads= (--payloads on the command line), or let tasks wait for them"
        if payloads is None
        else "references to their values do not fit either, so let tasks wait for them"
    )
    return (
        f"would be {len(text):,} characters long with the signals that no task has waited for; "
        f"SWF takes {payload.LIMIT:,}: {advice}. Signals: {names}"
    )
