"""The policy for forked children: resources that belong to the parent are registered here.

An activity may fork (``multiprocessing``, a process pool), and a program may open a service before it forks
(gunicorn, Celery). The child has copies of all objects of the parent, but none of its threads. An object that
must not be shared registers here, and its ``after_fork`` runs in the child before any other code:

- a lease closes its file descriptor, because its lock belongs to the parent and must end with it;
- a database keeps its connections open but unused, and the next call reopens the file, with another lease;
- a client of AWS is replaced at the next call;
- signal handlers that floto installed are restored to the previous ones.

In the child, ``close()`` of an inherited object and the end of its ``with`` block change nothing.
``floto.current()`` in a child is the task of the parent; the child may send its heartbeats.
"""

from __future__ import annotations

import logging
import os
import weakref
from typing import Protocol

log = logging.getLogger("floto")


class Inherited(Protocol):
    """An object of which a forked child gets a copy."""

    def after_fork(self) -> None:
        """Release, in the child, the resources of the parent; must not block or change its files."""
        ...


_INHERITED: weakref.WeakSet[Inherited] = weakref.WeakSet()


def let_go_in_children(thing: Inherited) -> None:
    """Call ``thing.after_fork()`` in every forked child, while ``thing`` is alive.

    Args:
        thing: The object; only a weak reference to it is kept.
    """
    _INHERITED.add(thing)


def _in_child() -> None:
    for thing in tuple(_INHERITED):
        try:
            thing.after_fork()
        except Exception:
            log.exception("after_fork of %r failed in a forked child", type(thing).__name__)


os.register_at_fork(after_in_child=_in_child)
