"""The view of a run whose spec is not known."""

from __future__ import annotations

from floto import ActivityTask, DeciderSpec, FixedDelay, History, TaskStatus, Timer, events
from floto.core.swf.wire import event_to_swf
from floto.testing import fails, simulate, takes
from tests.views import agrees

RETRIED = ActivityTask(id_="a", name="work", version="v1", retry_strategy=FixedDelay(9, 1))
LONG = Timer(id_="long", delay_in_seconds=99)


def statuses(history: History, id_: str) -> list[TaskStatus | None]:
    return agrees(history, None).tasks[id_].statuses.values


def test_failed_activity_waits_for_the_retry_that_its_timer_stands_for() -> None:
    history = simulate(DeciderSpec(activity_tasks=[RETRIED]), {"a": fails()}).main
    found = [TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.FAILED, TaskStatus.RETRYING, TaskStatus.FAILED]
    assert statuses(history, "a") == [*found, TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.DONE]


def test_retry_timer_of_any_id_belongs_to_the_activity_in_its_control() -> None:
    raw = [
        event_to_swf(event) for event in simulate(DeciderSpec(activity_tasks=[RETRIED]), {"a": fails()}).main
    ]
    for event in raw:
        attributes = next(value for key, value in event.items() if key.endswith("Attributes"))
        if str(attributes.get("timerId", "")).startswith("floto.retry:"):
            attributes["timerId"] = "floto.retry:other:1"
    assert TaskStatus.RETRYING in statuses(History.from_swf(raw), "a")


def test_what_is_open_when_the_run_closes_is_skipped() -> None:
    spec = DeciderSpec(activity_tasks=[RETRIED, LONG])
    history = simulate(spec, {"a": fails(None)}).main
    assert statuses(history, "long") == [TaskStatus.RUNNING, TaskStatus.SKIPPED]


def test_wait_of_floto_itself_is_there_only_while_it_is_open() -> None:
    """The timer before the retry of what the history does not have."""
    raw = [
        event_to_swf(event) for event in simulate(DeciderSpec(activity_tasks=[RETRIED]), {"a": fails()}).main
    ]
    for event in raw:
        attributes = next(value for key, value in event.items() if key.endswith("Attributes"))
        if attributes.get("control") == "a":
            attributes["control"] = "nothing"
    history = History.from_swf(raw)
    [fired] = [event.id for event in history if isinstance(event.data, events.TimerFired)]
    shown = agrees(history, None)
    assert shown.explained("floto.retry:a:1", fired - 1) is not None
    assert shown.explained("floto.retry:a:1", fired) is None


def test_long_run_of_many_activities_agrees_at_every_event() -> None:
    tasks = [ActivityTask(id_=f"a{number}", name="work", version="v1") for number in range(20)]
    history = simulate(DeciderSpec(activity_tasks=tasks), {"work": takes(minutes=1)}).main
    agrees(history, None)


def test_activity_and_timer_of_one_id_are_two_tasks() -> None:
    spec = DeciderSpec(activity_tasks=[RETRIED, LONG])
    raw = [event_to_swf(event) for event in simulate(spec).main]
    for event in raw:
        attributes = next(value for key, value in event.items() if key.endswith("Attributes"))
        if attributes.get("timerId") == "long":
            attributes["timerId"] = "a"
    shown = agrees(History.from_swf(raw), None)
    last = {id_: track.statuses.last for id_, track in shown.tasks.items()}
    assert last == {"a": TaskStatus.DONE, "a (timer)": TaskStatus.DONE}
    assert shown.tasks["a"].statuses.values == [TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.DONE]
    assert shown.tasks["a (timer)"].statuses.values == [TaskStatus.RUNNING, TaskStatus.DONE]
