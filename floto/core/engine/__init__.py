"""SWF as a pure function: one command on one run gives events, messages and a reply.

``step`` applies a command to a run, ``Engine`` routes commands and the messages between
runs over a ``RunStore``, and ``World`` is an in-memory engine whose clock the caller sets.
"""

from __future__ import annotations
