"""Faults of the storage under whole processes: a full disk, a lock held, a process stopped in a transaction.

A decider and a worker use one database file directly, or through ``floto server``. While the fault lasts,
timers become due, activities end, and clients make calls. Afterwards the processes continue by themselves;
stopped during the fault, each of them exits. The long forms print the seconds that it took.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field, frozen

from floto.core.errors import ServiceError
from floto.core.swf.service import Service, StartRequest
from floto.core.swf.shapes import WorkflowType
from floto.runtime.connect import connect
from tests.integration.commands import wait_for
from tests.integration.test_server import PATIENCE, environment, serving

#: Seconds from the end of a fault until all work continues, as ``docs/operations.md`` promises.
AFTER = 5.0
#: Seconds that a new run takes in any case, for its timer.
OWN_TIMER = 1
#: Seconds in which a process exits that is stopped during a fault, as ``docs/operations.md`` promises.
ENDS = 30.0
#: Seconds of a fault in the short forms.
BRIEF = 3.0
WORKFLOW = WorkflowType("flow", "1")
DISK_BYTES = 64 * 2**20
#: Environment in which a process that gets ``SIGABRT`` writes the stack of each thread to its stderr.
DUMPS_THREADS = {"PYTHONFAULTHANDLER": "1"}

#: Seconds after which a task of a client of the server that has ended is offered again.
TIMEOUT = 20

FLOWS = """
import floto

def flow(name, seconds):
    def work(name, seconds=0, requires=()):
        return floto.ActivityTask(
            id_=name, name="work", version="1", input={{"seconds": seconds}}, requires=[*requires],
            retry_strategy=floto.InstantRetry(3), start_to_close_timeout={timeout},
        )

    several = [work(f"work{{n}}", n / 10) for n in range(4)]
    timer = floto.Timer(id_="timer", delay_in_seconds=seconds)
    last = work("last", requires=[*several, timer])
    return floto.DeciderSpec(activity_tasks=[*several, timer, last], task_list=name)

brief, lasting = flow("brief", {brief}), flow("lasting", {seconds})
"""
ACTIVITIES = """
import time
import floto

@floto.activity(name="work", version="1")
def work(context):
    time.sleep(context.get("activity_task", {}).get("seconds", 0))
    return "x" * 2_000
"""


@frozen
class Fault:
    """A fault of the storage: how it is brought about, and the seconds that it lasts in the long form."""

    cause: Callable[[Path], AbstractContextManager[None]]
    seconds: float


@contextmanager
def full_disk(db: Path) -> Iterator[None]:
    """Leave no byte on the file system of the database."""
    filler = db.with_name("filler")
    with filler.open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)
    try:
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            db.with_name("more").write_bytes(b"x" * 2**16)
        yield
    finally:
        filler.unlink()
        db.with_name("more").unlink()


@contextmanager
def lock_held(db: Path) -> Iterator[None]:
    """Hold the write lock, and roll back."""
    with closing(sqlite3.connect(db, isolation_level=None, timeout=30)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


STOPPED = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
db.execute("BEGIN IMMEDIATE")
db.execute("UPDATE domains SET name = name")
print("began", flush=True)
sys.stdin.readline()
db.execute("COMMIT")
"""


@contextmanager
def process_stopped(db: Path) -> Iterator[None]:
    """Stop a process within a transaction, and let it continue to its commit."""
    command = [sys.executable, "-c", STOPPED, str(db)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "began\n"
            process.send_signal(signal.SIGSTOP)
            yield
        finally:
            process.send_signal(signal.SIGCONT)
        process.communicate("go\n", timeout=PATIENCE)
        assert process.returncode == 0


FAULTS = {
    "full disk": Fault(full_disk, 15),
    "process stopped": Fault(process_stopped, 80),
    "lock held": Fault(lock_held, 35),
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small file system for the database only."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@define
class Place:
    """A database, and the processes on it."""

    db: Path
    behind_server: bool
    url: str = ""
    processes: dict[str, subprocess.Popen[Any]] = field(factory=dict)
    #: Workflow ids and names of signals that were acknowledged.
    started: set[str] = field(factory=set)
    signaled: set[str] = field(factory=set)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run every process, and kill what has not ended."""
        with ExitStack() as stack:
            self.url = f"sqlite:///{self.db}"
            if self.behind_server:
                server = stack.enter_context(serving(self.db, **DUMPS_THREADS))
                self.url, self.processes["server"] = server.url, server.process
            # Before the others, which end if there is no domain.
            with self.client() as client:
                client.prepare((WORKFLOW,), ())
            for name, arguments in (
                ("worker", ["--activities", "acts.py"]),
                ("decider", ["flows.py:brief", "flows.py:lasting"]),
            ):
                self.processes[name] = stack.enter_context(self._command(name, *arguments))
            try:
                yield
            except Exception:
                self._report_processes()
                raise

    @contextmanager
    def _command(self, *arguments: str) -> Iterator[subprocess.Popen[Any]]:
        name, directory = arguments[0], self.db.parent.parent
        command = [sys.executable, "-m", "floto", *arguments, "--service", self.url]
        with (
            self._log_of(name).open("ab") as log,
            subprocess.Popen(command, cwd=directory, env=environment(**DUMPS_THREADS), stderr=log) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def _log_of(self, name: str) -> Path:
        return self.db.parent.parent / f"{name}.log"

    def _report_processes(self) -> None:
        """Print the log of every process, and where its threads are: a fault may not come again for days."""
        # The server last, or the others would write that it has gone.
        for name, process in reversed(self.processes.items()):
            process.send_signal(signal.SIGABRT)
            process.wait(PATIENCE)
            report(self._log_of(name).read_text() if process.stderr is None else process.stderr.read())

    @contextmanager
    def client(self) -> Iterator[Service]:
        service = connect(self.url)
        try:
            yield service
        finally:
            service.close()

    def start(self, service: Service, workflow_id: str, task_list: str = "brief") -> bool:
        """Start a run; return True if it is acknowledged."""
        timeout = str(TIMEOUT) if self.behind_server else None
        request = StartRequest(
            workflow_id=workflow_id, workflow_type=WORKFLOW, task_list=task_list, decision_timeout=timeout
        )
        with suppress(ServiceError):
            service.start_workflow_execution(request)
            self.started.add(workflow_id)
        return workflow_id in self.started

    def use(self, service: Service, seconds: float) -> None:
        """Make calls for so many seconds; a refused call must have no effect."""
        end, number = time.monotonic() + seconds, len(self.started)
        while time.monotonic() < end:
            number += 1
            self.start(service, f"run-{number}")
            with suppress(ServiceError):
                service.signal_workflow_execution("lasting", f"signal-{number}")
                self.signaled.add(f"signal-{number}")
            time.sleep(0.1)

    def use_meanwhile(self, seconds: float) -> threading.Thread:
        """Make calls in the first half of so many seconds, and none in the second.

        Returns the thread that makes them: its last call may end later.
        """
        end = time.monotonic() + seconds
        with self.client() as client:
            # A call that waits for the lock ends when the service is closed.
            thread = threading.Thread(target=self.use, args=(client, seconds / 2), daemon=True)
            thread.start()
            time.sleep(seconds / 2)
        time.sleep(max(end - time.monotonic(), 0))
        return thread

    def events(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the workflow id and the attributes of every event of a type, read past floto."""
        with closing(sqlite3.connect(f"{self.db.as_uri()}?mode=ro", uri=True, timeout=PATIENCE)) as db:
            found = db.execute(EVENTS, (kind,)).fetchall()
        return [(workflow_id, json.loads(attributes)) for workflow_id, attributes in found]

    def has(self, kind: str, workflow_ids: Collection[str]) -> bool:
        return {*workflow_ids} <= {workflow_id for workflow_id, _ in self.events(kind)}

    def begin(self) -> None:
        """Bring every process to work, and leave work of every kind under way."""
        with self.client() as client:
            assert self.start(client, "first")
            wait_for(lambda: self.has("WorkflowExecutionCompleted", ["first"]))
            assert self.start(client, "lasting", "lasting")
            self.use(client, 0.5)
            wait_for(lambda: self.has("TimerStarted", ["lasting"]))

    def check(self) -> None:
        """Nothing acknowledged is lost, and no activity ends twice."""
        names = [attributes["signalName"] for _, attributes in self.events("WorkflowExecutionSignaled")]
        assert self.signaled <= set(names)
        assert len(names) == len(set(names))
        ended = Counter(
            (workflow_id, attributes["scheduledEventId"])
            for kind in ("Completed", "Failed", "TimedOut")
            for workflow_id, attributes in self.events(f"ActivityTask{kind}")
        )
        assert set(ended.values()) == {1}
        assert not self.events("ActivityTaskFailed")

    def end(self) -> dict[str, float]:
        """Tell every process to stop; return the seconds that each took."""
        began, took = time.monotonic(), dict[str, float]()
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        while len(took) < len(self.processes) and time.monotonic() < began + PATIENCE:
            for name, process in self.processes.items():
                if name not in took and process.poll() is not None:
                    took[name] = time.monotonic() - began
            time.sleep(0.02)
        assert {name: process.poll() for name, process in self.processes.items()} == dict.fromkeys(
            self.processes, 0
        )
        return took


EVENTS = (
    "SELECT workflow_id, attributes FROM events JOIN runs ON run = number WHERE type = ? ORDER BY run, id"
)


def make(disk: Path, *, behind_server: bool, seconds: float) -> Place:
    """Make a database on the disk, and flows with a timer due within a fault of so many seconds."""
    timeout = TIMEOUT if behind_server else None
    (disk.parent / "flows.py").write_text(
        FLOWS.format(brief=OWN_TIMER, seconds=max(int(seconds * 0.6), 2), timeout=timeout)
    )
    (disk.parent / "acts.py").write_text(ACTIVITIES)
    return Place(disk / "floto.db", behind_server)


def report(text: str) -> None:
    print(text)  # noqa: T201 - pytest shows it with -rA


def seconds_to_recover(place: Place, fault: Fault, seconds: float) -> float:
    """Run everything through a fault; return the seconds after it until a new run has completed."""
    with place.running():
        place.begin()
        with fault.cause(place.db):
            was_due = place.has("TimerFired", ["lasting"])
            # On a slow machine, the timer of a short form may be due before the fault.
            assert not was_due or seconds == BRIEF
            thread = place.use_meanwhile(seconds)
            assert place.has("TimerFired", ["lasting"]) == was_due
        over = time.monotonic()
        wait_for(lambda: place.has("TimerFired", ["lasting"]))
        fired = time.monotonic() - over
        with place.client() as client:
            wait_for(lambda: place.start(client, "after"))
        wait_for(lambda: place.has("WorkflowExecutionCompleted", ["after"]))
        completed = time.monotonic() - over
        thread.join(PATIENCE)
        assert not thread.is_alive()
        wait_for(lambda: place.has("WorkflowExecutionCompleted", place.started))
        report(f"after {seconds} s: timer {fired:.1f} s, new run {completed:.1f} s")
        place.check()
        report(f"ended after {place.end()}")
    return completed


def ends(place: Place, fault: Fault, seconds: float) -> float:
    """Tell everything to stop during a fault; return the seconds that the last process took to end."""
    with place.running():
        place.begin()
        with fault.cause(place.db):
            time.sleep(seconds)
            took = place.end()
    report(f"told to stop {seconds} s into the fault: {took}")
    with place.running():
        wait_for(lambda: place.has("WorkflowExecutionCompleted", place.started))
        place.check()
    return max(took.values())


on_each = pytest.mark.parametrize("behind_server", [False, True], ids=["file", "server"])
for_each_fault = pytest.mark.parametrize("name", FAULTS)


@pytest.mark.parametrize(
    ("name", "behind_server"),
    [("full disk", False), ("full disk", True), ("process stopped", False), ("lock held", True)],
    ids=["full disk, file", "full disk, server", "process stopped, file", "lock held, server"],
)
def test_work_continues_after_a_brief_fault(disk: Path, name: str, *, behind_server: bool) -> None:
    seconds_to_recover(make(disk, behind_server=behind_server, seconds=BRIEF), FAULTS[name], BRIEF)


@pytest.mark.slow
@pytest.mark.timeout(400)
@on_each
@for_each_fault
def test_work_continues_within_seconds_after_a_long_fault(
    disk: Path, name: str, *, behind_server: bool
) -> None:
    fault = FAULTS[name]
    place = make(disk, behind_server=behind_server, seconds=fault.seconds)
    assert seconds_to_recover(place, fault, fault.seconds) < AFTER + OWN_TIMER


@pytest.mark.slow
@pytest.mark.timeout(400)
@on_each
@for_each_fault
def test_every_process_exits_within_seconds_during_a_long_fault(
    disk: Path, name: str, *, behind_server: bool
) -> None:
    fault = FAULTS[name]
    place = make(disk, behind_server=behind_server, seconds=fault.seconds)
    assert ends(place, fault, fault.seconds * 0.8) < ENDS
