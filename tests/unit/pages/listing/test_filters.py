"""Filters of the list of runs: words, signs and their errors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floto.pages.listing.filters import LIMIT, FilterError, parse, with_status
from floto.pages.runs import STATUSES, RunRow

HOUR = 3_600_000
NOW = 100 * HOUR


def run(**changed: object) -> RunRow:
    values = {
        "workflow_id": "Order-7",
        "run_id": "22AbcDefGhi=",
        "type_name": "order",
        "type_version": "1.0",
        "status": "FAILED",
        "started": NOW - 2 * HOUR,
        "closed": NOW - HOUR,
        "tags": ("eu", "two words"),
    }
    return RunRow(**{**values, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", True),
        ("order-7", True),
        ("order-8", False),
        ("ORDER eu", True),
        ("22AbcDef", True),
        ("22Abc", False),
        ("AbcDefGhi", False),
        ("type:order", True),
        ("type:Order", False),
        ('type:"order 1.0"', True),
        ('"type:order 1.0"', True),
        ('tag:"two words"', True),
        ("tag:two", False),
        ("age<3h", True),
        ("age<2h", False),
        ("age>7199s", True),
        ("age>2h", False),
        ("took<61m", True),
        ("took>1h", False),
        ("status:failed", True),
        ("status:FAILED status:running", True),
        ("status:timed-out", False),
        ("status:closed", True),
        ("status:open", False),
    ],
)
def test_filter_admits_runs_that_meet_every_condition(text: str, found: bool) -> None:  # noqa: FBT001
    filter = parse(text)
    assert (filter.admits(run(), NOW) and filter.accepts(run())) is found


def test_open_run_has_taken_the_time_until_now() -> None:
    filter = parse("took>1h")
    assert filter.admits(run(status="RUNNING", closed=None), NOW)


@given(st.text(max_size=LIMIT + 5))
def test_any_text_is_a_filter_or_a_FilterError(text: str) -> None:  # noqa: N802
    try:
        parse(text)
    except FilterError as error:
        assert str(error).isprintable()


_WORDS = st.sampled_from(
    ["status:failed", "status:open", "tag:a", 'tag:"a b"', "type:x", "age<1h", "text", '"a b"']
)


@given(st.lists(_WORDS, max_size=5), st.sampled_from([*STATUSES, ""]))
def test_status_of_a_filter_is_replaced_and_the_rest_stays(words: list[str], status: str) -> None:
    changed = parse(with_status(" ".join(words), status))
    kept = parse(" ".join(word for word in words if not word.startswith("status:")))
    assert changed.statuses == ({status} if status else set())
    for each in (run(), run(tags=("a", "a b")), run(type_name="x"), run(workflow_id="some text")):
        assert changed.admits(each, NOW) == kept.admits(each, NOW)
