"""The file that a counterexample is printed as, and the kinds of task in it."""

from __future__ import annotations

import re
from enum import Enum

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
from floto.core import events as e
from floto.core import payload
from floto.testing import Counterexample, shrink
from tests.property.simulator import simulate
from tests.unit.recorder import spec, task
from tests.unit.test_own_kinds import OWN, Approval, TwiceOnErrors


def counterexample(spec: DeciderSpec, history: History) -> Counterexample:
    found = replay(spec, history, OWN).divergence
    return Counterexample(spec=spec, history=history, divergence=found, is_smallest=True)


def ran(text: str) -> dict[str, object]:
    """The names of a printed file, as an import gives them."""
    names: dict[str, object] = {}
    exec(compile(text, "printed.py", "exec"), names)  # noqa: S102 - the test is about this source
    return names


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


def test_the_source_of_a_spec_is_the_spec() -> None:
    whole = DeciderSpec(activity_tasks=TASKS, on_failure=[task("f")], on_cancel=[task("y")], domain="d")
    printed = ran(counterexample(whole, HISTORY).as_pytest())
    assert printed["SPEC"] == whole
    events = printed["EVENTS"]
    assert isinstance(events, list)
    assert History.from_swf(events).events == HISTORY.events


def test_an_event_of_an_unknown_type_is_written_too() -> None:
    raw = HISTORY.to_swf()[:4]
    other = {"a": [1.5, float("inf"), {"b": raw[0]["eventTimestamp"]}]}
    raw.append({**raw[0], "eventId": 5, "eventType": "New", "newEventAttributes": other})
    execution = WorkflowExecution("w", "r")
    text = counterexample(spec(task("x")), History.from_swf(raw, execution)).as_pytest()
    assert '"newEventAttributes": {"a": [1.5, float("inf"), {"b": "2026-' in text
    assert 'WorkflowExecution(workflow_id="w", run_id="r")' in text
    assert len(History.from_swf(ran(text)["EVENTS"])) == 5  # type: ignore[arg-type]


def test_kinds_of_a_user_are_imported_from_where_they_are() -> None:
    strategy = TwiceOnErrors("Odd")
    own = spec(Approval(id_="ok"), Approval(id_="no", requires=("ok",)), task("a", ["no"]))
    own = evolve(own, activity_tasks=[*own.activity_tasks, task("b", retry_strategy=strategy)])
    text = evolve(counterexample(own, HISTORY), codec=OWN).as_pytest()
    assert "from floto import (\n    CODEC,\n    ActivityTask,\n    Codec,\n    DeciderSpec,\n" in text
    assert "\nfrom tests.unit.test_own_kinds import Announce, Approval, TwiceOnErrors\n" in text
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


def test_enums_are_named_and_what_has_no_source_is_refused() -> None:
    red = Painted(id_="p", name="n", version="1", colour=Colour.RED)
    text = counterexample(spec(red), HISTORY).as_pytest()
    assert f"from {__name__} import Colour, Painted\n" in text
    assert ran(text)["SPEC"] == spec(red)
    with pytest.raises(SpecError, match=re.escape("<object object at")):
        counterexample(spec(evolve(red, about=object())), HISTORY).as_pytest()


def test_what_cannot_be_imported_is_refused() -> None:
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
