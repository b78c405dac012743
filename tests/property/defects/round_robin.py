"""Letters that are printed by three printers in turn."""

from typing import ClassVar

from attrs import evolve, frozen

from floto import CODEC, ActivityTask, DeciderSpec, Given
from floto.core.swf.decisions import ScheduleActivityTask
from floto.core.swf.shapes import TaskList


@frozen(kw_only=True)
class Printed(ActivityTask):
    """An activity for whichever printer is next."""

    printers: int
    printed: ClassVar[list[str]] = []

    def start(self, given: Given) -> ScheduleActivityTask:
        self.printed.append(self.id_)
        printer = len(self.printed) % self.printers
        return evolve(super().start(given), task_list=TaskList(f"printer-{printer}"))


codec = CODEC.with_type("letters.Printed", Printed)

address = ActivityTask(name="address", version="1", id_="address")
layout = ActivityTask(name="layout", version="1", id_="layout", requires=[address])
letters = [
    Printed(name="print", version="1", id_=f"letter-{number}", printers=3, requires=[layout])
    for number in range(4)
]
post = ActivityTask(name="post", version="1", id_="post", requires=letters)

spec = DeciderSpec(activity_tasks=[address, layout, *letters, post])
