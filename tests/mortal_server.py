"""``floto server`` with a clock in a file, killed by SIGKILL right before or after one of its commits.

    python -m tests.mortal_server DB PORT CLOCK NUMBER before|after

0 kills at no commit.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from floto.adapters.sqlite.operations import SqliteOperations
from floto.runtime import server
from tests.mortal import kill_at

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


def main(db: str, port: str, clock: str, number: str, when: str) -> None:
    """Serve until killed, one way or the other."""
    kill_at(int(number), when)

    def now() -> datetime:
        return BEGINNING + timedelta(seconds=float(Path(clock).read_text(encoding="utf-8")))

    def operations(settings: server.Settings) -> SqliteOperations:
        return SqliteOperations(settings.db, clock=now)

    server._operations = operations  # noqa: SLF001 - all that differs is the clock
    settings = server.Settings(db=Path(db), host="127.0.0.1", port=int(port), durability="full")
    server.serve(settings, lambda url: print(url, flush=True))  # noqa: T201 - whoever started it waits for this


if __name__ == "__main__":
    main(*sys.argv[1:])
