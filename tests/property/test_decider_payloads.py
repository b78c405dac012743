"""Deciders store values too long for SWF: a run with large values decides like one with small values."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

import floto
from floto import CODEC, ActivityTask, ChildWorkflow, DeciderSpec, Generator, History, Signal
from floto.adapters.sqlite import SqliteService
from floto.core.decide.decide import spec_of
from floto.core.errors import PayloadsNeeded, PayloadsUnavailable, StoreUnavailable
from floto.core.payloads import payload, reference
from floto.core.payloads.reference import Budget, Reference
from floto.core.payloads.stored import StoredText
from floto.core.swf.decisions import Decision, FailWorkflowExecution
from floto.payloads import DirectoryStore, PayloadError
from floto.runtime.workers.activities import Activities
from floto.runtime.workers.storing import store_values
from floto.testing import returns, simulate
from tests.property.setup import SETTINGS


@define
class MemoryStore:
    """Keeps values under their hashes; its directory may be away."""

    kept: dict[str, bytes] = field(factory=dict)
    is_away: bool = False
    limit: int = reference.STORE_LIMIT

    def put(self, value: Any) -> dict[str, Any]:
        self._check()
        made, data = reference.written(value, self.limit)
        self.kept[made.digest] = data
        return made.to_json()

    def get(self, wanted: Any) -> Any:
        self._check()
        read = reference.read(wanted, self.limit)
        if read.digest not in self.kept:
            raise PayloadError(str(read), "is not in memory")
        return read.value(self.kept[read.digest])

    def _check(self) -> None:
        if self.is_away:
            problem, what = "cannot be reached", "the store"
            raise StoreUnavailable(what, problem)


def noise(seed: int, length: int) -> str:
    """Text that no compression makes short."""
    return "".join(random.Random(seed).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))


def work(id_: str, **more: Any) -> ActivityTask:
    return ActivityTask(id_=id_, name=id_.rstrip("0123456789"), version="1", **more)


@contextmanager
def fresh_service() -> Iterator[SqliteService]:
    with SqliteService(":memory:") as service:
        yield service


def lengths(value: Any) -> Any:
    """The lengths of the texts in a value."""
    if isinstance(value, dict):
        return {key: lengths(item) for key, item in value.items()}
    return len(value)


def activities(sizes: Sequence[int], asked: list[str]) -> Activities:
    """Return activities with results of the lengths in ``sizes``, which record their inputs."""
    known = Activities()

    @known.activity(name="make", version="1")
    def make(context: dict[str, Any]) -> str:
        return noise(context["activity_task"], sizes[context["activity_task"]])

    @known.activity(name="join", version="1")
    def join(context: dict[str, Any]) -> Any:
        asked.append(json.dumps(sorted(context)))
        return lengths(context)

    @known.generator(name="plan", version="1")
    def plan() -> list[ActivityTask]:
        return [work(f"make{number}", input=number) for number in range(len(sizes))]

    return known


def flow_of(count: int, *, generates: bool) -> DeciderSpec:
    """Many tasks, made one by one or by a generator, that one task joins and that a child is given."""
    makes = [work(f"make{number}", input=number) for number in range(count)]
    plan = Generator(id_="plan", name="plan", version="1")
    first: list[ActivityTask] = [plan] if generates else makes
    inner = DeciderSpec(activity_tasks=[work("join")])
    child = ChildWorkflow(
        id_="child",
        workflow_type_name="c",
        workflow_type_version="1",
        spec=inner,
        requires=[task.id_ for task in first],
    )
    return DeciderSpec(activity_tasks=[*first, work("join", requires=[task.id_ for task in first]), child])


sizes = st.lists(
    st.sampled_from([1, 300, 10_000, 20_000]) | st.integers(32_700, 32_900) | st.integers(40_000, 60_000),
    min_size=1,
    max_size=8,
)


@settings(SETTINGS, max_examples=20)
@given(sizes, st.sampled_from(["", "generates"]), st.sampled_from([0, 1, 32_760, 40_000]))
def test_run_with_large_values_decides_like_one_with_small_values(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], generates: str, input_size: int
) -> None:
    store = DirectoryStore(tmp_path_factory.mktemp("payloads"))
    flow, found = flow_of(len(sizes), generates=bool(generates)), []
    for each in (sizes, [1] * len(sizes)):
        asked: list[str] = []
        known = activities(each, asked)
        with fresh_service() as service:
            run: dict[str, Any] = {"service": service, "activities": known, "payloads": store, "timeout": 60}
            result = floto.run(flow, noise(99, input_size) if input_size else None, workflow_id="w", **run)
            info = service.latest_execution("w")
            assert info is not None
            history = History(service.history(info.execution), info.execution)
        state = floto.fold(history)
        spec = flow
        assert floto.replay(spec, history, CODEC.with_payloads(store)).divergence is None
        found.append((sorted(map(str, state.items)), sorted(asked), sorted(result)))
        expected = {f"make{number}": size for number, size in enumerate(each)}
        given_to_child = result["child"]["join"]["workflow"]
        assert {id_: size for id_, size in result["join"].items() if id_ in expected} == expected
        assert {id_: size for id_, size in given_to_child.items() if id_ in expected} == expected
    assert found[0] == found[1]


def decider_of(store: MemoryStore) -> Any:
    """Decide as a decider with payloads does: what decisions refer to is stored before they are answered."""

    def decides(spec: DeciderSpec, history: History) -> Sequence[Decision]:
        return store_values(floto.decide(spec, history, codec=CODEC.with_payloads(store)), store)

    return decides


def chain_of(inputs: Sequence[str]) -> DeciderSpec:
    tasks = [Signal(id_=f"s{number}", signal_name=f"s{number}") for number in range(len(inputs))]
    return DeciderSpec(activity_tasks=[*tasks, work("join", requires=[task.id_ for task in tasks])])


@SETTINGS
@given(st.lists(st.sampled_from([1, 20_000, 32_766]), min_size=1, max_size=6))
def test_long_signals_reach_a_task_and_the_result(lengths_: list[int]) -> None:
    store, seen = MemoryStore(), []
    inputs = [noise(number, length) for number, length in enumerate(lengths_)]

    def join(context: dict[str, Any]) -> str:
        seen.append(reference.resolved(context, store.get))
        return "done"

    outcomes: Mapping[str, Any] = {f"s{number}": returns(text) for number, text in enumerate(inputs)}
    run = simulate(chain_of(inputs), {**outcomes, "join": join}, decider=decider_of(store))
    assert run.status == "COMPLETED"
    assert seen == [{f"s{number}": text for number, text in enumerate(inputs)}]


def test_replay_without_the_store_of_a_decision_asks_for_it() -> None:
    store = MemoryStore()
    inputs = [noise(number, 20_000) for number in range(3)]
    outcomes = {f"s{number}": returns(text) for number, text in enumerate(inputs)}
    spec = chain_of(inputs)
    history = simulate(spec, outcomes, decider=decider_of(store)).main
    assert floto.replay(spec, history, CODEC.with_payloads(store)).divergence is None
    with pytest.raises(PayloadsNeeded, match="the input of a recorded ScheduleActivityTask"):
        floto.replay(spec, history)
    with pytest.raises(PayloadsNeeded):
        floto.compare(spec, spec, [history])
    check = floto.view(history, spec).check
    assert (check.verdict[:17], check.divergence) == ("cannot be checked", None)
    # What differs elsewhere needs no store.
    other = DeciderSpec(activity_tasks=[*spec.activity_tasks, work("more")])
    assert floto.replay(other, history).divergence is not None


def test_error_without_payloads_advises_them() -> None:
    inputs = [noise(number, 20_000) for number in range(3)]
    outcomes = {f"s{number}": returns(text) for number, text in enumerate(inputs)}
    run = simulate(chain_of(inputs), outcomes)
    assert run.failure is not None
    assert "payloads=DirectoryStore(PATH)" in run.failure.details["join"]


def test_decision_carries_its_value_without_reading_the_store() -> None:
    store = MemoryStore(is_away=True)
    inputs = [noise(number, 20_000) for number in range(3)]
    outcomes = {f"s{number}": returns(text) for number, text in enumerate(inputs)}
    history = simulate(chain_of(inputs), outcomes).histories[0]
    before = History(history.events[:-2], history.execution)
    [decision] = floto.decide(chain_of(inputs), before, codec=CODEC.with_payloads(store))
    text = decision.input  # type: ignore[union-attr]
    assert isinstance(text, StoredText)
    assert json.loads(text)["floto.stored"]["size"] == len(text.parts[0])
    with pytest.raises(PayloadsUnavailable):
        store_values([decision], store)
    store.is_away = False
    [kept] = store_values([decision], store)
    assert type(kept.input) is str  # type: ignore[union-attr]
    assert kept == decision
    assert store.get(json.loads(text)["floto.stored"]) == json.loads(text.parts[0])


def generated(store: MemoryStore) -> tuple[DeciderSpec, History]:
    """A generator's tasks as a worker stores them, and the history that refers to them."""
    tasks = CODEC.unstructure([work(f"make{number}", input=noise(number, 300)) for number in range(200)])
    spec = DeciderSpec(activity_tasks=[Generator(id_="plan", name="plan", version="1")])
    made = store.put(tasks)
    run = simulate(spec, {"plan": returns(made)}, decider=decider_of(store))
    assert run.status == "COMPLETED"
    return spec, run.main


def test_every_reader_of_histories_resolves_stored_tasks() -> None:
    store = MemoryStore()
    spec, history = generated(store)
    codec = CODEC.with_payloads(store)
    assert floto.replay(spec, history, codec).divergence is None
    assert len(floto.expand(spec, floto.fold(history), codec).activity_tasks) == 201
    assert floto.compare(spec, spec, [history], codec).is_safe
    assert floto.explain(spec, history, codec=codec)["make7"].status == "done"


@pytest.mark.parametrize(
    "reads",
    [
        floto.replay,
        floto.decide,
        lambda spec, history: floto.expand(spec, floto.fold(history)),
        lambda spec, history: floto.compare(spec, spec, [history]),
        floto.explain,
    ],
    ids=["replay", "decide", "expand", "compare", "explain"],
)
def test_history_with_references_raises_without_payloads(reads: Any) -> None:
    with pytest.raises(PayloadsNeeded, match=r"refers to a stored value.*payloads="):
        reads(*generated(MemoryStore()))


def test_missing_value_fails_the_run_naming_reference_and_task() -> None:
    store = MemoryStore()
    spec, history = generated(store)
    [digest] = [each for each, data in store.kept.items() if len(data) > 32_768]
    del store.kept[digest]
    [failed] = floto.decide(
        spec, History(history.events[:9], history.execution), codec=CODEC.with_payloads(store)
    )
    assert isinstance(failed, FailWorkflowExecution)
    assert "plan" in (failed.details or "")
    assert digest in (failed.details or "")


def test_unavailable_store_fails_no_run() -> None:
    store = MemoryStore()
    spec, history = generated(store)
    store.is_away = True
    with pytest.raises(PayloadsUnavailable):
        floto.decide(spec, History(history.events[:9], history.execution), codec=CODEC.with_payloads(store))


def test_a_spec_in_a_stored_input_is_found() -> None:
    store = MemoryStore()
    spec = DeciderSpec(activity_tasks=[work("make", input=1)])
    value = {"decider_spec": CODEC.unstructure(spec), "x": noise(1, 40_000)}
    text = json.dumps({"floto.stored": store.put(value)})
    assert spec_of(text, CODEC.with_payloads(store)) == spec
    with pytest.raises(PayloadsNeeded):
        spec_of(text)


def test_value_past_the_limit_of_the_store_fails_its_task() -> None:
    store = MemoryStore(limit=50_000)
    inputs = [noise(number, 20_000) for number in range(3)]
    outcomes = {f"s{number}": returns(text) for number, text in enumerate(inputs)}
    run = simulate(chain_of(inputs), outcomes, decider=decider_of(store))
    assert run.failure is not None
    assert "this store takes 50,000" in run.failure.details["join"]


def to(size: int) -> dict[str, Any]:
    return Reference("a" * 64, size).to_json()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([to(30 * 2**20)] * 299, "299 stored values of 9,405,726,720 bytes"),
        ({"a": to(1)}, None),
        ([to(1)] * 10_001, "10,001 stored values of 10,001 bytes"),
    ],
)
def test_size_of_loaded_values_is_checked_before_loading(value: Any, says: str | None) -> None:
    loaded: list[Any] = []
    if says is None:
        reference.resolved(value, loaded.append, Budget("the input of task 'a'"))
        return
    with pytest.raises(PayloadError, match=says):
        reference.resolved(value, loaded.append, Budget("the input of task 'a'"))
    assert loaded == []


def test_references_in_a_stored_context_count_towards_the_bound() -> None:
    store = MemoryStore()
    outer = {"floto.stored": store.put({"a": to(2**20), "b": to(2**20)})}
    with pytest.raises(PayloadError, match="3 stored values"):
        reference.resolved(outer, store.get, Budget("the input", size=2**20))
    assert payload.loads(json.dumps(outer)) == outer
