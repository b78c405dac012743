"""The faults that a simulation injects, and their rates."""

from __future__ import annotations

from typing import Any

from attrs import field, fields, frozen


def _rate(_faults: Any, attribute: Any, value: Any) -> None:
    if type(value) not in (int, float) or not 0 <= value <= 1:
        msg = f"{attribute.name} must be a number from 0 (never) to 1 (always), not {value!r}"
        raise ValueError(msg)


def _count(_faults: Any, attribute: Any, value: Any) -> None:
    if type(value) is not int or value < 0:
        msg = f"{attribute.name} must be an integer of 0 or more, not {value!r}"
        raise ValueError(msg)


def _at() -> float:
    rate: float = field(default=0, validator=_rate)
    return rate


@frozen(kw_only=True, repr=False)
class Faults:
    """The rate of each fault: its probability at each opportunity, 0 (never) to 1 (always).

    Raises:
        ValueError: A rate is not a number from 0 to 1, or ``most`` is not an integer of 0 or more.
    """

    #: An activity, or a child without a spec, fails for the reason "Passing".
    fails: float = _at()
    #: The same for the reason "Final", which a retry strategy may give up on.
    fails_for_good: float = _at()
    #: A worker that has no function for an activity gives it back; that does not count as an attempt.
    gives_back: float = _at()
    #: An activity times out, in any of the ways that its time-outs allow.
    times_out: float = _at()
    #: The heartbeats of a running worker are lost: its response comes too late.
    loses_heartbeat: float = _at()
    #: A worker crashes. An activity without a time-out fails for the reason "Lost" instead: SWF would
    #: never notice.
    loses_worker: float = _at()
    #: A decider crashes, and its decision task times out.
    loses_decision: float = _at()
    #: Two deciders respond to one decision task; the second response is refused.
    delivers_twice: float = _at()
    #: SWF accepted a response and its decider was not notified: it responds again, later.
    loses_response: float = _at()
    #: A signal arrives while a decider computes its response.
    delays_answer: float = _at()
    #: Something happens out of the default order.
    reorders: float = _at()
    #: SWF refuses a decision, with one of the causes that it documents.
    refuses: float = _at()
    #: The history contains events of types that this floto does not know.
    adds_events: float = _at()
    #: A client sends a signal: one that no task waits for, or an awaited one early.
    signals: float = _at()
    #: A client requests cancellation of the run, once.
    cancels: float = _at()
    #: Maximum number of faults in one simulation, all kinds together.
    most: int = field(default=20, validator=_count)

    def __repr__(self) -> str:
        given = {each.name: getattr(self, each.name) for each in fields(Faults)}
        defaults = {each.name: each.default for each in fields(Faults)}
        shown = [f"{name}={value!r}" for name, value in given.items() if value != defaults[name]]
        return f"Faults({', '.join(shown)})"

    @classmethod
    def all(cls, rate: float = 0.1, *, most: int = 20) -> Faults:
        """Return faults that all occur at one rate.

        Args:
            rate: Probability of each fault at each opportunity.
            most: Maximum number of faults in one simulation.
        """
        return cls(**dict.fromkeys(FAULT_NAMES, rate), most=most)


#: The names of the faults.
FAULT_NAMES: tuple[str, ...] = tuple(each.name for each in fields(Faults) if each.name != "most")
#: No faults.
NONE = Faults()
