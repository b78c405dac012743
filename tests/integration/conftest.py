"""Fixtures for tests of commands: on a file, and against a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.commands import Shell, write_files
from tests.integration.test_server import serving


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    write_files(tmp_path)
    return Shell(tmp_path)


@pytest.fixture(params=["file", "server"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    write_files(tmp_path)
    if request.param == "file":
        yield Shell(tmp_path)
        return
    with serving(tmp_path / "swf.db") as server:
        yield Shell(tmp_path, server.url)
