"""Put known bugs into a copy of floto, one at a time, and show which invariants and tests detect them.

    python tests/seeded_bugs.py [NAME ...]

Exits with 1 if a bug goes unseen. Not collected by pytest: each bug runs the property
tests anew.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).resolve().parent.parent


@frozen
class Change:
    """``old`` must be in the file exactly once."""

    file: str
    old: str
    new: str


EVENT_RULES, UPDATE, NEXT_STEP, DECIDE = (
    "floto/core/state/event_rules.py",
    "floto/core/decide/update.py",
    "floto/core/decide/next_step.py",
    "floto/core/decide/decide.py",
)
STARTING, CLOSING, PHASE = (
    "floto/core/decide/starting.py",
    "floto/core/decide/closing.py",
    "floto/core/decide/phase.py",
)
IN_FLIGHT = "    if status in OPEN:\n        return IN_FLIGHT\n"
DECIDED = "            decision = _decision(task, position, step, progress, shared_context)\n"
WAITED = "return _start_after(retry_timer_id(id_, len(failures)), seconds, state) if seconds else START"

BUGS: dict[str, tuple[Change, ...]] = {
    "schedule before a require completed": (
        Change(
            NEXT_STEP,
            IN_FLIGHT,
            "    if item.is_open:\n"
            "        return NoStep.DONE if item.status is Status.STARTED else NoStep.IN_FLIGHT\n",
        ),
    ),
    "schedule twice after a decision time-out": (
        Change(
            EVENT_RULES,
            "    tasks = draft.decision_tasks\n    if event.data.started_event_id:\n",
            "    tasks = draft.decision_tasks\n"
            '    draft.signals = draft.signals.insert("lost", ())\n'
            "    if event.data.started_event_id:\n",
        ),
        Change(
            NEXT_STEP,
            IN_FLIGHT,
            '    if item.is_open:\n        return START if "lost" in state.signals else NoStep.IN_FLIGHT\n',
        ),
    ),
    "one retry too many": (
        Change(
            NEXT_STEP,
            "delay = None if strategy is None else strategy.delay(",
            "delay = 0 if strategy is None else strategy.delay(",
        ),
    ),
    "one retry too few": (
        Change(
            NEXT_STEP,
            "strategy.delay(Retry(task_id=id_, seed=seed, failures=counted))",
            "strategy.delay(Retry(task_id=id_, seed=seed, failures=(counted[0], *counted)))",
        ),
    ),
    "retry delay ignored": (Change(NEXT_STEP, WAITED, "return START"),),
    "signals lost when a run repeats itself": (
        Change(
            CLOSING,
            "as_new(progress.state, continued_input(progress.state, awaited, progress.codec.payloads))",
            "as_new(progress.state, progress.state.start.input)",
        ),
    ),
    "timer never started": (
        Change(
            STARTING,
            DECIDED,
            "            if task.key[0] is Kind.TIMER:\n                continue\n" + DECIDED,
        ),
    ),
    "completes while a timer is open": (
        Change(
            PHASE,
            "    return RunPhase.COMPLETING if len(progress.outcomes) == len(progress.plan.tasks) else",
            "    timers = {n for n, task in enumerate(progress.plan.tasks) if task.key[0].value == 'timer'}\n"
            "    done = {*progress.outcomes} | timers\n"
            "    return RunPhase.COMPLETING if len(done) == len(progress.plan.tasks) else",
        ),
    ),
    "generated task's dependants not held back": (
        Change(
            "floto/core/spec/expand.py",
            "    if not added:\n        return task\n",
            "    if added is not None:\n        return task\n",
        ),
    ),
    "failure swallowed": (
        Change(
            NEXT_STEP,
            "    if delay is None:\n        return Exhausted(last.message)\n",
            "    if delay is None:\n        return NoStep.DONE\n",
        ),
    ),
    "an early signal releases what requires it": (
        Change(
            UPDATE,
            "            if waiting[position] if position in waiting else left_before(position, outcomes):\n"
            "                continue\n",
            "",
        ),
    ),
    "clean-up beside what still runs": (
        Change(CLOSING, "    if awaited:\n", "    if awaited and not cleanup.steps:\n"),
    ),
    "what was asked to stop becomes a cause": (
        Change(
            DECIDE,
            "return fail(progress, run_failures(progress))",
            "return fail(progress, progress.failures)",
        ),
    ),
    "clean-up not finished": (
        Change(
            CLOSING,
            "if len(waiting | {*cleanup.outcomes}) == count else None",
            "if not found else None",
        ),
    ),
    "result of a non-leaf reported": (
        Change(
            "floto/core/spec/graph.py",
            "enumerate(self.dependents) if not dependents]",
            "enumerate(self.dependents) if len(dependents) < 2]",
        ),
    ),
    "what is new to a decider not folded": (
        Change(
            "floto/runtime/deciders/progress_cache.py",
            "known.observe(self._after(known.state.last_event_id, task))",
            "known",
        ),
    ),
    "result reported once, heard or not": (
        Change(
            "floto/runtime/retrying.py",
            "return _last_call_with(REPORT, stop, partial(call, *args, **kwargs), _LAST_REPORT_SECONDS)",
            "return call(*args, **kwargs)",
        ),
    ),
}


def seed(folder: Path, change: Change) -> None:
    """Make a change in a copy."""
    target = folder / change.file
    source = target.read_text()
    if source.count(change.old) != 1:
        msg = f"{change.file} has changed; this is not in it exactly once: {change.old!r}"
        raise SystemExit(msg)
    target.write_text(source.replace(change.old, change.new))


def failing(changes: tuple[Change, ...]) -> list[str]:
    """The invariants that do not hold with a bug in place, and the names of the first tests that fail."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("floto", "tests"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        for change in changes:
            seed(folder, change)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "tests/property",
            "-q",
            "-p",
            "no:cacheprovider",
            "--tb=short",
        ]
        command += ["--hypothesis-profile=no-shrink", "-n2", "--maxfail=3"]
        environment = {**os.environ, "PYTHONPATH": name, "HYPOTHESIS_STORAGE_DIRECTORY": f"{name}/examples"}
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    return [
        found.replace(",", "")
        for pattern in (r"the invariant \((\d+, \w+)\)", r"^(?:FAILED|ERROR) \S+::(\w+)")
        for found in sorted(set(re.findall(pattern, done.stdout, re.MULTILINE)))
    ]


def main(names: list[str]) -> int:
    """Try every bug, or those that are named."""
    unseen = 0
    for name in names or BUGS:
        seen = failing(BUGS[name])
        unseen += not seen
        print(f"{name}: {', '.join(seen) or 'UNSEEN'}", flush=True)
    return 1 if unseen else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
