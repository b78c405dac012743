"""The progress of a cleanup, followed through the states of its run.

A decider begins a cleanup anew for each decision; a view of every moment would do so for each event.
"""

from __future__ import annotations

from collections.abc import Collection

from floto.core.decide.cleanup import begin_cleanup
from floto.core.decide.progress import Progress, advanced, needs_rebuild, positions_of, updated
from floto.core.state.state import Key


def advanced_cleanup(
    own: Progress, main: Progress, changed_keys: Collection[Key], *, has_begun: bool
) -> Progress:
    """Return the progress of a cleanup in a later state of its run.

    Args:
        own: The progress of the cleanup.
        main: The progress of the run in the later state.
        changed_keys: Keys of the items that changed since.
        has_begun: False if the run neither fails nor is canceled. What there is to undo then matters only to
            tasks of the cleanup that have an item, such as a signal that has arrived.
    """
    if not (main.plan.undos or own.undone):
        return advanced(own, main.state, changed_keys) if own.plan.tasks else own
    changed = positions_of(changed_keys, own.plan)
    is_stale = not main.plan.undos.keys().isdisjoint(positions_of(changed_keys, main.plan))
    if not has_begun:
        is_stale = (is_stale or bool(changed)) and any(key in main.state.items for key in own.plan.by_key)
    is_stale |= {before.plan for before, _ in own.undone.values()} != {main.plan}
    if is_stale or needs_rebuild(changed, own, main.state):
        return begin_cleanup(main, own.spec, own.extra_context)
    return updated(own, main.state, changed)
