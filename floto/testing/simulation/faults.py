"""What may go wrong in a simulation, and how often."""

from __future__ import annotations

from typing import Any

from attrs import field, fields, frozen


def _rate(_faults: Any, attribute: Any, value: Any) -> None:
    if type(value) not in (int, float) or not 0 <= value <= 1:
        msg = f"{attribute.name} must be a number from 0 (never) to 1 (always), not {value!r}"
        raise ValueError(msg)


def _count(_faults: Any, attribute: Any, value: Any) -> None:
    if type(value) is not int or value < 0:
        msg = f"{attribute.name} must be a whole number of 0 or more, not {value!r}"
        raise ValueError(msg)


def _at() -> float:
    rate: float = field(default=0, validator=_rate)
    return rate


@frozen(kw_only=True, repr=False)
class Faults:
    """How often each thing goes wrong, of the occasions it has: 0 never, 1 always.

    Raises ``ValueError`` for what is no rate.
    """

    #: An activity, or a child without a spec, fails for the reason "Passing".
    fails: float = _at()
    #: The same for the reason "Final", which a retry strategy may give up on.
    fails_for_good: float = _at()
    #: A worker that has no function for an activity gives it back: no attempt that counts.
    gives_back: float = _at()
    #: An activity times out, in any of the ways that its time-outs allow.
    times_out: float = _at()
    #: A worker lives on, and its heartbeats are lost: its answer comes too late.
    loses_heartbeat: float = _at()
    #: A worker dies with its activity. One that has no time-out fails for the reason "Lost" instead,
    #: for nobody would ever hear of it again.
    loses_worker: float = _at()
    #: A decider dies with its decision task, which times out.
    loses_decision: float = _at()
    #: Two deciders answer one decision task; the second is refused.
    delivers_twice: float = _at()
    #: An answer took effect, and its decider was not told: it answers again, later.
    loses_response: float = _at()
    #: Something happens while a decider thinks.
    delays_answer: float = _at()
    #: Something else happens than what would be next in turn.
    reorders: float = _at()
    #: SWF refuses a decision, with any of the causes it has for that.
    refuses: float = _at()
    #: The history has events in it of types that this floto does not know.
    adds_events: float = _at()
    #: Somebody sends a signal: one that no task waits for, or one that a task waits for, early.
    signals: float = _at()
    #: Somebody asks the run to stop, once.
    cancels: float = _at()
    #: How many of these may befall one simulation, all together: after them, all goes well.
    most: int = field(default=20, validator=_count)

    def __repr__(self) -> str:
        given = {each.name: getattr(self, each.name) for each in fields(Faults)}
        usual = {each.name: each.default for each in fields(Faults)}
        shown = [f"{name}={value!r}" for name, value in given.items() if value != usual[name]]
        return f"Faults({', '.join(shown)})"

    @classmethod
    def all(cls, rate: float = 0.1, *, most: int = 20) -> Faults:
        """Everything goes wrong equally often."""
        return cls(**dict.fromkeys(FAULT_NAMES, rate), most=most)


#: What may go wrong, by the names of the fields.
FAULT_NAMES: tuple[str, ...] = tuple(each.name for each in fields(Faults) if each.name != "most")
#: All goes well.
NONE = Faults()
