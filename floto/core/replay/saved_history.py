"""A saved history with its domain and spec."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from floto.core.errors import SpecError
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec, as_spec
from floto.core.swf.history import History


@frozen(kw_only=True)
class Saved:
    """A history, with the domain and the spec that were saved with it."""

    history: History
    domain: str | None = None
    #: The spec that was saved with it, as JSON; None if none was.
    spec_json: Any = None

    def spec(self, codec: Codec = CODEC) -> DeciderSpec | None:
        """Return the spec that was saved with the history, None if none was. Raises ``SpecError``."""
        if self.spec_json is None:
            return None
        what = "the spec that was saved with the history"
        try:
            found = codec.structure(self.spec_json)
        except SpecError as error:
            raise SpecError(f"{what}: {problem}" for problem in error.problems) from None
        return as_spec(found, what)
