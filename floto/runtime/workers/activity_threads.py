"""The threads of a worker, which run its activities or send their heartbeats, one after another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from floto.runtime.workers.running_activity import RunningActivity

#: Seconds between checks that an activity is still to be waited for.
_JOIN_SECONDS = 0.1


class ActivityThreads:
    """Threads that execute the steps of activities: to run one, to commit its report, and to go on after it.

    There are as many threads as activities between ``begin`` and ``end``, and any of them executes any step.
    An activity has one step at a time, so a thread is free for every step: none waits for the end of another
    activity, and none of the calls in this process that a report keeps waiting. Where many activities take
    less time than a commit, one thread does the work of most, and no thread is woken for each.

    Args:
        name: Name of the threads; default: that of the activity whose step they execute.
    """

    def __init__(self, name: str | None = None) -> None:
        self._name = name
        self._steps: SimpleQueue[tuple[RunningActivity, Callable[[], None]] | None] = SimpleQueue()
        #: Number of threads without an activity.
        self._idle = threading.Semaphore(0)
        #: The activity whose step each thread executes; None while it waits for a step.
        self._threads: dict[threading.Thread, RunningActivity | None] = {}
        #: True if threads end as soon as they have no activity.
        self._is_finishing = False

    @property
    def has_steps(self) -> bool:
        """True if a step waits for a thread."""
        return not self._steps.empty()

    def begin(self, activity: RunningActivity, step: Callable[[], None]) -> None:
        """Execute the first step of an activity, in an idle thread or a new one.

        Raises:
            RuntimeError: if no thread can be started.
        """
        self._is_finishing = False
        if not self._idle.acquire(blocking=False):
            # A daemon thread: a second signal must not wait for it.
            thread = threading.Thread(target=self._execute, name=self._name_for(activity), daemon=True)
            thread.start()
            self._threads.setdefault(thread)
        self.go_on(activity, step)

    def go_on(self, activity: RunningActivity, step: Callable[[], None]) -> None:
        """Execute another step of an activity, or the first one of another that takes its thread over."""
        self._steps.put((activity, step))

    def end(self) -> None:
        """Let another activity have the thread; called in the last step of an activity."""
        self._threads[threading.current_thread()] = None
        self._idle.release()
        if self._is_finishing:
            self._end_idle()

    def finish(self, is_busy: Callable[[], bool]) -> None:
        """Wait for the activities, and end the threads; ``begin`` may be called again afterwards.

        Args:
            is_busy: Returns True while an activity runs that is to be waited for. Later, a thread that still
                executes another activity ends with it.
        """
        self._is_finishing = True
        self._end_idle()
        for thread in self._threads:
            while thread.is_alive() and (is_busy() or self._threads[thread] is None):
                thread.join(_JOIN_SECONDS)

    def _end_idle(self) -> None:
        while self._idle.acquire(blocking=False):
            self._steps.put(None)

    def _name_for(self, activity: RunningActivity) -> str:
        return self._name or f"floto-{activity.id}"

    def _execute(self) -> None:
        thread = threading.current_thread()
        while (found := self._steps.get()) is not None:
            activity, step = found
            self._threads[thread], thread.name = activity, self._name_for(activity)
            step()
            self._threads[thread] = None
            # The next step may be far off, and these are all that keeps a result in memory.
            del found, activity, step
