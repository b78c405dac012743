"""A counterexample: a spec and a history that do not agree, and the test that shows it."""

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
    """The smallest spec and history found for which the predicate holds."""

    spec: DeciderSpec
    history: History
    #: The first divergence; None where there is none, which another predicate allows.
    divergence: Divergence | None
    #: False if the budget was used up before the search ended.
    is_smallest: bool
    codec: Codec = field(default=CODEC, repr=False)

    def as_pytest(self) -> str:
        """Return a pytest file that fails for as long as spec and history diverge.

        Task kinds and strategies of your own are imported from the modules that declare them.

        Raises:
            SpecError: A class cannot be imported, such as one that is declared in a function.
        """
        return parsed(self._as_pytest)

    def _as_pytest(self) -> str:
        source = SourceWriter()
        source.name("floto", "replay")
        codec = source.codec(self.codec)
        given = f", {OWN_CODEC}" if codec else ""
        return printed(
            source,
            title="A spec that decides otherwise than was recorded, minimised by floto.testing.shrink.",
            given=[
                codec,
                comment(str(self.divergence or "spec and history agree")),
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
