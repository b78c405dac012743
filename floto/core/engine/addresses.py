"""The runs that the address of a message names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from floto.core.engine.run import Address, EngineRun, ToChildren, ToNew, ToRun, ToWorkflow
from floto.core.engine.stores.store import RunStore


def runs_at(store: RunStore, domain: str, to: Address) -> Iterator[EngineRun]:
    """Yield the runs at an address, each loaded when it is needed."""
    if isinstance(to, ToNew):
        if store.open_run(domain, to.execution.workflow_id) is None:
            yield EngineRun.fresh(domain, to.execution)
        return
    for run_id in _run_ids(store, domain, to):
        run = store.load(run_id)
        if run is not None:
            yield run


def _run_ids(store: RunStore, domain: str, to: ToRun | ToWorkflow | ToChildren) -> Iterable[str]:
    """Return the ids of the open runs at an address."""
    match to:
        case ToRun(run_id):
            return (run_id,)
        case ToChildren(run_id):
            return store.open_children(run_id)
        case ToWorkflow(workflow_id, wanted):
            found = store.open_run(domain, workflow_id)
            return () if found is None or wanted not in (None, found) else (found,)
