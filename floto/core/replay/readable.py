"""Whether the tasks that generators returned can be read here, as the decider of the run could."""

from __future__ import annotations

from collections.abc import Iterator

from floto.core.decide.progress import Progress
from floto.core.errors import SpecError
from floto.core.replay.task_status import STARTED_KINDS
from floto.core.spec.tasks import Expands, expands
from floto.core.state.state import Item
from floto.core.swf.identifiers import shown
from floto.core.swf.reserved_names import RESERVED_PREFIX


def readable(progress: Progress) -> Progress:
    """Return the progress if it is true of its run.

    A decider fails a generator whose tasks it cannot read, and so does a progress. But if the run has begun
    tasks that the spec does not have, its decider could read them: only the caller's codec lacks their types.

    Raises:
        SpecError: if the tasks of a generator cannot be read here, and the run has begun them.
    """
    for position in progress.exhausted:
        task = progress.plan.tasks[position]
        if expands(task) and progress.state.is_completed(task.key) and any(foreign_items(progress)):
            _need_tasks(task, progress)
    return progress


def foreign_items(progress: Progress) -> Iterator[Item]:
    """Yield the items of tasks that the spec, with its generated tasks, does not have."""
    known = {*progress.plan.index, *(task.id_ for task in progress.spec.all_tasks)}
    for (kind, id_), item in progress.state.items.items():
        if kind in STARTED_KINDS and id_ not in known and not id_.startswith(RESERVED_PREFIX):
            yield item


def _need_tasks(task: Expands, progress: Progress) -> None:
    try:
        task.generated(progress.state.items[task.key], progress.codec)
    except SpecError as error:
        begun = f"the run has begun tasks that {shown(task.id_)} returned, but they cannot be read here"
        msg = f"{begun}: {error.problems[0]}; give a codec that knows their types"
        raise SpecError((msg,)) from error
