"""The kinds of rule by which an event changes a state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import evolve, frozen

from floto.core.errors import HistoryError
from floto.core.quick_init import maker
from floto.core.state.builder import StateBuilder
from floto.core.state.state import OPEN, Item, Kind, Status
from floto.core.swf.events import Event
from floto.core.swf.wire import camel, type_name

_new_item = maker(Item)
# For each event: the look-up of an enum's member takes six times as long as that of a name.
_SCHEDULED, _COMPLETED = Status.SCHEDULED, Status.COMPLETED


class Rule(Protocol):
    """The effect of one type of event on the state."""

    def apply(self, draft: StateBuilder, event: Event, /) -> None:
        """Apply the event to the draft. Raises ``HistoryError`` if it cannot have happened."""
        ...


def not_open(event: Event, field: str, event_id: int, kind: str) -> HistoryError:
    """Return the error for an event that refers to an attempt which is not open."""
    name = f"{type_name(event.data)}.{camel(field)}"
    problem = f"{name} is {event_id}, but event {event_id} did not start any {kind} that is still open"
    return HistoryError(event.id, problem)


@frozen
class Opens:
    """A rule that opens an attempt; ``shared`` if SWF permits several open attempts under one id."""

    kind: Kind
    id_of: Callable[[Event], str]
    shared: bool = False

    def apply(self, draft: StateBuilder, event: Event) -> None:
        """Open an item, or reopen it."""
        key = (self.kind, self.id_of(event))
        old = draft.item(key)
        if old is not None and old.is_open:
            if not self.shared:
                raise HistoryError(event.id, f"{self.kind} {key[1]!r} is already open")
            # The item shows the first open attempt; later ones are only recorded by event id.
            draft.put(old)
        else:
            draft.put(_new_item(key, _SCHEDULED, event, failures=_failures(old)))
        draft.open(event.id, key)


@frozen
class Moves:
    """A rule that changes the status of an open attempt, whose event id is in the field ``ref``."""

    kind: Kind
    ref: str
    to: Status
    allowed_from: tuple[Status, ...] = OPEN

    def apply(self, draft: StateBuilder, event: Event) -> None:
        """Set the status of the item, and close the attempt if the status is final."""
        opening = getattr(event.data, self.ref)
        key = draft.key_of(opening)
        if key is None or key[0] is not self.kind:
            raise not_open(event, self.ref, opening, self.kind)
        item = draft.item(key)
        if self.to not in OPEN:
            draft.close(opening, key)
        if item is None or item.opened is None or item.opened.id != opening:
            return
        if item.status not in self.allowed_from:
            raise HistoryError(event.id, f"{type_name(event.data)}: {self.kind} {key[1]!r} is {item.status}")
        draft.put(_moved(item, self.to, event))


def _moved(item: Item, to: Status, event: Event) -> Item:
    if to in OPEN:
        return _new_item(item.key, to, item.opened, event, None, item.failures, item.cancel)
    failures = item.failures if to is _COMPLETED else (*item.failures, event)
    return _new_item(item.key, to, item.opened, item.started, event, failures, item.cancel)


def _failures(old: Item | None) -> tuple[Event, ...]:
    return () if old is None or old.status is _COMPLETED else old.failures


@frozen
class MovesChild:
    """A rule for the status of a child; children may share one item, so each start is kept separately."""

    moves: Moves

    def apply(self, draft: StateBuilder, event: Event) -> None:
        """Set the status of the item, and add or remove the start of this child."""
        self.moves.apply(draft, event)
        initiated = event.data.initiated_event_id
        if self.moves.to is Status.STARTED:
            draft.children = draft.children.insert(initiated, event)
        else:
            draft.children = draft.children.discard(initiated)


@frozen
class Refuses:
    """A rule for an attempt that SWF refused before it was opened."""

    kind: Kind
    id_of: Callable[[Event], str]

    def apply(self, draft: StateBuilder, event: Event) -> None:
        """Close the item as refused, unless an attempt is open under its id."""
        key = (self.kind, self.id_of(event))
        old = draft.item(key)
        if old is not None and old.is_open:
            draft.put(old)
        else:
            draft.put(Item(key, Status.REFUSED, None, closed=event, failures=(*_failures(old), event)))


@frozen
class RequestsCancel:
    """A rule for a cancel request to an open activity, granted or refused."""

    id_of: Callable[[Event], str]
    is_granted: bool = True

    def apply(self, draft: StateBuilder, event: Event) -> None:
        """Record the request on the item; a refusal does not replace a granted request."""
        item = draft.item((Kind.ACTIVITY, self.id_of(event)))
        if item is not None and item.is_open and (self.is_granted or item.cancel is None):
            draft.put(evolve(item, cancel=event))


@frozen
class Sets:
    """A rule that changes the run as a whole."""

    apply: Callable[[StateBuilder, Event], None]
