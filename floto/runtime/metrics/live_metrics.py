"""The tasks that wait in a service, and who polls for them, as gauges."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from floto.core.errors import ServiceError
from floto.core.spec.task_lists import is_own_list
from floto.core.swf.pollers import Backlog, Live, Poller
from floto.core.swf.reserved_names import OWN_LIST_PREFIX
from floto.trouble_log import TroubleLog

log = logging.getLogger("floto")

_LABELS = ("domain", "kind", "task_list")


class LiveMetrics(Collector):
    """Gauges that are read from the service each time that they are scraped.

    Args:
        live: Returns the pollers and backlogs of the service; None if it does not report them.
    """

    def __init__(self, live: Callable[[], Live | None]) -> None:
        self._live, self._troubles = live, TroubleLog(log)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the gauges; none while the service cannot be read."""
        now = time.time()
        try:
            live = self._live()
        except ServiceError as error:
            self._troubles.failed("metrics", "the waiting tasks cannot be read for metrics (%s)", error)
            return
        self._troubles.over("metrics")
        if live is None:
            return
        polling = Counter(map(_labels, live.pollers or ()))
        # Each task list has each gauge: 0 and a missing value are not the same.
        waiting = dict.fromkeys([*polling, *map(_labels, live.backlogs)], 0.0)
        taken, oldest = dict(waiting), dict(waiting)
        pollers = {place: polling[place] for place in waiting}
        for each in live.backlogs:
            place = _labels(each)
            waiting[place] += each.waiting
            taken[place] += each.taken or 0
            if each.oldest is not None:
                oldest[place] = max(oldest[place], now - each.oldest.timestamp())
        yield _gauge("waiting_tasks", "Tasks that no decider or worker has taken.", waiting)
        yield _gauge("oldest_waiting_task_seconds", "Age of the oldest of them; 0 without any.", oldest)
        yield _gauge("taken_tasks", "Tasks that deciders and workers have taken.", taken)
        yield _gauge("pollers", "Deciders and workers that poll for tasks.", pollers)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Yield nothing: what a registry checks when this is added must not read the service."""
        return ()


def _labels(each: Backlog | Poller) -> tuple[str, ...]:
    """Return the labels of a task list; those of ``floto.run``, one for each run, count as one."""
    task_list = f"{OWN_LIST_PREFIX}*" if is_own_list(each.task_list) else each.task_list
    return each.domain, each.kind, task_list


def _gauge(name: str, text: str, values: Mapping[tuple[str, ...], float]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(f"floto_{name}", text, labels=_LABELS)
    for labels, value in values.items():
        gauge.add_metric(labels, value)
    return gauge
