"""The invariants of every decision and run, for any spec: two tables, and the functions that check them.

The order decides which invariant is reported. Those of user-defined code come first, because an error there
is best reported as such; then those of a single decision; then the metamorphic ones, which decide a changed
history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import PurePath
from traceback import extract_tb

from floto.core.decide.decide import decide
from floto.core.errors import HistoryError
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.swf.history import History
from floto.testing.invariants import (
    attempts,
    cleanup,
    closes,
    data,
    determinism,
    expected_decisions,
    generators,
    incremental,
    inputs,
    law,
    limits,
    metamorphic,
    order,
    own_code,
    retries,
    runs,
    saturation,
    signals,
    states,
)
from floto.testing.invariants.violation import (
    Invariant,
    RunInvariant,
    Violation,
    first_line,
    invariant,
    sentence_of,
)
from floto.testing.reading.moment import Moment

__all__ = ["DECIDES", "INVARIANTS", "RUN_INVARIANTS", "check_moment", "invariant", "verify"]

_Holds = Callable[[Moment], None]
_TABLE: tuple[tuple[int, _Holds], ...] = (
    (17, law.history_law),
    (1, own_code.strategies_answer_seconds),
    (7, own_code.strategies_give_up),
    (1, own_code.joins_are_functions),
    (1, own_code.kinds_are_functions),
    (4, own_code.kinds_start_what_they_wait_for),
    (14, generators.generators_fit),
    (15, limits.decisions_fit),
    (15, limits.payloads_fit),
    (15, limits.waits_end_before_the_run),
    (15, limits.no_more_is_open_than_swf_allows),
    (15, limits.no_more_is_in_flight_than_a_generator_allows),
    (8, retries.waits_are_as_promised),
    (8, retries.refusals_are_asked_again_as_promised),
    (8, retries.retries_were_due),
    (8, retries.nonsense_is_no_wait),
    (14, generators.expansion_is_what_was_recorded),
    (14, generators.dependants_of_a_generator_are_held_back),
    (14, generators.children_have_ids_of_their_own),
    (14, generators.child_ids_are_reproducible),
    (15, inputs.what_is_no_spec_is_refused),
    (14, inputs.specs_of_children_are_read_back),
    (3, order.dependency_order),
    (3, order.recorded_dependency_order),
    (4, attempts.exactly_once),
    (4, attempts.recorded_exactly_once),
    (4, attempts.no_id_is_taken),
    (13, cleanup.cancel_and_failure_stop_new_work),
    (13, cleanup.open_work_is_asked_to_stop_once),
    (13, cleanup.children_are_not_left_behind),
    (13, cleanup.clean_up_begins_when_all_else_has_ended),
    (13, cleanup.only_what_is_called_for_is_cleaned_up),
    (13, cleanup.clean_up_is_finished),
    (13, cleanup.failures_are_those_of_the_beginning),
    (9, closes.one_close_last),
    (9, closes.the_right_close),
    (9, states.nothing_is_decided_outside_a_run),
    (13, closes.failures_are_not_swallowed),
    (6, closes.no_stuck_run),
    (5, order.promptness),
    (10, data.data_flow),
    (10, inputs.all_is_passed_on),
    (15, inputs.unreadable_input_ends_the_run),
    (2, determinism.recorded_decisions_are_made_again),
    (1, determinism.nothing_outside_is_looked_at),
    (1, determinism.the_history_is_left_as_it_was),
    (4, attempts.idempotent),
    (9, expected_decisions.exactly_what_is_called_for),
    (1, determinism.json_keeps_the_spec),
    (12, determinism.pages_come_in_any_order),
    (12, metamorphic.noise_does_not_matter),
    (12, metamorphic.lost_decision_tasks_do_not_matter),
    (11, metamorphic.order_does_not_matter),
    (10, data.results_of_strangers_do_not_matter),
    (13, expected_decisions.rare_things_are_followed_by_what_is_called_for),
    (16, states.state_is_what_the_history_says),
    (15, saturation.limits_are_kept_in_a_crowd),
    (16, incremental.carried_forward_equals_from_scratch),
)
#: The invariants of every decision; their numbers are those of the list in docs/testing.md.
INVARIANTS: tuple[Invariant, ...] = tuple(
    Invariant(number, holds.__name__, first_line(holds), holds) for number, holds in _TABLE
)
#: The invariants of a whole simulation.
RUN_INVARIANTS: tuple[RunInvariant, ...] = tuple(
    RunInvariant(number, holds.__name__, first_line(holds), holds)
    for number, holds in (
        (6, runs.every_run_ends),
        (7, runs.no_run_goes_on_for_ever),
        (15, runs.results_fit),
        (17, runs.histories_obey_the_law),
        (10, signals.no_signal_is_lost),
        (14, runs.script_plays_the_same_again),
        (11, runs.order_makes_no_difference),
    )
)
#: The invariant that is broken where deciding raises an error.
DECIDES = Invariant(
    1, "decides", "Deciding raises no error for any history that can have happened.", lambda _: None
)


def verify(
    spec: DeciderSpec,
    history: History,
    properties: Iterable[Invariant] = INVARIANTS,
    codec: Codec = CODEC,
) -> None:
    """Decide, and check all invariants of the decisions.

    Args:
        spec: The spec that decides.
        history: The history up to the start of a decision task.
        properties: The invariants to check; all of floto's by default.
        codec: Codec that knows your own task kinds and retry strategies.

    Raises:
        Violation: The first invariant that does not hold.
        HistoryError: The history cannot have happened.
    """
    __tracebackhide__ = True
    try:
        decisions = decide(spec, history, codec=codec)
    except HistoryError:
        raise
    except Exception as error:
        sentence = f"deciding raised {type(error).__name__}: {error}{_where(error)}"
        raise Violation(DECIDES, sentence, spec, history, codec=codec) from error
    check_moment(Moment(spec, history, decisions, codec), properties)


def _where(error: Exception) -> str:
    """Return where an error was raised, for a message."""
    last = extract_tb(error.__traceback__)[-1]
    return f" (in {last.name}, line {last.lineno} of {PurePath(last.filename).name})"


def check_moment(moment: Moment, properties: Iterable[Invariant] = INVARIANTS) -> None:
    """Check all invariants of a decision point; raises ``Violation`` for the first that does not hold."""
    __tracebackhide__ = True
    for each in properties:
        try:
            each.holds(moment)
        except Exception as error:
            sentence = sentence_of(error, each)
            raise Violation(
                each, sentence, moment.spec, moment.history, moment.decisions, moment.codec
            ) from error
