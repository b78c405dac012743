"""A workflow that uses a retry strategy, a join and a task kind of one's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import floto
from floto.specs import ActivityTask, DeciderSpec

sys.path.insert(0, str(Path(__file__).parent))

from share import Share
from steps import Steps
from tell_run import TellRun

codec = (
    floto.CODEC.with_type("extensions.Share", Share)
    .with_type("extensions.TellRun", TellRun)
    .with_type("extensions.Steps", Steps)
)

replicas = [
    ActivityTask(
        id_=f"copy_{town}",
        name="copy_to",
        version="1",
        input=town,
        on_error="continue",
        retry_strategy=Steps((1, 1)),
    )
    for town in ("bonn", "lyon", "oslo")
]
spec = DeciderSpec(
    activity_tasks=[
        *replicas,
        ActivityTask(id_="publish", name="publish", version="1", requires=replicas, join=Share(0.6)),
        TellRun(id_="tell", workflow_id="listener", signal_name="published", requires=("publish",)),
    ]
)


@floto.activity(name="copy_to", version="1")
def copy_to(context: dict[str, Any]) -> str:
    """Copy the data to a town; one of them is down for good, and each first attempt fails."""
    town = context["activity_task"]
    if town == "oslo" or floto.current().attempt == 1:
        msg = f"{town} does not answer"
        raise ConnectionError(msg)
    return f"copied to {town}"


@floto.activity(name="publish", version="1")
def publish(context: dict[str, Any]) -> dict[str, Any]:
    """Publish where the copies are."""
    return {"where": sorted(id_.removeprefix("copy_") for id_ in context if id_.startswith("copy_"))}
