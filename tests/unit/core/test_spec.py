"""Specs: their JSON, their ids, and everything that can be wrong with them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from hashlib import sha1
from typing import Any

import pytest

from floto import (
    ActivityTask,
    ChildWorkflow,
    DeciderSpec,
    Generator,
    InstantRetry,
    Signal,
    SpecError,
    Timer,
)
from floto.core.spec.estimate import estimates, expected_events

SEED_JSON = """{
    "activity_tasks": [
        {
            "id_": "simple_activity:v1:2be88ca424",
            "name": "simple_activity",
            "type": "floto.specs.task.ActivityTask",
            "version": "v1"
        }
    ],
    "default_activity_task_list": "hello_world_atl",
    "domain": "floto_test",
    "repeat_workflow": false,
    "task_list": "simple_decider",
    "terminate_decider_after_completion": true,
    "type": "floto.specs.DeciderSpec"
}"""


def task(id_: str, requires: Sequence[Any] = (), **fields: Any) -> ActivityTask:
    return ActivityTask(name="work", version="v1", id_=id_, requires=requires, **fields)


def child(id_: str, spec: DeciderSpec) -> ChildWorkflow:
    return ChildWorkflow(workflow_type_name="c", workflow_type_version="1", id_=id_, spec=spec)


def test_json_is_read_and_written_as_documented() -> None:
    spec = DeciderSpec.from_json(SEED_JSON)
    assert spec.to_json() == SEED_JSON
    assert spec == DeciderSpec(
        domain="floto_test",
        task_list="simple_decider",
        activity_task_list="hello_world_atl",
        activity_tasks=[ActivityTask(name="simple_activity", version="v1")],
        terminate_decider_after_completion=True,
    )


def test_default_id_depends_on_the_input() -> None:
    assert ActivityTask(name="a", version="v1").id_ == "a:v1:2be88ca424"
    ids = {ActivityTask(name="a", version="v1", input=value).id_ for value in (None, 0, {"b": 1}, {"b": 2})}
    assert len(ids) == 4
    assert (
        ActivityTask(name="a", version="v1", input={"a": 1, "b": 2}).id_
        == ActivityTask(name="a", version="v1", input={"b": 2, "a": 1}).id_
    )


def test_task_with_a_domain_has_the_default_id_of_floto_003() -> None:
    first = ActivityTask(domain="floto_test", name="demo_step1", version="v4")
    assert first.id_ == "demo_step1:v4:floto_test:2be88ca424"
    # What it requires is part of the digest, and so is text as it is.
    assert [
        ActivityTask(domain="floto_test", name=name, version="v4", input=input, requires=[first]).id_
        for name, input in (("demo_step2", None), ("demo_step3", {"start_val": 5}))
    ] == ["demo_step2:v4:floto_test:41c9c82a1d", "demo_step3:v4:floto_test:564cd1c8b8"]
    text = sha1(b"plain", usedforsecurity=False).hexdigest()[:10]
    assert Generator(domain="d", name="n", version="v", input="plain").id_ == f"n:v:d:{text}"
    child = ChildWorkflow(domain="d", workflow_type_name="n", workflow_type_version="v")
    assert child.id_ == "n:v:d:2be88ca424"


def test_domain_of_a_task_round_trips_as_json() -> None:
    tasks = (
        ActivityTask(domain="d", name="a", version="v"),
        Generator(domain="d", name="g", version="v"),
        ChildWorkflow(domain="d", workflow_type_name="n", workflow_type_version="v"),
    )
    spec = DeciderSpec(domain="d", activity_tasks=tasks)
    assert [task["domain"] for task in json.loads(spec.to_json())["activity_tasks"]] == ["d"] * 3
    assert DeciderSpec.from_json(spec.to_json()) == spec
    assert "domain" not in json.loads(DeciderSpec(activity_tasks=[task("a")]).to_json())["activity_tasks"][0]


@pytest.mark.parametrize("domain", ["a:b", "", 3])
def test_invalid_domain_is_a_problem_of_the_task(domain: Any) -> None:
    with pytest.raises(SpecError, match="domain"):
        DeciderSpec(activity_tasks=[ActivityTask(domain=domain, name="a", version="v", id_="a")])


def test_requires_accepts_tasks_or_ids() -> None:
    first = task("first")
    assert task("x", [first, "second"]).requires == ("first", "second")
    assert task("x", first).requires == ("first",)  # type: ignore[arg-type]
    assert task("x", "first").requires == ("first",)


def test_requires_of_old_json_are_objects() -> None:
    old = json.loads(DeciderSpec(activity_tasks=[task("a"), task("b", ["a"])]).to_json())
    old["activity_tasks"][1]["requires"] = [{"id_": "a", "type": "floto.specs.task.ActivityTask"}]
    assert DeciderSpec.from_json(json.dumps(old)).activity_tasks[1].requires == ("a",)


def test_an_input_inside_a_spec_cannot_change() -> None:
    given = {"files": ["a"]}
    made = task("x", input=given)
    given["files"].append("b")
    assert made.input == {"files": ("a",)}
    with pytest.raises(TypeError, match="cannot change"):
        made.input["files"] = ()


@pytest.mark.parametrize(
    ("tasks", "says"),
    [
        ([task("a", ["b"]), task("b", ["a"])], "dependency cycle: a -> b -> a"),
        ([task("a", ["a"])], "dependency cycle: a -> a"),
        ([task("a", ["nobody"])], "task 'a' requires 'nobody', which is not in the spec"),
        ([task("a"), task("a")], "duplicate task id 'a' (2 tasks); set id_ to make it unique"),
        ([task("x" * 221)], "is 221 characters long; at most 220 fit"),
        ([task("a/b")], "may not contain '/'"),
        ([task("workflow")], "this id is reserved by floto"),
        ([task("floto.retry:1:a")], "this id is reserved by floto"),
        (
            [task("a", input="x" * 40_000 + str(list(range(20_000))))],
            "; store it and give the reference, input=store.put(value)",
        ),
        ([task("a", heartbeat_timeout="soon")], "heartbeat_timeout must be an integer number of seconds"),
        (
            [task("a", start_to_close_timeout=-1)],
            "start_to_close_timeout must be an integer number of seconds",
        ),
        ([task("a", task_priority=2**40)], "task_priority must be an integer of 32 bits"),
        ([task("a", retry_strategy=3)], "retry_strategy must have a method delay(retry)"),
        ([task("a", [3])], "requires must hold tasks or ids, not 3"),
        ([task("a", task_list=" work")], "task_list may not contain ':', '/', '|', white space at the ends"),
        ([Timer(id_="t", delay_in_seconds=1.5)], "delay_in_seconds must be an integer"),  # type: ignore[arg-type]
        ([ActivityTask(name="", version="v1", id_="a")], "name must be a string of at least one character"),
        ([ActivityTask(name="a", version="v" * 65, id_="a")], "is 65 characters long; at most 64 fit"),
        ([Signal(id_="s", signal_name="")], "task 's': signal_name must be a string of 1 to 256 characters"),
        (
            [Signal(id_="s", signal_name="go"), Signal(id_="t", signal_name="go")],
            "signal 'go' is awaited by several tasks: let one wait for it, and the others require that one",
        ),
        (
            [ChildWorkflow(workflow_type_name="c", workflow_type_version="1", child_policy="ADOPT")],
            "child_policy must be TERMINATE, REQUEST_CANCEL or ABANDON, not 'ADOPT'",
        ),
    ],
)
def test_every_problem_has_a_message(tasks: list[Any], says: str) -> None:
    with pytest.raises(SpecError) as caught:
        DeciderSpec(activity_tasks=tasks)
    assert says in str(caught.value)


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        DeciderSpec(
            activity_task_list="a|b",
            activity_tasks=[
                task("a", ["b"]),
                task("b", ["a", "nobody"]),
                Timer(id_="t", delay_in_seconds=-1),
            ],
        )
    assert len(caught.value.problems) == 4


def test_two_dependency_cycles_are_both_reported() -> None:
    tasks = [task("a", ["b"]), task("b", ["a"]), task("c", ["d"]), task("d", ["c"])]
    with pytest.raises(SpecError) as caught:
        DeciderSpec(activity_tasks=tasks)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("again", [["b"], []])
def test_dependency_cycle_through_a_duplicate_id_is_reported(again: list[str]) -> None:
    tasks = [task("a", ["b"] if not again else []), task("b", ["a"]), task("a", again)]
    with pytest.raises(SpecError) as caught:
        DeciderSpec(activity_tasks=tasks)
    assert [problem.split()[0] for problem in caught.value.problems] == ["duplicate", "dependency"]
    # Cleanup tasks are a separate graph.
    with pytest.raises(SpecError) as caught:
        DeciderSpec(activity_tasks=[task("a"), task("b", ["a"])], on_failure=[task("b"), task("a", ["b"])])
    assert "cycle" not in str(caught.value)


SPEC = "floto.specs.DeciderSpec"
TASK = {"type": "floto.specs.task.ActivityTask", "name": "n", "version": "v"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([], "$: must be an object, not []"),
        ({}, "$: type None is not known"),
        ({"type": "os.system"}, "$: type 'os.system' is not known; it must be one of floto.specs."),
        ({"type": ["x"]}, "is not known"),
        ({"type": SPEC, "activity_tasks": {}}, "$.activity_tasks: must be a list of tasks"),
        ({"type": SPEC, "activity_tasks": [3]}, "$.activity_tasks[0]: must be an object, not 3"),
        (
            {"type": SPEC, "activity_tasks": [{**TASK, "name": 3}]},
            "$.activity_tasks[0].name: must be a string, not 3",
        ),
        (
            {"type": SPEC, "activity_tasks": [{"type": TASK["type"]}]},
            "$.activity_tasks[0].name: a required field",
        ),
        (
            {"type": SPEC, "activity_tasks": [{**TASK, "inptu": 3}]},
            "$.activity_tasks[0]: unknown field: inptu",
        ),
        (
            {"type": SPEC, "activity_tasks": [{**TASK, "requires": "a"}]},
            "$.activity_tasks[0].requires: must be a list",
        ),
        (
            {"type": SPEC, "activity_tasks": [{**TASK, "requires": [1]}]},
            "$.activity_tasks[0].requires: must be a string",
        ),
        (
            {"type": SPEC, "repeat_workflow": 1, "activity_tasks": []},
            "$.repeat_workflow: must be true or false, not 1",
        ),
        (
            {"type": SPEC, "activity_tasks": [{**TASK, "retry_strategy": {"type": "x"}}]},
            "$.activity_tasks[0].retry_strategy: type 'x' is not known",
        ),
        (
            {
                "type": SPEC,
                "activity_tasks": [
                    {
                        **TASK,
                        "retry_strategy": {"type": "floto.specs.retry_strategy.InstantRetry", "retries": "3"},
                    }
                ],
            },
            "$.activity_tasks[0].retry_strategy.retries: must be an integer, not '3'",
        ),
        (
            {"type": SPEC, "activity_tasks": [{**TASK, "requires": ["nobody"]}, {"type": "x"}]},
            "$.activity_tasks: task 'n:v:2be88ca424' requires 'nobody', which is not in the spec",
        ),
    ],
)
def test_invalid_json_is_reported_with_its_path(data: Any, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        DeciderSpec.from_json(json.dumps(data))
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 10**6, '{"type": ' * 10**5, b"\xff"])
def test_text_that_is_not_json_is_reported(text: str | bytes) -> None:
    with pytest.raises(SpecError, match="this is not JSON"):
        DeciderSpec.from_json(text)


def test_expected_events_are_six_for_an_activity() -> None:
    assert expected_events(DeciderSpec(activity_tasks=[task("a")])) == (11, 11)
    least, most = expected_events(DeciderSpec(activity_tasks=[task("a", retry_strategy=InstantRetry(2))]))
    assert (least, most) == (11, 33)
    assert re.match(r"\d+", str(most))


def test_minimum_estimate_counts_one_decision_task_for_independent_tasks() -> None:
    assert expected_events(DeciderSpec(activity_tasks=[task(f"t{n}") for n in range(10)])) == (38, 65)
    chained = [task("a"), task("b", ["a"]), task("c", ["b"]), task("d", ["a"])]
    assert expected_events(DeciderSpec(activity_tasks=chained)) == (5 + 4 * 3 + 3 * 3, 29)
    # A signal may be there before its turn.
    assert expected_events(DeciderSpec(activity_tasks=[Signal(id_="s", signal_name="go")])) == (6, 9)
    assert expected_events(DeciderSpec(activity_tasks=[child("c", DeciderSpec())])) == (11, 14)


def test_carried_specs_of_children_are_estimated_separately() -> None:
    inner = DeciderSpec(activity_tasks=[child("d", DeciderSpec(activity_tasks=[task("a"), task("b")]))])
    found = list(estimates(DeciderSpec(activity_tasks=[child("c", inner)], on_failure=[child("e", inner)])))
    assert [(each.path, each.least) for each in found] == [
        ((), 11),
        (("c",), 11),
        (("c", "d"), 14),
        (("e",), 11),
        (("e", "d"), 14),
    ]
