"""The file that a counterexample is printed as, and the kinds of task in it."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen

from floto import (
    ActivityTask,
    ChildWorkflow,
    DeciderSpec,
    ExponentialBackoff,
    Generator,
    History,
    Signal,
    SpecError,
    Task,
    Timer,
    WorkflowExecution,
    replay,
)
from floto.core.payloads import payload
from floto.core.swf import events as e
from floto.testing import Counterexample, shrink, simulate
from tests.unit.recorder import spec, task
from tests.unit.test_extend_own_kinds import OWN, Approval, TwiceOnErrors


def counterexample(spec: DeciderSpec, history: History) -> Counterexample:
    found = replay(spec, history, OWN).divergence
    return Counterexample(spec=spec, history=history, divergence=found, is_smallest=True)


Run = Callable[[str], dict[str, Any]]


@pytest.fixture
def ran(tmp_path: Path) -> Run:
    """Return the names that importing a printed file defines."""

    def run(text: str) -> dict[str, Any]:
        (tmp_path / "printed.py").write_text(text, encoding="utf-8")
        return runpy.run_path(str(tmp_path / "printed.py"))

    return run


HISTORY = simulate(DeciderSpec(activity_tasks=[task("x")], activity_task_list="work")).main
TASKS: list[Task] = [
    ActivityTask(id_="a", name="it's", version='"v"', input={"ä": [1, 2.5, None, True, {"b": "\n'\""}]}),
    Generator(
        id_="g", name="g", version="1", retry_strategy=ExponentialBackoff(retries=1, non_retryable="X")
    ),
    Timer(id_="t", delay_in_seconds=0, requires=["a", "g"]),
    Signal(id_="s", signal_name="go"),
    ChildWorkflow(
        id_="c",
        workflow_type_name="w",
        workflow_type_version="1",
        spec=DeciderSpec(activity_tasks=[task("x")]),
    ),
]


def test_printed_spec_evaluates_to_the_spec(ran: Run) -> None:
    whole = DeciderSpec(activity_tasks=TASKS, on_failure=[task("f")], on_cancel=[task("y")], domain="d")
    printed = ran(counterexample(whole, HISTORY).as_pytest())
    assert printed["SPEC"] == whole
    assert History.from_swf(printed["EVENTS"]).events == HISTORY.events


def test_event_of_an_unknown_type_is_printed(ran: Run) -> None:
    raw = HISTORY.to_swf()[:4]
    other = {"a": [1.5, float("inf"), {"b": raw[0]["eventTimestamp"]}]}
    raw.append({**raw[0], "eventId": 5, "eventType": "New", "newEventAttributes": other})
    execution = WorkflowExecution("w", "r")
    text = counterexample(spec(task("x")), History.from_swf(raw, execution)).as_pytest()
    assert '"newEventAttributes": {"a": [1.5, float("inf"), {"b": "2026-' in text
    assert 'WorkflowExecution(workflow_id="w", run_id="r")' in text
    assert len(History.from_swf(ran(text)["EVENTS"])) == 5


@pytest.mark.parametrize("name", ["\n1 / 0\n", '"""', "{spec}", "\r1 / 0", "\ud800", "\\", "'\""])
def test_text_of_a_history_is_printed_as_a_literal(ran: Run, name: str) -> None:
    """Names of activities, events and fields are never executed as code."""
    raw = HISTORY.to_swf()[:5]
    raw[4]["activityTaskScheduledEventAttributes"]["activityId"] = name
    raw.append({**raw[0], "eventId": 6, "eventType": f"x{name}", f"x{name}EventAttributes": {name: name}})
    history = History.from_swf(raw)
    found = counterexample(spec(task("x")), history)
    assert found.divergence is not None
    assert History.from_swf(ran(found.as_pytest())["EVENTS"]) == history


@pytest.mark.parametrize("depth", [210, 400])
def test_too_deeply_nested_value_is_refused(depth: int) -> None:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    raw = HISTORY.to_swf()[:4]
    raw.append({**raw[0], "eventId": 5, "eventType": "New", "newEventAttributes": {"a": value}})
    with pytest.raises(SpecError, match="nested too deeply to be written"):
        counterexample(spec(task("x")), History.from_swf(raw)).as_pytest()


def test_user_defined_kinds_are_imported_from_their_module(ran: Run) -> None:
    strategy = TwiceOnErrors("Odd")
    own = spec(Approval(id_="ok"), Approval(id_="no", requires=("ok",)), task("a", ["no"]))
    own = evolve(own, activity_tasks=[*own.activity_tasks, task("b", retry_strategy=strategy)])
    text = evolve(counterexample(own, HISTORY), codec=OWN).as_pytest()
    assert "from floto import (\n    CODEC,\n    ActivityTask,\n    Codec,\n    DeciderSpec,\n" in text
    assert "\nfrom tests.unit.test_extend_own_kinds import Announce, Approval, TwiceOnErrors\n" in text
    assert 'Approval(id_="no", requires=("ok",)),' in text
    assert "divergence = replay(SPEC, history, OWN_CODEC).divergence" in text
    printed = ran(text)
    assert printed["SPEC"] == own
    assert printed["OWN_CODEC"] == OWN


class Colour(Enum):
    RED = "red"


@frozen(kw_only=True)
class Painted(ActivityTask):
    colour: Colour
    about: object = None


def test_enums_are_printed_by_name_and_values_without_source_are_refused(ran: Run) -> None:
    red = Painted(id_="p", name="n", version="1", colour=Colour.RED)
    text = counterexample(spec(red), HISTORY).as_pytest()
    assert f"from {__name__} import Colour, Painted\n" in text
    assert ran(text)["SPEC"] == spec(red)
    with pytest.raises(SpecError, match=re.escape("<object object at")):
        counterexample(spec(evolve(red, about=object())), HISTORY).as_pytest()


def test_unimportable_class_is_refused() -> None:
    @frozen(kw_only=True)
    class Hidden(ActivityTask):
        pass

    hidden = spec(Hidden(id_="a", name="n", version="1"))
    with pytest.raises(SpecError, match="Hidden is not declared at the top of a module"):
        counterexample(hidden, HISTORY).as_pytest()


def test_own_kinds_that_were_generated_are_shrunk() -> None:
    """floto's own codec cannot read what the generator returned, so the run has failed."""
    generated = OWN.unstructure([task("x"), Approval(id_="late"), task("y", ["x"])])
    generator = Generator(id_="g", name="gen", version="v1", input={"tasks": generated})
    declared = DeciderSpec(activity_tasks=[generator, task("z")], activity_task_list="work")
    found = shrink(declared, simulate(declared).main, codec=OWN)
    assert "FailWorkflowExecution was decided and ScheduleActivityTask 'x' would be" in str(found.divergence)
    assert [each.id_ for each in found.spec.activity_tasks] == ["g"]
    [result] = [each.data.result for each in found.history if isinstance(each.data, e.ActivityTaskCompleted)]
    assert [each.id_ for each in OWN.tasks(payload.loads(result))] == ["x"]
