"""Check the types of every Python block of README and docs with pyright."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def write(directory: Path) -> None:
    """Write the blocks of each document into a separate folder, and the configuration beside them."""
    for document in DOCUMENTS:
        folder = directory / document.stem
        folder.mkdir()
        for name, text in BLOCK.findall(document.read_text(encoding="utf-8")):
            (folder / name).write_text(text, encoding="utf-8")
    roots = [{"root": document.stem, "extraPaths": [str(ROOT)]} for document in DOCUMENTS]
    settings = {"typeCheckingMode": "basic", "pythonVersion": "3.11", "executionEnvironments": roots}
    (directory / "pyrightconfig.json").write_text(json.dumps(settings))


def main() -> int:
    """Return the exit code of pyright."""
    with tempfile.TemporaryDirectory() as name:
        write(Path(name))
        command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--project", name]
        return subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
