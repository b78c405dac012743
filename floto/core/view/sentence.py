"""What a run is doing at one moment, in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from attrs import frozen

from floto.core.decide.phase import RunPhase
from floto.core.replay.task_status import FAILURES, TaskStatus
from floto.core.replay.why_waiting import Text
from floto.core.state.state import Kind, State
from floto.core.swf import events as e
from floto.core.swf.events import Event
from floto.core.view.tracks import Board, TaskTrack, Track
from floto.core.visible import shortened, span_text

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

    def add(self, scene: Scene) -> None:
        """Follow the next event."""
        state, board = scene.state, scene.board
        is_idle = not any(map(board.count, _ACTIVE))
        # The sentence of a run that has something in flight does not name its decision task.
        deciding = state.decision_tasks if is_idle else None
        version = (board.version, scene.phase, state.cancel_requested, state.closed, deciding)
        if version != self._version:
            self._version = version
            self.track.set(state.last_event_id, _sentence(scene))


_ACTIVE = (TaskStatus.RUNNING, TaskStatus.QUEUED, TaskStatus.RETRYING)


def _sentence(scene: Scene) -> Text:
    closed = scene.state.closed
    if closed is not None:
        return _ended(scene, closed)
    clauses = [*_before(scene), *_doing(scene)]
    return _joined([*clauses, _progress(scene.board)] if scene.board.tasks else clauses)


def _joined(clauses: Sequence[Text]) -> Text:
    found: list[str | datetime] = []
    for clause in filter(None, clauses):
        found += ["; ", *clause] if found else clause
    return tuple(found)


def _progress(board: Board) -> Text:
    done = board.count(TaskStatus.DONE)
    planned = sum(map(board.count, TaskStatus)) - board.count(TaskStatus.RESERVED)
    return (f"{done:,} of {planned:,} tasks done",)


def _before(scene: Scene) -> Iterator[Text]:
    """Yield why the run does not simply go on."""
    requested = scene.state.cancel_requested
    if scene.phase in (RunPhase.FAILING, RunPhase.CLEANING_UP):
        yield (f"failing: {_roots(scene.failures)}",)
    if requested is not None:
        yield ("cancellation requested at ", requested.at)


def _doing(scene: Scene) -> Iterator[Text]:
    found = [text for part in _PARTS if (text := part(scene))]
    yield from found or [_idle(scene)]


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


def _idle(scene: Scene) -> Text:
    """Return where the decision is that the run waits for."""
    tasks = scene.state.decision_tasks
    if tasks.started is not None:
        who = getattr(tasks.started.data, "identity", None)
        return (f"being decided{f' by {_name(who)}' if who else ''} since ", tasks.started.at)
    if tasks.scheduled is not None:
        return ("waiting for a decider since ", tasks.scheduled.at)
    return ("nothing is in flight",)


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
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(_name(each) for each in names[:_NAMED]) + more


def _roots(failures: Mapping[str, str]) -> str:
    told = [
        f"{_name(id_)} failed: {shortened(message, _LONGEST)}"
        for id_, message in islice(failures.items(), _NAMED)
    ]
    more = f" and {len(failures) - _NAMED:,} more" if len(failures) > _NAMED else ""
    return "; ".join(told) + more


def _ended(scene: Scene, closed: Event) -> Text:
    verb, tell = _ENDS[type(closed.data)]
    took = f" after {span_text(scene.state.begun_at, closed.at)}"
    return (f"{verb} at ", closed.at, took, *tell(scene, closed.data))


def _failed(scene: Scene, data: Any) -> Text:
    if scene.failures:
        return (f": {_roots(scene.failures)}",)
    ids = [id_ for status in FAILURES for id_ in scene.board.ids(status)]
    if ids:
        return (
            f": {_roots({id_: scene.board.tasks[id_].outcomes.values[-1].message or '' for id_ in ids})}",
        )
    return _reason(scene, data)


def _reason(_scene: Scene, data: Any) -> Text:
    parts = (getattr(data, name, None) for name in ("cause", "reason", "details"))
    text = ": ".join(shortened(part, _LONGEST) for part in parts if part)
    return (f": {text}",) if text else ()


def _completed(scene: Scene, _data: Any) -> Text:
    return ("; ", *_progress(scene.board)) if scene.board.tasks else ()


def _requested(scene: Scene, _data: Any) -> Text:
    requested = scene.state.cancel_requested
    return () if requested is None else (", as requested at ", requested.at)


def _continued(_scene: Scene, data: Any) -> Text:
    return (f" as run {_name(data.new_execution_run_id)}",)


_ENDS: Mapping[type, tuple[str, Callable[[Scene, Any], Text]]] = {
    e.WorkflowExecutionCompleted: ("completed", _completed),
    e.WorkflowExecutionFailed: ("failed", _failed),
    e.WorkflowExecutionCanceled: ("canceled", _requested),
    e.WorkflowExecutionTerminated: ("terminated", _reason),
    e.WorkflowExecutionTimedOut: ("timed out", _completed),
    e.WorkflowExecutionContinuedAsNew: ("continued as new", _continued),
}
