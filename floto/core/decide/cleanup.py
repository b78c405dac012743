"""The progress of a cleanup: the undos of completed tasks, and the cleanup tasks after them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from floto.core.decide.progress import Progress, build_progress, progress_after
from floto.core.decide.ruled_update import RuledUpdate
from floto.core.spec import graph
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.rules.task_rules import TaskOutcome
from floto.core.spec.rules.undo_order import undo_order


def begin_cleanup(main: Progress, spec: DeciderSpec, extra_context: Mapping[str, Any]) -> Progress:
    """Return the progress of a cleanup: the undos of completed tasks, and then the cleanup tasks.

    Args:
        main: The progress of the run.
        spec: The cleanup tasks as a spec.
        extra_context: Entries of the context of every task, beside the workflow's input.
    """
    undos, state = main.plan.undos, main.state
    if not undos:
        return build_progress(spec, state, main.codec, extra_context)
    undoable = {position for position in undos if state.is_completed(main.plan.tasks[position].key)}
    order = undo_order(main.plan, main.offspring, undoable)
    last = order.keys() - {id_ for needed in order.values() for id_ in needed}
    firsts = {task.id_: last for task in spec.activity_tasks if not task.requires}
    plan = graph.plan((*undos.values(), *spec.activity_tasks), {**order, **firsts})
    fresh = Progress(
        spec=spec,
        codec=main.codec,
        state=state,
        plan=plan,
        offspring={},
        extra_context=extra_context,
        seed=main.seed,
        waiting=plan.waiting,
        undone={plan.index[undo.id_]: (main, position) for position, undo in undos.items()},
    )
    if state.started is None:
        return fresh
    update = RuledUpdate(fresh, state)
    # What is open may still complete, which is then undone.
    unknown = {position for position in undos if state.is_open(main.plan.tasks[position].key)}
    for position in undos.keys() - undoable - unknown:
        update.settle(plan.index[undos[position].id_], TaskOutcome.SKIPPED, 0)
    update.examine(set(range(len(plan.tasks))) - {plan.index[undos[position].id_] for position in unknown})
    return progress_after(update)
