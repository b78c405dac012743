"""SWF as a pure function: one command on one run gives events, messages and an answer.

``step`` applies a command to a run, ``Engine`` routes commands and the messages between
runs over a ``Store``, and ``World`` is an engine in memory whose clock the caller winds.
"""

from __future__ import annotations
