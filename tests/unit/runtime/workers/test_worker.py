"""The loop of a worker."""

from __future__ import annotations

from typing import Any

import pytest

from floto.core.swf.wire import WireError
from floto.runtime.workers.worker import ActivityWorker


def test_worker_continues_after_an_unreadable_task(caplog: pytest.LogCaptureFixture) -> None:
    polls: list[Exception] = [WireError("activityId must be a string")]

    class Odd:
        def poll_for_activity_task(self, *_: Any) -> None:
            if polls:
                raise polls.pop()
            worker.stop()

    odd: Any = Odd()
    worker = ActivityWorker(service=odd)
    worker.run()
    assert polls == []
    assert "activityId must be a string" in caplog.text
