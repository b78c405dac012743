"""The state of a run: what an empty history has not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from floto.core.errors import HistoryError
from floto.core.state.state import EMPTY, State


@pytest.mark.parametrize("ask", [lambda s: s.start, lambda s: s.begun_at, lambda s: s.now])
def test_empty_history_has_neither_a_start_nor_times(ask: Callable[[State], object]) -> None:
    with pytest.raises(HistoryError, match="the history is empty"):
        ask(EMPTY)
