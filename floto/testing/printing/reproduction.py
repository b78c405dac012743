"""Reproductions: the smallest decision point or run found that breaks an invariant."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Protocol

from attrs import field, frozen

from floto.core.errors import SpecError
from floto.core.replay.timeline import timeline
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.swf.history import History
from floto.pictures.terminal import text
from floto.testing.invariants import DECIDES
from floto.testing.invariants.violation import Invariant, RunInvariant
from floto.testing.printing.printed import comment, events_given, history_made, parsed, printed
from floto.testing.printing.source import OWN_CODEC, Name, SourceWriter
from floto.testing.simulation.case import Case
from floto.testing.simulation.faults import NONE
from floto.testing.simulation.result import Simulation

_TITLE = "A spec that breaks an invariant, minimised by floto.testing.check."


class Reproduction(Protocol):
    """A minimised violation, as text and as a pytest file."""

    @property
    def spec(self) -> DeciderSpec:
        """The smallest spec."""
        ...

    @property
    def history(self) -> History:
        """The smallest history: up to the decision task, or of the main run."""
        ...

    @property
    def is_smallest(self) -> bool:
        """False if the budget was used up before the search ended."""
        ...

    @property
    def note(self) -> str:
        """A remark on the file; mostly empty."""
        ...

    def timeline(self) -> str:
        """Return a timeline in plain characters."""
        ...

    def as_pytest(self) -> str:
        """Return a pytest file that fails while the invariant is broken; may raise ``SpecError``."""
        ...


@frozen(kw_only=True)
class BrokenMoment:
    """A spec and a history whose decisions break an invariant."""

    invariant: Invariant
    sentence: str
    spec: DeciderSpec
    history: History
    is_smallest: bool
    codec: Codec = field(default=CODEC, repr=False)
    #: A remark on the file; mostly empty.
    note: str = ""

    def timeline(self) -> str:
        """Return a timeline in plain characters."""
        return _drawn(self.history, "the history")

    def as_pytest(self) -> str:
        """Return a pytest file; raises ``SpecError`` for what cannot be imported."""
        return parsed(self._as_pytest)

    def _as_pytest(self) -> str:
        source = SourceWriter()
        codec = source.codec(_needed(self.codec, self.spec, [self.history]))
        return printed(
            source,
            title=_TITLE,
            given=[
                codec,
                comment(self.sentence),
                comment(self.note) if self.note else "",
                source.assigned("SPEC", self.spec),
                events_given(self.history),
            ],
            name="test_the_invariant_holds",
            test=[
                history_made(source, self.history),
                self._asked(source, f", codec={OWN_CODEC}" if codec else ""),
            ],
        )

    def _asked(self, source: SourceWriter, codec: str) -> str:
        source.name("floto.testing", "verify")
        return f"verify(SPEC, history, {_chosen(source, self.invariant)}{codec})"


def _drawn(history: History, title: str) -> str:
    """Return a timeline, or a sentence where there is nothing to draw."""
    shown = timeline(history)
    return text(shown, title) if shown.lanes else f"{title} is at its beginning: nothing has been started yet"


def _needed(codec: Codec, spec: DeciderSpec, histories: Iterable[History]) -> Codec:
    """Return a codec with floto's own types and those that a spec and histories name."""
    try:
        said = repr((codec.unstructure(spec), *(history.to_swf() for history in histories)))
    except SpecError:
        return codec
    return Codec({tag: cls for tag, cls in codec.types.items() if tag in CODEC.types or tag in said})


@frozen(kw_only=True)
class BrokenRun:
    """A run that breaks an invariant."""

    invariant: Invariant | RunInvariant
    sentence: str
    case: Case
    #: None where deciding raises, so that there is no simulation.
    simulation: Simulation | None = field(repr=False)
    #: Up to the decision task with the wrong response; of the main run for an invariant of whole runs.
    history: History
    is_smallest: bool

    @property
    def spec(self) -> DeciderSpec:
        """The smallest spec."""
        return self.case.spec

    def timeline(self) -> str:
        """Return a timeline of each execution in plain characters."""
        if self.simulation is None or isinstance(self.invariant, Invariant):
            return _drawn(self.history, "the history")
        named = zip(self.simulation.histories, self.simulation.infos, strict=True)
        return "\n\n".join(_drawn(each, info.execution.workflow_id) for each, info in named)

    @property
    def note(self) -> str:
        """Empty: the file needs no remark."""
        return ""

    def as_pytest(self) -> str:
        """Return a pytest file; raises ``SpecError`` for what cannot be imported."""
        return parsed(self._as_pytest)

    def _as_pytest(self) -> str:
        source = SourceWriter()
        histories = [self.history] if self.simulation is None else self.simulation.histories
        codec = source.codec(_needed(self.case.codec, self.spec, histories))
        source.name("floto.testing", "verify_run")
        arguments = _arguments(self.case, Name(OWN_CODEC) if codec else None)
        rules = _chosen(source, self.invariant)
        return printed(
            source,
            title=_TITLE,
            given=[codec, comment(self.sentence), source.assigned("SPEC", self.spec)],
            name="test_the_run_is_as_runs_must_be",
            test=[
                source.called("simulation = ", "simulate", arguments),
                f"verify_run(simulation, {rules})",
            ],
        )


def _arguments(case: Case, codec: Name | None) -> list[tuple[str, Any]]:
    """Return the arguments of ``simulate``, without defaults."""
    given: list[tuple[str, Any, Any]] = [
        ("activities=", case.activities, {}),
        ("input=", case.input, None),
        ("faults=", case.faults, NONE),
        ("script=", list(case.script), [] if case.faults == NONE else None),
        ("children=", case.children, {}),
        ("codec=", codec, None),
        ("patience=", case.patience, None),
    ]
    return [("", Name("SPEC")), *((name, value) for name, value, default in given if value != default)]


def _chosen(source: SourceWriter, invariant: Invariant | RunInvariant) -> str:
    """Return the source of an invariant: its name in floto's table, or the user's declaration."""
    if invariant == DECIDES:
        # Deciding without an error is checked first in any case.
        return "[]"
    if _is_flotos(invariant):
        table = "INVARIANTS" if isinstance(invariant, Invariant) else "RUN_INVARIANTS"
        source.name("floto.testing", table)
        return f'[each for each in {table} if each.name == "{invariant.name}"]'
    function = invariant.holds
    name = source.declared(function)
    kept = getattr(sys.modules.get(function.__module__), name, None)
    if isinstance(kept, Invariant | RunInvariant):
        return f"[{name}]"
    return f"[{source.name('floto.testing', 'invariant')}({name})]"


def _is_flotos(invariant: Invariant | RunInvariant) -> bool:
    module: str = invariant.holds.__module__
    return module.startswith("floto.testing.")
