"""The blocks of ``seed_blocks.txt``, and programs made of them."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_TEXT = Path(__file__).with_name("seed_blocks.txt").read_text(encoding="utf-8")
BLOCKS: dict[int, str] = {
    int(number): text
    for number, text in re.findall(
        r"^## (\d+)\. [^\n]*\n\n```\w+\n(.*?)^```", _TEXT, re.MULTILINE | re.DOTALL
    )
}


def block(number: int, **filled: str) -> str:
    """A block with other names and values: ``30`` in place of ``3600`` is ``_3600="30"``."""
    text = BLOCKS[number]
    for name, value in filled.items():
        old = name.removeprefix("_")
        assert old in text, old
        text = text.replace(old, value)
    return text


def run(text: str, names: dict[str, Any]) -> Any:
    """Run a block among names, and give the value of its last line where that has one."""
    tree = ast.parse(text)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "block", "exec"), names)  # noqa: S102 - that is what a block is for
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), "block", "eval"), names)  # noqa: S307 - as above
    return None


class Program:
    """Run a Python program as a separate process, with its service in the environment."""

    def __init__(self, directory: Path, service: str, *texts: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FLOTO_"))}
        self.said = directory / "said.txt"
        with self.said.open("w", encoding="utf-8") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-c", "\n".join(texts)],
                env={**kept, "PYTHONPATH": str(ROOT), "FLOTO_SERVICE": service},
                cwd=directory,
                stdout=said,
            )

    def run(self) -> None:
        """Wait until it has ended, as it should."""
        assert self.process.wait() == 0

    def stop(self) -> None:
        """Ask it to end."""
        self.process.send_signal(signal.SIGTERM)
