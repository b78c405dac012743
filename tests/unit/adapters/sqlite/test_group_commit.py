"""Jobs that no thread waits for: the writer leads their batches, and leadership passes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Any

import pytest

from floto.adapters.sqlite.batches import Write
from floto.adapters.sqlite.group_commit import GroupCommit, Job, Writer

NOW = datetime(2026, 1, 2, tzinfo=UTC)
PATIENCE = 60.0


class Stage:
    """A group commit whose batches wait for the test while it is held."""

    def __init__(self) -> None:
        self.writer = Writer()
        self.commits = GroupCommit(self.execute, self.writer)
        self.batches: list[int] = []
        self.leaders: list[str] = []
        self.begun, self.go_on = threading.Semaphore(0), threading.Event()
        self.done: SimpleQueue[str] = SimpleQueue()
        self.go_on.set()

    def execute(self, batch: list[Job]) -> None:
        self.batches.append(len(batch))
        self.leaders.append(threading.current_thread().name)
        self.begun.release()
        assert self.go_on.wait(PATIENCE)
        for job in batch:
            job.attempt(lambda job=job: job.call(NOW))  # type: ignore[misc]
            if isinstance(job._error, KeyError):  # noqa: SLF001 - as an error of the whole batch
                raise job._error  # noqa: SLF001 - as above

    def begin(self, name: str) -> Job:
        """Submit a job without a thread; ``done`` gets its name."""
        job = Write(lambda _now: name)
        job.notify = lambda _job: self.done.put(name)
        self.commits.submit(job)
        return job

    def finished(self, count: int) -> list[str]:
        return sorted(self.done.get(timeout=PATIENCE) for _ in range(count))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within the block, a batch of one job is under way."""
        self.go_on.clear()
        self.begin("first")
        assert self.begun.acquire(timeout=PATIENCE)
        try:
            yield
        finally:
            self.go_on.set()


@pytest.fixture
def on() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.writer.close()


def test_submitting_a_job_without_a_thread_does_not_wait(on: Stage) -> None:
    with on.held():
        jobs = [on.begin(name) for name in "abc"]
        assert not any(job.is_done for job in jobs)
    assert on.finished(4) == ["a", "b", "c", "first"]
    assert [job.outcome() for job in jobs] == ["a", "b", "c"]
    assert on.batches == [1, 3]
    assert set(on.leaders) == {"floto-writer"}


def test_thread_may_lead_for_a_job_that_it_does_not_wait_for(on: Stage) -> None:
    job = Write(lambda _now: "own")
    job.notify = lambda _job: on.done.put("own")
    on.commits.submit(job, leads=True)
    assert job.is_done
    assert on.finished(1) == ["own"]
    assert on.leaders == [threading.current_thread().name]
    # While another thread leads, this one does not wait.
    with on.held():
        later = Write(lambda _now: "later")
        later.notify = lambda _job: on.done.put("later")
        on.commits.submit(later, leads=True)
        assert not later.is_done
    assert on.finished(2) == ["first", "later"]


def test_leadership_passes_between_threads_and_the_writer(on: Stage) -> None:
    with ThreadPoolExecutor(1, thread_name_prefix="caller") as threads:
        with on.held():
            called = threads.submit(on.commits.wait_for, Write(lambda _now: "thread"))
            while not on.commits._queue:  # noqa: SLF001 - it is queued by then
                threading.Event().wait(0.001)
            on.begin("after")
        assert called.result(PATIENCE) == "thread"
        assert on.finished(2) == ["after", "first"]
        assert on.leaders[0] == "floto-writer"
        assert on.leaders[1].startswith("caller")
        on.begin("last")
        assert on.finished(1) == ["last"]


def test_withdrawn_job_is_not_executed_and_the_next_ones_are(on: Stage) -> None:
    with on.held():
        first, second, third = (on.begin(name) for name in "abc")
        assert on.commits.withdraw(first)
        assert on.commits.withdraw(second)
        assert not on.commits.withdraw(second)
    assert on.finished(2) == ["c", "first"]
    assert (first.is_done, second.is_done, third.is_done) == (False, False, True)


def test_jobs_withdrawn_while_they_lead_keep_one_leader(on: Stage) -> None:
    """The writer may be about to lead for the job that is withdrawn."""
    for number in range(300):
        job = on.begin("withdrawn")
        on.begin(str(number))
        if on.commits.withdraw(job):
            assert not job.is_done
        while on.done.get(timeout=PATIENCE) == "withdrawn":
            pass
    assert not on.commits._queue  # noqa: SLF001 - nothing is left behind


def test_job_is_executed_where_it_is_submitted_if_the_writer_has_no_thread(
    on: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        on.begin("first")
    assert on.finished(1) == ["first"]
    on.begin("second")
    assert on.finished(1) == ["second"]
    assert on.leaders == [threading.current_thread().name, "floto-writer"]


def test_thread_leads_for_jobs_without_one_if_the_writer_has_no_thread(
    on: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    on.go_on.clear()
    with ThreadPoolExecutor(1, thread_name_prefix="caller") as threads:
        called = threads.submit(on.commits.wait_for, Write(lambda _now: "thread"))
        assert on.begun.acquire(timeout=PATIENCE)
        on.begin("a")
        on.begin("b")
        monkeypatch.setattr(threading.Thread, "start", no_thread)
        on.go_on.set()
        assert called.result(PATIENCE) == "thread"
    assert on.finished(2) == ["a", "b"]
    assert on.batches == [1, 2]


def test_any_number_of_batches_may_follow_while_the_writer_has_no_thread(
    on: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left = iter(range(2000))

    def following(_now: datetime) -> None:
        if next(left, None) is not None:
            submit()

    def submit() -> None:
        job = Write(following)
        job.notify = lambda _job: None
        on.commits.submit(job, leads=True)

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    submit()
    assert on.batches == [1] * 2001
    assert len(caplog.records) == 1
    assert "no thread to write in" in caplog.text


def test_one_thread_leads_for_a_job_that_gets_the_leadership_while_it_is_submitted(
    on: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaders: list[str] = []
    later, lead = Write(lambda _now: "later"), on.commits.lead
    later.notify = lambda _job: on.done.put("later")

    def passing_on(job: Job | None) -> None:
        if job is later:
            leaders.append(threading.current_thread().name)
            # Another thread would lead for the same job now.
            on.go_on.set()
        lead(job)

    with on.held():
        monkeypatch.setattr(on.commits, "lead", passing_on)
        on.commits.submit(later, leads=True)
    assert on.finished(2) == ["first", "later"]
    assert leaders == ["floto-writer"]


def no_thread(_thread: threading.Thread) -> None:
    msg = "can't start new thread"
    raise RuntimeError(msg)


def test_writer_survives_an_error_of_a_batch(on: Stage, caplog: pytest.LogCaptureFixture) -> None:
    def fails(_now: datetime) -> Any:
        raise KeyError

    job = Write(fails)
    job.notify = lambda _job: on.done.put("failed")
    on.commits.submit(job)
    assert on.finished(1) == ["failed"]
    assert job.has_failed
    on.begin("next")
    assert on.finished(1) == ["next"]
    assert "a call of the writer failed" in caplog.text


def test_calls_after_the_writer_is_closed_are_made_by_their_own_thread(on: Stage) -> None:
    on.begin("a")
    assert on.finished(1) == ["a"]
    on.writer.close()
    on.begin("b")
    assert on.done.get_nowait() == "b"
    assert on.leaders == ["floto-writer", "MainThread"]


def test_job_whose_time_is_over_while_a_leader_executes_it_waits_without_processor_time(on: Stage) -> None:
    job = Write(lambda _now: "late")
    used: list[float] = []

    def wait() -> None:
        began = time.thread_time()
        assert on.commits.wait_for(job, 0.3) == "late"
        used.append(time.thread_time() - began)

    slow = Write(lambda _now: time.sleep(1))
    slow.notify = lambda _job: None
    waiting = threading.Thread(target=wait)
    with on.held():
        on.commits.submit(slow)
        waiting.start()
        while len(on.commits._queue) < 2:  # noqa: SLF001 - both are queued by then
            time.sleep(0.001)
    waiting.join(PATIENCE)
    assert used
    assert used[0] < 0.5
