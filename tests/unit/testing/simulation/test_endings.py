"""Functions of simulated activities find their attempt in ``floto.current()``, as they do in a worker."""

from __future__ import annotations

from typing import Any

import floto
from floto import ActivityTask, DeciderSpec, InstantRetry
from floto.testing import simulate


def spec(**settings: Any) -> DeciderSpec:
    return DeciderSpec(activity_tasks=[ActivityTask(id_="a", name="work", version="v1", **settings)])


def test_function_finds_its_attempt() -> None:
    def flaky() -> int | None:
        if floto.current().attempt == 1:
            msg = "first"
            raise ValueError(msg)
        return floto.current().attempt

    simulation = simulate(spec(retry_strategy=InstantRetry(2)), {"a": flaky})
    assert (simulation.status, simulation.result) == ("COMPLETED", {"a": 2})


def test_function_finds_its_task_and_its_run() -> None:
    seen: list[Any] = []

    async def look() -> None:
        current = floto.current()
        seen.extend([current.id, current.execution, current.task.activity_type.name])
        seen.extend([current.cancel_requested, current.heartbeat("half"), current.scheduled_for])

    simulation = simulate(spec(heartbeat_timeout=30), {"work": look})
    assert seen == ["a", simulation.infos[0].execution, "work", False, False, None]
    assert floto.current().id == ""


def test_function_finds_the_checkpoint_of_an_earlier_attempt() -> None:
    seen: list[str | None] = []

    def resumes() -> None:
        current = floto.current()
        seen.append(current.checkpoint)
        if len(seen) < 3:
            current.heartbeat(f"part {len(seen)}")
            floto.current().heartbeat()
            raise ValueError("x" * 40_000)

    simulation = simulate(spec(retry_strategy=InstantRetry(5)), {"a": resumes})
    assert seen == [None, "part 1", "part 2"]
    assert simulation.status == "COMPLETED"


def test_failure_of_a_function_that_sent_a_heartbeat_has_its_message() -> None:
    def fails() -> None:
        floto.current().heartbeat("half")
        msg = "broken"
        raise ValueError(msg)

    failure = simulate(spec(), {"a": fails}).failure
    assert failure is not None
    assert failure.details == {"a": "ValueError: broken"}
