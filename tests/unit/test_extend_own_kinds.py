"""Task kinds and strategies of a user's own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import frozen, make_class
from cattrs.gen import make_dict_structure_fn

from floto import (
    CODEC,
    NO_RESULT,
    ActivityTask,
    DeciderSpec,
    Given,
    Retry,
    SpecError,
    Task,
    decide,
)
from floto.core.payloads import payload
from floto.core.state.state import Item, Key, Kind
from floto.core.swf import events as e
from floto.core.swf.decisions import (
    CompleteWorkflowExecution,
    Decision,
    FailWorkflowExecution,
    SignalExternalWorkflowExecution,
    StartTimer,
)
from tests.unit.recorder import CHILD, Recorder, generator, spec, task


@frozen(kw_only=True)
class Approval:
    """A user-defined kind: waits for a signal and passes its input on."""

    id_: str
    requires: tuple[str, ...] = ()
    retry_strategy: None = None

    @property
    def key(self) -> Key:
        return (Kind.SIGNAL, self.id_)

    def start(self, given: Given) -> None:
        """It comes by itself."""

    def result(self, item: Item) -> Any:
        return None if item.closed is None else payload.loads(item.closed.data.input)


@frozen(kw_only=True)
class Announce:
    """A user's own kind: sends a signal to another execution."""

    id_: str
    to: str
    requires: tuple[str, ...] = ()
    retry_strategy: None = None

    @property
    def key(self) -> Key:
        return (Kind.EXTERNAL_SIGNAL, self.id_)

    def start(self, given: Given) -> Decision:
        text = payload.dumps(given.context, self.id_)
        return SignalExternalWorkflowExecution(
            workflow_id=self.to, signal_name="news", input=text, control=f"floto.task:{self.id_}"
        )

    def result(self, item: Item) -> Any:  # noqa: ARG002 - there is none
        return NO_RESULT


@frozen
class TwiceOnErrors:
    """A user's own strategy."""

    reason: str = "Error"

    def delay(self, retry: Retry) -> float | None:
        return 3 if retry.failure.reason == self.reason and retry.number <= 2 else None


OWN = (
    CODEC.with_type("mine.Approval", Approval)
    .with_type("mine.Announce", Announce)
    .with_type("mine.TwiceOnErrors", TwiceOnErrors)
)


def test_user_defined_kinds_work_like_built_in_ones() -> None:
    own = spec(Approval(id_="ok"), Announce(id_="tell", to="other", requires=("ok",)), task("a", ["tell"]))
    assert DeciderSpec.from_json(own.to_json(OWN), OWN) == own
    recorder = Recorder()
    assert decide(own, recorder.history) == []
    recorder.add(e.WorkflowExecutionSignaled(signal_name="ok", input='"yes"'))
    [signal] = decide(own, recorder.history)
    assert isinstance(signal, SignalExternalWorkflowExecution)
    assert signal.input == '{"ok":"yes"}'
    initiated = recorder.add(
        e.SignalExternalWorkflowExecutionInitiated(
            workflow_id="other",
            signal_name="news",
            decision_task_completed_event_id=1,
            control=signal.control,
        )
    )
    assert decide(own, recorder.history) == []
    recorder.add(e.ExternalWorkflowExecutionSignaled(workflow_execution=CHILD, initiated_event_id=initiated))
    recorder.complete("a")
    assert isinstance(decide(own, recorder.history)[-1], CompleteWorkflowExecution)


def test_user_defined_kinds_may_come_from_a_generator() -> None:
    recorder = Recorder()
    recorder.complete(
        "g", OWN.unstructure([Approval(id_="ok"), task("x", ["ok"], retry_strategy=TwiceOnErrors())])
    )
    recorder.add(e.WorkflowExecutionSignaled(signal_name="ok"))
    recorder.fail("x")
    [wait] = decide(spec(generator("g")), recorder.history, codec=OWN)
    assert wait == StartTimer(timer_id="floto.retry:x:1", start_to_fire_timeout="3", control="x")


def test_class_unknown_to_the_codec_is_refused() -> None:
    @frozen(kw_only=True)
    class Special(ActivityTask):
        extra: int = 0

    unknown: list[Task] = [
        Approval(id_="ok"),
        Special(name="a", version="v"),
        task("a", retry_strategy=TwiceOnErrors()),
    ]
    for each in unknown:
        with pytest.raises(SpecError, match="is not registered; give it a tag"):
            spec(each).to_json()


def test_second_class_for_a_tag_is_refused() -> None:
    with pytest.raises(SpecError, match="is already used by DeciderSpec"):
        CODEC.with_type("floto.specs.DeciderSpec", Approval)
    with pytest.raises(SpecError, match="must be a frozen attrs class"):
        CODEC.with_type("mine", dict)


def test_class_with_a_field_where_its_tag_is_written_is_refused() -> None:
    class_ = make_class("Typed", ["type"], frozen=True)
    with pytest.raises(SpecError, match="Typed has a field 'type', where its tag is written; rename it"):
        CODEC.with_type("mine", class_)


def test_reader_of_a_class_is_compiled_once_for_all_codecs_with_its_types(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[type] = []

    def compile_(cls: type, *args: Any, **options: Any) -> Any:
        compiled.append(cls)
        return make_dict_structure_fn(cls, *args, **options)

    monkeypatch.setattr("floto.core.spec.codec.make_dict_structure_fn", compile_)
    written = CODEC.with_type("once", Approval).dumps(Approval(id_="a"))
    for _ in range(2):
        assert CODEC.with_type("once", Approval).loads(written) == Approval(id_="a")
        assert CODEC.with_payloads(None).with_type("once", Approval).loads(written) == Approval(id_="a")
    assert compiled == [Approval]


def test_class_may_have_two_tags() -> None:
    codec = CODEC.with_type("old", Approval).with_type("new", Approval)
    assert json.loads(codec.dumps(Approval(id_="a")))["type"] == "new"
    for tag in ("old", "new"):
        assert codec.structure({"type": tag, "id_": "a"}) == Approval(id_="a")


@pytest.mark.parametrize("answer", ["soon", -1, float("nan"), float("inf"), True, 10**400])
def test_strategy_returning_an_invalid_delay_is_named(answer: Any) -> None:
    @frozen
    class Odd:
        def delay(self, retry: Retry) -> Any:
            return answer if retry else None

    recorder = Recorder()
    recorder.fail("a")
    with_odd = spec(task("a", retry_strategy=Odd()))
    if answer == 10**400:
        assert decide(with_odd, recorder.history)[0] == StartTimer(
            timer_id="floto.retry:a:1", start_to_fire_timeout="31536000", control="a"
        )
    else:
        [failed] = decide(with_odd, recorder.history)
        assert isinstance(failed, FailWorkflowExecution)
        assert failed.reason == "failed: a"
        assert "its retry strategy returned " in str(failed.details)


@frozen(kw_only=True)
class Labelled(Announce):
    """A user's own kind with a long name for what it sends."""

    @property
    def key(self) -> Key:
        return (Kind.EXTERNAL_SIGNAL, self.id_ + "x" * 32_700)

    def start(self, given: Given) -> Decision:  # noqa: ARG002 - it says the same each time
        name = f"floto.task:{self.key[1]}"
        return SignalExternalWorkflowExecution(workflow_id=self.to, signal_name="news", control=name)


def test_markers_of_a_kind_count_towards_the_response_size() -> None:
    tasks = [Labelled(id_=f"t{number}", to="w") for number in range(40)]
    decisions = decide(DeciderSpec(activity_tasks=tasks), Recorder().history)
    assert len(decisions) == 28
    assert decisions[-1] == StartTimer(timer_id="floto.more", start_to_fire_timeout="0")
