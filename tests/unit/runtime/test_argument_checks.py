"""Arguments of a wrong type are errors at once, and not later in a thread."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import boto3
import pytest
from prometheus_client import CollectorRegistry

import floto
from floto.adapters.sqlite import SqliteService
from floto.runtime.deciders.daemon import Daemon
from floto.runtime.deciders.scheduler import Scheduler

SPEC = floto.DeciderSpec(activity_tasks=[])
CLIENT = boto3.client("swf", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")  # noqa: S106
MAKERS: dict[str, Callable[..., Any]] = {
    "decider": lambda **given: floto.Decider(SPEC, **{"service": "memory:", **given}),
    "worker": lambda **given: floto.ActivityWorker(**{"service": "memory:", **given}),
    "daemon": lambda **given: Daemon(**{"service": "memory:", **given}),
    "scheduler": lambda **given: Scheduler(**{"service": "memory:", **given}),
    "run": lambda **given: floto.run(SPEC, **given),
}
EVERYWHERE = [("service", CLIENT), ("service", 5), ("codec", {}), ("payloads", 5), ("domain", 5)]
OF_LOOPS = [("task_list", 5), ("identity", 5), ("metrics", CollectorRegistry()), ("metrics", 9464)]
WRONG = [
    *(
        (maker, *argument)
        for maker in MAKERS
        for argument in EVERYWHERE
        if (maker, argument[0]) != ("scheduler", "codec")
    ),
    *((maker, "poll_seconds", "1") for maker in MAKERS if maker != "run"),
    *((maker, *argument) for maker in MAKERS if maker != "run" for argument in OF_LOOPS),
    ("worker", "task_list", None),
    ("decider", "listener", 5),
    ("run", "listener", "f"),
    ("run", "concurrency", 1.5),
    ("run", "timeout", "60"),
    ("worker", "concurrency", "4"),
    ("worker", "concurrency", True),
    ("worker", "max_per_second", "1"),
    ("worker", "task_heartbeat_in_seconds", "60"),
]


@pytest.mark.parametrize(("maker", "name", "value"), WRONG)
def test_argument_of_another_type_is_named(maker: str, name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be "):
        MAKERS[maker](**{name: value})


@pytest.mark.parametrize(("maker", "name", "value"), [each for each in WRONG if each[1] != "service"])
def test_no_service_is_opened_before_an_error(maker: str, name: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        MAKERS[maker](service=f"sqlite:///{tmp_path}/floto.db", **{name: value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("maker", "name", "value"),
    [
        ("decider", "poll_seconds", -1),
        ("worker", "task_heartbeat_in_seconds", float("nan")),
        ("worker", "concurrency", 0),
        ("run", "concurrency", 0),
        ("run", "timeout", -1),
    ],
)
def test_number_out_of_range_is_named(maker: str, name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be at least "):
        MAKERS[maker](**{name: value})


class Seconds(Fraction):
    """A real number that is not a ``float``, as some of numpy are."""


def test_numbers_of_other_libraries_are_numbers() -> None:
    seconds: Any = Seconds(1, 2)
    with SqliteService(":memory:") as service:
        MAKERS["decider"](poll_seconds=seconds, service=service)
        MAKERS["worker"](poll_seconds=seconds, service=service)


@pytest.mark.parametrize("rate", [Fraction(10) ** 400, Fraction(1, 10**400), 5e-324, math.inf])
def test_rate_beyond_the_numbers_of_a_float_is_taken(rate: Any) -> None:
    with SqliteService(":memory:") as service:
        MAKERS["worker"](max_per_second=rate, service=service)


@pytest.mark.parametrize("rate", [0, -1, math.nan, Fraction(-1, 10**400)])
def test_rate_that_is_not_above_0_is_refused(rate: Any) -> None:
    with pytest.raises(ValueError, match="max_per_second must be above 0, not "):
        MAKERS["worker"](max_per_second=rate)


@pytest.mark.parametrize("name", ["specs", "rules"])
def test_specs_and_rules_that_are_not_by_workflow_type_are_named(name: str) -> None:
    with pytest.raises(floto.SpecError, match=f"{name} must map workflow types"):
        MAKERS["decider"](**{name: [5]})


def test_rule_that_is_no_function_is_named() -> None:
    rules: Any = {floto.WorkflowType("order", "1"): "decide"}
    with pytest.raises(floto.SpecError, match="rules: that of 'order' is no function, but 'decide'"):
        floto.Decider(service="memory:", rules=rules)


def test_connect_takes_only_urls() -> None:
    url: Any = CLIENT
    with pytest.raises(TypeError, match="the URL of a service must be a string"):
        floto.connect(url)


@pytest.mark.parametrize("maker", ["decider", "worker", "daemon", "scheduler", "run"])
def test_store_is_given_by_its_name(maker: str, tmp_path: Path) -> None:
    with SqliteService(":memory:") as service:
        MAKERS[maker](payloads=str(tmp_path / "store"), service=service)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is not a payload store"):
        MAKERS[maker](payloads=str(tmp_path / "file"))
