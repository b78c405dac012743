"""A spec and a history that do not agree, and the test that says so."""

from __future__ import annotations

from attrs import field, frozen

from floto.core.replay.replay import Divergence
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.swf.history import History
from floto.testing.printing.printed import comment, events_given, history_made, parsed, printed
from floto.testing.printing.source import OWN_CODEC, SourceWriter


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
        return parsed(self._as_pytest)

    def _as_pytest(self) -> str:
        source = SourceWriter()
        source.name("floto", "replay")
        codec = source.codec(self.codec)
        given = f", {OWN_CODEC}" if codec else ""
        return printed(
            source,
            title="A spec that decides otherwise than was recorded, cut down by floto.testing.shrink.",
            given=[
                codec,
                comment(str(self.divergence or "the two agree")),
                source.assigned("SPEC", self.spec),
                events_given(self.history),
            ],
            name="test_the_spec_decides_what_was_recorded",
            test=[
                history_made(source, self.history),
                f"divergence = replay(SPEC, history{given}).divergence",
                "assert divergence is None, str(divergence)",
            ],
        )
