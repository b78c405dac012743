"""The pollers that a process lists for others."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from floto.adapters.processes.leases import Leases
from floto.adapters.processes.presence import Presence, pollers
from floto.core.swf.pollers import Poller, PollKind

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def poller(number: int, length: int) -> Poller:
    """Return a poller whose identity takes six bytes for each character."""
    return Poller(
        domain="floto",
        kind=PollKind.ACTIVITIES,
        task_list=f"list {number}",
        identity="\x01" * length,
        seen=NOON + timedelta(seconds=number),
    )


def test_pollers_with_long_names_do_not_hide_the_latest_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("floto.adapters.processes.presence._MOST_BYTES", 20_000)
    with closing(Leases(tmp_path)) as leases:
        presence = Presence(leases)
        for number in range(15):
            presence.saw(poller(number, 250))
        [found] = pollers(tmp_path).values()
        assert [each.task_list for each in found[:3]] == ["list 14", "list 13", "list 12"]
        assert 10 < len(found) < 15
