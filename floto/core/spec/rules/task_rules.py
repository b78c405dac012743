"""The rules of a task: its condition, its join, and what its failure means for the run.

Rules are data. A task kind has them if it inherits ``Ruled``; other kinds have the default rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from floto.core.spec.rules.conditions import condition_problems
from floto.core.spec.rules.joins import JoinOption, join_problems
from floto.core.spec.rules.sibling_limits import limits_text
from floto.core.spec.tasks import Task, expands, is_task
from floto.core.state.state import Kind
from floto.core.swf.identifiers import shown

#: Metadata of a field whose default is not written to JSON, because it may not change any more.
FIXED_DEFAULT = {"floto": "fixed default"}


class TaskOutcome(StrEnum):
    """TaskOutcome of a task that is settled: nothing of it follows any more."""

    COMPLETED = "completed"
    #: Failed, and its rule says that the run continues.
    CONTINUED = "failed, and the run continues"
    FAILED = "failed"
    #: Its condition is false, or its join cannot be met.
    SKIPPED = "skipped"

    # ``Enum.__hash__`` is implemented in Python; outcomes are counted, so use the C hash of ``str``.
    __hash__ = str.__hash__


@frozen(kw_only=True)
class Rules:
    """The rules of a task; all have defaults.

    A task is *skipped* if its condition is false or its join cannot be met: it does not run and has no
    result. The run completes when every task has completed, is skipped, or has failed and continues.

    Args:
        when: A JMESPath expression over the context of the task (``workflow``, and the results of required
            tasks by id), evaluated when the join is met; if it gives null, false, ``""``, ``[]`` or ``{}``,
            the task is skipped. None to run always.
        join: The requirements that must be met before the task starts. ``all``: every required task is
            settled (has completed, is skipped, or has failed and continues), and not all are skipped.
            ``any``: one has completed. ``AtLeast(n)``: ``n`` have completed. ``finished``: every one is
            settled, or has failed. Or a ``Join`` of your own. The context has the results of those that had
            completed by then.
        on_error: ``fail``: the run fails if the task does. ``continue``: the task then counts as finished
            without a result.
        undo: A task that takes back what this one did. When the run fails or is canceled, the undos of its
            completed tasks run before the cleanup tasks, in reverse order of dependency; the next one also
            runs after one that failed. The context has the result of the task that it undoes, by its id.
            None by default.
    """

    when: str | None = None
    join: JoinOption = field(default="all", metadata=FIXED_DEFAULT)
    on_error: str = field(default="fail", metadata=FIXED_DEFAULT)
    undo: Task | None = None


@frozen(kw_only=True)
class Ruled(Rules, Task):
    """A task with rules: the base class of task kinds that have them; its fields are those of ``Rules``."""


DEFAULT_RULES = Rules()
#: Kinds of tasks that do nothing by themselves.
_WAITS = (Kind.SIGNAL, Kind.TIMER)


def rules_of(task: Any) -> Rules:
    """Return the rules of a task; the default rules if its kind has none."""
    return task if isinstance(task, Rules) else DEFAULT_RULES


def undo_of(task: Any) -> Task | None:
    """Return the task that undoes a task; None if there is none."""
    return rules_of(task).undo


def has_default_rules(task: Any) -> bool:
    """Return True if a task has no rule other than the default ones."""
    rules = rules_of(task)
    return rules is DEFAULT_RULES or (
        rules.when is None and rules.join == "all" and rules.on_error == "fail" and rules.undo is None
    )


def rules_text(task: Any) -> str:
    """Return the rules of a task that are not the default ones, as in ``join any, on_error continue``.

    The limits of a generator follow them.
    """
    rules = rules_of(task)
    names = ("when", "join", "on_error")
    pairs = (
        (name, getattr(rules, name)) for name in names if getattr(rules, name) != getattr(DEFAULT_RULES, name)
    )
    found = [*(f"{name} {value}" for name, value in pairs), limits_text(task)]
    return ", ".join(filter(None, found))


_ON_ERROR = ("fail", "continue")


def rule_problems(task: Any) -> Iterable[str]:
    """Yield the problems of the rules of a task, one line each."""
    rules = rules_of(task)
    if rules.when is not None:
        yield from condition_problems(rules.when)
    yield from join_problems(rules.join)
    if not (isinstance(rules.on_error, str) and rules.on_error in _ON_ERROR):
        yield f"on_error must be 'fail' or 'continue', not {shown(rules.on_error)}"
    if rules.undo is not None:
        yield from (f"undo {problem}" for problem in _undo_problems(task, rules.undo))


def _undo_problems(task: Any, undo: Any) -> Iterable[str]:
    if not is_task(undo):
        yield f"must be a task, not {shown(undo)}"
        return
    if task.key[0] in _WAITS:
        yield f"has no effect: there is nothing to undo after a {task.key[0]}"
    if undo.requires or rules_of(undo).join != DEFAULT_RULES.join:
        yield "is started by floto in its order: it must require nothing and have no join"
    if rules_of(undo).undo is not None:
        yield "cannot be undone: it has no undo of its own"
    if expands(undo):
        yield "returns tasks, which is only permitted in activity_tasks"
