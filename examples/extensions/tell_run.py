"""A task kind of one's own: send a signal to another run, with the context of the task."""

from __future__ import annotations

from typing import Any

from attrs import frozen

import floto
from floto.extend import NO_RESULT, Decision, Given, Item, Key, Kind, Ruled, SignalExternalWorkflowExecution


@frozen(kw_only=True)
class TellRun(Ruled):
    """Send a signal to the open run of a workflow id; the task fails if there is none."""

    id_: str
    workflow_id: str
    signal_name: str
    requires: tuple[str, ...] = ()
    retry_strategy: floto.RetryStrategy | None = None

    @property
    def key(self) -> Key:
        """The key of this task's item in the state of the run."""
        return Kind.EXTERNAL_SIGNAL, self.id_

    def start(self, given: Given) -> Decision:
        """Return the decision that sends the signal."""
        return SignalExternalWorkflowExecution(
            workflow_id=self.workflow_id,
            signal_name=self.signal_name,
            input=given.dumps(given.context, f"the input of signal {self.signal_name!r}"),
            control=f"floto.task:{self.id_}",
        )

    def result(self, item: Item) -> Any:  # noqa: ARG002 - SWF says only that the signal has arrived
        """Return that there is no result."""
        return NO_RESULT
