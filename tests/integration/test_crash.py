"""A sample of ``python -m tests.crash``: the server killed right before and after its commits."""

from __future__ import annotations

from pathlib import Path

from tests.crash import calm, crashes


def test_19_killed_server_has_every_acknowledged_call_and_no_partial_one(tmp_path: Path) -> None:
    (tmp_path / "calm").mkdir()
    expected = calm(tmp_path / "calm")
    operations = {operation for _, _, operation in crashes(tmp_path, expected, every=9)}
    assert len(operations) > 3
