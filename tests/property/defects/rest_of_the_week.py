"""A timetable: one task for each day of the week that is left."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from floto import CODEC, ActivityTask, DeciderSpec, Generator, Task
from floto.core.spec.tasks import TaskCodec
from floto.core.state.state import Item


@frozen(kw_only=True)
class Days(Generator):
    """A generator whose tasks are done once a day."""

    def generated(self, item: Item, codec: TaskCodec) -> Sequence[Task]:
        lessons = super().generated(item, codec)
        days = range(datetime.now(UTC).isoweekday(), 8)
        return [_on(lesson, day) for day in days for lesson in lessons]


def _on(lesson: Task, day: int) -> Task:
    return ActivityTask(name="lesson", version="1", id_=f"{lesson.id_}-{day}")


def plan(_context: dict[str, Any]) -> Any:
    return [ActivityTask(name="lesson", version="1", id_=subject) for subject in ("music", "maths")]


codec = CODEC.with_type("school.Days", Days)
activities = {"plan": plan}

rooms = ActivityTask(name="rooms", version="1", id_="rooms")
teachers = ActivityTask(name="teachers", version="1", id_="teachers")
lessons = Days(name="plan", version="1", id_="lessons", requires=[rooms, teachers])
check = ActivityTask(name="check", version="1", id_="check", requires=[lessons])
publish = ActivityTask(name="publish", version="1", id_="publish", requires=[check])

spec = DeciderSpec(activity_tasks=[rooms, teachers, lessons, check, publish])
