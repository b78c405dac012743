"""A history as deciders see it, in which a newer SWF may write events of types unknown to this floto."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from floto.core.swf.events import Event, OtherEvent
from floto.core.swf.events.references import references
from floto.core.swf.history import History
from floto.core.swf.shapes import WorkflowExecution


class ShownHistory:
    """The history of one run, which grows; what was shown once stays."""

    def __init__(self, execution: WorkflowExecution) -> None:
        self.execution = execution
        self.events: list[Event] = []
        #: How many events SWF has written, those that were added aside.
        self.written = 0
        #: Where events were moved to, once there are any that were added.
        self._moved: dict[int, int] = {}

    def extend(self, events: Sequence[Event], added: int | None = None) -> None:
        """Show what SWF has written since, with an event of an unknown type before the one at ``added``.

        References to events behind it move along.
        """
        for position, event in enumerate(events):
            if position == added:
                self._add(event)
            self.events.append(self._move(event) if self._moved else event)
            self.written += 1

    def _add(self, before: Event) -> None:
        if not self._moved:
            self._moved = {event.id: event.id for event in self.events}
        number = len(self.events) + 1
        data = OtherEvent(type="WorkflowExecutionAudited", attributes={"number": number})
        self.events.append(Event(number, before.at, data))

    def _move(self, event: Event) -> Event:
        number = self._moved[event.id] = len(self.events) + 1
        old = {name: getattr(event.data, name) for name in references(event.data.__class__)}
        # A reference to nothing is 0, or is left out.
        new = {name: self._moved.get(id_, id_) for name, id_ in old.items()}
        return Event(number, event.at, event.data if new == old else evolve(event.data, **new))

    def history(self, length: int | None = None) -> History:
        """What is shown by now, or was when it had so many events."""
        return History(self.events[:length], self.execution)
