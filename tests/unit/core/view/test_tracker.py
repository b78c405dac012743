"""Changes of a task's status and conditions that come from elsewhere than its own events."""

from __future__ import annotations

from floto import ActivityTask, DeciderSpec, Generator, History, Signal, TaskStatus, Timer, events
from floto.core.replay.why_waiting import Cause
from floto.testing import Faults, fails, returns, simulate, takes
from tests.views import agrees

A = ActivityTask(id_="a", name="work", version="v1")
B = ActivityTask(id_="b", name="work", version="v1")
AFTER = ActivityTask(id_="after", name="work", version="v1", requires=["a", "b"])
UNDO = ActivityTask(id_="undo", name="undo", version="v1")


def causes(history: History, spec: DeciderSpec, id_: str) -> list[list[Cause]]:
    """The causes of a task at each event, each list once in a row."""
    shown = agrees(history, spec)
    found: list[list[Cause]] = []
    for at in range(1, len(history) + 1):
        moment = shown.explained(id_, at)
        now = [] if moment is None else [condition.cause for condition in moment.conditions]
        if not found or found[-1] != now:
            found.append(now)
    return found


def test_cleanup_waits_for_each_open_task_until_it_has_stopped() -> None:
    spec = DeciderSpec(activity_tasks=[A, B], on_failure=[UNDO])
    history = simulate(spec, {"a": fails(None), "b": takes(minutes=5)}).main
    found = causes(history, spec, "undo")
    assert [Cause.STOPPING] in found
    assert found.index([Cause.CLEANS_UP]) < found.index([Cause.STOPPING])


def test_join_waits_for_each_task_until_it_completes() -> None:
    spec = DeciderSpec(activity_tasks=[A, B, AFTER])
    history = simulate(spec, {"b": takes(minutes=1)}).main
    found = causes(history, spec, "after")
    assert found.index([Cause.REQUIRES, Cause.REQUIRES]) < found.index([Cause.REQUIRES])


def test_task_that_waits_for_a_failed_one_is_blocked() -> None:
    spec = DeciderSpec(activity_tasks=[A, B, AFTER], on_failure=[UNDO])
    history = simulate(spec, {"a": fails(None)}).main
    # The other one was canceled.
    assert causes(history, spec, "after")[-1] == [Cause.BLOCKED, Cause.BLOCKED, Cause.CLOSED]


def test_task_of_both_cleanups_is_shown_once() -> None:
    spec = DeciderSpec(activity_tasks=[A, B], on_failure=[UNDO], on_cancel=[UNDO])
    history = simulate(spec, {"a": fails(None)}).main
    shown = agrees(history, spec)
    assert [*shown.tasks] == ["a", "b", "undo"]
    moment = shown.explained("undo", 1)
    assert moment is not None
    assert [condition.detail for condition in moment.conditions] == ["fails", "is canceled"]


def test_generated_tasks_appear_when_their_generator_completes() -> None:
    split = Generator(id_="split", name="split", version="v1")
    last = ActivityTask(id_="last", name="work", version="v1", requires=["split"])
    spec = DeciderSpec(activity_tasks=[split, last])
    history = simulate(spec, {"split": lambda *_: [A, B]}).main
    shown = agrees(history, spec)
    assert [*shown.tasks] == ["split", "a", "b", "last"]
    [done] = [event.id for event in history if isinstance(event.data, events.ActivityTaskCompleted)][:1]
    assert shown.explained("a", done - 1) is None
    assert shown.explained("a", done) is not None
    assert causes(history, spec, "last")[:2] == [[Cause.GENERATOR], [Cause.REQUIRES, Cause.REQUIRES]]


def test_generator_that_returns_what_does_not_fit_has_failed() -> None:
    split = Generator(id_="split", name="split", version="v1")
    spec = DeciderSpec(activity_tasks=[split, A], on_failure=[UNDO])
    history = simulate(spec, {"split": lambda *_: [A]}).main
    moment = agrees(history, spec).explained("split", len(history))
    assert moment is not None
    assert moment.status is TaskStatus.FAILED


def test_signal_that_arrives_early_completes_its_task_with_its_requirements() -> None:
    wait = Signal(id_="wait", signal_name="go", requires=["a"])
    spec = DeciderSpec(activity_tasks=[A, wait, Timer(id_="t", delay_in_seconds=1, requires=["wait"])])
    for seed in range(5):
        for history in simulate(spec, seed=seed, faults=Faults(signals=0.5, reorders=0.5)).histories:
            agrees(history, spec)


def undoable(id_: str, *requires: str) -> ActivityTask:
    undo = ActivityTask(id_=f"undo {id_}", name="take_back", version="v1")
    return ActivityTask(id_=id_, name="work", version="v1", requires=requires, undo=undo)


def test_undos_are_reserved_and_then_wait_for_one_another_in_reverse_order() -> None:
    tasks = [undoable("first"), undoable("second", "first"), undoable("last", "second")]
    spec = DeciderSpec(activity_tasks=tasks, on_failure=[UNDO])
    history = simulate(spec, {"last": fails(None)}).main
    for id_ in ("undo first", "undo"):
        found = causes(history, spec, id_)
        assert Cause.CLEANS_UP in found[0]
        assert [Cause.REQUIRES] in found[1:]
    assert [Cause.REQUIRES] not in causes(history, spec, "undo second")
    assert [Cause.UNDONE] in causes(history, spec, "undo last")


def test_task_that_completes_while_the_run_fails_is_undone_in_its_turn() -> None:
    tasks = [undoable("first"), undoable("slow", "first"), B]
    spec = DeciderSpec(activity_tasks=tasks)
    found = set()
    for seed in range(10):
        faults = Faults(reorders=0.5, delays_answer=0.5)
        activities = {"slow": takes(minutes=1), "b": takes(minutes=1, then=fails())}
        history = simulate(spec, activities, seed=seed, faults=faults).main
        moment = agrees(history, spec).explained("undo slow", len(history))
        found.add(moment and moment.status)
    assert found == {TaskStatus.SKIPPED, TaskStatus.DONE}


def test_undos_of_generated_tasks_are_shown_with_these() -> None:
    made = [undoable(f"made {number}") for number in range(3)]
    plan = Generator(id_="plan", name="plan", version="v1")
    bad = ActivityTask(id_="bad", name="work", version="v1", requires=["plan"])
    spec = DeciderSpec(activity_tasks=[plan, bad], on_cancel=[UNDO])
    history = simulate(spec, {"plan": lambda *_: made, "bad": fails(None)}).main
    shown = agrees(history, spec)
    undos = {f"undo made {number}": "undo" for number in range(3)}
    assert shown.roles == {"undo": "on cancel", **undos}
    assert {(start, end) for start, end, _ in shown.arrows if end in undos} == {
        (task.id_, f"undo {task.id_}") for task in made
    }


def test_signal_of_a_cleanup_that_arrives_early_waits_for_the_undos_too() -> None:
    bad = ActivityTask(id_="bad", name="work", version="v1", requires=["first"])
    wait = Signal(id_="wait", signal_name="go")
    spec = DeciderSpec(activity_tasks=[undoable("first"), bad], on_failure=[wait])
    for seed in range(10):
        faults = Faults(signals=0.5, reorders=0.5, fails_for_good=0.5)
        for history in simulate(spec, seed=seed, faults=faults).histories:
            agrees(history, spec)


def test_task_that_waits_for_enough_siblings_holds_no_list_of_them_at_each_event() -> None:
    count = 40
    load = Generator(id_="load", name="load", version="v1", min_successful=count - 5)
    last = ActivityTask(id_="last", name="work", version="v1", requires=["load"])
    parts = [ActivityTask(id_=f"part {n}", name="work", version="v1") for n in range(count)]
    history = simulate(DeciderSpec(activity_tasks=[load, last]), {"load": returns(parts)}).main
    shown = agrees(history, DeciderSpec(activity_tasks=[load, last]))
    # Its requirements are named once, in the track: a list at each event would grow with their square.
    assert sum(len(why.own) for _, why in shown.tasks["last"].whys) < count
