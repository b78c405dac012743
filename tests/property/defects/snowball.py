"""A file that many hands work on, each passing on all that it was given."""

from base64 import b64encode
from hashlib import sha512
from itertools import pairwise
from typing import Any

from floto import ActivityTask, DeciderSpec, FixedDelay

_STATIONS = ("open", "measure", "photograph", "describe", "value", "insure", "store")


def _notes(station: str) -> str:
    """4,800 characters that do not get shorter when they are compressed."""
    digests = (sha512(f"{station} {line}".encode()).digest() for line in range(57))
    return b64encode(b"".join(digests)).decode()[:4_800]


def work(context: dict[str, Any]) -> Any:
    task = context["activity_task"]
    before = context.get(task["after"], {})
    return {**before, task["station"]: _notes(task["station"])}


activities = {"work": work}
input = {"item": _notes("item")}

stations = [
    ActivityTask(
        name="work",
        version="1",
        id_=station,
        input={"station": station, "after": before},
        requires=[before] if before else [],
        retry_strategy=FixedDelay(60, 2),
    )
    for before, station in pairwise(("", *_STATIONS))
]

spec = DeciderSpec(activity_tasks=stations)
