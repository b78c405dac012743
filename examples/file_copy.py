"""Copy a large file. An attempt that fails leaves a checkpoint, and the next one goes on from there.

    python examples/file_copy.py SOURCE TARGET

The run is kept in ``floto.db``. If all attempts fail, the same command redrives it, from the checkpoint too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import floto

CHUNK = 1_000_000


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """Read a file from where it is."""
    while chunk := file.read(CHUNK):
        yield chunk


@floto.activity(name="copy", version="1")
def copy(context: dict[str, Any]) -> int:
    """Copy a file chunk by chunk; return its length in bytes."""
    current = floto.current()
    # What an earlier attempt sent with its last heartbeat; None for the first.
    done = int(current.checkpoint or 0)
    paths = context["workflow"]
    source_path, target_path = Path(paths["source"]), Path(paths["target"])
    with source_path.open("rb") as source, target_path.open("r+b" if done else "wb") as target:
        source.seek(done)
        target.seek(done)
        for chunk in chunks(source):
            target.write(chunk)
            target.flush()
            # A checkpoint must not promise what is not on the disk yet.
            os.fsync(target.fileno())
            done += len(chunk)
            if current.heartbeat(str(done)):
                raise floto.Canceled
    return done


SPEC = floto.DeciderSpec(
    activity_tasks=[
        floto.ActivityTask(
            id_="copy", name="copy", version="1", heartbeat_timeout=60, retry_strategy=floto.FixedDelay(1, 2)
        )
    ]
)


def main(source: str, target: str, service: str = "sqlite:///floto.db") -> int:
    """Copy a file, or go on with a copy that failed."""
    paths = {"source": source, "target": target}
    result = floto.run(SPEC, paths, service=service, workflow_id=f"copy to {Path(target).name}", redrive=True)
    length: int = result["copy"]
    return length


if __name__ == "__main__":
    print(f"{main(*sys.argv[1:]):,} bytes")
