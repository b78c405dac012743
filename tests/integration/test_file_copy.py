"""The example ``file_copy``: retries and redrives go on from the checkpoint."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

import floto
from tests.integration.commands import ROOT


@pytest.fixture
def example() -> Any:
    spec = importlib.util.spec_from_file_location("file_copy", ROOT / "examples" / "file_copy.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.CHUNK = 1000
    module.SPEC = floto.DeciderSpec(
        activity_tasks=[
            floto.ActivityTask(id_="copy", name="copy", version="1", retry_strategy=floto.InstantRetry(1))
        ]
    )
    return module


class Disk:
    """Reads at most two chunks before it fails, so many times; keeps where each attempt began."""

    def __init__(self, module: Any, failures: int) -> None:
        self.began: list[int] = []
        self._read, self._failures = module.chunks, failures
        module.chunks = self.chunks

    def chunks(self, file: BinaryIO) -> Iterator[bytes]:
        self.began.append(file.tell())
        for number, chunk in enumerate(self._read(file)):
            if number == 2 and len(self.began) <= self._failures:
                msg = "the disk is gone"
                raise OSError(msg)
            yield chunk


@pytest.fixture
def paths(tmp_path: Path) -> tuple[str, str, str]:
    (tmp_path / "source").write_bytes(bytes(range(256)) * 40)
    return str(tmp_path / "source"), str(tmp_path / "target"), f"sqlite:///{tmp_path}/floto.db"


def test_retry_goes_on_from_the_checkpoint(example: Any, paths: tuple[str, str, str]) -> None:
    disk = Disk(example, failures=1)
    assert example.main(*paths) == 10_240
    assert disk.began == [0, 2000]
    assert Path(paths[1]).read_bytes() == Path(paths[0]).read_bytes()


def test_redrive_goes_on_from_the_checkpoint(example: Any, paths: tuple[str, str, str]) -> None:
    disk = Disk(example, failures=2)
    with pytest.raises(floto.WorkflowFailed) as raised:
        example.main(*paths)
    # The checkpoint is in the details of the failure, and no part of its message.
    assert raised.value.failures == {"copy": "OSError: the disk is gone"}
    assert example.main(*paths) == 10_240
    assert disk.began == [0, 2000, 4000]
    assert Path(paths[1]).read_bytes() == Path(paths[0]).read_bytes()
