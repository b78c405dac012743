"""The keys of the items of a run that changed lately: what is new to a decider that knows it from before."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from floto.core.quick_init import maker, quick_init
from floto.core.state.state import Key

#: Most keys of ``ChangedKeys``: a decider that is further behind folds the events itself.
_MOST_KEYS = 2_000


@quick_init
@frozen(weakref_slot=False)
class ChangedKeys:
    """The keys of the items that changed after an event, perhaps repeatedly and perhaps with others."""

    #: Id of the event; 0 for the whole history.
    since: int = 0
    keys: tuple[Key, ...] = ()

    def after(self, keys: Iterable[Key], last_event_id: int) -> ChangedKeys:
        """Return the keys after later events, of which ``last_event_id`` is the last."""
        if len(self.keys) > _MOST_KEYS:
            return _new_keys(last_event_id)
        return _new_keys(self.since, (*self.keys, *keys))


_new_keys = maker(ChangedKeys)
