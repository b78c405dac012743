"""Replays many random histories of random specs; each must agree with what was decided.

    python tests/replay_many.py [NUMBER]

NUMBER (10,000 if it is not given) histories are made by the simulator: retries, timers,
children, generators, lost decision tasks, refused decisions and closes, cancels. Prints
how many of each there were; exits with 1 at the first that diverges. Not collected by
pytest, which replays a sample of the same (``tests/property/test_replay.py``).
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from floto import DeciderSpec, History, replay
from floto.core.decide.decide import spec_of
from floto.testing import Faults, Simulation
from floto.testing.strategies import runs, specs
from tests.many import check_many

#: Events that say what kind of history it was.
_TELLING = {
    "ActivityTaskFailed": "failed activities",
    "ActivityTaskTimedOut": "activities that timed out",
    "TimerFired": "timers and retry waits",
    "StartChildWorkflowExecutionInitiated": "children",
    "DecisionTaskTimedOut": "lost decision tasks",
    "WorkflowExecutionCancelRequested": "cancel requests",
}


class Diverged(Exception):
    """A history that is not decided again as it was."""


def spec_for(spec: DeciderSpec, history: History) -> DeciderSpec:
    """The spec that a run was decided by: its own, if it carries one."""
    return spec_of(history.start.input) or spec


def replay_all(run: Simulation, seen: Counter[str]) -> None:
    """Replay every history of one simulation, and count what was in it."""
    for history in run.histories:
        done = replay(spec_for(run.spec, history), history)
        if done.divergence is not None:
            msg = f"{done.divergence}\n{run!r}"
            raise Diverged(msg)
        seen["histories"] += 1
        seen["decision tasks"] += len(done.steps)
        seen["decisions"] += sum(len(step.recorded) for step in done.steps)
        seen["refused decisions"] += sum(each.cause is not None for s in done.steps for each in s.recorded)
        for event in history:
            seen[_TELLING.get(type(event.data).__name__, "events of other kinds")] += 1


def main(number: int) -> int:
    """Replay until there were as many histories."""
    cases = runs(specs(), faults=Faults.all())
    return check_many(cases, replay_all, ("histories", number), (Diverged,))


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
