"""A nightly report: a schedule, the spec of its runs and their activities.

Try it for a minute, with a fire every 5 seconds:

    floto run examples/nightly/nightly.py:often --timeout 60

Or let it run every night, with a scheduler and a worker that may be stopped, killed and started again:

    floto schedule create examples/nightly/nightly.py:nightly
    floto scheduler &
    floto worker --activities examples/nightly/nightly.py &
    floto schedule list
"""

from __future__ import annotations

from typing import Any

from attrs import evolve

import floto


@floto.activity(name="collect", version="1")
def collect(context: dict[str, Any]) -> dict[str, Any]:
    """Count what was sold on the day before the time of the schedule, which a late start does not change."""
    fire = floto.current().scheduled_for
    return {"shop": context["workflow"]["shop"], "until": str(fire), "sold": 0 if fire is None else fire.day}


@floto.activity(name="report", version="1")
def report(context: dict[str, Any]) -> str:
    """Write the report."""
    sales = context["collect"]
    text = f"{sales['shop']}: {sales['sold']} sold until {sales['until']}"
    print(text)
    return text


collected = floto.ActivityTask(id_="collect", name="collect", version="1")
reported = floto.ActivityTask(
    id_="report",
    name="report",
    version="1",
    requires=[collected],
    retry_strategy=floto.ExponentialBackoff(initial=10, retries=5),
)

nightly = floto.Schedule(
    id_="nightly",
    spec=floto.DeciderSpec(activity_tasks=[collected, reported]),
    input={"shop": "Hamburg"},
    cron="0 2 * * *",
    time_zone="Europe/Berlin",
    catch_up=6 * 3600,
    pause_on_failure=True,
)
often = evolve(nightly, id_="often", cron=None, every=5)
