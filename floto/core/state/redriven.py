"""The record that a redriven run has of the run before it: completed tasks, and signals that had arrived.

SWF cannot reopen a closed run, so a redrive is a new run, and what it keeps travels in the new run's history:
in its input, beside the user's, under a reserved key. If it is too long for that, the input has only the
number of parts, and each part is a signal that follows the start. The fold of either is the same: kept tasks
are items that completed with the first event of the new run, so no later code needs to know of a redrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import asdict, evolve, field, frozen

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.state.envelope import with_reserved, without_reserved
from floto.core.state.state import Item, KeptItem, Key, Kind, Origin, State, Status
from floto.core.swf import wire
from floto.core.swf.events import (
    EVENT_TYPES,
    Event,
    MarkerRecorded,
    WorkflowExecutionSignaled,
    WorkflowExecutionStarted,
)
from floto.core.swf.reserved_names import CHECKPOINT_PREFIX, COMPRESSED, REDRIVE_KEY

#: Key of the item that is open until all parts of what a run keeps have arrived.
PARTS_KEY: Key = (Kind.SIGNAL, REDRIVE_KEY)


@frozen
class KeptTask:
    """A task that completed in an earlier run, with the data of the event that completed it."""

    key: Key
    origin: Origin
    data: Any

    def item(self, start: Event) -> Item:
        """Return the item of the task in the run with this start."""
        closed = evolve(start, data=self.data)
        return KeptItem(key=self.key, status=Status.COMPLETED, opened=None, closed=closed, origin=self.origin)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of the task."""
        (kind, id_), origin = self.key, self.origin
        # The event ids in the data are those of the other run.
        data = {name: value for name, value in wire.write(self.data).items() if type(value) is not int}
        return {
            "kind": str(kind),
            "id": id_,
            "run": origin.run_id,
            "event": origin.event_id,
            "at": wire.to_ms(origin.at),
            "digest": origin.digest,
            "type": wire.type_name(self.data),
            "data": data,
        }


@frozen
class Checkpoint:
    """What a task that runs again in a redriven run has left for its attempts there."""

    id: str
    #: Digest of the decision that started the task; that of a child does not count its spec.
    digest: str
    #: The details of an activity's last heartbeat; what a child keeps of its last run, as JSON text.
    text: str

    def marker(self, start: Event) -> Event:
        """Return a marker with the text, as if the run had recorded it with its start."""
        name = CHECKPOINT_PREFIX + self.id
        data = MarkerRecorded(marker_name=name, details=self.text, decision_task_completed_event_id=0)
        return evolve(start, data=data)


@frozen
class Redriven:
    """The tasks, signals and checkpoints that a redriven run keeps."""

    tasks: tuple[KeptTask, ...]
    signals: tuple[WorkflowExecutionSignaled, ...]
    checkpoints: tuple[Checkpoint, ...] = ()
    #: Number of the redrive, 1 for the first; the run before it had the number below.
    number: int = 1
    #: The run before; empty if its history did not name it.
    run_id: str = field(default="", kw_only=True)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that the input of the run has under floto's key."""
        signals = [{"name": each.signal_name, "input": each.input} for each in self.signals]
        tasks = [each.to_json() for each in self.tasks]
        checkpoints = [asdict(each) for each in self.checkpoints]
        return {
            "run": self.run_id,
            "number": self.number,
            "tasks": tasks,
            "signals": signals,
            "checkpoints": checkpoints,
        }


def with_redriven(own: Any, redriven: Mapping[str, Any]) -> Any:
    """Return the input of a redriven run: the user's, with the JSON object of what is kept beside it."""
    return with_reserved(own, REDRIVE_KEY, redriven)


def written_record(text: str | None) -> dict[str, Any] | None:
    """Return the JSON object of what a run keeps in its text; None for other text."""
    record = _loaded(text)
    return record if isinstance(record, dict) and _read(record) is not None else None


def own_value(value: Any) -> Any:
    """Return the user's input of a run in its input, without what floto put beside it for a redrive."""
    return value if _record(value) is None else without_reserved(value, REDRIVE_KEY)


def parts_record(run_id: str, number: int, parts: int) -> dict[str, Any]:
    """Return the JSON object in the input of a run that gets what it keeps in parts, by signals."""
    return {"run": run_id, "number": number, "parts": parts}


def redriven(start: WorkflowExecutionStarted, parts: Iterable[Event] = ()) -> Redriven | None:
    """Return what a run keeps; None if it is not a redrive, or a part has not arrived.

    Args:
        start: The start of the run.
        parts: The signals of floto's name that the run has received.
    """
    record = _record_of(start)
    if record is not None and "parts" in record:
        record = _joined(record["parts"], parts)
    return None if record is None else _read(record)


def redriven_of(state: State) -> Redriven | None:
    """Return what a run keeps, as far as it has arrived; None if it is not a redrive."""
    return redriven(state.start, state.signals.get(REDRIVE_KEY, ()))


def kept_at_start(start: WorkflowExecutionStarted) -> tuple[Redriven | None, bool]:
    """Return what the input of a run keeps, if it does, and True if that arrives in parts instead."""
    record = _record_of(start)
    if record is None:
        return None, False
    return (None, bool(record["parts"])) if "parts" in record else (_read(record), False)


def _record_of(start: WorkflowExecutionStarted) -> dict[str, Any] | None:
    # The key is in the text, unless that is compressed: all other runs pay for a search only.
    text = start.input
    if text is None or not (REDRIVE_KEY in text or text.startswith(COMPRESSED)):
        return None
    try:
        return _record(payload.loads(text))
    except PayloadError:
        # The decider fails the run when it uses the unreadable input.
        return None


def part_numbers(signals: Iterable[Event]) -> frozenset[int]:
    """Return the numbers of the parts that have arrived."""
    return frozenset(_texts(signals))


def awaits_parts(state: State) -> bool:
    """Return True until all parts of what a redriven run keeps have arrived."""
    return state.is_open(PARTS_KEY)


def unsent_of(state: State) -> str | None:
    """Return the id of the run whose results a redriven run still waits for; None if it waits for none."""
    record = _record_of(state.start) if awaits_parts(state) else None
    return None if record is None else record["run"]


def _texts(signals: Iterable[Event]) -> dict[int, str]:
    values = [_loaded(signal.data.input) for signal in signals]
    return {
        value["part"]: value["text"]
        for value in values
        if isinstance(value, dict) and value.keys() == {"part", "text"} and isinstance(value["text"], str)
    }


def _loaded(text: str | None) -> Any:
    try:
        return payload.loads(text)
    except PayloadError:
        return None


def _joined(count: int, signals: Iterable[Event]) -> Any:
    texts = _texts(signals)
    numbers = range(1, count + 1)
    return _loaded("".join(texts[each] for each in numbers)) if texts.keys() >= {*numbers} else None


def _record(value: Any) -> dict[str, Any] | None:
    """Return what floto wrote under its key; None if there is nothing, or something of the user's."""
    record = value.get(REDRIVE_KEY) if isinstance(value, dict) else None
    if not isinstance(record, dict) or not (_read(record) or _is_of_parts(record)):
        return None
    return record


def _is_of_parts(record: Mapping[str, Any]) -> bool:
    return record.keys() == {"run", "number", "parts"} and type(record["parts"]) is int


def _read(record: Any) -> Redriven | None:
    try:
        tasks = tuple(_task(each) for each in record["tasks"])
        signals = tuple(
            WorkflowExecutionSignaled(signal_name=each["name"], input=each["input"])
            for each in record["signals"]
        )
        checkpoints = tuple(Checkpoint(**each) for each in record["checkpoints"])
        return Redriven(tasks, signals, checkpoints, record["number"], run_id=record["run"])
    except (KeyError, TypeError, ValueError):
        return None


def _task(written: Mapping[str, Any]) -> KeptTask:
    origin = Origin(written["run"], written["event"], written["digest"], wire.from_ms(written["at"]))
    data = wire.read(EVENT_TYPES[written["type"]], written["data"])
    return KeptTask((Kind(written["kind"]), written["id"]), origin, data)
