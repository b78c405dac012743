"""The arguments of a simulation, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.testing.simulation.choices import Choices, Script
from floto.testing.simulation.faults import NONE, Faults
from floto.testing.simulation.outcomes import Activity
from floto.testing.simulation.simulator import Simulator


@frozen(kw_only=True)
class Case:
    """The arguments of ``simulate``; together with the script they determine the whole run."""

    spec: DeciderSpec
    script: Script = ()
    activities: Mapping[str, Activity] = field(factory=dict)
    input: Any = None
    faults: Faults = NONE
    children: Mapping[str, DeciderSpec] = field(factory=dict)
    codec: Codec = CODEC
    patience: int | None = None

    def simulator(self, choices: Choices | None = None) -> Simulator:
        """Return a simulator of the case, with the choices of its script unless others are given."""
        return Simulator(
            self.spec,
            self.activities or None,
            self.input,
            choices=choices or Choices(self.script),
            faults=self.faults,
            children=self.children or None,
            codec=self.codec,
            patience=self.patience,
        )
