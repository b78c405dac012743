"""The view of one run: every task at every moment, and what surrounds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from attrs import evolve, field, frozen

from floto.core.decide.phase import run_failures
from floto.core.decide.progress import Progress, begin
from floto.core.errors import HistoryError, PayloadError, PayloadsNeeded, ServiceUnavailable, SpecError
from floto.core.replay.recorded_progress import check_recorded
from floto.core.replay.replay import execution_of
from floto.core.replay.task_conditions import merged, started_result, task_result
from floto.core.replay.task_status import FAILURES, TaskStatus
from floto.core.replay.timeline import Lane, Timeline, timeline_of
from floto.core.replay.why_waiting import Cause, Condition, Text
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.tasks import NO_RESULT, TaskCodec, expands
from floto.core.state.state import EMPTY, Key, State
from floto.core.swf.history import History, as_history, collector_paused
from floto.core.view.arrows import arrows, cleanup_roles
from floto.core.view.check import Check, SpecDecisions
from floto.core.view.groups import Group, groups
from floto.core.view.lints import Lint, Linted, lints
from floto.core.view.related import RelatedRun, related_runs
from floto.core.view.sentence import Scene, Sentences
from floto.core.view.started_tracker import StartedTracker
from floto.core.view.tracker import Tracker
from floto.core.view.tracks import SharedTracks, TaskTrack, Track

#: Statuses of a required task for which its dependents do not wait; None: the run does not have it.
OVER = (None, TaskStatus.DONE, *FAILURES, TaskStatus.SKIPPED)


@frozen
class TaskMoment:
    """One task after one event."""

    status: TaskStatus
    #: As in ``floto.explain``.
    conditions: tuple[Condition, ...]
    #: The result of a task that is done, or the message of one that failed or was canceled.
    result: Any


@frozen(kw_only=True)
class RunView:
    """One run at every moment, as far as its history tells."""

    history: History = field(repr=lambda history: f"<{len(history)} events>")
    spec: DeciderSpec | None = field(repr=False)
    #: The state after the last event, and the progress if there is a spec.
    state: State = field(repr=False)
    progress: Progress | None = field(repr=False)
    #: The tasks by id, in the order of the spec, or of their start if there is none.
    tasks: Mapping[str, TaskTrack] = field(repr=lambda tasks: f"<{len(tasks)} tasks>")
    #: What the run is doing.
    sentences: Track[Text] = field(repr=False)
    #: Conditions that several tasks have.
    shared: SharedTracks = field(repr=False)
    #: The task that each event is about, by event id.
    subjects: Mapping[int, str] = field(repr=False)
    #: The decision tasks, and what the spec decides at each of them.
    check: Check

    def explained(self, id_: str, at: int) -> TaskMoment | None:
        """Return a task after an event; None if the run does not have it at that moment.

        Args:
            id_: Id of the task.
            at: Id of the event.

        Raises:
            HistoryError: There is no task of this id.
        """
        track = self.tasks.get(id_)
        if track is None:
            raise HistoryError(None, f"no task {id_!r}")
        status = track.statuses.at(at)
        if status is None:
            return None
        return TaskMoment(status, self._conditions(track, at), self._result(track, status, at))

    def _conditions(self, track: TaskTrack, at: int) -> tuple[Condition, ...]:
        why = track.whys.at(at)
        if why is None:
            return ()
        own = (*(self._required(track, at) if why.by_requirements else ()), *why.own)
        shared = [each for name in why.shared for each in self.shared[name].at(at) or ()]
        return merged(own, shared)

    def _required(self, track: TaskTrack, at: int) -> Iterator[Condition]:
        for id_ in track.requires:
            other = self.tasks[id_]
            if other.statuses.at(at) not in OVER:
                cause = Cause.GENERATOR if other.task is not None and expands(other.task) else Cause.REQUIRES
                yield Condition(cause, id_)

    def _result(self, track: TaskTrack, status: TaskStatus, at: int) -> Any:
        outcome = track.outcomes.at(at)
        if outcome is None or status in FAILURES:
            return None if outcome is None else outcome.message
        if outcome.over is not None:
            return outcome.over.result
        if outcome.item is None:
            return None
        if track.task is None:
            return started_result(outcome.item, status)
        return task_result(track.task, outcome.item)

    def result(self, track: TaskTrack) -> Any:
        """Return the result of a task at the end; ``NO_RESULT`` if it has none, its text if unreadable."""
        outcome, status = track.outcomes.last, track.statuses.last
        if outcome is None or status is not TaskStatus.DONE:
            return NO_RESULT
        if outcome.over is not None:
            return outcome.over.result
        if outcome.item is None:
            return NO_RESULT
        try:
            found = self._result(track, status, len(self.history))
        except Exception:  # noqa: BLE001 - tasks of a user's kind may raise on what others have recorded
            found = NO_RESULT
        text = getattr(outcome.item.closed and outcome.item.closed.data, "result", None)
        return text if found is NO_RESULT and text is not None else found

    @cached_property
    def offspring(self) -> Mapping[str, tuple[str, ...]]:
        """The ids of the tasks that each completed generator returned."""
        found = {} if self.progress is None else self.progress.offspring
        return {id_: tuple(task.id_ for task in tasks) for id_, tasks in found.items() if id_ in self.tasks}

    @cached_property
    def parents(self) -> Mapping[str, str]:
        """The generator of each generated task."""
        return {id_: generator for generator, ids in self.offspring.items() for id_ in ids}

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Tasks that a picture shows as one."""
        return groups(self.tasks, self.offspring)

    @cached_property
    def group_of(self) -> Mapping[str, int]:
        """The number of the group of each task that is in one."""
        return {id_: number for number, group in enumerate(self.groups) for id_ in group.tasks}

    @cached_property
    def roles(self) -> Mapping[str, str]:
        """Which tasks are undos, and when each cleanup task runs."""
        return {} if self.progress is None else cleanup_roles(self.progress)

    @property
    def arrows(self) -> Iterator[tuple[str, str, bool]]:
        """Pairs of a required task and its dependent, or of a generator and what it returned (True)."""
        if self.progress is None:
            return
        ids = list(self.tasks)
        for arrow in arrows([each.task for each in self.tasks.values() if each.task], self.parents):
            yield ids[arrow.start], ids[arrow.end], arrow.generated

    @property
    def related(self) -> Iterator[RelatedRun]:
        """The runs that this one has to do with."""
        return related_runs(self.history, self.state, {track.key: id_ for id_, track in self.tasks.items()})

    @property
    def lints(self) -> Iterator[Lint]:
        """Warnings about the run and its spec."""
        tasks = tuple(track.task for track in self.tasks.values() if track.task is not None)
        return lints(Linted(self.history, self.state, self.spec, tasks))

    @cached_property
    def lanes(self) -> Mapping[Key, Lane]:
        """The spans of each task, by the key of its item."""
        return {lane.key: lane for lane in self.timeline.lanes}

    @cached_property
    def timeline(self) -> Timeline:
        """The timeline of the run."""
        known = {track.key: track.statuses.last for track in self.tasks.values() if track.task is not None}
        found = {key: status for key, status in known.items() if status is not None}
        return timeline_of(self.history, self.state, found)


def view(history: History, spec: DeciderSpec | None = None, codec: TaskCodec = CODEC) -> RunView:
    """Return the view of a run: each task's status, conditions and result after every event.

    If the spec cannot be used for this history, the view is that without a spec, and its check says why.

    Args:
        history: The history of the run, open or closed.
        spec: The spec that decided it; without one, the view has what the history alone says.
        codec: Codec of task results; with the payload store of the run if it has one.

    Raises:
        HistoryError: The history is empty, or cannot have happened.
    """
    as_history(history)
    with collector_paused():
        problem = ""
        if spec is not None:
            try:
                return _followed(history, spec, codec)
            except (SpecError, PayloadError, PayloadsNeeded, ServiceUnavailable) as error:
                problem = f"the spec cannot be used: {error}"
        found = _followed(history, None, codec)
        return evolve(found, check=evolve(found.check, verdict=problem)) if problem else found


def _followed(history: History, spec: DeciderSpec | None, codec: TaskCodec) -> RunView:
    """Follow a run from its first event to its last."""
    empty = evolve(EMPTY, execution=execution_of(history))
    tracker = StartedTracker(empty) if spec is None else Tracker(begin(spec, empty, codec))
    sentences, decided = Sentences(), SpecDecisions(history)
    for event in history.events:
        tracker.observe(event)
        if isinstance(tracker, Tracker):
            decided.add(tracker.progress)
        sentences.add(_scene(tracker, history))
    progress = tracker.progress if isinstance(tracker, Tracker) else None
    if progress is not None:
        check_recorded(progress)
    state = tracker.progress.state if isinstance(tracker, Tracker) else tracker.state
    if state.started is None:
        raise HistoryError(None, "this history is empty; there is nothing to show")
    return RunView(
        history=history,
        spec=spec,
        state=state,
        progress=progress,
        tasks=_ordered(tracker.board.tasks, progress),
        sentences=sentences.track,
        shared=tracker.board.shared,
        subjects=tracker.board.subjects,
        check=decided.check(has_spec=spec is not None),
    )


def _scene(tracker: Tracker | StartedTracker, history: History) -> Scene:
    if isinstance(tracker, StartedTracker):
        return Scene(tracker.board, tracker.state, history.events, None, {})
    progress = tracker.progress
    failing = progress.exhausted or progress.state.markers
    failures = run_failures(progress) if failing else {}
    return Scene(tracker.board, progress.state, history.events, tracker.phase, failures)


def _ordered(tasks: Mapping[str, TaskTrack], progress: Progress | None) -> dict[str, TaskTrack]:
    """Return the tasks in the order of the plan; those that a generator no longer returns are last."""
    if progress is None:
        return dict(tasks)
    planned = {id_: tasks[id_] for id_ in progress.plan.index}
    return {**planned, **tasks}
