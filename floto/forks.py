"""What a forked child must not inherit, or do on its parent's behalf: one policy, in one place.

An activity may fork (``multiprocessing``, a process pool), and a program may open a service before it forks
(gunicorn, Celery). The child has copies of everything that the parent had, but none of its threads. What
must not be shared registers here and lets go of it in the child, before any other code of the child runs:

- a lease closes its file descriptor: the lock belongs to the parent, and must end with it;
- a database connection is put aside, never closed, and the next call opens the file anew, with a lease of
its own; - a client of AWS is made anew for the process that uses it;
- signal handlers that floto installed are put back to what they were before.

What only frees itself by ending, such as ``close()`` or a ``with`` block that the child leaves too, changes
nothing in the child. ``floto.current()`` in a child is the same task: its heartbeats are the parent's, and
are allowed.
"""

from __future__ import annotations

import logging
import os
import weakref
from typing import Protocol

log = logging.getLogger("floto")


class Inherited(Protocol):
    """Something that a forked child gets a copy of."""

    def after_fork(self) -> None:
        """Let go, in the child, of what belongs to the parent; must not wait or touch its files."""
        ...


_INHERITED: weakref.WeakSet[Inherited] = weakref.WeakSet()


def let_go_in_children(thing: Inherited) -> None:
    """Have ``thing.after_fork()`` called in every forked child, as long as the thing lives."""
    _INHERITED.add(thing)


def _in_child() -> None:
    for thing in tuple(_INHERITED):
        try:
            thing.after_fork()
        except Exception:
            log.exception("a forked child could not let go of %r", type(thing).__name__)


os.register_at_fork(after_in_child=_in_child)
