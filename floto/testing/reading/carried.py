"""A second, naive reading of the input of a run: the signals and results of the run before it."""

from __future__ import annotations

from typing import Any

from floto.core.errors import PayloadError
from floto.core.payloads import payload

#: Keys in a run's input: the signals of the previous run, and a user's input that is not an object.
SIGNALS, INPUT = "floto.signals", "floto.input"
#: Key in a run's input for what a redriven run keeps, and the name of the signals with its parts.
REDRIVE = "floto.redrive"
#: Name of the signals of which only the last one counts.
_LAST = "floto.spec"

#: A signal: its name and its input.
Signal = tuple[str, str | None]


def signals_of(start: Any) -> list[Signal]:
    """Return the signals that a run was started with, in order of arrival."""
    if start is None or start.continued_execution_run_id is None:
        return []
    try:
        value = payload.loads(start.input)
    except PayloadError:
        return []
    written = value.get(SIGNALS) if isinstance(value, dict) else None
    try:
        found = [(each.pop("name"), each.pop("input"), each) for each in written or ()]
    except (AttributeError, KeyError, TypeError):
        return []
    is_ours = isinstance(written, list) and all(
        isinstance(name, str) and isinstance(given, str | None) and not more for name, given, more in found
    )
    return [(name, given) for name, given, _ in found] if is_ours else []


def redrive_of(start: Any) -> dict[str, Any]:
    """Return the object that floto put into the input of a redriven run; empty if there is none."""
    try:
        value = payload.loads(start.input)
    except PayloadError:
        return {}
    found = value.get(REDRIVE) if isinstance(value, dict) else None
    if not isinstance(found, dict) or found.keys() not in (_WHOLE, _IN_PARTS):
        return {}
    return found


_IN_PARTS = {"run", "number", "parts"}
_WHOLE = {"run", "number", "tasks", "signals", "checkpoints"}


def put_together(count: int, inputs: list[str | None]) -> dict[str, Any]:
    """Return what the inputs of signals hold in parts; empty until all parts have arrived."""
    texts = {}
    for each in inputs:
        value = payload.loads(each)
        texts[value["part"]] = value["text"]
    if any(number not in texts for number in range(1, count + 1)):
        return {}
    whole: dict[str, Any] = payload.loads("".join(texts[number] for number in range(1, count + 1)))
    return whole


def own_input(start: Any) -> Any:
    """Return the input of the user. Raises ``PayloadError``."""
    value = payload.loads(start.input)
    if redrive_of(start):
        rest = {key: item for key, item in value.items() if key != REDRIVE}
        return rest[INPUT] if rest.keys() == {INPUT} else rest
    if start.continued_execution_run_id is None or not isinstance(value, dict) or SIGNALS not in value:
        return value
    if not signals_of(start) and value[SIGNALS] != []:
        return value
    rest = {key: item for key, item in value.items() if key != SIGNALS}
    return rest[INPUT] if rest.keys() == {INPUT} else rest


def left_over(arrived: list[Signal], awaited: set[str]) -> list[Signal]:
    """Return the signals that no task used: a task uses the first of its name."""
    left, to_use = [], set(awaited)
    for signal in arrived:
        if signal[0] in to_use:
            to_use.remove(signal[0])
        else:
            left.append(signal)
    latest = max((at for at, signal in enumerate(left) if signal[0] == _LAST), default=-1)
    return [signal for at, signal in enumerate(left) if signal[0] != _LAST or at == latest]


def next_input(start: Any, left: list[Signal]) -> str | None:
    """Return the input of the next run, with the signals that were left over. Raises ``PayloadError``."""
    before, own = payload.loads(start.input), own_input(start)
    value = own
    if left or (isinstance(own, dict) and SIGNALS in own):
        signals = [{"name": name, "input": given} for name, given in left]
        is_plain = isinstance(own, dict) and not own.keys() & {SIGNALS, INPUT, REDRIVE, "floto.payload"}
        value = {**own, SIGNALS: signals} if is_plain else {INPUT: own, SIGNALS: signals}
    return start.input if value == before else payload.dumps_plain(value, "the input of the next run")
