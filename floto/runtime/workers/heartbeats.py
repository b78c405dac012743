"""Heartbeats for running activities, at intervals that suit their heartbeat time-outs.

One thread schedules the heartbeats; other threads send them. A heartbeat that hangs in the network must not
delay those of other activities, so each is sent by a thread of its own; idle senders are reused. Nor must it
delay the next one of its own activity until their heartbeat time-out is over, so the sender waits for a
response for a third of this time-out, and then sends the next one over another connection. A service may also
be slow, so the next one has more time for its response.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from attrs import define

from floto.core.spec.activity_timeouts import Timeouts
from floto.runtime.workers.activity_threads import ActivityThreads
from floto.runtime.workers.running_activity import RunningActivity
from floto.trouble_log import TroubleLog

log = logging.getLogger("floto")

#: Maximum seconds until a failed heartbeat is retried; random, to spread the load on a busy service.
_RETRY_SECONDS = 5.0
#: Heartbeats in one heartbeat time-out, so that one may be lost and one may be late.
_BEATS_PER_TIMEOUT = 3
#: Least seconds for the response to a heartbeat: setting up a connection takes time.
_LEAST_RESPONSE_SECONDS = 1.0
#: The longest time for the response to a heartbeat, as a part of the heartbeat time-out.
_LONGEST_RESPONSE = 0.8
#: Seconds of the shortest heartbeat time-out that SWF permits.
_LEAST_SECONDS = 1.0
#: Seconds after the start-to-close time-out until the worker gives an attempt up; the service is first.
_GRACE_SECONDS = 1.0


@define
class _Plan:
    """A schedule: seconds between heartbeats, and the monotonic times of the next one and of the end."""

    interval: float
    beats_at: float
    ends_at: float = math.inf

    @property
    def due(self) -> float:
        return min(self.beats_at, self.ends_at)


class Heartbeats:
    """Sends heartbeats for watched activities, and gives up those whose start-to-close time-out is over.

    A heartbeat is sent every ``interval`` seconds, and at least three times in the activity's heartbeat
    time-out, if the worker knows it; none if ``interval`` is 0. The response to a heartbeat tells of a cancel
    request, which so arrives within the interval.
    """

    def __init__(self, interval: float) -> None:
        self._troubles = TroubleLog(log)
        self._interval = interval
        self._plans: dict[RunningActivity, _Plan] = {}
        self._changed = threading.Condition(threading.Lock())
        #: Monotonic time until which the loop waits: only what is due earlier wakes it up.
        self._waits_until = math.inf
        self._stopped = False
        self._senders = ActivityThreads("floto-beat")

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Run the threads that send heartbeats during the block; another block may follow."""
        self._stopped = False
        threading.Thread(target=self._loop, name="floto-heartbeats", daemon=True).start()
        try:
            yield
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()
            # A heartbeat that hangs is not waited for.
            self._senders.finish(lambda: False)

    def watch(self, activity: RunningActivity) -> None:
        """Send heartbeats for an activity until ``unwatch``."""
        interval = self._interval or math.inf
        # As long as a retry may wait: the interval of ``floto.run`` is short for every activity.
        activity.response_seconds = activity.longest_response_seconds = max(interval, _RETRY_SECONDS)
        self._put(activity, _Plan(interval, time.monotonic() + interval))

    def unwatch(self, activity: RunningActivity) -> None:
        """Send no more heartbeats for an activity."""
        with self._changed:
            self._plans.pop(activity, None)

    def set_timeouts(self, activity: RunningActivity, timeouts: Timeouts) -> None:
        """Set the time-outs of a watched activity once they are known."""
        activity.timeouts = timeouts
        if timeouts.heartbeat is None and timeouts.start_to_close is None:
            return
        now, interval = time.monotonic(), self._interval or math.inf
        if timeouts.heartbeat is not None:
            beat = timeouts.heartbeat / _BEATS_PER_TIMEOUT
            activity.response_seconds = max(beat, _LEAST_RESPONSE_SECONDS)
            activity.longest_response_seconds = _LONGEST_RESPONSE * timeouts.heartbeat
            if not self._interval:
                self._warn_of_silence(activity, timeouts.heartbeat)
            else:
                interval = min(interval, beat)
        over = math.inf if timeouts.start_to_close is None else now + timeouts.start_to_close + _GRACE_SECONDS
        self._put(activity, _Plan(interval, now + interval, over))

    def _warn_of_silence(self, activity: RunningActivity, timeout: float) -> None:
        kind = activity.task.activity_type
        message = (
            "activity %s (%s %s) has a heartbeat time-out of %d s, and this worker sends no heartbeats; "
            "set task_heartbeat_in_seconds, or let the activity call floto.current().heartbeat()"
        )
        self._troubles.failed(("silent", kind), message, activity.id, kind.name, kind.version, timeout)

    def _put(self, activity: RunningActivity, plan: _Plan) -> None:
        with self._changed:
            self._plans[activity] = plan
            self._wake_for(plan)

    def _wake_for(self, plan: _Plan) -> None:
        # Most activities end long before their first heartbeat, so the loop need not know of them.
        if plan.due < self._waits_until:
            self._waits_until = plan.due
            self._changed.notify_all()

    def _loop(self) -> None:
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                for activity, plan in self._plans.items():
                    if plan.due <= now:
                        self._hand_to_sender(activity, plan, now)
                self._waits_until = min((plan.due for plan in self._plans.values()), default=math.inf)
                is_endless = self._waits_until == math.inf
                self._changed.wait(None if is_endless else max(self._waits_until - now, 0))

    def _hand_to_sender(self, activity: RunningActivity, plan: _Plan, now: float) -> None:
        """Send a heartbeat, or give the activity up, in another thread: both may block."""
        if plan.ends_at <= now:
            plan.ends_at = math.inf
        # The sender sets the time of the next heartbeat.
        plan.beats_at = math.inf
        try:
            self._senders.begin(activity, partial(self._send, activity))
        except RuntimeError:
            with activity.logged():
                log.exception("activity %s: no thread to send its heartbeat", activity.id)
            plan.beats_at = now + _RETRY_SECONDS

    def _send(self, activity: RunningActivity) -> None:
        with activity.logged():
            self._beat(activity)
        self._senders.end()

    def _beat(self, activity: RunningActivity) -> None:
        if activity.is_over:
            activity.lose(f"its start-to-close time-out of {activity.timeouts.start_to_close} s is over")
        wait, began = self._interval_of(activity), time.monotonic()
        if wait < math.inf:
            try:
                if not activity.beat():
                    wait = min(wait, random.uniform(0, _RETRY_SECONDS))  # noqa: S311 - nothing secret
            except Exception as error:  # noqa: BLE001 - heartbeats of other activities continue
                message = "activity %s: heartbeat failed"
                self._troubles.failed(activity.id, message, activity.id, level=logging.ERROR, error=error)
        self._warn_if_too_rare(activity, wait)
        with self._changed:
            plan = self._plans.get(activity)
            if plan is not None:
                plan.beats_at = math.inf if activity.gone else began + wait
                self._wake_for(plan)

    def _interval_of(self, activity: RunningActivity) -> float:
        with self._changed:
            plan = self._plans.get(activity)
        return math.inf if plan is None or activity.gone else plan.interval

    def _warn_if_too_rare(self, activity: RunningActivity, interval: float) -> None:
        """Log the likely cause if the service closed a task whose time-outs the worker does not know."""
        if (
            activity.lost_to_service
            and activity.timeouts.heartbeat is None
            and _LEAST_SECONDS <= interval < math.inf
        ):
            message = (
                "activity %s: a heartbeat time-out shorter than the %g s between the heartbeats of this "
                "worker may have closed it; set heartbeat_timeout on the task, or lower "
                "task_heartbeat_in_seconds"
            )
            self._troubles.failed(("rare", activity.task.activity_type), message, activity.id, interval)
