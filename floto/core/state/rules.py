"""The few things that an event can do to a state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import evolve, frozen

from floto.core.errors import HistoryError
from floto.core.state.builder import StateBuilder
from floto.core.state.state import OPEN, Item, Kind, Status
from floto.core.swf.events import Event
from floto.core.swf.wire import camel, type_name


class Rule(Protocol):
    """What one type of event does to the state."""

    def apply(self, draft: StateBuilder, event: Event) -> None:
        """Change the draft."""
        ...


def lost(event: Event, field: str, event_id: int, kind: str) -> HistoryError:
    """An event names what is not there, or not any more."""
    return HistoryError(
        event.id, f"{type_name(event.data)}.{camel(field)} is {event_id}, which is no open {kind} of this run"
    )


@frozen
class Opens:
    """An attempt begins. ``shared``: SWF lets several attempts be open under one id."""

    kind: Kind
    id_of: Callable[[Event], str]
    shared: bool = False

    def apply(self, draft: StateBuilder, event: Event) -> None:
        """Open an item, or open it again."""
        key = (self.kind, self.id_of(event))
        old = draft.item(key)
        if old is not None and old.is_open:
            if not self.shared:
                raise HistoryError(event.id, f"{self.kind} {key[1]!r} is open already")
            # The first attempt keeps the item; the second is only remembered by its event.
            draft.put(old)
        else:
            draft.put(Item(key, Status.SCHEDULED, event, failures=_failures(old)))
        draft.open(event.id, key)


@frozen
class Moves:
    """An open attempt, named by an event id in the field ``ref``, changes its status."""

    kind: Kind
    ref: str
    to: Status
    allowed_from: tuple[Status, ...] = OPEN

    def apply(self, draft: StateBuilder, event: Event) -> None:
        """Move an item on."""
        opening = getattr(event.data, self.ref)
        key = draft.key_of(opening)
        if key is None or key[0] is not self.kind:
            raise lost(event, self.ref, opening, self.kind)
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
        return Item(item.key, to, item.opened, event, None, item.failures, item.cancel)
    failures = item.failures if to is Status.COMPLETED else (*item.failures, event)
    return Item(item.key, to, item.opened, item.started, event, failures, item.cancel)


def _failures(old: Item | None) -> tuple[Event, ...]:
    return () if old is None or old.status is Status.COMPLETED else old.failures


@frozen
class MovesChild:
    """A child changes its status; children may share one item, so each start is kept by itself."""

    moves: Moves

    def apply(self, draft: StateBuilder, event: Event) -> None:
        """Move the item on, and note or forget the start of this very child."""
        self.moves.apply(draft, event)
        children, initiated = draft.get("children"), event.data.initiated_event_id
        if self.moves.to is Status.STARTED:
            draft.values["children"] = children.insert(initiated, event)
        else:
            draft.values["children"] = children.discard(initiated)


@frozen
class Refuses:
    """The service refused to open an attempt; nothing was opened before."""

    kind: Kind
    id_of: Callable[[Event], str]

    def apply(self, draft: StateBuilder, event: Event) -> None:
        """Close the item as refused, unless an attempt is open under the id."""
        key = (self.kind, self.id_of(event))
        old = draft.item(key)
        if old is not None and old.is_open:
            draft.put(old)
        else:
            draft.put(Item(key, Status.REFUSED, None, closed=event, failures=(*_failures(old), event)))


@frozen
class Asks:
    """The decider asked an open activity to stop, whether the service agreed or not."""

    id_of: Callable[[Event], str]
    is_granted: bool = True

    def apply(self, draft: StateBuilder, event: Event) -> None:
        """Note the request on the item; a refusal takes back none that was granted."""
        item = draft.item((Kind.ACTIVITY, self.id_of(event)))
        if item is not None and item.is_open and (self.is_granted or item.cancel is None):
            draft.put(evolve(item, cancel=event))


@frozen
class Sets:
    """The event changes the run as a whole."""

    change: Callable[[StateBuilder, Event], None]

    def apply(self, draft: StateBuilder, event: Event) -> None:
        """Change the draft."""
        self.change(draft, event)
