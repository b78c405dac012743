"""Kill processes that share a file while they commit groups, and check what the next process finds.

    python -m tests.kills [--kills N] [--seed N]

In each round, three processes with several threads each start runs, decide, report and signal. Each writes
a line to a pipe for every call that was acknowledged, and is killed at a random moment. A fresh process then
opens the file: every acknowledged call is in it, no call is there by half, and no task has an owner. In the
end, one process finishes all runs. Exits with 1 if not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import signal
import sqlite3
import sys
import tempfile
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from attrs import frozen

from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.storage.rows import derive
from floto.adapters.sqlite.storage.store import LOCK_SECONDS
from floto.core.engine.embedded import Decided
from floto.core.errors import ServiceFault
from floto.core.state.fold import fold
from floto.core.state.state import State, Status
from floto.core.swf import events as e
from floto.core.swf.decisions import CompleteWorkflowExecution, Decision, ScheduleActivityTask
from floto.core.swf.service import PolledActivityTask, PolledDecisionTask, StartRequest
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType
from tests.integration.test_sqlite_helpers import report_and_poll
from tests.workload import is_sound

WORKFLOW, ACTIVITY = WorkflowType("work", "1"), ActivityType("act", "1")
PROCESSES = 3
#: Activities that complete before a run does.
ACTIVITIES = 3
#: Maximum seconds of a round, and until all runs are finished.
LONGEST = 120.0
#: Maximum time for which a call waits for the lock.
LATE = timedelta(seconds=LOCK_SECONDS)

#: An acknowledged call: its kind, the id of its run, and what its event says.
Call = tuple[str, str, Any]
Acknowledge = Callable[[str, str, Any], None]


def decide(state: State) -> list[Decision]:
    """Return the decisions of a run: activities until enough of them are completed."""
    statuses = [item.status for item in state.items.values()]
    if statuses.count(Status.COMPLETED) >= ACTIVITIES:
        return [CompleteWorkflowExecution()]
    scheduled = len(statuses)
    missing = ACTIVITIES - (scheduled - statuses.count(Status.TIMED_OUT))
    return [
        ScheduleActivityTask(activity_type=ACTIVITY, activity_id=str(scheduled + number))
        for number in range(missing)
    ]


@frozen
class AtOnce:
    """Decides in the commit that claims a decision task."""

    acknowledge: Acknowledge
    is_stopped: bool = False

    def decide(self, task: PolledDecisionTask, state: State, *_known: Any) -> Decided:
        report = partial(self.acknowledge, "decided", task.execution.run_id, task.started_event_id)
        return Decided(decide(state), lambda: None, report)


def decide_at_once(service: SqliteService, acknowledge: Acknowledge) -> None:
    respond(service, acknowledge, service.poll_and_decide("floto", "", 0.2, AtOnce(acknowledge)))


def decide_apart(service: SqliteService, acknowledge: Acknowledge) -> None:
    respond(service, acknowledge, service.poll_for_decision_task("floto", "", 0.2))


def respond(service: SqliteService, acknowledge: Acknowledge, task: PolledDecisionTask | None) -> None:
    """Respond to a task in a call of its own, as to one that was redelivered."""
    if task is not None:
        service.respond_decision_task_completed(task.token, decide(fold(task.events)))
        acknowledge("decided", task.execution.run_id, task.started_event_id)


def work(service: SqliteService, acknowledge: Acknowledge) -> None:
    task = service.poll_for_activity_task("floto", "", 0.2)
    while task is not None:
        task = report(service, acknowledge, task)


def report(
    service: SqliteService, acknowledge: Acknowledge, task: PolledActivityTask
) -> PolledActivityTask | None:
    """Report a result that no other call reports, and claim the next task."""
    result = json.dumps(random.random())

    def complete(reports: Any, token: str) -> None:
        reports.respond_activity_task_completed(token, result)

    following = report_and_poll(service, complete, task.token, ("floto", ""), leads=random.random() < 0.5)
    acknowledge("reported", task.execution.run_id, result)
    return following


def start_and_signal(service: SqliteService, acknowledge: Acknowledge) -> None:
    workflow_id = str(random.random())
    run_id = service.start_workflow_execution(StartRequest(workflow_id=workflow_id, workflow_type=WORKFLOW))
    acknowledge("started", run_id, workflow_id)
    for number in range(3):
        service.signal_workflow_execution(workflow_id, str(number))
        acknowledge("signaled", run_id, str(number))


ROLES = (decide_at_once, decide_apart, work, work, start_and_signal, start_and_signal)


def use(path: Path, pipe: int) -> NoReturn:
    """Make calls in several threads until this process is killed."""
    service = SqliteService(path)

    def acknowledge(*call: Any) -> None:
        os.write(pipe, json.dumps(call).encode() + b"\n")

    def repeat(role: Callable[[SqliteService, Acknowledge], None]) -> None:
        try:
            while True:
                # The run may be closed, or the task timed out, by another process.
                with suppress(ServiceFault):
                    role(service, acknowledge)
        except Exception:  # noqa: BLE001 - the parent sees the status
            traceback.print_exc()
            os._exit(1)

    for role in ROLES:
        threading.Thread(target=repeat, args=(role,), daemon=True).start()
    while True:
        signal.pause()


def forked(call: Callable[[], Any]) -> int:
    """Execute a call in a process of its own; return its id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        call()
        status = 0
    except BaseException:  # noqa: BLE001 - the parent sees the status
        traceback.print_exc()
    finally:
        os._exit(status)


def kill_round(path: Path, chance: random.Random) -> list[Call]:
    """Kill processes while they commit; return the calls that were acknowledged."""
    ours, theirs = os.pipe()
    children = [forked(lambda: use(path, theirs)) for _ in range(PROCESSES)]
    os.close(theirs)
    read, least, end = b"", chance.randint(1, 400), time.monotonic() + LONGEST
    while read.count(b"\n") < least:
        assert time.monotonic() < end, "no progress"
        if select.select([ours], [], [], 1)[0]:
            read += os.read(ours, 2**16)
    for child in children:
        time.sleep(chance.random() / 100)
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
    while part := os.read(ours, 2**16):
        read += part
    os.close(ours)
    return [tuple(json.loads(line)) for line in read.splitlines()]


def check(path: Path, calls: Sequence[Call], *, finish: bool = False) -> None:
    """Check the file in a fresh process; finish all runs if that is asked for."""
    assert is_sound(path), "the file is damaged"
    with SqliteService(path) as service:
        known = service._host.store.open_runs()  # noqa: SLF001 - what a process has in memory shows nowhere else
        owned = [task for _, _, task in known.tasks() if task.lease is not None]
        assert not owned, f"{len(owned)} tasks of killed processes are not redelivered"
        check_runs(service, path, calls)
        if finish:
            finish_all(service)


def check_runs(service: SqliteService, path: Path, calls: Sequence[Call]) -> None:
    """Check that every call is in the file, and that none is there twice or by half."""
    store = service._host.store  # noqa: SLF001 - as above
    seen: defaultdict[str, set[tuple[str, Any]]] = defaultdict(set)
    with closing(sqlite3.connect(path)) as db:
        executions = [WorkflowExecution(*row) for row in db.execute("SELECT workflow_id, run_id FROM runs")]
    for execution in executions:
        run_id, events = execution.run_id, service.history(execution)
        assert [event.id for event in events] == list(range(1, len(events) + 1))
        # Each event follows from those before it.
        fold(events)
        found = [said for event in events if (said := _said(event, execution.workflow_id))]
        assert len(found) == len(set(found)), f"a call is twice in {run_id}"
        seen[run_id].update(found)
        run, open_run = store.load(run_id), store.open_runs().get(run_id)
        if run is not None and open_run is not None:
            tasks, dues = derive(run, list(events), {})
            assert {id: (task.kind, task.started) for id, task in tasks.items()} == {
                id: (task.kind, task.started) for id, task in open_run.tasks.items()
            }
            # Those set by a process that waited for the lock count from before that.
            assert dues.keys() == open_run.dues.keys()
            late = [id for id, due in dues.items() if not due.at - LATE <= open_run.dues[id].at <= due.at]
            assert not late, f"deadlines of {run_id}: {late}"
    missing = [call for call in calls if tuple(call[::2]) not in seen[call[1]]]
    assert not missing, f"{len(missing)} acknowledged calls are missing, such as {missing[0]}"


def _said(event: e.Event, workflow_id: str) -> tuple[str, Any] | None:
    match event.data:
        case e.WorkflowExecutionStarted():
            return "started", workflow_id
        case e.WorkflowExecutionSignaled(signal_name=name):
            return "signaled", name
        case e.ActivityTaskCompleted(result=result):
            return "reported", result
        case e.DecisionTaskCompleted(started_event_id=id):
            return "decided", id
    return None


def finish_all(service: SqliteService) -> None:
    """Finish all runs."""
    end = time.monotonic() + LONGEST
    while service.open_executions(WORKFLOW):
        assert time.monotonic() < end, "the runs do not finish"
        while (asked := service.poll_for_decision_task("floto", "", 0)) is not None:
            service.respond_decision_task_completed(asked.token, decide(fold(asked.events)))
        while (task := service.poll_for_activity_task("floto", "", 0)) is not None:
            service.respond_activity_task_completed(task.token, None)


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    options = parser.parse_args()
    chance, began, kills, calls = random.Random(options.seed), time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory(prefix="floto-kills-") as name:
        while kills < options.kills:
            path = Path(name) / f"db {kills // 30}"
            acknowledged: list[Call] = []
            for is_last in (*[False] * min(9, (options.kills - kills - 1) // PROCESSES), True):
                acknowledged += kill_round(path, chance)
                kills += PROCESSES
                checking = forked(lambda: check(path, acknowledged, finish=is_last))  # noqa: B023
                if os.waitpid(checking, 0)[1]:
                    print(f"FAILED after {kills} kills with seed {options.seed}")  # noqa: T201
                    return 1
            calls += len(acknowledged)
    print(f"{kills} kills, {calls} acknowledged calls, {time.monotonic() - began:.0f} s")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
