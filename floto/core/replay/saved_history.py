"""A saved history with its domain and spec."""

from __future__ import annotations

from attrs import frozen

from floto.core.spec.decider_spec import DeciderSpec
from floto.core.swf.history import History


@frozen(kw_only=True)
class Saved:
    """A history, with the domain and the spec that were saved with it."""

    history: History
    domain: str | None = None
    #: The spec of the run; None if it was not saved.
    spec: DeciderSpec | None = None
