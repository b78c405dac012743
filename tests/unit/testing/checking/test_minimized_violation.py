"""The report of a violation shows the smallest spec, also where it cannot be written as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import frozen

from floto import ActivityTask, DeciderSpec, Retry, RetryStrategy
from floto.testing import MinimizedViolation, check
from tests.property.own_code import Tireless


def found_by(strategy: RetryStrategy, save: Path | None = None) -> MinimizedViolation:
    tasks = [
        ActivityTask(id_="a", name="work", version="1"),
        ActivityTask(id_="b", name="work", version="1", requires=["a"], retry_strategy=strategy),
    ]
    with pytest.raises(MinimizedViolation) as caught:
        check(DeciderSpec(activity_tasks=tasks), max_examples=20, save=save)
    return caught.value


def test_report_without_a_file_shows_the_spec_with_classes_that_cannot_be_imported() -> None:
    @frozen
    class Local:
        seconds: int

        def delay(self, _retry: Retry) -> float | None:
            return self.seconds

    report = str(found_by(Local(7)))
    spec = (
        'spec = DeciderSpec( activity_tasks=[ ActivityTask( name="work", version="1", id_="b", '
        "retry_strategy=Local(seconds=7), ), ], )"
    )
    assert spec in " ".join(report.split())
    assert "cannot be written as a file for pytest: " in report


def test_report_without_a_file_shows_other_objects_by_their_repr() -> None:
    class Asks:
        def __init__(self, ask: Callable[[Retry], float]) -> None:
            self.ask = ask

        def __repr__(self) -> str:
            return "Asks(...)"

        def delay(self, retry: Retry) -> float:
            return self.ask(retry)

    report = str(found_by(Asks(lambda _: 1)))
    assert "retry_strategy=Asks(...)" in report


def test_spec_is_shown_once(tmp_path: Path) -> None:
    assert str(found_by(Tireless())).count("DeciderSpec(") == 1
    assert str(found_by(Tireless(), tmp_path / "test_it.py")).count("DeciderSpec(") == 1
