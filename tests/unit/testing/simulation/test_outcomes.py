"""The outcomes that users declare for tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from floto.testing import ActivitiesError, Outcome, fails, takes, times_out


@pytest.mark.parametrize("then", [lambda: 1, 3, fails])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("takes", lambda then: takes(seconds=10, then=then)),
        ("fails", lambda then: fails(2, then=then)),
        ("times_out", lambda then: times_out(then=then)),
    ],
)
def test_then_that_is_not_an_outcome_raises_activities_error(
    name: str, make: Callable[[Any], Outcome], then: Any
) -> None:
    with pytest.raises(
        ActivitiesError, match=rf"then of {name}\(\) must be an outcome such as returns\(1\), not "
    ):
        make(then)
