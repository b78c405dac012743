"""An import that goes on although some of its files are bad: at most 5 % of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import floto
from floto.specs import ActivityTask, DeciderSpec, Generator

spec = DeciderSpec(
    activity_tasks=[
        Generator(id_="list", name="list_files", version="1", tolerated_failures="5 %", max_in_flight=4),
        ActivityTask(id_="sum", name="sum_files", version="1", requires="list"),
    ],
)


@floto.generator(name="list_files", version="1")
def list_files(context: dict[str, Any]) -> list[ActivityTask]:
    """Return a task for each file of the directory."""
    files = sorted(Path(context["workflow"]["directory"]).glob("*.json"))
    return [ActivityTask(id_=file.stem, name="load_file", version="1", input=str(file)) for file in files]


@floto.activity(name="load_file", version="1")
def load_file(context: dict[str, Any]) -> int:
    """Return the number in a file; fail if the file has none."""
    return int(json.loads(Path(context["activity_task"]).read_text())["number"])


@floto.activity(name="sum_files", version="1")
def sum_files(context: dict[str, Any]) -> dict[str, int]:
    """Add the numbers of the files that could be read; a file that failed is not in the context."""
    numbers = [context[name] for name in context["list"] if name in context]
    return {"files": len(numbers), "failed": len(context["list"]) - len(numbers), "sum": sum(numbers)}
