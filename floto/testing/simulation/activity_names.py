"""The names in specs that belong to activities, and to children without a spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.nested_specs import nested_tasks
from floto.core.spec.tasks import Task
from floto.core.state.state import Kind

#: The attribute with the type name of a task that ends by an outcome or a function, by kind.
_TYPE_NAMES = {Kind.ACTIVITY: "name", Kind.CHILD: "workflow_type_name"}


def activity_names(specs: Iterable[DeciderSpec], children: Mapping[str, DeciderSpec]) -> frozenset[str]:
    """Return the ids and type names of activities, and of children without a spec, in specs.

    The specs of their descendants are included.

    Args:
        specs: The specs.
        children: Specs of children that carry none, by type name.
    """
    names: set[str] = set()
    entered: set[str] = set()
    left = list(specs)
    while left:
        for task in nested_tasks(left.pop()):
            if task.key[0] not in _TYPE_NAMES or getattr(task, "spec", None) is not None:
                continue
            type_name = _type_name(task)
            if task.key[0] is Kind.ACTIVITY or type_name not in children:
                names |= {task.id_, type_name}
            elif type_name not in entered:
                # The specs of ``children`` may contain one another.
                entered.add(type_name)
                left.append(children[type_name])
    return frozenset(names)


def _type_name(task: Task) -> str:
    name: str = getattr(task, _TYPE_NAMES[task.key[0]], task.id_)
    return name
