"""The fold of events into a ``State``, each event by its rule in ``RULES``.

An event that cannot have happened raises ``HistoryError``, here and in the rules, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from attrs import evolve

from floto.core.errors import HistoryError
from floto.core.state.builder import StateBuilder
from floto.core.state.event_rules import RULES
from floto.core.state.state import EMPTY, Key, State
from floto.core.swf.events import Event, WorkflowExecutionStarted
from floto.core.swf.history import History, check_event, check_events
from floto.core.swf.wire import type_name

#: The methods of the rules, looked up once and not for each event.
_APPLIED: Mapping[type, Callable[[StateBuilder, Event], None]] = {
    type_: rule.apply for type_, rule in RULES.items()
}


def fold(events: Iterable[Event], state: State = EMPTY) -> State:
    """Add events to a state, all at once or in parts.

    ``fold(b, fold(a))`` equals ``fold(a + b)``.

    Args:
        events: Events in order; the first follows the last event of ``state``.
        state: The state before them, by default that of an empty history.

    Raises:
        HistoryError: if the events do not follow, or cannot have happened.
    """
    return trace(events, state)[0]


def state_of(history: History | Iterable[Event] | State) -> State:
    """Return the state after a history; a state is returned unchanged. Raises ``HistoryError``."""
    if isinstance(history, State):
        return history
    execution = history.execution if isinstance(history, History) else None
    return fold(history, evolve(EMPTY, execution=execution))


def trace(events: Iterable[Event], state: State = EMPTY) -> tuple[State, frozenset[Key]]:
    """Return the state after events, and the keys of the items that changed. Raises ``HistoryError``."""
    if type(events) is not tuple:
        check_events(events)
    draft = StateBuilder(state)
    for event in events:
        if type(event) is not Event:
            check_event(event)
        add(draft, event)
    return draft.state(), frozenset(draft.touched)


def add(draft: StateBuilder, event: Event) -> None:
    """Apply one event by its rule; an event of an unknown type changes nothing. Raises ``HistoryError``."""
    last, type_ = draft.last, type(event.data)
    last_id = 0 if last is None else last.id
    if event.id != last_id + 1:
        raise HistoryError(event.id, f"follows event {last_id}; a history counts 1, 2, 3, ...")
    if draft.closed is not None:
        raise HistoryError(event.id, f"comes after event {draft.closed.id}, which closed the run")
    if (last_id == 0) is not (type_ is WorkflowExecutionStarted):
        raise HistoryError(event.id, f"{type_name(event.data)}: a history has one start, and it is event 1")
    apply = _APPLIED.get(type_)
    if apply is not None:
        apply(draft, event)
    draft.last = event
