"""The thread that looks for commits and deadlines."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from floto.adapters.sqlite import SqliteService
from floto.core.errors import ServiceUnavailable


@pytest.fixture
def service() -> Iterator[SqliteService]:
    opened = SqliteService(":memory:", domain="shop")
    opened.prepare([], [])
    yield opened
    opened.close()


def test_watcher_starts_with_a_later_poll_if_a_thread_could_not_be_started(
    service: SqliteService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(_thread: threading.Thread) -> None:
        msg = "can't start new thread"
        raise RuntimeError(msg)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(ServiceUnavailable, match="no thread to look for tasks"):
            service.poll_for_activity_task("list", "me", 0.01)
    assert service.poll_for_activity_task("list", "me", 0.01) is None
    assert "floto-watch" in [thread.name for thread in threading.enumerate()]
