"""SWF's 39 operations as one pure function from a request to a response, both dicts as boto3 has them.

Source: https://docs.aws.amazon.com/amazonswf/latest/apireference/API_Operations.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from floto.core.engine.api import executions, registration, tasks, visibility
from floto.core.engine.api.call import Call, Handler, Request, Response
from floto.core.engine.engine import Engine
from floto.core.engine.registration.regions import DEFAULT_REGION
from floto.core.engine.stores.store import RunStore

#: Every operation, by SWF's name.
OPERATIONS: Mapping[str, Handler] = {
    **registration.OPERATIONS,
    **executions.OPERATIONS,
    **tasks.OPERATIONS,
    **visibility.OPERATIONS,
}


class Api:
    """SWF's operations over an engine and its store; polls do not wait.

    Args:
        engine: Engine over the same store.
        store: Store of the engine.
        new_run_id: Return a run id that was not used before.
    """

    def __init__(self, engine: Engine, store: RunStore, new_run_id: Callable[[], str]) -> None:
        self._engine = engine.without_checks()
        self._store = store
        self._new_run_id = new_run_id

    def call(self, operation: str, request: Request, now: datetime, region: str = DEFAULT_REGION) -> Response:
        """Carry out one operation on the domains of a region.

        Args:
            operation: SWF's name of the operation.
            request: The request, already checked against SWF's model.
            now: Time of the clock.
            region: Region of the domains.

        Raises:
            ServiceFault: SWF refuses the request; nothing was written.
        """
        call = Call(self._engine, self._store, operation, request, now, self._new_run_id, region)
        return OPERATIONS[operation](call)
