"""The view of a run as one JSON document, which the page draws without any logic of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from typing import Any

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.replay.decision_diff import name_of
from floto.core.replay.decision_tasks import decision_tasks
from floto.core.replay.task_status import TaskStatus
from floto.core.replay.why_waiting import Cause, Condition, Text
from floto.core.spec.tasks import NO_RESULT, expands
from floto.core.swf import events as e
from floto.core.swf.closing_events import CLOSING_EVENTS
from floto.core.swf.wire import to_ms, type_name, write
from floto.core.view.arrows import Arrow
from floto.core.view.attempt_view import attempt_views
from floto.core.view.run_view import RunView
from floto.core.view.tracks import TaskTrack, Why
from floto.core.visible import shorten_middle, visible
from floto.pictures.graph import Graph, Node
from floto.pictures.layout import NoLayout, TooLarge, lay_out

Json = Any
#: Most characters of a sentence, of a payload that is shown beside it, and of one string of an event.
SENTENCE, VALUE = 400, 4_000
#: Most conditions of a task that are listed.
_MOST_CONDITIONS = 20
_STATUSES = list(TaskStatus)
_CUT = " ... cut here: {:,} characters ... "


def run_document(view: RunView) -> dict[str, Json]:
    """Return the document of a run: JSON values of the format ``floto.view/1``."""
    return _Writer(view).document()


class _Writer:
    def __init__(self, view: RunView) -> None:
        self.view = view
        self.index = {id_: number for number, id_ in enumerate(view.tasks)}
        self.whys: dict[str, int] = {}
        self.listed: list[Json] = []

    def document(self) -> dict[str, Json]:
        view = self.view
        return {
            "format": "floto.view/1",
            "run": self._run(),
            "related": [],
            "sentences": [[begin, _text(text)] for begin, text in view.sentences],
            "statuses": [str(status) for status in _STATUSES],
            "tasks": [self._task(track) for track in view.tasks.values()],
            "shared": self._shared(),
            "whys": self.listed,
            "derived": {"requires": _derived(Cause.REQUIRES), "generator": _derived(Cause.GENERATOR)},
            "events": self._events(),
            "raw": [_attributes(event.data) for event in view.history.events],
            "decision_tasks": [*self._decision_tasks()],
            "groups": [
                {
                    "label": _short(group.label),
                    "tasks": [self.index[id_] for id_ in group.tasks],
                    "parent": None if group.parent is None else self.index[group.parent],
                }
                for group in view.groups
            ],
            "graph": self._graph(),
            "signals": [*self._signals()],
            "timers": [*self._timers()],
            "markers": [*self._markers()],
            "check": {"verdict": "", "difference": None, "lints": [], "has_spec": view.spec is not None},
        }

    def _run(self) -> Json:
        view, state = self.view, self.view.state
        start, closed, run = state.start, state.closed, view.history.execution
        kind = start.workflow_type
        data = None if closed is None else closed.data
        return {
            "workflow_id": _short(run.workflow_id) if run else "",
            "run_id": _short(run.run_id) if run else "",
            "type": _short(f"{kind.name} {kind.version}"),
            "task_list": _short(start.task_list.name),
            "tags": [_short(tag) for tag in start.tag_list or ()],
            "started": to_ms(state.begun_at),
            "ended": None if closed is None else to_ms(closed.at),
            "status": "RUNNING" if closed is None else str(CLOSING_EVENTS[type(closed.data)].status),
            "input": _value(start.input),
            "result": _value(getattr(data, "result", None)),
            "reason": _cut(getattr(data, "reason", None)),
            "details": _cut(getattr(data, "details", None)),
            "seconds": (state.now - state.begun_at).total_seconds(),
        }

    def _task(self, track: TaskTrack) -> Json:
        lanes = self.view.lanes
        lane = lanes.get(track.key)
        found: dict[str, Json] = {
            "id": _short(track.id),
            "kind": track.kind_name,
            "name": _short(str(getattr(track.task, "name", None) or "")),
            "parent": self.index.get(self.view.parents.get(track.id, "")),
            "role": self.view.roles.get(track.id, ""),
            "expands": bool(track.task and expands(track.task)),
            "requires": [self.index[id_] for id_ in track.requires if id_ in self.index],
            "statuses": [
                [begin, -1 if status is None else _STATUSES.index(status)] for begin, status in track.statuses
            ],
            "whys": [[begin, self._why(why)] for begin, why in track.whys],
            "attempts": [
                {
                    "opened": each.opened,
                    "started": each.started,
                    "ended": each.ended,
                    "outcome": each.outcome,
                    "worker": _cut(each.worker),
                    "reason": _cut(each.reason),
                    "details": _cut(each.details),
                    "seconds": each.seconds,
                }
                for each in attempt_views(self.view.state.items.get(track.key), self.view.history.events)
            ],
            "spans": [
                [_STATUSES.index(span.status), to_ms(span.start), to_ms(span.end)]
                for span in (lane.spans if lane else ())
            ],
            "group": self.view.group_of.get(track.id),
        }
        result = self.view.result(track)
        if result is not NO_RESULT:
            found["result"] = _plain(result)
        return found

    def _why(self, why: Why) -> int:
        listed = [self._condition(each) for each in why.own[:_MOST_CONDITIONS]]
        if len(why.own) > _MOST_CONDITIONS:
            listed.append({"text": [f"and {len(why.own) - _MOST_CONDITIONS:,} more"]})
        if why.by_requirements:
            listed.append({"derived": True})
        listed += [{"shared": _name(name)} for name in why.shared]
        return self._interned(listed)

    def _interned(self, listed: Sequence[Json]) -> int:
        key = repr(listed)
        if key not in self.whys:
            self.whys[key] = len(self.listed)
            self.listed.append(listed)
        return self.whys[key]

    def _condition(self, condition: Condition) -> Json:
        found: dict[str, Json] = {"text": _text(condition.text), "cause": condition.cause.name}
        if condition.task in self.index:
            found["task"] = self.index[condition.task]
        return found

    def _shared(self) -> Json:
        return {
            _name(name): [[begin, self._why(Why(conditions))] for begin, conditions in track]
            for name, track in self.view.shared.items()
        }

    def _events(self) -> Json:
        events = self.view.history.events
        names = list(dict.fromkeys(type_name(event.data) for event in events))
        number = {name: place for place, name in enumerate(names)}
        moments = [to_ms(event.at) for event in events]
        return {
            "types": [_short(name) for name in names],
            "type": [number[type_name(event.data)] for event in events],
            "at": [now - before for before, now in zip([0, *moments], moments, strict=False)],
            "task": [self.index.get(self.view.subjects.get(event.id, ""), -1) for event in events],
            "text": [_line(event.data) for event in events],
        }

    def _decision_tasks(self) -> Iterator[Json]:
        events = self.view.history.events
        for task in decision_tasks(events):
            who = events[task.started - 1].data.identity if task.started else None
            yield {
                "scheduled": task.scheduled,
                "started": task.started,
                "ended": task.ended,
                "outcome": str(task.outcome),
                "decider": _cut(who),
                "decisions": [_short(name_of(each.decision)) for each in task.recorded],
                "same": None,
            }

    def _graph(self) -> Json:
        view = self.view
        folded = _graph_of(self.index, view.group_of, view)
        try:
            layout = lay_out(folded)
        except (TooLarge, NoLayout) as error:
            return {"width": 0, "height": 0, "boxes": [], "routes": [], "too_large": str(error)}
        width, height = layout.size
        return {
            "width": width,
            "height": height,
            "boxes": [
                {node.kind: int(node.id), "x": x, "y": y}
                for node, (x, y) in zip(folded.nodes, layout.nodes, strict=True)
            ],
            "routes": [
                {"points": [list(point) for point in route], "dashed": arrow.generated}
                for arrow, route in zip(folded.arrows, layout.routes, strict=True)
            ],
        }

    def _signals(self) -> Iterator[Json]:
        for event in self.view.history.events:
            if isinstance(event.data, e.WorkflowExecutionSignaled):
                name, value = _short(event.data.signal_name), _value(event.data.input)
                yield {"name": name, "event": event.id, "input": value}

    def _markers(self) -> Iterator[Json]:
        for event in self.view.history.events:
            if isinstance(event.data, e.MarkerRecorded):
                name, details = _short(event.data.marker_name), _cut(event.data.details)
                yield {"name": name, "event": event.id, "details": details}

    def _timers(self) -> Iterator[Json]:
        ends = {}
        for event in self.view.history.events:
            if isinstance(event.data, e.TimerFired | e.TimerCanceled):
                ends[event.data.started_event_id] = event
        for event in self.view.history.events:
            if isinstance(event.data, e.TimerStarted):
                end = ends.get(event.id)
                outcome = "running" if end is None else _ENDED[type(end.data)]
                yield {
                    "name": _short(event.data.timer_id),
                    "event": event.id,
                    "ended": end.id if end else 0,
                    "outcome": outcome,
                    "seconds": _short(event.data.start_to_fire_timeout),
                }


_ENDED = {e.TimerFired: "fired", e.TimerCanceled: "canceled"}


def _graph_of(index: Mapping[str, int], group_of: Mapping[str, int], view: RunView) -> Graph:
    """Return the graph with each group as one node: its kind is ``task`` or ``group``, its id the number."""
    for folds in (group_of, {}):
        place: dict[str, int] = {}
        nodes: dict[tuple[str, int], int] = {}
        for id_, number in index.items():
            name = ("group", folds[id_]) if id_ in folds else ("task", number)
            place[id_] = nodes.setdefault(name, len(nodes))
        arrows: dict[tuple[int, int], bool] = {}
        for start, end, generated in view.arrows:
            pair = place[start], place[end]
            if pair[0] != pair[1]:
                arrows[pair] = arrows.get(pair, True) and generated
        graph = Graph(
            tuple(Node(str(number), kind) for kind, number in nodes),
            tuple(Arrow(start, end, generated) for (start, end), generated in arrows.items()),
        )
        if not _is_cyclic(graph):
            break
    return graph


def _is_cyclic(graph: Graph) -> bool:
    sorter: TopologicalSorter[int] = TopologicalSorter()
    for arrow in graph.arrows:
        sorter.add(arrow.end, arrow.start)
    try:
        sorter.prepare()
    except CycleError:
        return True
    return False


def _name(name: Iterable[Any]) -> str:
    return " ".join(map(str, name))


def _derived(cause: Cause) -> list[str]:
    return str(cause.value).split("{task}")


def _line(data: Any) -> str:
    names = (
        "activity_id",
        "timer_id",
        "signal_name",
        "marker_name",
        "workflow_id",
        "reason",
        "cause",
        "identity",
    )
    values = (getattr(data, name, None) for name in names)
    return next((_short(value) for value in values if value), "")


def _attributes(data: Any) -> Json:
    attributes = data.attributes if isinstance(data, e.OtherEvent) else write(data)
    return {name: _plain(value) for name, value in attributes.items()}


def _text(text: Text) -> list[str | int]:
    found: list[str | int] = []
    for each in text:
        if isinstance(each, datetime):
            found.append(to_ms(each))
        elif found and isinstance(found[-1], str):
            found[-1] += _short(each)
        else:
            found.append(_short(each))
    return found


def _short(text: str) -> str:
    return visible(shorten_middle(text, SENTENCE))


def _cut(text: str | None) -> str | None:
    return None if text is None else shorten_middle(text, VALUE, _CUT)


def _value(text: str | None) -> Json:
    """Return the value of a payload; as text if it cannot be read."""
    try:
        return _plain(payload.loads(text))
    except PayloadError:
        return _cut(text)


def _plain(value: Any) -> Json:
    """Return a JSON value of bounded size."""
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
