"""The gauges of waiting tasks and pollers."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from floto.core.errors import ServiceUnavailable
from floto.core.swf.pollers import Backlog, Live, Poller, PollKind
from floto.runtime.metrics.live_metrics import LiveMetrics

FULL = ServiceUnavailable("the disk is full")


def read(live: Live | None) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(LiveMetrics(lambda: live))
    return registry


def value(registry: CollectorRegistry, name: str, task_list: str, kind: str = "activity") -> float | None:
    labels = {"domain": "floto", "kind": kind, "task_list": task_list}
    return registry.get_sample_value(f"floto_{name}", labels)


def backlog(task_list: str, waiting: int, **more: Any) -> Backlog:
    return Backlog(domain="floto", kind=PollKind.ACTIVITIES, task_list=task_list, waiting=waiting, **more)


def poller(task_list: str, identity: str) -> Poller:
    return Poller(domain="floto", kind=PollKind.ACTIVITIES, task_list=task_list, identity=identity)


def test_waiting_tasks_their_age_and_the_taken_ones_are_shown_by_task_list() -> None:
    began = datetime.now(UTC) - timedelta(seconds=100)
    registry = read(Live(backlogs=(backlog("work", 3, oldest=began, taken=2),)))
    assert value(registry, "waiting_tasks", "work") == 3
    assert value(registry, "taken_tasks", "work") == 2
    assert value(registry, "pollers", "work") == 0
    age = value(registry, "oldest_waiting_task_seconds", "work")
    assert age is not None
    assert 100 <= age < 200


def test_task_list_that_is_polled_and_has_no_tasks_shows_zero() -> None:
    registry = read(Live(pollers=(poller("work", "a"), poller("work", "b"))))
    assert value(registry, "pollers", "work") == 2
    assert value(registry, "waiting_tasks", "work") == 0
    assert value(registry, "oldest_waiting_task_seconds", "work") == 0
    assert value(registry, "pollers", "other") is None


def test_task_lists_of_single_runs_count_as_one() -> None:
    registry = read(Live(backlogs=(backlog("floto.run.a", 1), backlog("floto.run.b", 2))))
    assert value(registry, "waiting_tasks", "floto.run.*") == 3
    assert value(registry, "waiting_tasks", "floto.run.a") is None


def test_service_without_such_a_report_has_no_gauges() -> None:
    assert list(read(None).collect()) == []


def test_service_that_cannot_be_read_has_no_gauges_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def live() -> Live:
        raise FULL

    with caplog.at_level(logging.WARNING, "floto"):
        registry = CollectorRegistry()
        registry.register(LiveMetrics(live))
        assert list(registry.collect()) == []
    assert "the disk is full" in caplog.text
