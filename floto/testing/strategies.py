"""Hypothesis strategies: random specs, runs of them, and histories.

All of them shrink towards little: few tasks, default settings, and runs without faults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.retry import ExponentialBackoff, FixedDelay, InstantRetry, RetryStrategy
from floto.core.spec.rules.joins import Join
from floto.core.swf.history import History
from floto.testing.random_specs import (
    Maker,
    Making,
    random_specs,
    random_specs_of_all_kinds,
)
from floto.testing.simulation.choices import Choices
from floto.testing.simulation.faults import Faults
from floto.testing.simulation.outcomes import Activity
from floto.testing.simulation.result import Simulation
from floto.testing.simulation.simulator import Simulator

_NUMBERS_AT_ONCE = 8


def json_values() -> st.SearchStrategy[Any]:
    """Return a strategy of JSON values with a few leaves."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )


def retry_strategies() -> st.SearchStrategy[RetryStrategy | None]:
    """Return a strategy of None and floto's retry strategies, with three retries at most."""
    return st.one_of(
        st.none(),
        st.builds(InstantRetry, st.integers(0, 3)),
        st.builds(FixedDelay, st.sampled_from([0, 1, 2.5, 7]), st.integers(0, 3)),
        st.builds(
            ExponentialBackoff,
            retries=st.integers(0, 3),
            initial=st.sampled_from([1, 2, 10]),
            factor=st.sampled_from([1, 2, 3]),
            cap=st.sampled_from([5, 60]),
            jitter=st.sampled_from([0, 0.5, 1]),
            non_retryable=st.sampled_from([(), ("Final",)]),
        ),
    )


def specs(  # noqa: PLR0913 - all are optional and named
    *,
    most: int = 6,
    depth: int = 2,
    kinds: Sequence[Maker] = (),
    retry_strategies: st.SearchStrategy[Any] | None = None,
    joins: Sequence[Join] = (),
    codec: Codec = CODEC,
    all_kinds: bool = False,
    prefix: str = "t",
) -> st.SearchStrategy[DeciderSpec]:
    """Return a strategy of valid specs.

    Args:
        most: Maximum number of tasks, without signals that they wait for and cleanup tasks.
        depth: How deep children and generators may be nested.
        kinds: Further kinds of task: functions that take a task id and the ids that it requires, and return a
            strategy of tasks.
        retry_strategies: Strategy of retry strategies, in place of those that floto ships.
        joins: Further joins, beside those that floto ships.
        codec: Codec for what generators return: it has to know kinds, strategies and joins of your own.
        all_kinds: If True, each spec has at least one task of each kind.
        prefix: Prefix of the task ids.
    """
    chosen = _shipped_strategies() if retry_strategies is None else retry_strategies
    making = Making(tuple(kinds), chosen, tuple(joins), codec)
    return random_specs_of_all_kinds(making) if all_kinds else random_specs(making, depth, most, prefix)


def runs(  # noqa: PLR0913 - they are those of simulate
    specs: DeciderSpec | st.SearchStrategy[DeciderSpec],
    *,
    activities: Mapping[str, Activity] | None = None,
    input: Any = None,
    faults: Faults | None = None,
    children: Mapping[str, DeciderSpec] | None = None,
    codec: Codec = CODEC,
) -> st.SearchStrategy[Simulation]:
    """Return a strategy of simulations, in every order and with every fault by default.

    Args:
        specs: A spec, or a strategy of specs.
        activities: Outcomes or functions by task id or type name, as for ``simulate``.
        input: The input of the workflow, or a strategy of inputs.
        faults: The faults to inject; all of them by default.
        children: Specs by workflow type name, for children that carry none.
        codec: Codec that knows your own task kinds and retry strategies.
    """
    return st.builds(
        _simulated,
        st.just(specs) if isinstance(specs, DeciderSpec) else specs,
        activities=st.just(activities),
        input=input if isinstance(input, st.SearchStrategy) else st.just(input),
        faults=st.just(Faults.all() if faults is None else faults),
        children=st.just(children),
        codec=st.just(codec),
        script=scripts(),
    )


def _simulated(spec: DeciderSpec, script: tuple[int, ...], **given: Any) -> Simulation:
    """Simulate without checking names: random specs do not all have the tasks of ``activities``."""
    return Simulator(spec, choices=Choices(script), **given).run()


def scripts(most: int = 320) -> st.SearchStrategy[tuple[int, ...]]:
    """Return a strategy of scripts with ``most`` numbers at most: enough for runs of some ten tasks."""
    # Hypothesis draws lists of some five items: too short for a script of single numbers.
    chunks = st.binary(min_size=_NUMBERS_AT_ONCE, max_size=_NUMBERS_AT_ONCE)
    return st.lists(chunks, max_size=most // _NUMBERS_AT_ONCE).map(lambda parts: tuple(b"".join(parts)))


@st.composite
def _truncated(draw: st.DrawFn, simulations: st.SearchStrategy[Simulation]) -> History:
    history = draw(simulations).main
    end = draw(st.integers(1, len(history)))
    return History(history.events[:end], history.execution)


def histories(
    specs: DeciderSpec | st.SearchStrategy[DeciderSpec], **simulated: Any
) -> st.SearchStrategy[History]:
    """Return a strategy of histories that SWF could have written, from any point of a run.

    Args:
        specs: A spec, or a strategy of specs.
        **simulated: Further arguments of ``runs``.
    """
    return _truncated(runs(specs, **simulated))


# specs() has an argument of the same name.
_shipped_strategies = retry_strategies
