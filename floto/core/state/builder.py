"""Mutable state under construction."""

from __future__ import annotations

from typing import Any

from attrs import fields
from rpds import HashTrieMap

from floto.core.state.state import Item, Key, Kind, State


class StateBuilder:
    """A mutable state under construction: the maps are copied once per fold, not once per event."""

    __slots__ = ("_base", "_counts", "_items", "_keys", "closed", "last", "touched", "values")

    def __init__(self, base: State) -> None:
        self._base = base
        self._items: dict[Key, Item] = {}
        self._keys: dict[int, Key | None] = {}
        self._counts: dict[Kind, int] = {}
        self.last = base.last
        self.closed = base.closed
        #: Fields of the state that rules set as a whole.
        self.values: dict[str, Any] = {}
        #: Keys of the items that were set.
        self.touched: dict[Key, None] = {}

    def get(self, name: str) -> Any:
        """Return the current value of a field of the state."""
        return self.values[name] if name in self.values else getattr(self._base, name)

    def item(self, key: Key) -> Item | None:
        """Return the current item of a key; None if there is none."""
        return self._items.get(key) or self._base.items.get(key)

    def put(self, item: Item) -> None:
        """Set an item."""
        self._items[item.key] = item
        self.touched[item.key] = None

    def key_of(self, event_id: int) -> Key | None:
        """Return the key of the attempt that an event opened; None if it is not open."""
        return self._keys[event_id] if event_id in self._keys else self._base.opened.get(event_id)

    def open(self, event_id: int, key: Key) -> None:
        """Record that an event opened an attempt."""
        self._keys[event_id] = key
        self._count(key[0], 1)

    def close(self, event_id: int, key: Key) -> None:
        """Record that the attempt which an event opened has ended."""
        self._keys[event_id] = None
        self._count(key[0], -1)

    def count(self, kind: Kind) -> int:
        """Return the number of open attempts of a kind."""
        return self._counts[kind] if kind in self._counts else self._base.open_count.get(kind, 0)

    def _count(self, kind: Kind, change: int) -> None:
        self._counts[kind] = self.count(kind) + change

    def state(self) -> State:
        """Return the immutable state."""
        base = self._base
        opened = base.opened
        for event_id, key in self._keys.items():
            if key is not None:
                opened = opened.insert(event_id, key)
            elif event_id in opened:
                opened = opened.remove(event_id)
        values: dict[str, Any] = {name: getattr(base, name) for name in _WHOLE} | self.values
        items: HashTrieMap[Any, Any] = base.items
        return State(
            items=items.update(self._items) if self._items else items,
            opened=opened,
            open_count=self._open_count(),
            closed=self.closed,
            last=self.last,
            **values,
        )

    def _open_count(self) -> HashTrieMap[Kind, int]:
        # Omit kinds with a count of 0, so that equal states compare equal.
        counts = self._base.open_count
        for kind, count in self._counts.items():
            if count != counts.get(kind, 0):
                counts = counts.insert(kind, count) if count else counts.remove(kind)
        return counts


#: The fields of the state that rules set as a whole.
_WHOLE = tuple(
    field.name
    for field in fields(State)
    if field.name not in ("items", "opened", "open_count", "closed", "last")
)
