"""The smallest that was found to break an invariant: one moment of a run, or a whole run."""

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
from floto.testing.checking.cases import Case
from floto.testing.invariants import DECIDES
from floto.testing.invariants.violation import Invariant, RunInvariant
from floto.testing.printing.printed import comment, events_given, history_made, parsed, printed
from floto.testing.printing.source import OWN_CODEC, Name, Source
from floto.testing.simulation.faults import NONE
from floto.testing.simulation.result import Simulation

_TITLE = "A spec that breaks an invariant, cut down by floto.testing.check."


class Reproduction(Protocol):
    """What was found, as a person reads it and as pytest runs it."""

    @property
    def spec(self) -> DeciderSpec:
        """The smallest spec."""
        ...

    @property
    def history(self) -> History:
        """The smallest history: up to the question, or of the main run."""
        ...

    @property
    def is_smallest(self) -> bool:
        """False where the budget was used up before there was nothing left to take out."""
        ...

    @property
    def note(self) -> str:
        """What a person has to know before the file is of use; mostly nothing."""
        ...

    def timeline(self) -> str:
        """What happened when, in plain characters."""
        ...

    def as_pytest(self) -> str:
        """A file for pytest, which fails for as long as the invariant is broken; may raise ``SpecError``."""
        ...


@frozen(kw_only=True)
class BrokenMoment:
    """A spec and a history after which something is decided that must not be."""

    invariant: Invariant
    sentence: str
    spec: DeciderSpec
    history: History
    is_smallest: bool
    codec: Codec = field(default=CODEC, repr=False)
    #: What a person has to know before the file is of use.
    note: str = ""

    def timeline(self) -> str:
        """What happened when, in plain characters."""
        return _drawn(self.history, "the history")

    def as_pytest(self) -> str:
        """A file for pytest; raises ``SpecError`` for what no other file can import."""
        return parsed(self._as_pytest)

    def _as_pytest(self) -> str:
        source = Source()
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

    def _asked(self, source: Source, codec: str) -> str:
        source.name("floto.testing", "verify")
        return f"verify(SPEC, history, {_chosen(source, self.invariant)}{codec})"


def _drawn(history: History, title: str) -> str:
    """A timeline, if there is anything to draw."""
    shown = timeline(history)
    return text(shown, title) if shown.lanes else f"{title} is at its beginning: nothing has been started yet"


def _needed(codec: Codec, spec: DeciderSpec, histories: Iterable[History]) -> Codec:
    """A codec that knows floto's own types, and those that a spec and histories name."""
    try:
        said = repr((codec.unstructure(spec), *(history.to_swf() for history in histories)))
    except SpecError:
        return codec
    return Codec({tag: cls for tag, cls in codec.types.items() if tag in CODEC.types or tag in said})


@frozen(kw_only=True)
class BrokenRun:
    """A run that, as a whole, is not as runs must be."""

    invariant: Invariant | RunInvariant
    sentence: str
    case: Case
    #: None where it cannot be simulated, for deciding raises.
    simulation: Simulation | None = field(repr=False)
    #: Up to the question whose answer is wrong; of the main run where it is the whole that is.
    history: History
    is_smallest: bool

    @property
    def spec(self) -> DeciderSpec:
        """The smallest spec."""
        return self.case.spec

    def timeline(self) -> str:
        """What happened when in each execution, in plain characters."""
        if self.simulation is None or isinstance(self.invariant, Invariant):
            return _drawn(self.history, "the history")
        named = zip(self.simulation.histories, self.simulation.infos, strict=True)
        return "\n\n".join(_drawn(each, info.execution.workflow_id) for each, info in named)

    @property
    def note(self) -> str:
        """Nothing: it runs as it stands."""
        return ""

    def as_pytest(self) -> str:
        """A file for pytest; raises ``SpecError`` for what no other file can import."""
        return parsed(self._as_pytest)

    def _as_pytest(self) -> str:
        source = Source()
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
    """What ``simulate`` is called with, what is as usual left out."""
    given: list[tuple[str, Any, Any]] = [
        ("activities=", case.activities, {}),
        ("input=", case.input, None),
        ("faults=", case.faults, NONE),
        ("script=", list(case.script), [] if case.faults == NONE else None),
        ("children=", case.children, {}),
        ("codec=", codec, None),
        ("patience=", case.patience, None),
    ]
    return [("", Name("SPEC")), *((name, value) for name, value, usual in given if value != usual)]


def _chosen(source: Source, invariant: Invariant | RunInvariant) -> str:
    """How a test gets at an invariant: by its name in floto's table, or from where a user declared it."""
    if invariant == DECIDES:
        # That something is decided at all is looked at first, whatever else is.
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
