"""The progress of a recorded run, and the check that it is the progress which the decider of the run had."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from floto.core.decide.progress import Progress, begin
from floto.core.errors import PayloadError, SpecError
from floto.core.payloads import payload
from floto.core.payloads.stored import read_result
from floto.core.replay.task_status import STARTED_KINDS
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.expand import GeneratorError, expansion
from floto.core.spec.tasks import TaskCodec, expands
from floto.core.state.state import Item, State
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.identifiers import shown
from floto.core.swf.reserved_names import RESERVED_PREFIX


def recorded_progress(
    spec: DeciderSpec, history: History | Iterable[Event] | State, codec: TaskCodec = CODEC
) -> Progress:
    """Return the progress of a recorded run, as ``begin`` does, if it is true of the run.

    Args:
        spec: The spec that decided the run.
        history: The history of the run, its events or its state.
        codec: Reads generated tasks and stored values; by default floto's own kinds, and no store.

    Raises:
        HistoryError: if the history cannot have happened.
        SpecError: if ``spec`` is not a spec, or as ``check_recorded`` says.
    """
    progress = begin(spec, history, codec)
    check_recorded(progress)
    return progress


def check_recorded(progress: Progress) -> None:
    """Check that a progress is true of its run, as far as generated tasks are concerned.

    A decider fails a generator whose tasks it cannot read, and so does a progress. But if the run has begun
    such tasks, its decider could read them: only the caller's codec lacks their types.

    Raises:
        SpecError: if the tasks of a generator cannot be read here, and the run has begun them.
    """
    failed = (progress.plan.tasks[position] for position in progress.exhausted)
    if any(expands(task) and progress.state.is_completed(task.key) for task in failed):
        begun = {item.key[1] for item in items_outside_spec(progress)}
        try:
            expansion(progress.spec, progress.state, progress.codec)
        except GeneratorError as error:
            _need_other_tasks(begun, error, progress)
        except SpecError:
            pass  # they can be read, and do not fit the spec


def items_outside_spec(progress: Progress) -> Iterator[Item]:
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
