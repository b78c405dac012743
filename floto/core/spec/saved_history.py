"""A history with what a file says beside it."""

from __future__ import annotations

from attrs import frozen

from floto.core.spec.decider_spec import DeciderSpec
from floto.core.swf.history import History


@frozen(kw_only=True)
class Saved:
    """A history, and what a file says beside it."""

    history: History
    domain: str | None = None
    #: The spec that the run was decided by, where it was saved with it.
    spec: DeciderSpec | None = None
