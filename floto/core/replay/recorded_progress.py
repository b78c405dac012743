"""Whether the tasks that generators returned can be read here, as the decider of the run could."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from floto.core.decide.progress import Progress
from floto.core.errors import PayloadError, SpecError
from floto.core.payloads import payload
from floto.core.payloads.stored import read_result
from floto.core.replay.task_status import STARTED_KINDS
from floto.core.spec.expand import GeneratorError, expansion
from floto.core.spec.tasks import expands
from floto.core.state.state import Item
from floto.core.swf.identifiers import shown
from floto.core.swf.reserved_names import RESERVED_PREFIX


def readable(progress: Progress) -> Progress:
    """Return the progress if it is true of its run.

    A decider fails a generator whose tasks it cannot read, and so does a progress. But if the run has begun
    such tasks, its decider could read them: only the caller's codec lacks their types.

    Raises:
        SpecError: if the tasks of a generator cannot be read here, and the run has begun them.
    """
    failed = (progress.plan.tasks[position] for position in progress.exhausted)
    if any(expands(task) and progress.state.is_completed(task.key) for task in failed):
        begun = {item.key[1] for item in foreign_items(progress)}
        try:
            expansion(progress.spec, progress.state, progress.codec)
        except GeneratorError as error:
            _need_other_tasks(begun, error, progress)
        except SpecError:
            pass  # they can be read, and do not fit the spec
    return progress


def foreign_items(progress: Progress) -> Iterator[Item]:
    """Yield the items of tasks that the spec, with its generated tasks, does not have."""
    known = {*progress.plan.index, *(task.id_ for task in progress.spec.all_tasks)}
    for (kind, id_), item in progress.state.items.items():
        if kind in STARTED_KINDS and id_ not in known and not id_.startswith(RESERVED_PREFIX):
            yield item


def _need_other_tasks(begun: Collection[str], error: GeneratorError, progress: Progress) -> None:
    """Raise ``SpecError`` if some tasks that have begun are those of a generator that cannot be read."""
    cause, what = error.__cause__, f"tasks that {shown(error.generator)} returned"
    if isinstance(cause, PayloadError) and begun:
        # Their ids are not known. The decider could read them, or tasks of an earlier spec have begun.
        raise SpecError(
            (f"the run has begun other tasks, and the {what} cannot be read here: {cause}",)
        ) from error
    if isinstance(cause, SpecError) and not _returned_ids(error.generator, progress).isdisjoint(begun):
        msg = f"the run has begun {what}, but they cannot be read here: {cause.problems[0]}"
        raise SpecError((f"{msg}; give a codec that knows their types",)) from error


def _returned_ids(generator: str, progress: Progress) -> set[str]:
    """Return the ids in the list that a generator returned, which need no codec."""
    items = [item for (_, id_), item in progress.state.items.items() if id_ == generator]
    results = [payload.loads(getattr(item.closed.data, "result", None)) for item in items if item.closed]
    found = [read_result(result, "the list of tasks", progress.codec.payloads) for result in results]
    lists = [value for value in found if isinstance(value, list)]
    return {str(entry.get("id_")) for value in lists for entry in value if isinstance(entry, dict)}
