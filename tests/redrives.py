"""Redrives many random runs of random specs; each new run must do exactly what its plan says.

    python -m tests.redrives [NUMBER]

NUMBER (10,000 if it is not given) runs with faults are made by the simulator. Each is redriven as it is, or
cut off at some event, by its spec or an edited one, with some tasks chosen to run again. Prints how many of
each there were; exits with 1 at the first that does something else. Not collected by pytest, which redrives a
sample of the same (``tests/property/test_redrive.py``).
"""

from __future__ import annotations

import random
import sys
import zlib
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import attrs
from attrs import evolve, frozen
from hypothesis import strategies as st

from floto import (
    CODEC,
    ActivityTask,
    ChildWorkflow,
    DeciderSpec,
    Event,
    Generator,
    History,
    Item,
    Kind,
    PayloadError,
    PlannedTask,
    Redrive,
    Signal,
    SpecError,
    State,
    Task,
    Timer,
    decide,
    expand,
    fold,
    redrive,
    replay,
)
from floto import events as e
from floto.core.decide.decide import spec_of
from floto.core.payloads import payload, reference
from floto.core.replay.redrive.redrive_request import FORMS, inline
from floto.core.spec.rules.task_rules import undo_of
from floto.core.state.redriven import redriven
from floto.core.state.state import KeptItem
from floto.core.swf.reserved_names import COMPRESSED
from floto.core.swf.wire import decision_to_swf
from floto.testing import Faults, Simulation
from floto.testing.checking.verifying import Rule, verify_run
from floto.testing.invariants import INVARIANTS, RUN_INVARIANTS
from floto.testing.invariants.generators import generators_fit
from floto.testing.invariants.violation import Invariant, RunInvariant
from floto.testing.reading.oracle import summarize
from floto.testing.simulation.simulator import Simulator
from floto.testing.strategies import runs, specs
from tests.many import check_many
from tests.property.edits import EDITS
from tests.property.setup import has_rules
from tests.property.test_decider_payloads import MemoryStore

FAULTS = Faults(
    fails=0.1,
    fails_for_good=0.3,
    times_out=0.1,
    loses_worker=0.05,
    loses_decision=0.05,
    refuses=0.05,
    reorders=0.2,
    signals=0.1,
    adds_events=0.05,
    cancels=0.02,
)
_STARTS = {
    e.ActivityTaskScheduled: "activity_id",
    e.TimerStarted: "timer_id",
    e.StartChildWorkflowExecutionInitiated: "control",
}


def work(context: Any) -> str:
    """An activity whose result depends on all that it was given, so that a wrong one cannot go unnoticed."""
    return sha256(payload.plain_text(context, "a context").encode()).hexdigest()[:8]


ACTIVITIES = {"work": work}


@frozen
class Case:
    """A run, and how it is redriven."""

    run: Simulation
    spec: DeciderSpec
    history: History
    rerun: tuple[str, ...]

    @property
    def children(self) -> dict[str, History]:
        """The histories of the run's children, and of theirs."""
        return runs_by_id(self.run)

    @classmethod
    def of(cls, run: Simulation, number: int) -> Case:
        """Choose a history of a run, an edit of its spec and tasks to run again."""
        # By the spec too: Hypothesis draws the same few numbers for most of the simplest specs.
        chance = random.Random(f"case {number} of {run.spec.to_json()}")
        history = run.main
        if chance.random() < 0.5:
            events = history.events[: chance.randint(1, len(history))]
            history = History(events, history.execution)
        spec = run.spec
        if chance.random() < 0.6:
            edit = chance.choice(list(EDITS.values()))
            spec = edit(spec, chance) or spec
        spec = evolve(spec, repeat_workflow=False)
        tasks = spec.activity_tasks if misfit(spec, history) else expand(spec, fold(history)).activity_tasks
        few = [task.id_ for task in tasks if chance.random() < 0.1]
        return cls(run, spec, history, tuple(few))


def runs_by_id(run: Simulation) -> dict[str, History]:
    """Return the histories of a simulation by run id, without that of its main run."""
    return {each.execution.run_id: each for each in run.histories[1:] if each.execution is not None}


def misfit(spec: DeciderSpec, history: History) -> str:
    """Return why the tasks that generators returned do not fit an edited spec; empty if they do."""
    try:
        expand(spec, fold(history))
    except SpecError as error:
        return str(error)
    return ""


def undisturbed(spec: DeciderSpec, input: Any = None) -> Simulation:
    """Run a spec without faults."""
    return Simulator(spec, ACTIVITIES, input).run()


def check_case(case: Case, seen: Counter[str]) -> None:
    """Redrive one case, and check the new run."""
    planned = redrive(case.spec, case.history, rerun=case.rerun, children=case.children)
    assert planned.unread == ()
    _keeps_what_did_not_change(case, planned, seen)
    new = undisturbed(case.spec, payload.loads(planned.start.input))
    seen["redriven runs"] += 1
    seen["kept tasks"] += len(planned.kept)
    seen["tasks that ran again"] += len(planned.again)
    seen[f"new runs that {new.status or 'stayed open'}"] += 1
    if problem := misfit(case.spec, new.main):
        seen["new runs whose generated tasks do not fit the edited spec"] += 1
        assert new.status == "FAILED"
        closing: Any = new.main.events[-1].data
        assert any(problem in message for message in payload.loads(closing.details).values())
        return
    _does_what_was_planned(case, planned, new, seen)
    _children_do_what_was_planned(planned.plan, new.main, runs_by_id(new), seen)
    _has_the_result_of_an_undisturbed_run(case, new, seen)
    _redriven_again_is_the_same(case, planned, new)
    assert replay(case.spec, new.main).divergence is None
    verify_run(new, _invariants(new, seen))


def _invariants(new: Simulation, seen: Counter[str]) -> Sequence[Rule]:
    """Return the invariants of a new run: all, or without the one of a child's spec that an edit broke."""
    found = [_misfit_of_child(history) for history in new.histories[1:]]
    if not any(found):
        return _ALL
    seen["children whose generated tasks do not fit the edited spec"] += sum(found)
    return [each for each in _ALL if each.name != generators_fit.__name__]


def _misfit_of_child(history: History) -> bool:
    """Return True if what generators returned does not fit the spec of a child, which then fails by that."""
    own = spec_of(history.start.input)
    problem = "" if own is None else misfit(own, history)
    if problem:
        closing: Any = history.events[-1].data
        assert isinstance(closing, e.WorkflowExecutionFailed)
        assert any(problem in message for message in payload.loads(closing.details).values())
    return bool(problem)


_ALL: tuple[Invariant | RunInvariant, ...] = (*INVARIANTS, *RUN_INVARIANTS)


#: Fields of tasks that their results do not depend on.
_SETTINGS = (
    "_timeout",
    "priority",
    "task_list",
    "retry_strategy",
    "child_policy",
    "domain",
    "workflow_id",
    "requires",
    "undo",
)


def _declared(task: Any, spec: DeciderSpec) -> Any:
    values = attrs.asdict(task, recurse=False)
    values = {name: value for name, value in values.items() if not name.endswith(_SETTINGS)}
    if isinstance(task, ChildWorkflow) and task.spec is not None:
        # A child inherits this list in its input.
        values["list"] = task.spec.default_activity_task_list or spec.default_activity_task_list
    return type(task), values


def _keeps_what_did_not_change(case: Case, planned: Redrive, seen: Counter[str]) -> None:
    """Compare the plan with a brute-force reading of the history and both specs, if they have no rules."""
    if has_rules(case.spec) or has_rules(case.run.spec):
        return
    summary = summarize(case.history)
    state = fold(case.history)
    try:
        old = {task.id_: task for task in expand(case.run.spec, state).activity_tasks}
        new = {task.id_: task for task in expand(case.spec, state).activity_tasks}
    except SpecError:
        return
    makers = {
        made.id_: id_
        for id_, task in new.items()
        if isinstance(task, Generator) and summary.completed(task.key)
        for made in task.generated(summary.item(task.key), CODEC)
    }

    def of_results(task: Any, tasks: Mapping[str, Any]) -> set[str]:
        return {id_ for id_ in task.requires if not isinstance(tasks[id_], Timer)}

    def keeps(id_: str) -> bool:
        task: Any = new[id_]
        needed = [*task.requires, *([makers[id_]] if id_ in makers else [])]
        if not all(keeps(each) for each in needed):
            return False
        before = old.get(id_)
        if id_ in case.rerun or not summary.completed(task.key) or before is None:
            return False
        if id_ in undone(new.values(), case.history):
            return False
        if isinstance(task, Signal):
            return True
        is_same = _declared(task, case.spec) == _declared(before, case.run.spec)
        # A timer has no context that another requirement could change.
        return is_same and (isinstance(task, Timer) or of_results(task, new) == of_results(before, old))

    expected = {id_ for id_, task in new.items() if keeps(id_) and not isinstance(task, Signal)}
    kept = {id_ for id_ in planned.kept if not isinstance(new[id_], Signal)}
    assert kept == expected, (kept ^ expected, planned.plan)
    seen["plans that are those of a brute-force reading"] += 1
    seen["tasks that run again after an edit"] += sum("changed" in task.reason for task in planned.plan)


def undone(tasks: Iterable[Task], history: History) -> set[str]:
    """Return the ids of the tasks whose undos completed in a run."""
    summary = summarize(history)
    undos = {task.id_: undo_of(task) for task in tasks}
    return {id_ for id_, undo in undos.items() if undo is not None and summary.completed(undo.key)}


def started(history: Sequence[Event] | History) -> set[str]:
    """Return the ids of the tasks that a run started."""
    found = {
        str(getattr(event.data, name)).removeprefix("floto.task:")
        for event in history
        for cls, name in _STARTS.items()
        if type(event.data) is cls
    }
    return {id_ for id_ in found if not id_.startswith("floto.")}


def _does_what_was_planned(case: Case, planned: Redrive, new: Simulation, seen: Counter[str]) -> None:
    did = started(new.main)
    cleanup = {task.id_ for task in expand(case.spec, fold(new.main)).all_tasks}
    cleanup -= {task.id_ for task in expand(case.spec, fold(new.main)).activity_tasks}
    assert not did & set(planned.kept), (did, planned.plan)
    spec = expand(case.spec, fold(new.main))
    tasks = {task.id_: task for task in spec.activity_tasks}
    generated = tasks.keys() - {task.task_id for task in planned.plan}
    again = {id_ for id_ in planned.again if tasks[id_].key[0] is not Kind.SIGNAL}
    again |= {id_ for id_ in generated if tasks[id_].key[0] is not Kind.SIGNAL}
    assert did - cleanup <= again
    # Rules may skip a task, by a result that only the new run has.
    if new.status == "COMPLETED" and not has_rules(case.spec):
        seen["runs that did exactly what was planned"] += 1
        assert did == again, (did ^ again, planned.plan)


def _children_do_what_was_planned(
    plan: Sequence[PlannedTask], parent: History, runs: Mapping[str, History], seen: Counter[str]
) -> None:
    """Check that no child schedules what it keeps, and that it completes with all the rest."""
    for task in plan:
        for history in _runs_of(task.task_id, parent, runs) if task.children else ():
            seen["children that went on from their last run"] += 1
            did, keeps = started(history), {each.task_id for each in task.children if each.kept}
            assert not did & keeps, (did, task)
            state = fold(history)
            assert all(KeptItem in map(type, _items(state, id_)) for id_ in keeps if _items(state, id_))
            kept = redriven(history.start)
            assert kept is not None
            seen["kept tasks of children"] += len(kept.tasks)
            _children_do_what_was_planned(task.children, history, runs, seen)


def _items(state: State, id_: str) -> list[Item]:
    """Return the items of a task of any kind but a signal."""
    kinds = (Kind.ACTIVITY, Kind.TIMER, Kind.CHILD)
    return [state.items[kind, id_] for kind in kinds if (kind, id_) in state.items]


def _runs_of(id_: str, parent: History, runs: Mapping[str, History]) -> Iterator[History]:
    """Yield the histories of the runs of a child."""
    begun = {
        event.id
        for event in parent
        if isinstance(event.data, e.StartChildWorkflowExecutionInitiated)
        and event.data.control == f"floto.task:{id_}"
    }
    for event in parent:
        if isinstance(event.data, e.ChildWorkflowExecutionStarted) and event.data.initiated_event_id in begun:
            yield runs[event.data.workflow_execution.run_id]


def _has_the_result_of_an_undisturbed_run(case: Case, new: Simulation, seen: Counter[str]) -> None:
    if '"timeout"' in CODEC.dumps(case.spec):
        # A signal that is kept, and would come too late in a run of its own, may decide how the run ends.
        return
    expected = undisturbed(case.spec)
    assert new.status == expected.status
    signals = [s.input for run in new.histories for s in (redriven(run.start) or _NOTHING).signals]
    noise = any(text == '"hello"' for text in signals)
    if new.status == "COMPLETED" and not noise and not has_rules(case.spec):
        seen["results that are those of an undisturbed run"] += 1
        assert new.result == expected.result


class _Nothing:
    signals = ()


_NOTHING: Any = _Nothing()


def _redriven_again_is_the_same(case: Case, planned: Redrive, new: Simulation) -> None:
    """The run that was redriven and did nothing yet is redriven as the one before it."""
    begun = History(new.main.events[:1], new.main.execution)
    again = redrive(case.spec, begun)
    assert [task for task in again.plan if task.kept and _is_task(case, task.task_id)] == [
        task for task in planned.plan if task.kept and _is_task(case, task.task_id)
    ]
    _keeps_the_same(planned.plan, again.plan)
    first, second = (redriven(evolve(begun.start, input=text)) for text in _inputs(planned, again))
    assert first is not None
    assert second is not None
    # Tasks that a generator returned which runs again have changed the order.
    for name in ("tasks", "signals", "checkpoints"):
        assert sorted(map(repr, getattr(first, name))) == sorted(map(repr, getattr(second, name)))
    assert (first.tasks, first.signals) == (second.tasks, second.signals)
    if undone(expand(case.spec, fold(new.main)).activity_tasks, new.main):
        return
    # What was done since then is kept too; rules may skip a task whose signal had arrived.
    after = {task.task_id for task in redrive(case.spec, new.main).plan if task.action != "run"}
    assert after >= set(planned.kept)


def _keeps_the_same(first: Sequence[PlannedTask], second: Sequence[PlannedTask]) -> None:
    """Check that two plans keep the same, also in children that go on.

    Rules may skip a task whose signal had arrived, by a signal that was too late in the run before.
    """
    others = {task.task_id: task for task in second}
    assert {each.task_id for each in second if each.kept} <= {each.task_id for each in first if each.kept}
    for task in first:
        assert not (task.kept and others[task.task_id].action == "run"), (task, others[task.task_id])
        _keeps_the_same(task.children, others[task.task_id].children)


def _inputs(*planned: Redrive) -> list[str | None]:
    return [each.start.input for each in planned]


def _is_task(case: Case, id_: str) -> bool:
    tasks = {task.id_: task for task in case.spec.activity_tasks}
    return id_ in tasks and tasks[id_].key[0] is not Kind.SIGNAL


def check_travel(case: Case) -> None:
    """Check that it does not matter how what is kept travels."""
    store = MemoryStore()
    codec = CODEC.with_payloads(store)
    planned = redrive(case.spec, case.history, rerun=case.rerun, codec=codec, children=case.children)
    start = case.history.events[0]
    kept = redriven(evolve(case.history.start, input=planned.start.input))
    assert kept is not None
    own = payload.loads(case.history.start.input)
    decided = []
    for form in (*FORMS, compressed):
        made = form(own, kept, codec.payloads)
        assert made is not None
        text, parts = made
        for part in getattr(text, "parts", ()):
            store.put(payload.loads(part))
        begun = evolve(
            start, data=evolve(case.history.start, input=str(text), continued_execution_run_id=None)
        )
        signals = [
            Event(2 + at, start.at, e.WorkflowExecutionSignaled(signal_name="floto.redrive", input=part))
            for at, part in enumerate(parts)
        ]
        for at in range(len(signals)):
            assert (
                decide(case.spec, History([begun, *signals[:at]], case.history.execution), codec=codec) == []
            )
        history = History([begun, *signals], case.history.execution)
        decisions = [decision_to_swf(each) for each in decide(case.spec, history, codec=codec)]
        decided.append([_resolved(each, store) for each in decisions])
    assert all(each == decided[0] for each in decided)


def compressed(own: Any, kept: Any, payloads: Any) -> tuple[str, tuple[str, ...]]:
    """Compress also what would fit as it is."""
    made = inline(own, kept, payloads)
    assert made is not None
    data = made[0].encode()
    packed = (
        made[0] if made[0].startswith(COMPRESSED) else COMPRESSED + b64encode(zlib.compress(data)).decode()
    )
    return packed, ()


def _resolved(decision: dict[str, Any], store: MemoryStore) -> Any:
    name = next(key for key in decision if key != "decisionType")
    fields = dict(decision[name])
    for key in ("input", "result"):
        if key in fields:
            fields[key] = reference.resolved(payload.loads(fields[key]), store.get)
    return {**decision, name: fields}


def cases() -> st.SearchStrategy[Case]:
    """Return a strategy of cases."""
    return st.builds(Case.of, runs(specs(), activities=ACTIVITIES, faults=FAULTS), st.integers(0, 2**32))


def cases_with_children() -> st.SearchStrategy[Case]:
    """Return a strategy of cases in which a child may have failed, and its spec may be edited."""
    nested = specs(most=4, depth=1, prefix="c").map(_around)
    return st.builds(
        _with_edited_child, runs(nested, activities=ACTIVITIES, faults=FAULTS), st.integers(0, 2**32)
    )


def _around(inner: DeciderSpec) -> DeciderSpec:
    """Return a spec with a child of a spec, and a task after it."""
    first = ActivityTask(id_="first", name="work", version="v1")
    child = ChildWorkflow(
        id_="child", workflow_type_name="child", workflow_type_version="v1", requires=[first], spec=inner
    )
    last = ActivityTask(id_="last", name="work", version="v1", requires=[child])
    tasks = [first, child, last]
    return DeciderSpec(task_list="decide", activity_task_list="work", activity_tasks=tasks)


def _with_edited_child(run: Simulation, number: int) -> Case:
    chance = random.Random(f"case {number} of {run.spec.to_json()}")
    first, child, last = run.spec.activity_tasks
    assert isinstance(child, ChildWorkflow)
    assert child.spec is not None
    edited = None
    if chance.random() < 0.5:
        edited = chance.choice(list(EDITS.values()))(child.spec, chance)
    inner = evolve(edited or child.spec, repeat_workflow=False)
    spec = evolve(run.spec, activity_tasks=[first, evolve(child, spec=inner), last])
    return Case(run, spec, run.main, ())


def main(number: int) -> int:
    """Redrive until there were as many runs."""
    mixed = st.one_of(cases(), cases_with_children())
    return check_many(mixed, _check, ("redriven runs", number), (AssertionError, PayloadError))


def _check(case: Case, seen: Counter[str]) -> None:
    check_case(case, seen)
    check_travel(case)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
