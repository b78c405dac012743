"""The runs that the address of a message names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from floto.core.engine.run import EngineRun, Message, ToChildren, ToNew, ToRun, ToWorkflow
from floto.core.engine.stores.store import RunStore


def runs_at(store: RunStore, domain: str, message: Message) -> Iterator[EngineRun]:
    """Yield the runs at the address of a message, each loaded when it is needed."""
    if isinstance(message.to, ToNew):
        if store.open_run(domain, message.to.execution.workflow_id) is None:
            yield EngineRun.fresh(domain, message.to.execution)
        return
    for run_id in run_ids(store, domain, message.to):
        run = store.load(run_id)
        if run is not None:
            yield run


def run_ids(store: RunStore, domain: str, to: ToRun | ToWorkflow | ToChildren) -> Iterable[str]:
    """Return the ids of the open runs at an address."""
    match to:
        case ToRun(run_id):
            return (run_id,)
        case ToChildren(run_id):
            return store.open_children(run_id)
        case ToWorkflow(workflow_id, wanted):
            found = store.open_run(domain, workflow_id)
            return () if found is None or wanted not in (None, found) else (found,)
