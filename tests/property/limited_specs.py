"""Specs whose generators limit the tasks that they return."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from floto import CODEC, ActivityTask, AtLeast, DeciderSpec, Generator, InstantRetry, Task

RETRIES = st.sampled_from([None, None, InstantRetry(1)])
CONDITIONS = st.sampled_from([None, None, None, "`false`", "workflow.a > `4`", "sum(workflow)"])
TOLERATED = st.sampled_from([None, 0, 1, 2, "20 %", "50 %", "100 %"])


@st.composite
def limited(draw: st.DrawFn) -> DeciderSpec:
    """Return a spec with a generator that has limits, and a few tasks that require it."""
    members: list[Task] = []
    for number in range(draw(st.integers(1, 6))):
        before = [task.id_ for task in members]
        members.append(
            ActivityTask(
                name="work",
                version="v1",
                id_=f"m{number}",
                requires=draw(st.lists(st.sampled_from(before), max_size=1)) if before else (),
                when=draw(CONDITIONS),
                on_error=draw(st.sampled_from(["fail", "fail", "continue"])),
                retry_strategy=draw(RETRIES),
            )
        )
    limits: dict[str, Any] = {
        "max_in_flight": draw(st.none() | st.integers(1, 3)),
        "tolerated_failures": draw(TOLERATED),
        "min_successful": draw(st.none() | st.integers(1, len(members))),
    }
    written = {"tasks": CODEC.unstructure(members)}
    many = Generator(name="gen", version="v1", id_="g", input=written, **limits)
    beside = ActivityTask(name="work", version="v1", id_="beside")
    joins: list[Any] = ["all", "any", "finished", *map(AtLeast, range(1, 5))]
    behind = [
        ActivityTask(
            name="work",
            version="v1",
            id_=f"behind{number}",
            requires=draw(st.sampled_from([["g"], ["g", "beside"]])),
            join=draw(st.sampled_from(joins)),
            on_error="continue",
        )
        for number in range(draw(st.integers(1, 2)))
    ]
    cleanup = [ActivityTask(name="work", version="v1", id_="clean")] if draw(st.booleans()) else []
    return DeciderSpec(
        task_list="decide",
        activity_task_list="work",
        activity_tasks=[many, beside, *behind],
        on_failure=cleanup,
    )
