"""Taking over open runs that were begun with another spec."""

from __future__ import annotations

import logging
from contextlib import suppress

from floto.core.errors import UnknownResource
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.fingerprint import own_digest
from floto.core.state.state import State
from floto.core.swf.reserved_names import CHANGED_SIGNAL
from floto.core.swf.service import Service
from floto.runtime.retrying import persist
from floto.runtime.shutdown import StopFlag

log = logging.getLogger("floto")


class Takeovers:
    """Takes runs over, each only once: two deciders would take a run over from one another for ever.

    Args:
        service: The service of the runs.
        stop: Ends the retries of a call.
        codec: Writes the spec, for its digest.
        most: Maximum number of runs to remember.
    """

    def __init__(self, service: Service, stop: StopFlag, codec: Codec, most: int) -> None:
        self._service, self._stop, self._codec, self._most = service, stop, codec, most
        #: Ids of the runs that were taken over, the latest last.
        self._runs: dict[str, None] = {}

    def take_over(self, state: State, own: DeciderSpec) -> bool:
        """Record in a run that a decider's own spec takes it over; return True if it does.

        A spec without a digest takes over nothing.
        """
        digest, execution = own_digest(own, self._codec), state.execution
        if digest is None or execution is None or execution.run_id in self._runs:
            return False
        log.warning("run %s was begun with another spec; it continues with this decider's spec", execution)
        signal = self._service.signal_workflow_execution
        # The run may have just closed.
        with suppress(UnknownResource):
            persist(self._stop, signal, execution.workflow_id, CHANGED_SIGNAL, digest)
        self._runs[execution.run_id] = None
        while len(self._runs) > self._most:
            del self._runs[next(iter(self._runs))]
        return True
