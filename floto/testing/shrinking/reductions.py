"""Reductions of a pair of spec and history: the removable parts, and the pair without some of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import attrs
from attrs import NOTHING, evolve, frozen

from floto.core.payloads import payload
from floto.core.replay.decision_tasks import RecordedOutcome, decision_tasks
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.tasks import Task, TaskCodec, expands, returned_tasks
from floto.core.state.fold import fold
from floto.core.state.state import Item, State
from floto.core.swf.events import ActivityTaskCompleted, Event
from floto.core.swf.history import History
from floto.testing.shrinking.event_removal import (
    RemovedTasks,
    about,
    end_of,
    own_events,
    until,
    with_merged_decision_tasks,
    without,
    without_idle_decision_tasks,
)
from floto.testing.shrinking.search import Reduction

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The fields of a spec that hold tasks.
_GRAPHS = ("activity_tasks", "on_failure", "on_cancel")


@frozen
class Pair:
    """A spec and a history."""

    spec: DeciderSpec
    history: History
    codec: TaskCodec


def _with_history(pair: Pair, history: History) -> Iterator[Pair]:
    """Yield the pair with a reduced history, in fewer decision tasks or in as many."""
    for change in (with_merged_decision_tasks, without_idle_decision_tasks):
        yield evolve(pair, history=change(history))
    yield evolve(pair, history=history)


def _ends(pair: Pair) -> list[int]:
    """Return the lengths at which the history could end, and its own."""
    records = decision_tasks(pair.history.events)
    ends = {end_of(each) for each in records if each.outcome is RecordedOutcome.ANSWERED}
    return sorted(ends | {len(pair.history)})


def _until(pair: Pair, ends: Sequence[int]) -> Iterator[Pair]:
    if ends[-1] == len(pair.history):
        before = [end for end in _ends(pair) if end < ends[0]]
        if before:
            yield evolve(pair, history=until(pair.history, before[-1]))


def _task_ids(pair: Pair) -> list[str]:
    return [task.id_ for task in pair.spec.all_tasks]


def _without_tasks(pair: Pair, ids: Sequence[str]) -> Iterator[Pair]:
    history = without(pair.history, about(pair.history, _gone(pair, frozenset(ids))))
    for bridged in (True, False):
        spec = with_graphs(pair.spec, partial(fewer, ids=ids, bridged=bridged))
        yield from _with_history(evolve(pair, spec=spec), history)


def _gone(pair: Pair, ids: frozenset[str]) -> RemovedTasks:
    """Return tasks to remove with all that generators among them returned."""
    offspring = _offspring(pair, fold(pair.history))
    todo, found = list(ids), set(ids)
    while todo:
        returned = {task.id_ for task in offspring.get(todo.pop(), ())} - found
        found |= returned
        todo += returned
    known = (*pair.spec.all_tasks, *(task for tasks in offspring.values() for task in tasks))
    return RemovedTasks(frozenset(found), frozenset(task.key for task in known if task.id_ in found))


def _offspring(pair: Pair, state: State) -> dict[str, tuple[Task, ...]]:
    """Return the tasks that each completed generator returned, even if they do not fit the spec."""
    found: dict[str, tuple[Task, ...]] = {}
    todo = list(pair.spec.activity_tasks)
    while todo:
        task = todo.pop(0)
        if expands(task) and task.id_ not in found and state.is_completed(task.key):
            # Of a user's own kind, any error: that may be the violation.
            with suppress(Exception):
                found[task.id_] = returned_tasks(task, state.items[task.key], pair.codec)
                todo += found[task.id_]
    return found


def with_graphs(spec: DeciderSpec, change: Callable[[Sequence[Task]], Sequence[Task]]) -> DeciderSpec:
    """Return a spec in which each graph of tasks is changed."""
    changed: dict[str, Any] = {name: change(getattr(spec, name)) for name in _GRAPHS}
    return evolve(spec, **changed)


def fewer(tasks: Sequence[Task], ids: Sequence[str], *, bridged: bool) -> list[Task]:
    """Return tasks without some; bridged: those that required one now require what it required."""
    needs = {task.id_: task.requires if bridged else () for task in tasks if task.id_ in ids}
    return [_requiring(task, _bridged(task.requires, needs)) for task in tasks if task.id_ not in ids]


def _bridged(requires: Sequence[str], needs: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    todo = [*reversed(requires)]
    while todo:
        id_ = todo.pop()
        if id_ in needs:
            todo += reversed(needs[id_])
        else:
            found[id_] = None
    return tuple(found)


def _requiring(task: Task, requires: Sequence[str]) -> Task:
    same = tuple(requires) == task.requires
    changed: Task = task if same else evolve(cast("Any", task), requires=tuple(requires))
    return changed


def _generated(pair: Pair) -> list[str]:
    return [task.id_ for tasks in _offspring(pair, fold(pair.history)).values() for task in tasks]


def _without_generated(pair: Pair, ids: Sequence[str]) -> Iterator[Pair]:
    """Yield the pair as if the generators had returned fewer tasks."""
    state = fold(pair.history)
    offspring = _offspring(pair, state)
    events = list(pair.history.events)
    for task in (*pair.spec.activity_tasks, *(each for tasks in offspring.values() for each in tasks)):
        item, returned = state.items.get(task.key), offspring.get(task.id_, ())
        if returned and item is not None:
            _put_result(events, item, pair.codec.unstructure(fewer(returned, ids, bridged=True)))
    history = History(events, pair.history.execution)
    history = without(history, about(history, _gone(pair, frozenset(ids))))
    yield from _with_history(pair, history)


def _put_result(events: list[Event], item: Item, value: Any) -> None:
    closed = item.closed
    if closed is not None and isinstance(closed.data, ActivityTaskCompleted):
        data = evolve(closed.data, result=payload.dumps(value, "a result"))
        events[closed.id - 1] = Event(closed.id, closed.at, data)


def _earlier_decision_tasks(pair: Pair) -> list[int]:
    return list(range(len(decision_tasks(pair.history.events)) - 1))


def _without_decision_tasks(pair: Pair, places: Sequence[int]) -> Iterator[Pair]:
    records = decision_tasks(pair.history.events)
    gone = {id_ for place in places for id_ in own_events(records[place])}
    yield evolve(pair, history=without(pair.history, gone))


def _other_events(pair: Pair) -> list[int]:
    """Return all events but the first and those of the last decision task."""
    records = decision_tasks(pair.history.events)
    kept = {1} | (own_events(records[-1]) if records else set())
    return [event.id for event in pair.history if event.id not in kept]


def _without_events(pair: Pair, ids: Sequence[int]) -> Iterator[Pair]:
    history = without(pair.history, set(ids))
    yield from _with_history(pair, history)


def _requirements(pair: Pair) -> list[tuple[str, str]]:
    return [(task.id_, id_) for task in pair.spec.all_tasks for id_ in task.requires]


def _without_requirements(pair: Pair, gone: Sequence[tuple[str, str]]) -> Iterator[Pair]:
    fewer_required = evolve(pair, spec=without_requirements(pair.spec, gone))
    for history in (_unfinished(pair, {id_ for _, id_ in gone}), pair.history):
        yield from _with_history(fewer_required, history)


def _unfinished(pair: Pair, ids: Collection[str]) -> History:
    """Return a history in which some tasks were scheduled, and not started or closed."""
    items = fold(pair.history).items
    found = [items.get(task.key) for task in pair.spec.all_tasks if task.id_ in ids]
    events = [event for item in found if item is not None for event in (item.started, item.closed)]
    return without(pair.history, {event.id for event in events if event is not None})


def without_requirements(spec: DeciderSpec, gone: Sequence[tuple[str, str]]) -> DeciderSpec:
    """Return a spec without some requirements: pairs of a task id and the id that it required."""
    return with_graphs(
        spec,
        lambda tasks: [_requiring(t, [id_ for id_ in t.requires if (t.id_, id_) not in gone]) for t in tasks],
    )


def _settings(pair: Pair) -> list[tuple[str | None, str]]:
    return settings_of_spec(pair.spec)


def settings_of_spec(spec: DeciderSpec) -> list[tuple[str | None, str]]:
    """Return each field with a value other than its default: of the spec (None) or of a task, by id."""
    own: list[tuple[str | None, str]] = [(None, name) for name in _settings_of(spec)]
    return own + [(task.id_, name) for task in spec.all_tasks for name in _settings_of(task)]


def _settings_of(value: Any) -> list[str]:
    """Return the fields with another value than their default, except those that make the graph."""
    return [
        field.name
        for field in attrs.fields(type(value))
        if field.name not in (*_GRAPHS, "requires")
        and field.init
        and field.default is not NOTHING
        and not isinstance(field.default, cast("type", attrs.Factory))
        and getattr(value, field.name) != field.default
    ]


def _by_default(pair: Pair, settings: Sequence[tuple[str | None, str]]) -> Iterator[Pair]:
    yield evolve(pair, spec=by_default(pair.spec, settings))


def by_default(spec: DeciderSpec, settings: Sequence[tuple[str | None, str]]) -> DeciderSpec:
    """Return a spec in which some settings have their default values."""

    def plain(value: Any, id_: str | None) -> Any:
        known = {field.name: field for field in attrs.fields(type(value))}
        names = [name for owner, name in settings if owner == id_]
        changes = {known[name].alias: known[name].default for name in names}
        return evolve(value, **changes) if changes else value

    return with_graphs(plain(spec, None), lambda tasks: [plain(task, task.id_) for task in tasks])


def _optional_fields(pair: Pair) -> list[tuple[int, str]]:
    return [(event.id, name) for event in pair.history for name in _optional_fields_of(event)]


def _optional_fields_of(event: Event) -> list[str]:
    """Return the optional fields that an event sets."""
    names = (field.name for field in attrs.fields(type(event.data)) if field.default is None)
    return [name for name in names if getattr(event.data, name) is not None]


def _without_fields(pair: Pair, fields: Sequence[tuple[int, str]]) -> Iterator[Pair]:
    names: dict[int, dict[str, None]] = {}
    for id_, name in fields:
        names.setdefault(id_, {})[name] = None
    events = [
        Event(each.id, each.at, evolve(each.data, **names[each.id])) if each.id in names else each
        for each in pair.history
    ]
    yield evolve(pair, history=History(events, pair.history.execution))


def _times(pair: Pair) -> list[datetime]:
    return sorted({event.at for event in pair.history} - {_EPOCH})


def _at_one_time(pair: Pair, times: Sequence[datetime]) -> Iterator[Pair]:
    """Set all times to one, which keeps the order; jitter may depend on the time of the start."""
    for moment in (_EPOCH, times[0]):
        events = [Event(each.id, moment, each.data) for each in pair.history]
        yield evolve(pair, history=History(events, pair.history.execution))


def _execution_parts(pair: Pair) -> list[str]:
    """Return the parts of the execution that can be removed."""
    execution = pair.history.execution
    return [] if execution is None else ["execution", *(["run_id"] if execution.run_id else [])]


def _without_execution_parts(pair: Pair, names: Sequence[str]) -> Iterator[Pair]:
    execution = pair.history.execution
    kept = None if "execution" in names or execution is None else evolve(execution, run_id="")
    yield evolve(pair, history=History(pair.history.events, kept))


def size(pair: Pair) -> tuple[int, ...]:
    """Return the size of a pair, for comparison: tasks, events, settings, and length of texts."""
    ways = (_requirements, _settings, _optional_fields, _times, _execution_parts)
    values = (getattr(event.data, name) for event in pair.history for name in _optional_fields_of(event))
    length = sum(len(text) for text in values if isinstance(text, str))
    return len(pair.spec.all_tasks), len(pair.history), sum(len(parts(pair)) for parts in ways), length


#: Reductions that remove most come first.
REDUCTIONS: tuple[Reduction[Pair], ...] = (
    Reduction(_ends, _until),
    Reduction(_task_ids, _without_tasks),
    Reduction(_generated, _without_generated),
    Reduction(_earlier_decision_tasks, _without_decision_tasks),
    Reduction(_other_events, _without_events),
    Reduction(_requirements, _without_requirements),
    Reduction(_settings, _by_default),
    Reduction(_optional_fields, _without_fields),
    Reduction(_times, _at_one_time),
    Reduction(_execution_parts, _without_execution_parts),
)
