"""Properties of signals when runs continue as new: each counts once, in order, and none is lost."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from floto import CODEC, ActivityTask, DeciderSpec, History, Signal, decide, replay
from floto.core.engine.world import World
from floto.core.payloads import payload
from floto.core.payloads.reference import resolved
from floto.core.spec.fingerprint import recorded
from floto.core.state import carried_signals
from floto.core.state.carried_signals import split_signals, with_signals
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY, State
from floto.core.swf import events as e
from floto.core.swf.decisions import ContinueAsNewWorkflowExecution, Decision, FailWorkflowExecution
from floto.core.swf.events import WorkflowExecutionSignaled
from floto.core.swf.reserved_names import CHANGED_SIGNAL, INPUT_KEY, SIGNALS_KEY
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import ActivityType, WorkflowType
from floto.runtime.workers.storing import store_values
from floto.testing import Faults, simulate
from floto.testing.invariants.signals import no_signal_is_lost
from floto.testing.strategies import json_values
from tests.property.setup import SETTINGS
from tests.property.test_decider_payloads import MemoryStore, noise

ID, LIST, TYPE = "w", "floto", WorkflowType("w", "1")
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("first", "second", "unheard")
SPEC = DeciderSpec(
    activity_tasks=[
        Signal(id_="one", signal_name="first"),
        Signal(id_="two", signal_name="second"),
        ActivityTask(id_="work", name="work", version="1", requires=["one", "two"]),
    ],
    repeat_workflow=True,
)


class Chain:
    """Runs that continue one another, in the pure model of SWF."""

    def __init__(self, input: str | None = None) -> None:
        self.world, self.now = World(), BEGINNING
        self.world.prepare([TYPE], [ActivityType("work", "1")])
        request = StartRequest(workflow_id=ID, workflow_type=TYPE, task_list=LIST, input=input)
        self.world.start(request, self.now)
        self.given: list[dict[str, Any]] = []

    def signal(self, name: str, input: str | None) -> None:
        self.now += timedelta(seconds=1)
        self.world.signal(ID, name, input, self.now)

    def decide(self, state: State) -> list[Decision]:
        return decide(SPEC, state)

    def move(self) -> bool:
        """Answer one decision task or complete one activity; False if there is nothing to do."""
        self.now += timedelta(seconds=1)
        task = self.world.poll_decision(LIST, self.now)
        if task is not None:
            state = fold(task.events, evolve(EMPTY, execution=task.execution))
            self.world.respond_decision(task.token, self.decide(state), self.now)
            return True
        work = self.world.poll_activity(LIST, self.now)
        if work is not None:
            self.given.append(payload.loads(work.input) or {})
            self.world.complete_activity(work.token, "1", self.now)
        return work is not None

    @property
    def runs(self) -> list[Any]:
        return [self.world.history(info.execution) for info in self.world.executions()]


#: A move, or a signal: its name and what it carries.
steps = st.lists(st.none() | st.tuples(st.sampled_from(NAMES), st.integers(0, 99)), max_size=40)
inputs = st.none() | json_values().map(json.dumps) | st.just("no JSON")


@SETTINGS
@given(steps, inputs)
def test_signals_are_used_once_and_in_order_across_runs(
    script: list[tuple[str, int] | None], input: str | None
) -> None:
    chain, sent = Chain(input), defaultdict[str, list[int]](list)
    for step in script:
        if step is None:
            chain.move()
        else:
            sent[step[0]].append(step[1])
            chain.signal(step[0], str(step[1]))
    while chain.move():
        pass
    rounds = min(len(sent["first"]), len(sent["second"]))
    used = [(given["one"], given["two"]) for given in chain.given]
    assert used == [*zip(sent["first"], sent["second"], strict=False)]
    assert len(chain.runs) == rounds + 1
    last = fold(chain.runs[-1])
    for name, all_of_them in sent.items():
        left = all_of_them if name == "unheard" else all_of_them[rounds:]
        assert [int(event.data.input or "") for event in last.signals.get(name, ())] == left


@SETTINGS
@given(steps, inputs)
def test_input_of_the_user_is_unchanged_and_histories_replay(
    script: list[tuple[str, int] | None], input: str | None
) -> None:
    chain = Chain(input)
    for step in script:
        if step is None:
            chain.move()
        else:
            chain.signal(step[0], str(step[1]))
    while chain.move():
        pass
    expected = input if input in (None, "no JSON") else json.loads(input)
    assert [given.get("workflow") for given in chain.given] == [expected] * len(chain.given)
    for before, after in pairwise(chain.runs):
        assert isinstance(before.events[-1].data, e.WorkflowExecutionContinuedAsNew)
        assert replay(SPEC, before).divergence is None
        assert replay(SPEC, after).divergence is None


signals = st.lists(
    st.builds(WorkflowExecutionSignaled, signal_name=st.text(min_size=1), input=st.none() | st.text()),
    max_size=4,
)
rare = st.sampled_from(
    [
        {SIGNALS_KEY: []},
        {SIGNALS_KEY: [{"name": "a", "input": None}], "x": 1},
        {INPUT_KEY: 1},
        {INPUT_KEY: 1, SIGNALS_KEY: []},
        {"floto.payload": f"sha256:{'a' * 64}", "size": 7},
    ]
)


@SETTINGS
@given(json_values() | rare, signals)
def test_input_and_signals_are_separated_again(value: Any, sent: list[WorkflowExecutionSignaled]) -> None:
    assert split_signals(with_signals(value, sent)) == (value, tuple(sent))


@SETTINGS
@given(json_values() | st.dictionaries(st.just(SIGNALS_KEY), json_values(), min_size=1))
def test_input_of_a_first_run_has_no_carried_signals(value: Any) -> None:
    chain = Chain(json.dumps(value))
    chain.signal("first", "1")
    chain.signal("second", "2")
    while not chain.given:
        chain.move()
    assert chain.given[0].get("workflow") == value
    assert len(fold(chain.runs[0]).signals) == 2


def test_carried_signals_are_added_beside_the_keys_of_an_object() -> None:
    sent = [WorkflowExecutionSignaled(signal_name="a", input="1")]
    assert with_signals({"x": 1}, sent) == {"x": 1, SIGNALS_KEY: [{"name": "a", "input": "1"}]}


def test_of_the_signals_that_change_the_spec_only_the_last_is_carried() -> None:
    chain = Chain()
    for digest in ("old", "new"):
        chain.signal(CHANGED_SIGNAL, digest)
    chain.signal("first", "1")
    chain.signal("second", "2")
    while chain.move():
        pass
    state = fold(chain.runs[-1])
    assert recorded(state) == "new"
    assert len(state.signals[CHANGED_SIGNAL]) == 1


def test_many_carried_signals_are_compressed() -> None:
    chain = Chain('{"x":1}')
    for _ in range(20):
        chain.signal("unheard", json.dumps("z" * 10_000))
    chain.signal("first", "1")
    chain.signal("second", "2")
    while chain.move():
        pass
    assert len(chain.runs) == 2
    assert chain.runs[1].events[0].data.input.startswith("floto:zlib:")
    assert len(fold(chain.runs[1]).signals["unheard"]) == 20


def test_too_long_signals_fail_the_run_naming_them() -> None:
    chain = Chain()
    for number in range(3):
        chain.signal("unheard", json.dumps(noise(number, 30_000)))
    chain.signal("first", "1")
    chain.signal("second", "2")
    while chain.move():
        pass
    [run] = chain.runs
    failed = run.events[-1].data
    assert isinstance(failed, e.WorkflowExecutionFailed)
    assert "unheard (3)" in (failed.details or "")
    assert "payloads=" in (failed.details or "")


@pytest.mark.parametrize(
    "written",
    [7, {}, [7], [{"name": "a"}], [{"name": 7, "input": None}], [{"name": "a", "input": 7}]],
)
def test_input_not_written_by_floto_is_left_to_the_user(written: Any) -> None:
    value = {SIGNALS_KEY: written, "x": 1}
    assert split_signals(value) == (value, ())


def test_a_run_without_signals_passes_its_input_on_unchanged() -> None:
    chain = Chain('{ "b": 1,  "a": 2 }')
    chain.signal("first", "1")
    chain.signal("second", "2")
    while chain.move():
        pass
    assert chain.runs[1].events[0].data.input == '{ "b": 1,  "a": 2 }'


def test_decision_with_carried_signals_replays_identically() -> None:
    """Level-triggered: deciding again gives the same decisions, for any order of mappings."""
    chain = Chain()
    for name in ("unheard", "first", "x", "second", "y", "first"):
        chain.signal(name, "1")
    while len(chain.runs) == 1:
        chain.move()
    [*_, decision] = decide(SPEC, chain.runs[0].events[:-1])
    assert not isinstance(decision, FailWorkflowExecution)
    assert isinstance(decision, ContinueAsNewWorkflowExecution)
    _, carried = split_signals(json.loads(decision.input or ""))
    assert [each.signal_name for each in carried] == ["unheard", "x", "y", "first"]
    assert carried_signals.carried_events(chain.runs[1].events[0])[0].id == 1


def test_decider_losing_signals_violates_the_invariant_of_runs() -> None:
    flow = DeciderSpec(activity_tasks=[Signal(id_="s", signal_name="s")], repeat_workflow=True)

    def forgetful(spec: DeciderSpec, history: History) -> list[Decision]:
        return [
            evolve(each, input=None) if isinstance(each, ContinueAsNewWorkflowExecution) else each
            for each in decide(spec, history)
        ]

    kept, lost = (
        simulate(flow, seed=0, faults=Faults(signals=0.5), decider=each) for each in (decide, forgetful)
    )
    no_signal_is_lost(kept)
    with pytest.raises(AssertionError, match="were not used, and the next run begins with"):
        no_signal_is_lost(lost)


class StoringChain(Chain):
    """Runs whose decider has a store for long values."""

    def __init__(self, input: str | None = None) -> None:
        self.store = MemoryStore()
        super().__init__(input)

    def decide(self, state: State) -> list[Decision]:
        return store_values(decide(SPEC, state, codec=CODEC.with_payloads(self.store)), self.store)


@SETTINGS
@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([1, 200, 20_000, 32_766])), max_size=9),
    st.sampled_from([1, 32_766]),
)
def test_signals_of_any_length_are_carried_with_payloads(
    script: list[tuple[str, int]], input_length: int
) -> None:
    own = noise(99, input_length)
    chain, sent = StoringChain(json.dumps(own)), defaultdict[str, list[str]](list)
    for number, (name, length) in enumerate(script):
        sent[name].append(noise(number, length))
        chain.signal(name, json.dumps(sent[name][-1]))
    while chain.move():
        pass
    given = [resolved(each, chain.store.get) for each in chain.given]
    used = [(each["one"], each["two"]) for each in given]
    assert used == [*zip(sent["first"], sent["second"], strict=False)]
    assert [each["workflow"] for each in given] == [own] * len(given)
    left = fold(chain.runs[-1]).signals.get("unheard", ())
    found = [resolved(json.loads(event.data.input or ""), chain.store.get) for event in left]
    assert found == sent["unheard"]
    for history in chain.runs:
        assert replay(SPEC, history, CODEC.with_payloads(chain.store)).divergence is None
