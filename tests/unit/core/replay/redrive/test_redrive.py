"""Redrive of a run: which tasks are kept, and what the start request carries."""

from __future__ import annotations

from random import Random
from typing import Any, cast

import pytest
from attrs import evolve

from floto import (
    CODEC,
    ActivityTask,
    DeciderSpec,
    Generator,
    History,
    HistoryError,
    Kind,
    PayloadError,
    Redrive,
    Result,
    Signal,
    SpecError,
    Timer,
    WorkflowExecution,
    decide,
    explain,
    fold,
    redrive,
    spec_tags,
)
from floto.core.payloads import payload
from floto.core.replay.timeline import timeline
from floto.core.state.redriven import parts_record
from floto.core.state.state import KeptItem
from floto.core.swf.decisions import ContinueAsNewWorkflowExecution
from floto.core.swf.events import WorkflowExecutionCancelRequested
from floto.core.swf.reserved_names import REDRIVE_KEY, SPEC_KEY
from floto.testing import Faults, Simulation, fails, returns, simulate, takes


def act(id_: str, **fields: Any) -> ActivityTask:
    return ActivityTask(id_=id_, name=id_, version="1", **fields)


SPEC = DeciderSpec(
    activity_tasks=[
        act("load", start_to_close_timeout=30),
        Timer(id_="pause", delay_in_seconds=5, requires=["load"]),
        Signal(id_="approve", signal_name="approval"),
        act("send", requires=["pause", "approve", "load"]),
        act("report", requires=["send"]),
    ]
)


def failed(spec: DeciderSpec = SPEC, task: str = "send", **more: Any) -> Simulation:
    found = simulate(spec, {task: fails(), **more.pop("activities", {})}, **more)
    assert found.status == "FAILED"
    return found


def again(spec: DeciderSpec, planned: Redrive, **more: Any) -> Simulation:
    return simulate(spec, input=payload.loads(planned.start.input), **more)


def reasons(planned: Redrive) -> dict[str, str]:
    return {task.task_id: task.reason for task in planned.plan if not task.kept}


def test_completed_tasks_are_kept_and_the_others_run_again() -> None:
    run = failed()
    planned = redrive(SPEC, run.main)
    assert planned.kept == ("load", "pause", "approve")
    assert reasons(planned) == {"send": "failed: Failure", "report": "never ran"}
    event = next(task.event_id for task in planned.plan if task.task_id == "load")
    assert event is not None
    assert type(run.main.events[event - 1].data).__name__ == "ActivityTaskCompleted"
    new = again(SPEC, planned)
    assert new.status == "COMPLETED"
    assert new.result == simulate(SPEC).result
    assert [d.activity_id for d in new.decisions if hasattr(d, "activity_id")] == ["send", "report"]


def test_why_names_the_run_and_the_event_that_a_task_is_kept_from() -> None:
    run = failed()
    new = again(SPEC, redrive(SPEC, run.main)).main
    assert run.main.execution is not None
    said = f"kept from run {run.main.execution.run_id}, event 7"
    assert said in explain(SPEC, new).why("load")


def test_chosen_task_runs_again_with_all_that_requires_it() -> None:
    planned = redrive(SPEC, simulate(SPEC).main, rerun=["load"])
    assert planned.kept == ("approve",)
    assert reasons(planned)["load"] == "chosen to run again"
    assert reasons(planned)["send"] == "requires 'pause', which runs again"


def test_chosen_signal_must_arrive_again() -> None:
    planned = redrive(SPEC, failed().main, rerun=["approve"])
    assert planned.kept == ("load", "pause")
    start = fold(again(SPEC, planned).main.events[:1])
    assert (Kind.SIGNAL, "approval") not in start.items


def test_unknown_task_to_rerun_raises_spec_error_with_the_known_ones() -> None:
    with pytest.raises(SpecError, match="no task 'lod'; the tasks are 'load, pause"):
        redrive(SPEC, failed().main, rerun=["lod"])


def test_text_as_the_tasks_to_rerun_raises_spec_error() -> None:
    with pytest.raises(SpecError, match=r"rerun must be a collection of task ids, such as \['load'\]"):
        redrive(SPEC, failed().main, rerun="load")


def test_completed_tasks_that_a_changed_spec_does_not_have_are_dropped() -> None:
    run = failed()
    renamed = evolve(SPEC, activity_tasks=[act("fetch"), *SPEC.activity_tasks[2:3], act("send")])
    planned = redrive(renamed, run.main)
    assert planned.dropped == ("load", "pause")
    assert planned.dropped_text == "completed before, but not in this spec, so not kept: load, pause"
    assert redrive(SPEC, run.main).dropped == ()


@pytest.mark.parametrize(
    "changed",
    [{"input": 1}, {"name": "other"}, {"version": "2"}],
)
def test_task_whose_declaration_changed_runs_again(changed: dict[str, Any]) -> None:
    given = {"name": "load", "version": "1", **changed}
    tasks = [ActivityTask(id_="load", **given), *SPEC.activity_tasks[1:]]
    planned = redrive(DeciderSpec(activity_tasks=tasks), failed().main)
    assert planned.kept == ("approve",)
    assert reasons(planned)["load"] == "its declaration, input or context changed"


def test_task_whose_settings_changed_is_kept() -> None:
    changed = act("load", start_to_close_timeout=60, task_list="other", task_priority=3)
    planned = redrive(DeciderSpec(activity_tasks=[changed, *SPEC.activity_tasks[1:]]), failed().main)
    assert "load" in planned.kept


def test_generated_tasks_are_kept_as_data() -> None:
    spec = DeciderSpec(
        activity_tasks=[
            Generator(id_="plan", name="plan", version="1"),
            act("sum", requires=["plan"]),
        ]
    )
    part = {"type": "floto.specs.task.ActivityTask", "name": "part", "version": "1"}
    made = [{**part, "id_": "part1"}, {**part, "id_": "part2"}]
    run = failed(spec, "part2", activities={"plan": lambda: made})
    planned = redrive(spec, run.main)
    assert planned.kept == ("plan", "part1")
    new = again(spec, planned)
    assert new.status == "COMPLETED"
    other = redrive(spec, run.main, rerun=["plan"])
    assert other.kept == ()
    assert other.again == ("plan", "sum")


def test_input_of_the_user_is_unchanged_and_seen_by_all() -> None:
    for given in ({"a": 1}, [1], "text", {"floto.input": 1}, {REDRIVE_KEY: "mine"}):
        run = failed(input=given)
        new = again(SPEC, redrive(SPEC, run.main))
        scheduled: list[Any] = [d for d in new.decisions if getattr(d, "activity_id", "") == "send"]
        assert payload.loads(scheduled[0].input)["workflow"] == given
        assert again(SPEC, redrive(SPEC, new.main)).result == new.result


def test_spec_in_the_input_is_replaced() -> None:
    changed = DeciderSpec(activity_tasks=[*SPEC.activity_tasks, act("new")])
    run = failed(input={SPEC_KEY: CODEC.unstructure(SPEC), "a": 1})
    value = payload.loads(redrive(changed, run.main).start.input)
    assert value[SPEC_KEY] == CODEC.unstructure(changed)
    assert value["a"] == 1


def test_start_request_has_the_settings_of_the_old_run() -> None:
    run = failed().main
    events = list(run.to_swf())
    attributes = events[0]["workflowExecutionStartedEventAttributes"]
    attributes |= {
        "tagList": ["mine", *spec_tags(SPEC)],
        "taskPriority": "3",
        "lambdaRole": "role",
        "childPolicy": "ABANDON",
        "executionStartToCloseTimeout": "77",
        "taskStartToCloseTimeout": "7",
        "taskList": {"name": "floto.run.old"},
    }
    history = History.from_swf(events)
    changed = DeciderSpec(activity_tasks=[act("load")])
    start = redrive(changed, history, execution=WorkflowExecution("old", "r1"), workflow_id="new").start
    assert start.workflow_id == "new"
    assert start.tags == ("mine", *spec_tags(changed))
    assert (start.priority, start.lambda_role, start.child_policy) == ("3", "role", "ABANDON")
    assert (start.execution_timeout, start.decision_timeout) == ("77", "7")
    assert start.task_list == "floto.run.new"


def test_history_without_execution_raises_history_error() -> None:
    with pytest.raises(HistoryError, match="does not name its run"):
        redrive(SPEC, failed().main.events)


def test_results_too_long_for_the_input_travel_in_parts() -> None:
    spec = DeciderSpec(activity_tasks=[act(f"part{n}") for n in range(3)] + [act("send", requires=["part0"])])
    long = {f"part{n}": (lambda n=n: Random(n).randbytes(12_000).hex()) for n in range(3)}
    run = failed(spec, activities=long)
    planned = redrive(spec, run.main)
    assert len(planned.parts) > 1
    assert all(len(part) <= payload.LIMIT for part in planned.parts)
    assert planned.kept == ("part0", "part1", "part2")


def test_too_much_to_keep_raises_payload_error(monkeypatch: pytest.MonkeyPatch) -> None:
    run = failed(activities={"load": lambda: Random(1).randbytes(900).hex()}).main
    monkeypatch.setattr(payload, "UNPACKED_LIMIT", 1000)
    monkeypatch.setattr(payload, "LIMIT", 200)
    with pytest.raises(PayloadError, match="bytes of results"):
        redrive(SPEC, run)


CHOICE = DeciderSpec(
    activity_tasks=[
        act("look"),
        act("repair", requires=["look"], when="look == 'broken'"),
        act("sell", requires=["look", "repair"]),
        act("bill", requires=["sell"]),
    ]
)


def test_what_requires_a_task_that_is_skipped_again_is_kept() -> None:
    run = simulate(CHOICE, {"look": returns("fine"), "bill": fails()})
    planned = redrive(CHOICE, run.main)
    actions = {each.task_id: each.action for each in planned.plan}
    assert actions == {"look": "keep", "repair": "skip", "sell": "keep", "bill": "run"}
    assert again(CHOICE, planned).status == "COMPLETED"


def test_task_that_a_changed_condition_no_longer_skips_runs() -> None:
    run = simulate(CHOICE, {"look": returns("fine"), "bill": fails()})
    look, repair, *others = CHOICE.activity_tasks
    changed = evolve(
        CHOICE, activity_tasks=[look, evolve(cast("Any", repair), when="look == 'fine'"), *others]
    )
    assert redrive(changed, run.main).again == ("repair", "sell", "bill")


@pytest.mark.parametrize("instead", ["skip", Result("nobody")])
def test_signal_that_timed_out_is_awaited_again(instead: Any) -> None:
    gate = Signal(id_="gate", signal_name="go", timeout=60, on_timeout=instead)
    own = DeciderSpec(
        activity_tasks=[
            gate,
            act("first"),
            act("behind", requires=["gate", "first"]),
            act("bill", requires=["behind"]),
        ]
    )
    run = failed(own, "bill")
    planned = redrive(own, run.main)
    assert {each.task_id: each.action for each in planned.plan} == {
        "gate": "run",
        "first": "keep",
        "behind": "run",
        "bill": "run",
    }
    assert planned.plan[0].reason == "timed out after 60 seconds"
    assert again(own, planned).status == "COMPLETED"


def test_signal_whose_condition_failed_is_kept_and_its_dependents_run() -> None:
    gate = Signal(id_="gate", signal_name="go", requires=["first"], when="sum(first)")
    spec = DeciderSpec(activity_tasks=[act("first"), gate, act("behind", requires=["gate"])])
    run = simulate(spec, {"first": returns("text")}, faults=Faults(signals=1, most=3))
    assert run.status == "FAILED"
    assert (Kind.SIGNAL, "go") in fold(run.main).items
    planned = redrive(spec, run.main)
    assert (planned.kept, planned.again) == (("first", "gate"), ("behind",))
    start = fold(again(spec, planned, activities={"first": returns([1])}).main.events[:1])
    assert (Kind.SIGNAL, "go") in start.items
    anew = redrive(spec, run.main, rerun=["first"])
    assert (anew.kept, anew.again) == (("gate",), ("first", "behind"))
    assert again(spec, anew, activities={"first": returns([1])}).status == "COMPLETED"


@pytest.mark.parametrize("when", ["!slow", "slow"])
def test_task_that_did_not_wait_is_planned_by_what_its_condition_sees_in_the_new_run(when: str) -> None:
    choice = act("choice", requires=["quick", "slow"], join="any", when=when)
    spec = DeciderSpec(
        activity_tasks=[
            act("quick"),
            act("slow"),
            choice,
            act("behind", requires=["choice"]),
            act("bill", requires=["slow"]),
        ]
    )
    run = failed(spec, "bill", activities={"slow": takes(hours=1, then=returns(1))})
    planned = redrive(spec, run.main)
    assert (planned.kept, planned.again) == (("quick", "slow"), ("choice", "behind", "bill"))
    assert reasons(planned)["choice"] == "its rules decide again, with all that is kept"
    new = again(spec, planned)
    assert new.status == "COMPLETED"
    ran = {d.activity_id for d in new.decisions if hasattr(d, "activity_id")}
    assert ran == ({"bill"} if when == "!slow" else {"bill", "choice", "behind"})


def test_task_that_did_not_wait_is_kept_if_its_condition_is_true_in_the_new_run() -> None:
    choice = act("choice", requires=["quick", "slow"], join="any", when="quick")
    spec = DeciderSpec(activity_tasks=[act("quick"), act("slow"), choice, act("bill", requires=["slow"])])
    slow = {"quick": returns(1), "slow": takes(hours=1)}
    assert redrive(spec, failed(spec, "bill", activities=slow).main).kept == ("quick", "slow", "choice")


def test_timer_until_a_time_is_kept_through_each_redrive_unless_that_time_changed() -> None:
    wait = Timer(id_="wait", until="cron 0 2 * * *")
    spec = DeciderSpec(activity_tasks=[wait, act("send", requires=["wait"])])
    late = {"send": takes(hours=1, then=fails())}
    new = again(spec, redrive(spec, failed(spec).main), activities=late).main
    assert redrive(spec, new).kept == ("wait",)
    changed = evolve(spec, activity_tasks=[evolve(wait, until="cron 0 3 * * *"), spec.activity_tasks[1]])
    assert redrive(changed, new).kept == ()


def test_task_that_did_not_wait_for_all_is_kept_through_each_redrive() -> None:
    tasks = [act("slow"), act("fast"), act("use", requires=["slow", "fast"], join="any")]
    spec = DeciderSpec(activity_tasks=[*tasks, act("send", requires=["use"])])
    run = simulate(spec, {"slow": takes(minutes=1), "send": takes(minutes=2, then=fails())})
    planned = redrive(spec, run.main)
    assert planned.kept == ("slow", "fast", "use")
    new = again(spec, planned, activities={"send": fails()}).main
    assert redrive(spec, new).kept == planned.kept


def test_task_that_was_undone_runs_again_with_all_that_depends_on_it() -> None:
    own = DeciderSpec(
        activity_tasks=[
            act("look"),
            act("pay", requires=["look"], undo=act("refund")),
            act("pack", requires=["pay"]),
            act("send", requires=["pack"]),
        ]
    )
    run = failed(own)
    assert reasons(redrive(own, run.main)) == {
        "pay": "undone by 'refund'",
        "pack": "requires 'pay', which runs again",
        "send": "failed: Failure",
    }
    assert again(own, redrive(own, run.main)).status == "COMPLETED"
    # An undo that failed took nothing back.
    run = failed(own, activities={"refund": fails()})
    assert redrive(own, run.main).kept == ("look", "pay", "pack")


def test_timeline_shows_kept_tasks_at_the_start() -> None:
    new = again(SPEC, redrive(SPEC, failed().main)).main
    lanes = {lane.name: lane for lane in timeline(new, SPEC).lanes}
    assert [span.start for span in lanes["load"].spans] == [new.events[0].at]


def test_signals_of_a_run_that_continues_another_are_kept() -> None:
    signals = [{"name": "approval", "input": '"yes"'}, {"name": "other", "input": None}]
    run = failed()
    first = run.main.events[0]
    text = payload.dumps({"a": 1, "floto.signals": signals}, "the input")
    data = evolve(run.main.start, input=text, continued_execution_run_id="r0")
    planned = redrive(SPEC, History([evolve(first, data=data)], run.main.execution))
    value = payload.loads(planned.start.input)
    assert value["floto.redrive"]["signals"] == signals
    assert {**value, "floto.redrive": 0} == {"a": 1, "floto.redrive": 0}
    assert planned.kept == ("approve",)


def test_next_run_after_a_redriven_one_keeps_nothing() -> None:
    spec = evolve(SPEC, repeat_workflow=True)
    run = failed(spec, input={"a": 1})
    new = again(spec, redrive(spec, run.main), faults=Faults(signals=0.3), seed=4)
    (closed,) = [d for d in new.decisions if isinstance(d, ContinueAsNewWorkflowExecution)][:1]
    value = payload.loads(closed.input)
    assert {name for name in value if name != "floto.signals"} == {"a"}
    assert all(each["name"] != "floto.redrive" for each in value.get("floto.signals", ()))
    second = new.histories[1]
    assert second.start.continued_execution_run_id
    assert not any(isinstance(item, KeptItem) for item in fold(second).items.values())


def test_run_that_waits_for_parts_says_so() -> None:
    run = failed()
    first = run.main.events[0]
    waiting = payload.dumps({"floto.redrive": parts_record("r0", 1, 2)}, "the input")
    history = History([evolve(first, data=evolve(run.main.start, input=waiting))], run.main.execution)
    assert "waiting for the rest of what its redrive keeps" in explain(SPEC, history).why("load")
    assert decide(SPEC, history) == []
    canceled = evolve(history.events[0], id=2, data=WorkflowExecutionCancelRequested())
    (decision,) = decide(SPEC, History([*history.events, canceled], history.execution))
    assert type(decision).__name__ == "CancelWorkflowExecution"


def test_open_run_is_planned_as_it_stands() -> None:
    events = failed().main.events
    opened = next(e.id for e in events if getattr(e.data, "activity_id", "") == "send")
    history = History(events[:opened], WorkflowExecution("w", "r"))
    assert reasons(redrive(SPEC, history))["send"] == "had not ended"
    assert decide(SPEC, again(SPEC, redrive(SPEC, history)).main) == []


def test_generator_whose_tasks_no_longer_fit_runs_again_also_in_a_spec_with_rules() -> None:
    split = Generator(id_="split", name="split", version="1", requires=["load"])
    old = DeciderSpec(activity_tasks=[act("load"), split, act("send", requires=["split"])])
    run = failed(old, activities={"split": lambda *_: [act("part", requires=["load"])]})
    beside = act("beside", when="`true`")
    changed = DeciderSpec(activity_tasks=[act("load"), split, beside, act("part")])
    planned = redrive(changed, run.main)
    assert planned.kept == ("load",)
    assert "do not fit the spec: duplicate task id" in reasons(planned)["split"]
    assert planned.again == ("split", "beside", "part")
