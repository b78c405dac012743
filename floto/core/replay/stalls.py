"""What the tasks of a run wait for, as few lines: tasks that wait alike are one, each with what helps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from floto.core.replay.conditions import OF_TASKS, Cause, Condition
from floto.core.replay.explain import Explained, Explanation, Standing
from floto.core.spec.graph import RESERVED_PREFIX
from floto.core.state.state import DecisionTasks, State
from floto.core.swf.pollers import Live, Poller, PollKind
from floto.core.swf.shapes import ActivityType
from floto.core.visible import moment_text, visible

#: Seconds for which a decider or worker that is there may leave a task before somebody should look at it.
_SLOW = 20
#: Names that a line lists before it counts.
_NAMED = 3


@frozen
class Command:
    """A command line to copy, without the options that say where."""

    words: tuple[str, ...]
    #: What follows the options; none of it is an option, whatever it begins with.
    arguments: tuple[str, ...] = ()


@frozen(kw_only=True)
class Stall:
    """Tasks that wait for the same, what that is, and what helps."""

    #: Empty where it is the run itself that waits.
    tasks: tuple[str, ...]
    standing: Standing | None
    #: What has to happen, as the history says, a sentence each.
    reasons: tuple[str, ...]
    #: What is known beside it, such as who polls.
    notes: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()

    def __str__(self) -> str:
        """Return one line, without the commands."""
        words = [*([] if self.standing is None else [str(self.standing)]), *self.reasons, *self.notes]
        return f"{_names(self.tasks, 'tasks') or 'the run'}: {visible('; '.join(words))}"


@frozen(kw_only=True)
class RunContext:
    """Which run it is, and what is known beside its history.

    ``live`` is None for a history from a file. ``left`` is who left the decision tasks of the run.
    """

    workflow_id: str
    domain: str
    state: State
    now: datetime
    live: Live | None = None
    left: Sequence[str | None] = ()
    #: Whether any decider can decide it.
    carries_spec: bool = False
    #: Signals that arrived and that no task waits for.
    unused_signals: tuple[str, ...] = ()

    def polling(self, kind: PollKind, task_list: str) -> tuple[Poller, ...] | None:
        """Return who polls a task list of the run's domain; None if nobody knows."""
        if self.live is None or self.live.pollers is None:
            return None
        return tuple(each for each in self.live.polling(kind, task_list) if each.domain == self.domain)

    def elsewhere(self, kind: PollKind, task_list: str) -> str:
        """Return where there are others that poll: the same list in another domain, or other lists."""
        assert self.live is not None  # noqa: S101 - asked only where somebody knows
        domains = {each.domain for each in self.live.polling(kind, task_list)}
        lists = {
            each.task_list
            for each in self.live.pollers or ()
            if (each.kind, each.domain) == (kind, self.domain)
        }
        found = [_some(lists, "task list")] if lists else []
        found += [f"it in {_some(domains, 'domain')}"] if domains else []
        where = " and ".join(found)
        return f"; others poll {where}" if where else ""

    def seconds(self, at: datetime | None) -> float:
        """Return how long ago a moment was."""
        return 0 if at is None else (self.now - at).total_seconds()


@frozen
class _Note:
    """What is known of a condition beside the history, and what helps."""

    text: str = ""
    command: Command | None = None


def stalls(found: Explanation, context: RunContext) -> tuple[Stall, ...]:
    """Return what an open run waits for, what needs somebody first, or what a closed one did not do."""
    groups: dict[tuple[Any, ...], list[Explained]] = {}
    for task in found.tasks.values():
        if task.standing is not Standing.DONE:
            groups.setdefault(_alike(task), []).append(task)
    of_tasks = [_of_group(group, context) for group in groups.values()]
    of_tasks.sort(key=_urgency)
    return (*_of_run(context), *of_tasks)


def one(found: Explanation, id_: str, context: RunContext) -> Stall:
    """Return the same for one task."""
    return _of_group([found[id_]], context)


def _alike(task: Explained) -> tuple[Any, ...]:
    return (
        task.standing,
        task.result if task.standing is Standing.FAILED else None,
        *map(_key, task.conditions),
    )


def _key(condition: Condition) -> tuple[Any, ...]:
    # Whom a task waits for differs from task to task; those others have lines of their own.
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
    order: list[Standing | None] = list(_ORDER)
    return not stall.commands, order.index(stall.standing) if stall.standing in order else len(order)


_ORDER = (
    *(Standing.FAILED, Standing.RETRYING, Standing.QUEUED, Standing.RUNNING, Standing.DUE),
    *(Standing.WAITING, Standing.KEPT, Standing.DROPPED),
)


def _of_group(tasks: Sequence[Explained], context: RunContext) -> Stall:
    first = min(tasks, key=_since)
    if first.standing is Standing.FAILED:
        return Stall(tasks=_ids(tasks), standing=first.standing, reasons=(str(first.result),))
    notes = [_NOTES[each.cause](each, context) for each in first.conditions if each.cause in _NOTES]
    commands = dict.fromkeys(note.command for note in notes if note.command is not None)
    return Stall(
        tasks=_ids(tasks),
        standing=first.standing,
        reasons=tuple(_sentences(first.conditions)),
        notes=tuple(dict.fromkeys(note.text for note in notes if note.text)),
        commands=tuple(commands),
    )


def _ids(tasks: Iterable[Explained]) -> tuple[str, ...]:
    return tuple(each.task for each in tasks)


def _since(task: Explained) -> float:
    """Order tasks by how long they have waited."""
    return min((each.at.timestamp() for each in task.conditions if each.at is not None), default=0)


def _sentences(conditions: Iterable[Condition]) -> Iterator[str]:
    others = [each.task for each in conditions if each.cause in OF_TASKS]
    if others:
        yield f"{_names(others, 'tasks')} {'has' if len(others) == 1 else 'have'} to complete"
    # That the decider has to decide is said of the run.
    yield from (str(each) for each in conditions if each.cause not in (*OF_TASKS, Cause.DECIDER))


def _worker(condition: Condition, context: RunContext) -> _Note:
    task_list, kind = condition.task_list, condition.activity_type
    command = Command(("floto", "worker", "--task-list", task_list, "--activities", "FILE.py"))
    pollers = context.polling(PollKind.ACTIVITIES, task_list)
    if kind is None or pollers is None:
        return _Note("", command)
    if not pollers:
        return _Note(f"no worker polls it{context.elsewhere(PollKind.ACTIVITIES, task_list)}", command)
    able = [each for each in pollers if each.serves is None or kind in each.serves]
    if not able:
        return _Note(f"{_whos(pollers)} and has no function for {_type(kind)}{_has(kind, pollers)}", command)
    waiting = (
        0 if context.live is None else context.live.waiting(context.domain, PollKind.ACTIVITIES, task_list)
    )
    many = f", and {waiting:,} tasks wait there" if waiting > 1 else ""
    slow = "; see its log" if context.seconds(condition.at) > _SLOW and not many else ""
    return _Note(f"{_whos(able)}{many}{slow}")


def _work(condition: Condition, context: RunContext) -> _Note:
    """Who has a task that had to be handed out again, because the process that had it died."""
    run = context.state.execution
    again = (
        None if context.live is None or run is None else context.live.again(run.run_id, condition.event_id)
    )
    if again is None:
        return _Note()
    if again.identity is None:
        note = _worker(condition, context)
        return _Note(
            f"that worker is gone, and it waits for another{note.text and f'; {note.text}'}", note.command
        )
    return _Note(f"that worker is gone, and {again.identity} has it now")


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
    """Yield what keeps the whole run: the service, or that nobody decides."""
    if context.live is not None and context.live.problem:
        yield Stall(tasks=(), standing=None, reasons=(context.live.problem,))
    tasks = context.state.decision_tasks
    if context.state.closed is None and (tasks.scheduled or tasks.started):
        yield _decision(tasks, context)


def _decision(tasks: DecisionTasks, context: RunContext) -> Stall:
    notes = [*_asked(tasks, context), *_left(context)]
    commands = tuple(note.command for note in notes if note.command is not None)
    reasons = tuple(note.text for note in notes if note.text)
    return Stall(tasks=(), standing=None, reasons=reasons, commands=commands)


def _asked(tasks: DecisionTasks, context: RunContext) -> Iterator[_Note]:
    if tasks.started is not None:
        who = getattr(tasks.started.data, "identity", None) or "a decider"
        yield _Note(f"{who} has been deciding since {moment_text(tasks.started.at)}")
    elif tasks.scheduled is not None:
        name, at = tasks.scheduled.data.task_list.name, tasks.scheduled.at
        yield _Note(f"a decider has to take its decision task, on task list {name!r} since {moment_text(at)}")
        yield _decider(name, at, context)


def _left(context: RunContext) -> Iterator[_Note]:
    if context.left:
        times = "once" if len(context.left) == 1 else f"{len(context.left)} times"
        who = ", ".join(dict.fromkeys(each or "a decider" for each in context.left))
        yield _Note(f"{who} took it {times} and did not answer; see its log")


def _decider(task_list: str, at: datetime, context: RunContext) -> _Note:
    spec = () if context.carries_spec else ("SPEC",)
    command = Command(("floto", "decider", "--task-list", task_list), spec)
    pollers = context.polling(PollKind.DECISIONS, task_list)
    if pollers is None:
        return _Note("", command)
    if not pollers:
        return _Note(f"no decider polls it{context.elsewhere(PollKind.DECISIONS, task_list)}", command)
    slow = "; see its log" if context.seconds(at) > _SLOW else ""
    return _Note(f"{_whos(pollers)}{slow}")


def unused_signals(state: State, waited: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the signals that arrived and that none of these tasks waits for."""
    known = set(waited)
    return tuple(name for name in state.signals if name not in known and not name.startswith(RESERVED_PREFIX))


def _type(kind: ActivityType) -> str:
    return f"{kind.name} {kind.version}"


def _has(kind: ActivityType, pollers: Iterable[Poller]) -> str:
    """Return what workers have instead: other versions of the activity, else whatever they have."""
    served = {each for poller in pollers for each in poller.serves or ()}
    versions = {each for each in served if each.name == kind.name}
    names = sorted(map(_type, versions or served))
    return f" (it has {_names(names, 'functions')})" if names else " (it has none at all)"


def _whos(pollers: Sequence[Poller]) -> str:
    names = sorted({each.identity or "somebody" for each in pollers})
    return f"{_names(names, 'processes')} {'polls' if len(names) == 1 else 'poll'} it"


def _some(names: Iterable[str], noun: str) -> str:
    """Return quoted names with what they are names of."""
    quoted = [repr(name) for name in sorted(names)]
    named = _names(quoted, f"{noun}s")
    return named if len(quoted) > _NAMED else f"{noun}{'s' if len(quoted) > 1 else ''} {named}"


def _names(names: Sequence[str], nouns: str) -> str:
    """Return a few names, or how many there are and the first of them."""
    shown = list(map(visible, names))
    if len(shown) > _NAMED:
        return f"{len(shown):,} {nouns} ({', '.join(shown[:_NAMED])}, ...)"
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))
