"""Backups that are made in the region where the data is."""

import os

from attrs import evolve, frozen

from floto import CODEC, ActivityTask, DeciderSpec, FixedDelay, Given, Timer
from floto.core.swf.decisions import ScheduleActivityTask
from floto.core.swf.shapes import TaskList


@frozen(kw_only=True)
class Regional(ActivityTask):
    """An activity for the workers of a region."""

    region: str = "eu-north-1"

    def start(self, given: Given) -> ScheduleActivityTask:
        region = os.environ.get("AWS_REGION", self.region)
        return evolve(super().start(given), task_list=TaskList(f"backups-{region}"))


codec = CODEC.with_type("backup.Regional", Regional)

freeze = ActivityTask(name="freeze", version="1", id_="freeze")
tables = [
    Regional(
        name="copy", version="1", id_=f"copy-{table}", requires=[freeze], retry_strategy=FixedDelay(5, 2)
    )
    for table in ("users", "orders")
]
settle = Timer(id_="settle", delay_in_seconds=300, requires=tables)
verify = ActivityTask(name="verify", version="1", id_="verify", requires=[settle])
thaw = ActivityTask(name="thaw", version="1", id_="thaw", requires=tables)
undo = ActivityTask(name="thaw", version="1", id_="undo")

spec = DeciderSpec(activity_tasks=[freeze, *tables, settle, verify, thaw], on_failure=[undo])
