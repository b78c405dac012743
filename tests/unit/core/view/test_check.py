"""The check of a run against its spec, as part of its view."""

from __future__ import annotations

from typing import Any

from attrs import evolve, frozen

from floto import (
    ActivityTask,
    DeciderSpec,
    FixedDelay,
    History,
    RecordedOutcome,
    SpecError,
    TaskStatus,
    events,
    view,
)
from floto.testing import fails, simulate

A = ActivityTask(id_="a", name="work", version="v1")
SPEC = DeciderSpec(activity_tasks=[A])


def test_spec_that_decides_otherwise_names_the_first_difference() -> None:
    run = simulate(SPEC).main
    check = view(run, DeciderSpec(activity_tasks=[evolve(A, input={"n": 1})])).check
    assert check.same == (False, True)
    assert check.divergence is not None
    assert (check.divergence.field, check.divergence.step) == ("input", 1)
    assert check.verdict == str(check.divergence)


def test_without_a_spec_there_is_no_verdict() -> None:
    check = view(simulate(SPEC).main).check
    assert (check.verdict, check.same, check.divergence) == ("", (None, None), None)
    assert [each.outcome for each in check.decision_tasks] == [RecordedOutcome.ANSWERED] * 2


def test_decision_task_of_another_history_is_no_reason_not_to_show_the_run() -> None:
    """An event names a decision task that its history does not have."""
    run = simulate(SPEC).main
    strange = [
        evolve(each, data=evolve(each.data, decision_task_completed_event_id=1))
        if isinstance(each.data, events.ActivityTaskScheduled)
        else each
        for each in run
    ]
    shown = view(History(strange, run.execution), SPEC)
    assert shown.check.verdict.startswith("cannot be checked: event 5: decisionTaskCompletedEventId is 1")
    assert shown.check.decision_tasks == ()
    assert shown.tasks["a"].statuses.last is TaskStatus.DONE


@frozen
class Broken:
    """A strategy that names a fault of its spec."""

    def delay(self, _retry: Any) -> float:
        raise SpecError(["it needs a field"])


def test_spec_that_cannot_be_used_gives_the_view_without_a_spec() -> None:
    failed = simulate(
        DeciderSpec(activity_tasks=[evolve(A, retry_strategy=FixedDelay(1, 1))]), {"a": fails()}
    ).main
    shown = view(failed, DeciderSpec(activity_tasks=[evolve(A, retry_strategy=Broken())]))
    assert shown.spec is None
    assert shown.check.verdict == "the spec cannot be used: it needs a field"
    assert shown.tasks["a"].statuses.last is TaskStatus.DONE
