"""What the daemon and schedules share."""

from __future__ import annotations

from datetime import timedelta

import pytest

from floto.core.decide.child_requests import need_run_id, timeout_share
from floto.core.errors import HistoryError
from floto.core.state.state import EMPTY
from tests.property.schedule_stage import BEGINNING, Stage, schedule_of, state_of


def test_run_that_its_history_does_not_name_raises_history_error() -> None:
    with pytest.raises(HistoryError, match="does not name its execution"):
        need_run_id(EMPTY)


def test_timeout_share_is_that_of_the_execution_timeout() -> None:
    stage = Stage(schedule_of(every=3_600, paused=True))
    stage.run(BEGINNING + timedelta(days=73))
    (history,) = stage.runs
    # It wakes every 30 days.
    assert 0.16 < timeout_share(state_of(history.events, history.execution)) < 0.17
