"""A short outage of a server: every waiting caller recovers soon after."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

from floto.runtime.connect import connect
from floto.runtime.retrying import persist
from floto.runtime.shutdown import StopFlag
from tests.integration.test_server import PATIENCE, client, register, serving

CALLERS = 12


def test_all_callers_succeed_within_seconds_after_an_outage(tmp_path: Path) -> None:
    db = tmp_path / "swf.db"
    with serving(db) as server:
        with client(server) as swf:
            register(swf)
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
        away = time.monotonic()
    port, url = str(server.address[1]), server.url
    answered: list[float] = []

    def call() -> None:
        service = connect(url, "shop")
        persist(StopFlag(), service.latest_execution, "nobody")
        answered.append(time.monotonic())
        service.close()

    callers = [threading.Thread(target=call, daemon=True) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    time.sleep(1)
    with serving(db, "--port", port):
        back = time.monotonic()
        for caller in callers:
            caller.join(PATIENCE)
    assert len(answered) == CALLERS
    # As long again as it was away, and some for a machine that is busy.
    assert max(answered) - back < (back - away) + 3
