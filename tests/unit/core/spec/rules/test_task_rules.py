"""The rules of a task as data: joins, problems and JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import frozen

from floto import (
    CODEC,
    ActivityTask,
    AtLeast,
    ChildWorkflow,
    DeciderSpec,
    Generator,
    Signal,
    SpecError,
    Timer,
)
from floto.core.spec.fingerprint import fingerprint
from floto.core.spec.rules.joins import JoinOption, JoinVerdict, Tally, verdict
from floto.core.spec.rules.task_rules import Ruled, Rules, has_default_rules, rules_of
from floto.extend import NO_RESULT, Decision, Given, Item, Key, Kind, StartTimer
from tests.unit.recorder import spec, task

START, SKIP = JoinVerdict.START, JoinVerdict.SKIP


@pytest.mark.parametrize(
    ("join", "tally", "expected"),
    [
        ("all", Tally(), START),
        ("all", Tally(completed=1, open=2), 2),
        ("all", Tally(completed=1, skipped=3), START),
        ("all", Tally(continued=1, skipped=3), START),
        ("all", Tally(skipped=3), SKIP),
        ("all", Tally(completed=1, failed=1), 1),
        ("any", Tally(), SKIP),
        ("any", Tally(open=3), 1),
        ("any", Tally(completed=1, open=3), START),
        ("any", Tally(continued=1, failed=1, skipped=1), SKIP),
        (AtLeast(2), Tally(open=4), 2),
        (AtLeast(3), Tally(open=4), 2),
        (AtLeast(2), Tally(completed=1, open=1, skipped=5), 1),
        (AtLeast(2), Tally(completed=1, skipped=5), SKIP),
        (AtLeast(2), Tally(open=1), SKIP),
        (AtLeast(2), Tally(open=1, grows=True), 1),
        (AtLeast(3), Tally(open=3, grows=True), 1),
        (AtLeast(3), Tally(completed=1, open=3, grows=True), 2),
        (AtLeast(2), Tally(open=9, grows=True), 2),
        (AtLeast(2), Tally(completed=2, open=9), START),
        ("finished", Tally(), START),
        ("finished", Tally(failed=1, skipped=1, continued=1), START),
        ("finished", Tally(completed=9, open=1), 1),
    ],
)
def test_verdict_of_each_join(join: JoinOption, tally: Tally, expected: JoinVerdict | int) -> None:
    assert verdict(join, tally) == expected


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ({"when": 3}, "when must be a JMESPath expression or None, not 3"),
        ({"when": ""}, "when '' is empty"),
        ({"when": "a["}, "when 'a[' cannot be read at character 3: it is incomplete"),
        ({"when": "a b"}, "when 'a b' cannot be read at character 3: unexpected 'b'"),
        ({"when": "'a"}, "when \"'a\" cannot be read at character 1: Unclosed ' delimiter"),
        ({"when": "mine(@)"}, "when 'mine(@)' calls unknown functions: mine"),
        (
            {"join": "some"},
            "join must be 'all', 'any', 'finished' or a join such as AtLeast(n), not 'some'",
        ),
        ({"join": None}, "join must be 'all', 'any', 'finished' or a join such as AtLeast(n), not None"),
        (
            {"join": ["all"]},
            "join must be 'all', 'any', 'finished' or a join such as AtLeast(n), not ['all']",
        ),
        ({"join": AtLeast(0)}, "join: the number of AtLeast must be an integer from 1, not 0"),
        ({"join": AtLeast(1.5)}, "join: the number of AtLeast must be an integer from 1, not 1.5"),  # type: ignore[arg-type]
        ({"on_error": "ignore"}, "on_error must be 'fail' or 'continue', not 'ignore'"),
        ({"on_error": ["fail"]}, "on_error must be 'fail' or 'continue', not ['fail']"),
    ],
)
def test_wrong_rule_raises_spec_error_with_the_value(rules: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecError) as raised:
        spec(task("t", **rules))
    assert raised.value.problems == (f"task 't': {problem}",)


RULES: dict[str, Any] = {"when": "workflow.n > `1`", "join": AtLeast(2), "on_error": "continue"}


@pytest.mark.parametrize(
    "ruled",
    [
        task("a", **RULES),
        Generator(name="g", version="v", id_="a", **RULES),
        Timer(id_="a", delay_in_seconds=1, **RULES),
        Signal(id_="a", signal_name="go", **RULES),
        ChildWorkflow(workflow_type_name="c", workflow_type_version="v", id_="a", **RULES),
    ],
    ids=lambda each: type(each).__name__,
)
def test_every_kind_has_rules_and_their_json(ruled: Any) -> None:
    written = spec(ruled)
    (raw,) = json.loads(written.to_json())["activity_tasks"]
    assert raw["join"] == {"type": "floto.specs.task.AtLeast", "count": 2}
    assert (raw["when"], raw["on_error"]) == ("workflow.n > `1`", "continue")
    assert DeciderSpec.from_json(written.to_json()) == written


@pytest.mark.parametrize(
    ("join", "problem"),
    [
        (3, "task 'a': join must be 'all', 'any', 'finished' or a join such as AtLeast(n), not 3"),
        ({"type": "floto.specs.task.AtLeast"}, "$.activity_tasks[0].join.count: a required field is missing"),
        ({"type": "floto.specs.task.AtLeast", "count": 0}, "AtLeast must be an integer from 1, not 0"),
        ({"type": "floto.specs.retry_strategy.InstantRetry", "retries": 1}, "not InstantRetry(retries=1)"),
    ],
)
def test_wrong_join_in_json_raises_spec_error(join: Any, problem: str) -> None:
    raw = json.loads(spec(task("a")).to_json())
    raw["activity_tasks"][0]["join"] = join
    with pytest.raises(SpecError) as raised:
        DeciderSpec.from_json(json.dumps(raw))
    assert problem in str(raised.value)


def test_default_rules_are_not_written_so_that_json_and_fingerprint_of_old_specs_stay() -> None:
    old = spec(
        task("a"),
        Generator(name="g", version="v", id_="g", requires=["a"]),
        Timer(id_="t", delay_in_seconds=3),
        Signal(id_="s", signal_name="go"),
        ChildWorkflow(workflow_type_name="c", workflow_type_version="v", id_="c", spec=spec(task("x"))),
    )
    assert not {"when", "join", "on_error"} & {*old.to_json().replace('"', " ").split()}
    # As floto wrote and digested it before tasks had rules.
    assert fingerprint(old) == "c46c224daacce9f4"


@frozen(kw_only=True)
class _Own(Ruled):
    id_: str
    requires: tuple[str, ...] = ()
    retry_strategy: None = None

    @property
    def key(self) -> Key:
        return (Kind.TIMER, self.id_)

    def start(self, given: Given) -> Decision:  # noqa: ARG002 - a timer takes no input
        return StartTimer(timer_id=self.id_, start_to_fire_timeout="1")

    def result(self, item: Item) -> Any:  # noqa: ARG002 - there is none
        return NO_RESULT


def test_own_kind_inherits_rules_and_another_kind_has_the_default_rules() -> None:
    codec = CODEC.with_type("tests.Own", _Own)
    own = spec(_Own(id_="a", join="any"))
    assert DeciderSpec.from_json(own.to_json(codec), codec) == own
    assert rules_of(own.activity_tasks[0]).join == "any"
    assert rules_of(object()) == Rules()
    assert has_default_rules(ActivityTask(name="a", version="v"))
    assert not has_default_rules(ActivityTask(name="a", version="v", on_error="continue"))
