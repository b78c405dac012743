"""A spec and a history that do not agree, and the test that says so."""

from __future__ import annotations

import ast

from attrs import field, frozen

from floto.core.codec import Codec
from floto.core.errors import SpecError
from floto.core.history import History
from floto.core.replay import Divergence
from floto.core.specs import CODEC, DeciderSpec
from floto.testing.source import Source, events_source

_OWN_CODEC = "OWN_CODEC"
_TEST = '''\
"""A spec that decides otherwise than was recorded, cut down by floto.testing.shrink."""

{imports}

{codec}# {sentence}
{spec}

# fmt: off
EVENTS = [
{events}
]
# fmt: on


def test_the_spec_decides_what_was_recorded() -> None:
    history = History.from_swf(EVENTS{execution})
    divergence = replay(SPEC, history{given}).divergence
    assert divergence is None, str(divergence)
'''


@frozen(kw_only=True)
class Counterexample:
    """The smallest spec and history that were found to show something."""

    spec: DeciderSpec
    history: History
    #: Where the two part; None where they do not, and the predicate asked for something else.
    divergence: Divergence | None
    #: False where the budget was used up before there was nothing left to take out.
    is_smallest: bool
    codec: Codec = field(default=CODEC, repr=False)

    def as_pytest(self) -> str:
        """A file for pytest: it fails for as long as spec and history diverge, and says where.

        Task kinds and strategies of your own are imported from where they are declared.
        Raises ``SpecError`` for a class that cannot be imported, such as one in a function.
        """
        try:
            text = self._as_pytest()
            # Python takes some 200 brackets within one another.
            ast.parse(text)
        except (MemoryError, RecursionError, SyntaxError):
            raise SpecError(("the spec or the history is nested too deeply to be written",)) from None
        return text

    def _as_pytest(self) -> str:
        source = Source()
        for name in ("History", "replay"):
            source.name("floto", name)
        codec, spec = source.codec(_OWN_CODEC, self.codec), source.assigned("SPEC", self.spec)
        execution = "" if self.history.execution is None else f", {source.argument(self.history.execution)}"
        return _TEST.format(
            imports=source.imports(),
            codec=codec,
            # Of one line, whatever is in it: what follows a line end would be code.
            sentence=" ".join(str(self.divergence or "the two agree").split()),
            spec=spec,
            events=events_source(self.history),
            execution=execution,
            given=f", {_OWN_CODEC}" if codec else "",
        )
