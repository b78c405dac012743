"""What a run is doing at one moment, in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from floto.core.decide.phase import RunPhase
from floto.core.replay.task_status import FAILURES, TaskStatus
from floto.core.replay.why_waiting import Text
from floto.core.state.state import Kind, State
from floto.core.swf import events as e
from floto.core.swf.events import Event
from floto.core.view.tracks import Board, TaskTrack, Track
from floto.core.visible import first_few, shortened, span_text

#: Most names and most characters of a message in a sentence.
_NAMED, _LONGEST = 3, 200
_WORK = (Kind.ACTIVITY, Kind.LAMBDA, Kind.CHILD)


@frozen
class Scene:
    """A run after one event."""

    board: Board
    state: State
    events: Sequence[Event]
    phase: RunPhase | None
    #: Messages of the failures for which the run fails, by task.
    failures: Mapping[str, str]


class Sentences:
    """Says what a run is doing since when, or how it ended, after each event."""

    def __init__(self) -> None:
        self.track: Track[Text] = Track()
        self._version: tuple[object, ...] = ()
        #: What the run is doing, or was doing when it closed.
        self._doing: Text = ()

    def add(self, scene: Scene) -> None:
        """Follow the next event."""
        state, board = scene.state, scene.board
        is_idle = not any(map(board.count, _ACTIVE))
        # The sentence of a run that has something in flight does not name its decision task.
        decided = (state.decision_tasks, type(state.last and state.last.data)) if is_idle else None
        version = (board.version, scene.phase, state.cancel_requested, state.closed, decided)
        if version == self._version:
            return
        self._version = version
        if state.closed is not None:
            self.track.set(state.last_event_id, _ended(scene, state.closed, self._doing))
            return
        self._doing = _joined([*_before(scene), *_doing(scene)])
        self.track.set(state.last_event_id, _joined([self._doing, _progress(board)]))


_ACTIVE = (TaskStatus.RUNNING, TaskStatus.QUEUED, TaskStatus.RETRYING)


def _joined(clauses: Sequence[Text]) -> Text:
    found: list[str | datetime] = []
    for clause in filter(None, clauses):
        found += ["; ", *clause] if found else clause
    return tuple(found)


def _progress(board: Board) -> Text:
    return (f"{board.done:,} of {board.planned:,} tasks done",) if board.planned else ()


def _before(scene: Scene) -> Iterator[Text]:
    """Yield why the run does not simply go on."""
    requested = scene.state.cancel_requested
    if scene.phase is RunPhase.FAILING:
        yield (f"failing, because {_roots(scene.failures)}",)
    if scene.phase is RunPhase.CLEANING_UP:
        yield (f"cleaning up, because {_roots(scene.failures)}",)
    if requested is not None:
        yield ("cancellation requested at ", requested.at)


def _doing(scene: Scene) -> Iterator[Text]:
    found = [text for part in _PARTS if (text := part(scene))]
    yield from found or [*_idle(scene)]


def _running(scene: Scene) -> Text:
    count, id_ = _few(scene.board, TaskStatus.RUNNING, *_WORK)
    if count > 1:
        return (f"running {count:,} tasks",)
    if not id_:
        return ()
    item = scene.state.items.get(scene.board.tasks[id_].key)
    started = item.started if item else None
    who = getattr(started.data, "identity", None) if started else None
    on = f" on {_name(who)}" if who else ""
    return (f"running {_called(scene, id_)}{on}", *((" since ", started.at) if started else ()))


def _queued(scene: Scene) -> Text:
    count, id_ = _few(scene.board, TaskStatus.QUEUED)
    if count > 1:
        return (f"{count:,} tasks queued",)
    return (f"{_called(scene, id_)} ", *_condition(scene, id_)) if id_ else ()


def _retrying(scene: Scene) -> Text:
    count, id_ = _few(scene.board, TaskStatus.RETRYING)
    if count > 1:
        return (f"{count:,} tasks wait for their retries",)
    if not id_:
        return ()
    why = scene.board.tasks[id_].whys.last
    due = why.own[0].at if why and why.own else None
    return (f"waiting for {_called(scene, id_)}", *((", retry at ", due) if due else ()))


def _few(board: Board, status: TaskStatus, *kinds: Kind) -> tuple[int, str]:
    """Return the number of tasks that have a status, and the first of them."""
    return board.count(status, *kinds), next(board.ids(status, *kinds), "")


def _signals(scene: Scene) -> Text:
    waits = scene.board.ids(TaskStatus.WAITING, Kind.SIGNAL)
    names = [id_ for id_ in waits if _awaits_signal(scene.board.tasks[id_])]
    if not names:
        return ()
    if len(names) > 1:
        return (f"waiting for signals {_names([scene.board.tasks[id_].key[1] for id_ in names])}",)
    track = scene.board.tasks[names[0]]
    return (f"waiting for signal {_name(track.key[1])} since ", scene.events[track.whys.begins[-1] - 1].at)


def _awaits_signal(track: TaskTrack) -> bool:
    why = track.whys.last
    return why is not None and bool(why.own)


def _timers(scene: Scene) -> Text:
    count, id_ = _few(scene.board, TaskStatus.RUNNING, Kind.TIMER)
    if count > 1:
        return (f"{count:,} timers run",)
    return (f"timer {_name(id_)} fires at ", *_condition(scene, id_)[1:]) if id_ else ()


#: What a run may be doing at a time, the most telling first.
_PARTS = (_running, _queued, _retrying, _signals, _timers)


def _idle(scene: Scene) -> Iterator[Text]:
    """Yield the tasks that are due, and where the decision is that the run waits for."""
    count, id_ = _few(scene.board, TaskStatus.DUE)
    if count:
        yield (f"{_name(id_)} is due" if count == 1 else f"{count:,} tasks are due",)
    tasks, last = scene.state.decision_tasks, scene.state.last
    if tasks.started is not None:
        who = getattr(tasks.started.data, "identity", None)
        yield (f"being decided{f' by {_name(who)}' if who else ''} since ", tasks.started.at)
    elif tasks.scheduled is not None:
        yield ("waiting for a decider since ", tasks.scheduled.at)
    elif last is not None and isinstance(last.data, e.DecisionTaskCompleted):
        yield ("decided at ", last.at)
    elif not count:
        yield ("nothing is in flight",)


def _condition(scene: Scene, id_: str) -> Text:
    why = scene.board.tasks[id_].whys.last
    return why.own[0].text if why and why.own else ()


def _called(scene: Scene, id_: str) -> str:
    """Return the name of a task with its attempt, if that is not its first."""
    track = scene.board.tasks[id_]
    item = scene.state.items.get(track.key)
    failed = len(item.failures) if item else 0
    if not failed:
        return _name(id_)
    most = getattr(track.task.retry_strategy, "retries", None) if track.task else None
    return f"{_name(id_)}, attempt {failed + 1}{'' if most is None else f' of {most + 1}'}"


def _name(text: str) -> str:
    return shortened(text, _LONGEST)


def _names(names: Sequence[str]) -> str:
    return first_few(list(map(_name, names)), _NAMED)


def _roots(failures: Mapping[str, str]) -> str:
    told = [f"{_name(id_)} failed: {shortened(message, _LONGEST)}" for id_, message in failures.items()]
    return first_few(told, _NAMED, "; ")


def _ended(scene: Scene, closed: Event, doing: Text) -> Text:
    verb, tell = _ENDS[type(closed.data)]
    took = f" after {span_text(scene.state.begun_at, closed.at)}"
    return (f"{verb} at ", closed.at, took, *tell(scene, closed.data, doing))


def _failed(scene: Scene, data: Any, _doing: Text) -> Text:
    failures = scene.failures
    if not failures:
        ids = [id_ for status in FAILURES for id_ in scene.board.ids(status)]
        failures = {id_: scene.board.tasks[id_].outcomes.values[-1].message or "" for id_ in ids}
    return (f": {_roots(failures) or _reason(data)}",)


def _reason(data: Any) -> str:
    parts = (getattr(data, name, None) for name in ("cause", "reason", "details"))
    return ": ".join(shortened(part, _LONGEST) for part in parts if part) or "no reason given"


def _terminated(_scene: Scene, data: Any, doing: Text) -> Text:
    return (f": {_reason(data)}", *_while(doing))


def _timed_out(_scene: Scene, _data: Any, doing: Text) -> Text:
    return _while(doing)


def _while(doing: Text) -> Text:
    return ("; before: ", *doing) if doing else ()


def _completed(scene: Scene, _data: Any, _doing: Text) -> Text:
    return ("; ", *_progress(scene.board)) if scene.board.planned else ()


def _canceled(scene: Scene, _data: Any, _doing: Text) -> Text:
    requested = scene.state.cancel_requested
    return () if requested is None else (", as requested at ", requested.at)


def _continued(_scene: Scene, data: Any, _doing: Text) -> Text:
    return (f" as run {_name(data.new_execution_run_id)}",)


_ENDS: Mapping[type, tuple[str, Callable[[Scene, Any, Text], Text]]] = {
    e.WorkflowExecutionCompleted: ("completed", _completed),
    e.WorkflowExecutionFailed: ("failed", _failed),
    e.WorkflowExecutionCanceled: ("canceled", _canceled),
    e.WorkflowExecutionTerminated: ("terminated", _terminated),
    e.WorkflowExecutionTimedOut: ("timed out", _timed_out),
    e.WorkflowExecutionContinuedAsNew: ("continued as new", _continued),
}
