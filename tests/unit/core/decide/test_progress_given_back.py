"""Attempts that a worker gave back: refusals that pass, and no attempts that count."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from floto.core.decide.next_step import START, Exhausted, Wait, next_attempt
from floto.core.spec.retry import FixedDelay, InstantRetry, RetryStrategy
from floto.core.state.state import EMPTY, Item, Kind, Status
from floto.core.swf import events as e
from floto.core.swf.events import Event
from floto.core.swf.reserved_names import NOT_SERVED
from floto.specs import ActivityTask, DeciderSpec
from floto.testing import Faults, simulate

AT = datetime(2026, 1, 1, tzinfo=UTC)


def failed(*reasons: str, first: int = 10) -> Item:
    events = [
        Event(
            first + number,
            AT,
            e.ActivityTaskFailed(
                reason=reason, details="no activity 'a'", scheduled_event_id=5, started_event_id=6
            ),
        )
        for number, reason in enumerate(reasons)
    ]
    return Item((Kind.ACTIVITY, "a"), Status.FAILED, None, None, events[-1], tuple(events))


def after(*reasons: str, strategy: RetryStrategy | None = None, first: int = 10) -> Any:
    return next_attempt(failed(*reasons, first=first), "a", strategy, EMPTY, "")


def test_give_backs_are_followed_by_growing_waits_without_any_retry_strategy() -> None:
    steps = [after(*[NOT_SERVED] * number) for number in (1, 4, 8, 20)]
    seconds = [step.seconds for step in steps if isinstance(step, Wait)]
    assert len(seconds) == 4
    assert seconds == sorted(seconds)
    assert seconds[-1] <= 600


@pytest.mark.parametrize(
    "row", [("ValueError", NOT_SERVED, "ValueError"), (NOT_SERVED,) * 30 + ("ValueError",) * 2]
)
def test_give_backs_do_not_count_for_a_retry_strategy(row: tuple[str, ...]) -> None:
    assert after(*row, strategy=InstantRetry(2)) == START
    assert isinstance(after(*row, "ValueError", strategy=InstantRetry(2)), Exhausted)


def test_wait_after_a_give_back_does_not_use_the_retry_strategy() -> None:
    step = after("ValueError", NOT_SERVED, strategy=FixedDelay(3600, 5))
    assert isinstance(step, Wait)
    assert step.seconds == 1


def test_nearly_full_run_fails_instead_of_rescheduling_a_given_back_task() -> None:
    step = after(NOT_SERVED, first=20_000)
    assert step == Exhausted("given back: no activity 'a'")
    assert isinstance(after(NOT_SERVED, first=19_999), Wait)


def test_run_completes_although_other_workers_give_back_its_tasks() -> None:
    spec = DeciderSpec(activity_tasks=[ActivityTask(id_=name, name="a", version="1") for name in "abc"])
    run = simulate(spec, faults=Faults(gives_back=1, most=7))
    assert run.status == "COMPLETED"
    assert run.befell["gives_back"] == 7
