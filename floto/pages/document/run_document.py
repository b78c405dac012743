"""The view of a run as one JSON document, which the page draws without any logic of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from typing import Any

from floto.core.replay.decision_diff import name_of
from floto.core.replay.task_status import TaskStatus
from floto.core.replay.why_waiting import Cause, Condition
from floto.core.spec.tasks import NO_RESULT, expands
from floto.core.state.attempts import AttemptEvents, attempt_events
from floto.core.swf import events as e
from floto.core.swf.closing_events import CLOSING_EVENTS
from floto.core.swf.events import Event
from floto.core.swf.history import collector_paused
from floto.core.swf.wire import to_ms, type_name
from floto.core.view.arrows import Arrow
from floto.core.view.run_input import run_input
from floto.core.view.run_view import OVER, RunView
from floto.core.view.tracks import TaskTrack, Why
from floto.core.view.values import attributes, bounds_of, name, text_parts
from floto.pictures.graph import Graph, Node
from floto.pictures.layout import NoLayout, TooLarge, lay_out

Json = Any
_NO_SPEC = "Without the spec of the run, this is what was started, without arrows from what tasks require."
#: Most conditions of a task that are listed.
_MOST_CONDITIONS = 20
_STATUSES = list(TaskStatus)
_NUMBERS = {status: number for number, status in enumerate(_STATUSES)}


def run_document(view: RunView) -> dict[str, Json]:
    """Return the document of a run: JSON values of the format ``floto.view/1``.

    Names, sentences and payloads are cut where they are long, so that the document of any history has a
    bounded size for each event and task.
    """
    with collector_paused():
        return _Writer(view).document()


class _Writer:
    """Writes the parts of a document."""

    def __init__(self, view: RunView) -> None:
        self.view = view
        self.index = {id_: number for number, id_ in enumerate(view.tasks)}
        self.raw = [attributes(event) for event in view.history.events]
        self.bounds = bounds_of(self.raw)
        self.whys: dict[str, int] = {}
        self.listed: list[Json] = []

    def document(self) -> dict[str, Json]:
        """Return the whole document."""
        view = self.view
        return {
            "format": "floto.view/1",
            "run": self._run(),
            "related": [*self._related()],
            "sentences": [*self._sentences()],
            "statuses": [str(status) for status in _STATUSES],
            "tasks": [self._task(track) for track in view.tasks.values()],
            "shared": self._shared(),
            "whys": self.listed,
            "derived": {
                "requires": _derived(Cause.REQUIRES),
                "generator": _derived(Cause.GENERATOR),
                "over": [*map(_status, OVER)],
            },
            "events": self._events(),
            "raw": [self.bounds.value(each) for each in self.raw],
            "decision_tasks": [*self._decision_tasks()],
            "groups": [*self._groups()],
            "graph": self._graph(),
            "signals": [*self._signals()],
            "timers": [*self._timers()],
            "markers": [*self._markers()],
            "check": self._check(),
        }

    def _sentences(self) -> Iterator[Json]:
        for begin, text in self.view.sentences:
            yield [begin, text_parts(text, self.view.history.events[begin - 1].at)]

    def _run(self) -> Json:
        state, bounds = self.view.state, self.bounds
        start, closed, run = state.start, state.closed, self.view.history.execution
        data = None if closed is None else closed.data
        return {
            "workflow_id": name(run.workflow_id) if run else "",
            "run_id": name(run.run_id) if run else "",
            "type": name(f"{start.workflow_type.name} {start.workflow_type.version}"),
            "task_list": name(start.task_list.name),
            "tags": [name(tag) for tag in start.tag_list or ()],
            "started": to_ms(state.begun_at),
            "ended": None if closed is None else to_ms(closed.at),
            "status": "RUNNING" if closed is None else str(CLOSING_EVENTS[type(closed.data)].status),
            "input": bounds.whole(run_input(start)),
            "result": bounds.payload(getattr(data, "result", None)),
            "reason": bounds.text(getattr(data, "reason", None)),
            "details": bounds.text(getattr(data, "details", None)),
            "seconds": (state.now - state.begun_at).total_seconds(),
        }

    def _related(self) -> Iterator[Json]:
        for each in self.view.related:
            yield {
                "role": each.role,
                "workflow_id": name(each.workflow_id),
                "run_id": name(each.run_id),
                "task": None if each.task is None else self.index[each.task],
                "status": each.status,
            }

    def _task(self, track: TaskTrack) -> Json:
        view = self.view
        lane, item = view.lanes.get(track.key), view.state.items.get(track.key)
        found: dict[str, Json] = {
            "id": name(track.id),
            "kind": track.kind_name,
            "name": name(track.type_name),
            "parent": self.index.get(view.parents.get(track.id, "")),
            "role": view.roles.get(track.id, ""),
            "expands": bool(track.task and expands(track.task)),
            "requires": [self.index[id_] for id_ in track.requires if id_ in self.index],
            "statuses": [[begin, _status(status)] for begin, status in track.statuses],
            "whys": self._whys(track.whys),
            "attempts": [self._attempt(each) for each in attempt_events(item, view.history.events)],
            "spans": [
                [_status(span.status), to_ms(span.start), to_ms(span.end)]
                for span in (lane.spans if lane else ())
            ],
            "group": view.group_of.get(track.id),
        }
        result = view.result(track)
        if result is not NO_RESULT:
            found["result"] = self.bounds.whole(result)
        return found

    def _attempt(self, attempt: AttemptEvents) -> Json:
        started, ended, failure = attempt.started, attempt.ended, attempt.failure
        return {
            "opened": _id(attempt.opened),
            "started": _id(started),
            "ended": _id(ended),
            "outcome": str(attempt.status),
            "worker": self.bounds.text(getattr(started.data, "identity", None) if started else None),
            "reason": self.bounds.text(failure.reason) if failure else None,
            "details": self.bounds.text(_details(attempt)),
            "seconds": (ended.at - started.at).total_seconds() if started and ended else None,
        }

    def _whys(self, track: Iterable[tuple[int, Why]]) -> list[list[int]]:
        return [[begin, self._why(why, self.view.history.events[begin - 1].at)] for begin, why in track]

    def _why(self, why: Why, since: datetime) -> int:
        listed: list[dict[str, Json]] = [{"derived": True}] if why.by_requirements else []
        listed += [self._condition(each, since) for each in why.own[:_MOST_CONDITIONS]]
        if len(why.own) > _MOST_CONDITIONS:
            listed.append({"text": [f"and {len(why.own) - _MOST_CONDITIONS:,} more"]})
        listed += [{"shared": _name(each)} for each in why.shared]
        number = self.whys.setdefault(repr(listed), len(self.whys))
        if number == len(self.listed):
            self.listed.append(listed)
        return number

    def _condition(self, condition: Condition, since: datetime) -> Json:
        found: dict[str, Json] = {"text": text_parts(condition.text, since), "cause": condition.cause.name}
        if condition.task in self.index:
            found["task"] = self.index[condition.task]
        return found

    def _shared(self) -> Json:
        return {
            _name(each): self._whys((begin, Why(conditions)) for begin, conditions in track)
            for each, track in self.view.shared.items()
        }

    def _events(self) -> Json:
        events = self.view.history.events
        names = {
            each: place for place, each in enumerate(dict.fromkeys(type_name(event.data) for event in events))
        }
        moments = [to_ms(event.at) for event in events]
        return {
            "types": [*map(name, names)],
            "type": [names[type_name(event.data)] for event in events],
            "at": [now - before for before, now in zip([0, *moments], moments, strict=False)],
            "task": [self.index.get(self.view.subjects.get(event.id, ""), -1) for event in events],
            "text": [_line(event.data) for event in events],
        }

    def _decision_tasks(self) -> Iterator[Json]:
        events, check = self.view.history.events, self.view.check
        for task, same in zip(check.decision_tasks, check.same, strict=True):
            who = getattr(events[task.started - 1].data, "identity", None) if task.started else None
            yield {
                "scheduled": task.scheduled,
                "started": task.started,
                "ended": task.ended,
                "outcome": str(task.outcome),
                "decider": self.bounds.text(who),
                "decisions": [name(name_of(each.decision)) for each in task.recorded],
                "same": same,
            }

    def _groups(self) -> Iterator[Json]:
        for group in self.view.groups:
            yield {
                "label": name(group.label),
                "tasks": [self.index[id_] for id_ in group.tasks],
                "parent": None if group.parent is None else self.index[group.parent],
            }

    def _graph(self) -> Json:
        folded = _folded(self.view, self.index)
        try:
            layout = lay_out(folded)
        except (TooLarge, NoLayout) as error:
            return {"width": 0, "height": 0, "boxes": [], "routes": [], "note": "", "too_large": str(error)}
        width, height = layout.size
        return {
            "width": width,
            "height": height,
            "note": "" if self.view.spec else _NO_SPEC,
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
                value = self.bounds.payload(event.data.input)
                yield {"name": name(event.data.signal_name), "event": event.id, "input": value}

    def _markers(self) -> Iterator[Json]:
        for event in self.view.history.events:
            if isinstance(event.data, e.MarkerRecorded):
                details = self.bounds.text(event.data.details)
                yield {"name": name(event.data.marker_name), "event": event.id, "details": details}

    def _timers(self) -> Iterator[Json]:
        events: tuple[Event, ...] = self.view.history.events
        ends = {event.data.started_event_id: event for event in events if type(event.data) in _ENDED}
        for event in events:
            if isinstance(event.data, e.TimerStarted):
                end = ends.get(event.id)
                yield {
                    "name": name(event.data.timer_id),
                    "event": event.id,
                    "ended": _id(end),
                    "outcome": _ENDED[type(end.data)] if end else "running",
                    "seconds": name(event.data.start_to_fire_timeout),
                }

    def _check(self) -> Json:
        check, bounds = self.view.check, self.bounds
        apart = check.divergence
        return {
            "has_spec": self.view.spec is not None,
            "verdict": name(check.verdict),
            "difference": apart
            and {
                "step": apart.step,
                "event": apart.event_id,
                "field": apart.field,
                "what": name(apart.difference.what),
                "recorded": bounds.value(apart.recorded),
                "decided": bounds.value(apart.decided),
                "text": bounds.text(str(apart)),
            },
            "lints": [*self._lints()],
        }

    def _lints(self) -> Iterator[Json]:
        for lint in self.view.lints:
            found: dict[str, Json] = {
                "level": "warning" if lint.is_warning else "note",
                "text": text_parts(lint.text),
            }
            if lint.task in self.index:
                found["task"] = self.index[lint.task]
            if lint.event_id is not None:
                found["event"] = lint.event_id
            yield found


_ENDED = {e.TimerFired: "fired", e.TimerCanceled: "canceled"}


def _folded(view: RunView, index: Mapping[str, int]) -> Graph:
    """Return the graph with each group as one node: its kind is ``task`` or ``group``, its id the number."""
    for folds in (view.group_of, {}):
        place: dict[str, int] = {}
        nodes: dict[tuple[str, int], int] = {}
        for id_, number in index.items():
            node = ("group", folds[id_]) if id_ in folds else ("task", number)
            place[id_] = nodes.setdefault(node, len(nodes))
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


def _name(track: Iterable[Any]) -> str:
    return " ".join(map(str, track))


def _status(status: TaskStatus | None) -> int:
    return -1 if status is None else _NUMBERS[status]


def _id(event: Event | None) -> int:
    return event.id if event else 0


def _details(attempt: AttemptEvents) -> str | None:
    if attempt.failure is None:
        return attempt.origin or None
    return attempt.failure.traceback or attempt.failure.details


def _derived(cause: Cause) -> list[str]:
    return str(cause.value).split("{task}")


#: The fields that say best what an event is about.
_TELLING = (
    *("activity_id", "timer_id", "signal_name", "marker_name", "workflow_id", "reason", "timeout_type"),
    *("cause", "identity"),
)


def _line(data: Any) -> str:
    values = (getattr(data, each, None) for each in _TELLING)
    return next((name(value) for value in values if isinstance(value, str) and value), "")
