"""Properties of redrives: the new run does exactly what its plan says, however what is kept travels."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings

from tests.property.setup import SETTINGS
from tests.redrives import Case, cases, cases_with_children, check_case, check_travel


@settings(SETTINGS, max_examples=25)
@given(cases())
def test_new_run_does_exactly_what_was_planned(case: Case) -> None:
    check_case(case, Counter())


@settings(SETTINGS, max_examples=25)
@given(cases_with_children())
def test_children_go_on_as_planned(case: Case) -> None:
    check_case(case, Counter())


@settings(SETTINGS, max_examples=40)
@given(cases())
def test_decisions_do_not_depend_on_how_what_is_kept_travels(case: Case) -> None:
    check_travel(case)
