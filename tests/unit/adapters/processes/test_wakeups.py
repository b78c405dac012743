"""Wake-ups of processes that do not listen: a full queue of one delays no other."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from floto.adapters.processes.leases import Leases
from floto.adapters.processes.wakeups import Wakeups

PATIENCE = 30.0


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with a short name: the path of a socket has at most about a hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="floto-") as name:
        yield Path(name)


def test_process_that_does_not_listen_delays_no_sender_whose_own_thread_waits(directory: Path) -> None:
    sender, idle = Wakeups(Leases(directory)), Wakeups(Leases(directory))
    assert sender.is_listening
    waiting = threading.Thread(target=sender.wait, args=(PATIENCE,), daemon=True)
    waiting.start()
    time.sleep(0.1)
    began = time.monotonic()
    # Far more than the queue of a socket holds.
    for _ in range(1000):
        sender.send()
    assert time.monotonic() - began < PATIENCE / 2
    assert idle.wait(0)
    idle.send()
    waiting.join(PATIENCE / 2)
    assert not waiting.is_alive()
    for wakeups in (sender, idle):
        wakeups.close()
    assert not list(directory.glob("*.sock"))
