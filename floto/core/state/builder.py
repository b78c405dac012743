"""Mutable state under construction."""

from __future__ import annotations

from typing import Any

from rpds import HashTrieMap

from floto.core.quick_init import maker
from floto.core.state.state import Item, Key, Kind, State

_new_state = maker(State)


class StateBuilder:
    """A mutable state under construction: the maps are copied once per fold, not once per event.

    The fields that rules set as a whole are attributes, with the names that they have in ``State``.
    """

    __slots__ = (
        "_base",
        "_counts",
        "_items",
        "_keys",
        "cancel_requested",
        "children",
        "closed",
        "decision_tasks",
        "last",
        "markers",
        "override",
        "signals",
        "started",
        "task_list",
        "touched",
    )

    def __init__(self, base: State) -> None:
        self._base = base
        self._items: dict[Key, Item] = {}
        self._keys: dict[int, Key | None] = {}
        self._counts: dict[Kind, int] = {}
        self.started = base.started
        self.closed = base.closed
        self.children = base.children
        self.signals = base.signals
        self.markers = base.markers
        self.cancel_requested = base.cancel_requested
        self.decision_tasks = base.decision_tasks
        self.task_list = base.task_list
        self.override = base.override
        self.last = base.last
        #: Keys of the items that were set.
        self.touched: dict[Key, None] = {}

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
        self._counts[key[0]] = self.count(key[0]) + 1

    def close(self, event_id: int, key: Key) -> None:
        """Record that the attempt which an event opened has ended."""
        if self._keys.pop(event_id, None) is None:
            self._keys[event_id] = None
        self._counts[key[0]] = self.count(key[0]) - 1

    def count(self, kind: Kind) -> int:
        """Return the number of open attempts of a kind."""
        return self._counts[kind] if kind in self._counts else self._base.open_count.get(kind, 0)

    def state(self) -> State:
        """Return the immutable state."""
        base = self._base
        items: HashTrieMap[Any, Any] = base.items
        opened = base.opened
        for event_id, key in self._keys.items():
            opened = opened.discard(event_id) if key is None else opened.insert(event_id, key)
        return _new_state(
            base.execution,
            self.started,
            self.closed,
            items.update(self._items) if self._items else items,
            opened,
            self._open_count() if self._counts else base.open_count,
            self.children,
            self.signals,
            self.markers,
            self.cancel_requested,
            self.decision_tasks,
            self.task_list,
            self.override,
            self.last,
        )

    def _open_count(self) -> HashTrieMap[Kind, int]:
        # Omit kinds with a count of 0, so that equal states compare equal.
        counts = self._base.open_count
        for kind, count in self._counts.items():
            if count != counts.get(kind, 0):
                counts = counts.insert(kind, count) if count else counts.remove(kind)
        return counts
