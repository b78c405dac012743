"""The seeded bugs still find what they change."""

from __future__ import annotations

import pytest

from tests.seeded_bugs import BUGS, ROOT


@pytest.mark.parametrize("name", BUGS)
def test_seeded_bug_changes_the_named_code(name: str) -> None:
    for change in BUGS[name]:
        assert (ROOT / change.file).read_text().count(change.old) == 1
