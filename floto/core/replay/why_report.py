"""Summary of the reasons why a run waits: one line for all tasks that wait for the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from attrs import frozen

from floto.core.decide.daemon import DAEMON_LIST, DAEMON_TYPE
from floto.core.decide.schedule import SCHEDULE_LIST, SCHEDULE_TYPE, open_wakes, view_schedule
from floto.core.errors import HistoryError, PayloadError, PayloadsNeeded, SpecError
from floto.core.replay.explain import Explained, Explanation
from floto.core.replay.task_status import FAILURES, TaskStatus
from floto.core.replay.why_waiting import OF_TASKS, Cause, Condition, due
from floto.core.spec.task_lists import owner_of
from floto.core.state.state import DecisionTasks, State
from floto.core.swf.pollers import Live, Poller, PollKind
from floto.core.swf.reserved_names import RESERVED_PREFIX
from floto.core.swf.shapes import ActivityType
from floto.core.visible import moment_text, visible

#: Seconds that a task may stay queued while a decider or worker polls, before its log is worth a look.
_SLOW = 20
#: Most names that one line lists.
_NAMED = 3


@frozen
class Command:
    """A command line to copy, without the options that name the service and the domain."""

    words: tuple[str, ...]
    #: Positional arguments, printed after ``--`` if one of them begins with a dash.
    arguments: tuple[str, ...] = ()


@frozen(kw_only=True)
class Stall:
    """Tasks that wait for the same, the reasons, and commands that help."""

    #: Task ids; empty if the run itself waits.
    tasks: tuple[str, ...]
    status: TaskStatus | None
    #: Conditions, from the history.
    reasons: tuple[str, ...]
    #: Facts that the history does not hold, such as who polls.
    notes: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()

    def __str__(self) -> str:
        """Return one line, without the commands."""
        words = [*self.reasons, *self.notes]
        # "queued since ..." and "waiting for ..." already say the status.
        if self.status is not None and not (words and words[0].startswith(f"{self.status} ")):
            words.insert(0, str(self.status))
        return f"{_names(self.tasks, 'tasks') or 'the run'}: {visible('; '.join(words))}"


@frozen(kw_only=True)
class RunContext:
    """One run, and what is known of it beside its history."""

    workflow_id: str
    domain: str
    state: State
    now: datetime
    #: Pollers and backlogs of the service; None for a history from a file.
    live: Live | None = None
    #: Identities of the deciders that claimed a decision task of the run and did not respond.
    left: Sequence[str | None] = ()
    #: Whether the run carries its spec, so that any decider can decide it.
    carries_spec: bool = False
    #: Signals that arrived and that no task waits for.
    unused_signals: tuple[str, ...] = ()

    def polling(self, kind: PollKind, task_list: str) -> tuple[Poller, ...] | None:
        """Return the pollers of a task list in the domain of the run; None if they are unknown."""
        if self.live is None or self.live.pollers is None:
            return None
        return tuple(each for each in self.live.polling(kind, task_list) if each.domain == self.domain)

    def elsewhere(self, kind: PollKind, task_list: str) -> str:
        """Return other task lists and other domains that have pollers, as the end of a sentence."""
        assert self.live is not None  # noqa: S101 - called only if ``polling`` returned pollers
        domains = {each.domain for each in self.live.polling(kind, task_list)}
        lists = {
            each.task_list
            for each in self.live.pollers or ()
            if (each.kind, each.domain) == (kind, self.domain)
        }
        found = [f"; others poll {_some(lists, 'task list')}"] if lists else []
        found += [f"; it is polled in {_some(domains, 'domain')}"] if domains else []
        return "".join(found)

    def seconds(self, at: datetime | None) -> float:
        """Return the seconds from ``at`` until now; 0 if it is None."""
        return 0 if at is None else (self.now - at).total_seconds()


@frozen
class _Note:
    """A fact about a condition that the history does not hold, and a command that helps."""

    text: str = ""
    command: Command | None = None


def stalls(found: Explanation, context: RunContext) -> tuple[Stall, ...]:
    """Group the tasks that are not done by what they wait for.

    Args:
        found: The status of each task.
        context: The run, and what is known of it beside its history.

    Returns:
        One entry for each group, those with a command that helps first.
    """
    groups: dict[tuple[Any, ...], list[Explained]] = {}
    for task in found.tasks.values():
        if task.status is not TaskStatus.DONE:
            groups.setdefault(_alike(task), []).append(task)
    of_tasks = [_of_group(group, context) for group in groups.values()]
    of_tasks.sort(key=_urgency)
    return (*_of_run(context), *of_tasks)


def stall_of(found: Explanation, id_: str, context: RunContext) -> Stall:
    """Return the entry of one task.

    Args:
        found: The status of each task.
        id_: Id of the task.
        context: The run, and what is known of it beside its history.

    Raises:
        HistoryError: There is no task of this id.
    """
    return _of_group([found[id_]], context)


def _alike(task: Explained) -> tuple[Any, ...]:
    return (
        task.status,
        task.result if task.status in FAILURES else None,
        *map(_key, task.conditions),
    )


def _key(condition: Condition) -> tuple[Any, ...]:
    # Tasks that wait for different tasks are one group: those others have lines of their own.
    task = "" if condition.cause in OF_TASKS else condition.task
    return (
        condition.cause,
        task,
        condition.detail,
        condition.task_list,
        condition.activity_type,
        condition.who,
    )


def _urgency(stall: Stall) -> tuple[bool, int]:
    return not stall.commands, _ORDER.index(stall.status)


_ORDER: tuple[TaskStatus | None, ...] = (
    *(*FAILURES, TaskStatus.RETRYING, TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.DUE),
    *(TaskStatus.WAITING, TaskStatus.RESERVED, TaskStatus.SKIPPED),
)


def _of_group(tasks: Sequence[Explained], context: RunContext) -> Stall:
    first = min(tasks, key=_since)
    if first.status in FAILURES:
        return Stall(
            tasks=_ids(tasks), status=first.status, reasons=(str(first.result), *map(str, first.conditions))
        )
    notes = [_NOTES[each.cause](each, context) for each in first.conditions if each.cause in _NOTES]
    commands = dict.fromkeys(note.command for note in notes if note.command is not None)
    return Stall(
        tasks=_ids(tasks),
        status=first.status,
        reasons=tuple(_sentences(first.conditions)),
        notes=tuple(dict.fromkeys(note.text for note in notes if note.text)),
        commands=tuple(commands),
    )


def _ids(tasks: Iterable[Explained]) -> tuple[str, ...]:
    return tuple(each.task for each in tasks)


def _since(task: Explained) -> float:
    """Return the earliest time of the conditions, as a sort key."""
    return min((each.at.timestamp() for each in task.conditions if each.at is not None), default=0)


def _sentences(conditions: Iterable[Condition]) -> Iterator[str]:
    others = [each.task for each in conditions if each.cause in OF_TASKS]
    if others:
        yield f"waiting for {_names(others, 'tasks')} to complete"
    # The missing decision is an entry of the run itself.
    yield from (str(each) for each in conditions if each.cause not in (*OF_TASKS, Cause.DECIDER))


def _worker(condition: Condition, context: RunContext) -> _Note:
    task_list, kind = condition.task_list, condition.activity_type
    worker = Command(("floto", "worker", "--task-list", task_list, "--activities", "FILE.py"))
    command = _own_run(task_list, context) or worker
    pollers = context.polling(PollKind.ACTIVITIES, task_list)
    if kind is None or pollers is None:
        return _Note("", command)
    if not pollers:
        return _Note(
            f"no worker polls this task list{context.elsewhere(PollKind.ACTIVITIES, task_list)}", command
        )
    able = [each for each in pollers if each.serves is None or kind in each.serves]
    if not able:
        return _Note(f"{_whos(pollers)} and has no function for {_type(kind)}{_has(kind, pollers)}", command)
    waiting = (
        0 if context.live is None else context.live.waiting(context.domain, PollKind.ACTIVITIES, task_list)
    )
    many = f", {waiting:,} tasks are queued there" if waiting > 1 else ""
    slow = "; see its log" if context.seconds(condition.at) > _SLOW and not many else ""
    return _Note(f"{_whos(able)}{many}{slow}")


def _work(condition: Condition, context: RunContext) -> _Note:
    """Return the new owner of a task whose worker has ended, if it was redelivered."""
    run = context.state.execution
    again = (
        None if context.live is None or run is None else context.live.again(run.run_id, condition.event_id)
    )
    if again is None:
        return _Note()
    if again.identity is None:
        note = _worker(condition, context)
        return _Note(
            f"that worker has ended, the task is queued again{note.text and f'; {note.text}'}", note.command
        )
    return _Note(f"that worker has ended, {again.identity} has the task now")


def _signal(condition: Condition, context: RunContext) -> _Note:
    others = [name for name in context.unused_signals if name != condition.detail]
    text = f"{_some(others, 'signal')} arrived, which no task waits for" if others else ""
    return _Note(text, Command(("floto", "signal"), (context.workflow_id, condition.detail)))


def _retry(condition: Condition, context: RunContext) -> _Note:
    return _worker(condition, context) if condition.activity_type is not None else _Note()


def _child(condition: Condition, _context: RunContext) -> _Note:
    return _Note("", Command(("floto", "why"), (condition.detail,)))


_NOTES: Mapping[Cause, Callable[[Condition, RunContext], _Note]] = {
    Cause.WORKER: _worker,
    Cause.RETRY: _retry,
    Cause.WORK: _work,
    Cause.SIGNAL: _signal,
    Cause.CHILD: _child,
}


def _of_run(context: RunContext) -> Iterator[Stall]:
    """Yield what the run as a whole waits for: the service, or a response to its decision task."""
    if context.live is not None and context.live.problem:
        yield Stall(tasks=(), status=None, reasons=(context.live.problem,))
    tasks = context.state.decision_tasks
    if context.state.closed is None and (tasks.scheduled or tasks.started):
        yield _decision(tasks, context)
    elif context.state.closed is None:
        yield from _of_schedule(context.state)


def _of_schedule(state: State) -> Iterator[Stall]:
    """Yield when a schedule decides next; nothing for other runs."""
    times = [at for timer in open_wakes(state) if (at := due(timer)) is not None]
    if times:
        reasons = [f"waiting for a signal or its next fire, at the latest until {moment_text(min(times))}"]
        # A schedule that cannot be read here still waits.
        with suppress(HistoryError, SpecError, PayloadError, PayloadsNeeded):
            paused = view_schedule(state).recorded.paused
            reasons += [f"paused: {paused}"] if paused else []
        yield Stall(tasks=(), status=None, reasons=tuple(reasons))


def _decision(tasks: DecisionTasks, context: RunContext) -> Stall:
    notes = [*_decision_task(tasks, context), *_unanswered(context)]
    commands = tuple(note.command for note in notes if note.command is not None)
    reasons = tuple(note.text for note in notes if note.text)
    return Stall(tasks=(), status=None, reasons=reasons, commands=commands)


def _decision_task(tasks: DecisionTasks, context: RunContext) -> Iterator[_Note]:
    if tasks.started is not None:
        who = getattr(tasks.started.data, "identity", None) or "a decider"
        yield _Note(f"decision task running since {moment_text(tasks.started.at)} on {who}")
    elif tasks.scheduled is not None:
        name, at = tasks.scheduled.data.task_list.name, tasks.scheduled.at
        since = f"decision task queued since {moment_text(at)} on task list {name!r}"
        yield _Note(f"{since}, no decider has picked it up")
        yield _decider(name, at, context)


def _unanswered(context: RunContext) -> Iterator[_Note]:
    if context.left:
        times = "once" if len(context.left) == 1 else f"{len(context.left)} times"
        who = ", ".join(dict.fromkeys(each or "a decider" for each in context.left))
        yield _Note(f"{who} claimed it {times} and did not respond; see its log")


#: Floto's own workflow types with their default task lists, and the commands that decide for them;
#: ``floto decider`` is for all others.
_OWN_RUNS = ((SCHEDULE_TYPE, SCHEDULE_LIST, "scheduler"), (DAEMON_TYPE, DAEMON_LIST, "daemon"))
OWN_DECIDERS = {kind: command for kind, _, command in _OWN_RUNS}
#: The same commands by default task list.
LIST_DECIDERS = {task_list: command for _, task_list, command in _OWN_RUNS}


def _decider(task_list: str, at: datetime, context: RunContext) -> _Note:
    own = OWN_DECIDERS.get(context.state.start.workflow_type)
    spec = () if own or context.carries_spec else ("SPEC",)
    command = Command(("floto", own or "decider", "--task-list", task_list), spec)
    if own is None:
        command = _own_run(task_list, context) or command
    pollers = context.polling(PollKind.DECISIONS, task_list)
    if pollers is None:
        return _Note("", command)
    if not pollers:
        return _Note(
            f"no decider polls this task list{context.elsewhere(PollKind.DECISIONS, task_list)}", command
        )
    slow = "; see its log" if context.seconds(at) > _SLOW else ""
    return _Note(f"{_whos(pollers)}{slow}")


def _own_run(task_list: str, context: RunContext) -> Command | None:
    """Return the command that decides and works on the task list of one run of ``floto.run``."""
    owner = owner_of(task_list, context.workflow_id)
    if owner is None:
        return None
    return Command(("floto", "run", "--activities", "FILE.py", "--workflow-id", owner), ("SPEC",))


def unused_signals(state: State, waited: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the signals that arrived and that no task waits for.

    Args:
        state: The state of the run.
        waited: Names of the signals that tasks of the run wait for.
    """
    known = set(waited)
    return tuple(name for name in state.signals if name not in known and not name.startswith(RESERVED_PREFIX))


def _type(kind: ActivityType) -> str:
    return f"{kind.name} {kind.version}"


def _has(kind: ActivityType, pollers: Iterable[Poller]) -> str:
    """Return the other versions of the activity that the workers have, else all their activities."""
    served = {each for poller in pollers for each in poller.serves or ()}
    versions = {each for each in served if each.name == kind.name}
    names = sorted(map(_type, versions or served))
    return f" (it has {_names(names, 'functions')})" if names else " (it has none at all)"


def _whos(pollers: Sequence[Poller]) -> str:
    names = sorted({each.identity or "an unnamed process" for each in pollers})
    return f"{_names(names, 'processes')} {'polls' if len(names) == 1 else 'poll'} this task list"


def _some(names: Iterable[str], noun: str) -> str:
    """Return quoted names with their noun."""
    quoted = [repr(name) for name in sorted(names)]
    named = _names(quoted, f"{noun}s")
    return named if len(quoted) > _NAMED else f"{noun}{'s' if len(quoted) > 1 else ''} {named}"


def _names(names: Sequence[str], nouns: str) -> str:
    """Return the names, or their number and the first of them."""
    shown = list(map(visible, names))
    if len(shown) > _NAMED:
        return f"{len(shown):,} {nouns} ({', '.join(shown[:_NAMED])}, ...)"
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))
