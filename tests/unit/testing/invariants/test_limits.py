"""Decisions that SWF refuses as malformed are violations that name the task."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import frozen

from floto import CODEC, ActivityTask, DeciderSpec, Given, Item
from floto.extend import ActivityType, Decision, Key, Kind, Ruled, ScheduleActivityTask
from floto.testing import MinimizedViolation, check


@frozen(kw_only=True)
class Job(Ruled):
    """A kind of task whose fields are those of its decision."""

    id_: str
    name: str = "job"
    version: Any = "1"
    start_to_close_timeout: Any = None
    requires: tuple[str, ...] = ()
    retry_strategy: None = None

    @property
    def key(self) -> Key:
        return (Kind.ACTIVITY, self.id_)

    def start(self, given: Given) -> Decision:  # noqa: ARG002 - a job needs nothing
        type_ = ActivityType(self.name, self.version)
        timeout = self.start_to_close_timeout
        return ScheduleActivityTask(activity_type=type_, activity_id=self.id_, start_to_close_timeout=timeout)

    def result(self, item: Item) -> Any:  # noqa: ARG002 - there is none
        return None


OWN = CODEC.with_type("Job", Job)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": "o" * 300}, "'activityType.name' .* less than or equal to 256"),
        ({"name": "a:b"}, "'activityType.name'"),
        ({"version": "v" * 65}, "'activityType.version'"),
        ({"start_to_close_timeout": "soon"}, "'startToCloseTimeout'"),
        ({"start_to_close_timeout": 3}, "'startToCloseTimeout' .* must be a string"),
    ],
)
def test_decision_that_swf_refuses_is_a_violation(fields: dict[str, Any], problem: str) -> None:
    before = ActivityTask(id_="a", name="work", version="1")
    spec = DeciderSpec(activity_tasks=[before, Job(id_="k", requires=("a",), **fields)])
    with pytest.raises(MinimizedViolation, match=f"^task 'k': .*{problem}") as caught:
        check(spec, codec=OWN, max_examples=20)
    assert len(caught.value.spec.all_tasks) == 1
