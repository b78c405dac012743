"""The task lists of a run: of its decision tasks, its activities and its children.

A spec names task lists, and a poll of one of them gets the tasks of every run that uses it. That is what
deciders and workers on many machines need. ``floto.run`` needs the opposite: one process serves one run and
its descendants, and no other process may get their tasks. So it starts its run on a decision task list of the
run's own, under a prefix that no spec may use, and *confines* the run to that list: every activity, and every
child that carries its spec, is scheduled there too. The rule depends on the run's first event alone. It holds
for every decider, on every service, in a replay, and in the child, whose first event names the same list.

Alternatives considered: polls that select runs (SWF has none), and giving back the tasks of other runs (SWF
cannot take back a task; a decision task would be stuck until it times out).
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from attrs import evolve

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.payloads.stored import StoredText
from floto.core.swf.decisions import Decision, ScheduleActivityTask, StartChildWorkflowExecution
from floto.core.swf.events import WorkflowExecutionStarted
from floto.core.swf.identifiers import FORBIDDEN_IN_LISTS
from floto.core.swf.limits import NAME_LIMIT
from floto.core.swf.reserved_names import OWN_LIST_PREFIX, SPEC_KEY

if TYPE_CHECKING:
    from floto.core.spec.decider_spec import ChildWorkflow

_HASH_DIGITS = 8
_HASH = re.compile(rf"-[0-9a-f]{{{_HASH_DIGITS}}}$")


def own_list(workflow_id: str) -> str:
    """Return the name of the task list that belongs to one run of ``floto.run``.

    Different workflow ids have different names: where SWF would not accept the id in the name of a task list,
    the name is a legal form of the id with a hash.
    """
    name = OWN_LIST_PREFIX + workflow_id
    legal = FORBIDDEN_IN_LISTS.sub("-", name)
    if legal == name and len(name) <= NAME_LIMIT:
        return name
    digest = hashlib.sha256(workflow_id.encode(errors="surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return f"{legal[: NAME_LIMIT - _HASH_DIGITS - 1]}-{digest}"


def workflow_of(task_list: str) -> str | None:
    """Return the workflow id whose own list this is; None if it is none, or may have a hash of the id."""
    name = task_list.removeprefix(OWN_LIST_PREFIX)
    return None if name == task_list or _HASH.search(name) else name


def owner_of(task_list: str, workflow_id: str) -> str | None:
    """Return the run whose own task list a run or a child has, by its workflow id; None if it is no own list.

    The workflow id of a child begins with that of its parent and a colon.
    """
    parts = workflow_id.split(":")
    ids = (":".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((id_ for id_ in ids if own_list(id_) == task_list), None)


def is_confined(start: WorkflowExecutionStarted) -> bool:
    """Return True if a run is confined to its own task list."""
    return is_own_list(start.task_list.name)


def is_own_list(task_list: str) -> bool:
    """Return True if a task list is that of one run, which ``floto.run`` has made."""
    return task_list.startswith(OWN_LIST_PREFIX)


def default_child_list(spec_list: str | None, run_list: str | None) -> str | None:
    """Return the decision task list of a run's children whose tasks and specs name none.

    Args:
        spec_list: The task list that the spec of the run names, if any.
        run_list: The task list of the run's decision tasks; None if it is not known.
    """
    return run_list if run_list and is_own_list(run_list) else spec_list or run_list


def child_list(task: ChildWorkflow, default: str | None) -> str | None:
    """Return the decision task list of a child: that of its task, else of its spec, else ``default``."""
    return task.task_list or (task.spec and task.spec.task_list) or default


def routed(decision: Decision | None, start: WorkflowExecutionStarted) -> Decision | None:
    """Return a decision of a run with the run's own task list, if the run is confined to it.

    The task list of a child without a spec stays unchanged: another program decides for it.
    """
    if not is_confined(start):
        return decision
    if isinstance(decision, ScheduleActivityTask) or (
        isinstance(decision, StartChildWorkflowExecution) and _carries_spec(decision.input)
    ):
        return evolve(decision, task_list=start.task_list)
    return decision


def _carries_spec(input: str | None) -> bool:
    try:
        # A decision has the stored values in ``parts``, so no store is needed.
        texts = input.parts if isinstance(input, StoredText) else (input,)
        values: list[Any] = [payload.loads(text) for text in texts]
    except PayloadError:
        return False
    return any(isinstance(value, dict) and SPEC_KEY in value for value in values)
