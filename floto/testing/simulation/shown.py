"""A history as deciders see it, with events of unknown types, as a newer SWF may write them."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from floto.core.swf.events import Event, OtherEvent
from floto.core.swf.events.references import references
from floto.core.swf.history import History
from floto.core.swf.shapes import WorkflowExecution


class ShownHistory:
    """The growing history of one run; events once shown do not change."""

    def __init__(self, execution: WorkflowExecution) -> None:
        self.execution = execution
        self.events: list[Event] = []
        #: Number of events written by SWF, without those that were added.
        self.written = 0
        #: New event ids by old, once events were added.
        self._moved: dict[int, int] = {}

    @property
    def is_altered(self) -> bool:
        """True if events were added, so that it is not the history that SWF has written."""
        return bool(self._moved)

    def extend(self, events: Sequence[Event], added: int | None = None) -> None:
        """Show the events that SWF has written since.

        Args:
            events: The new events.
            added: Position in ``events`` before which an event of an unknown type is added; None for none.
                Later event ids, and references to them, are shifted.
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
        # 0 or None refers to no event.
        new = {name: self._moved.get(id_, id_) for name, id_ in old.items()}
        return Event(number, event.at, event.data if new == old else evolve(event.data, **new))

    def history(self, length: int | None = None) -> History:
        """Return the history shown by now, or its first ``length`` events."""
        return History(self.events[:length], self.execution)
