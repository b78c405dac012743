"""A film that is encoded by jobs, each with a number of its own."""

from itertools import count

from attrs import evolve, frozen

from floto import CODEC, ActivityTask, DeciderSpec, FixedDelay, Given
from floto.core.swf.decisions import ScheduleActivityTask

_NUMBERS = count(1)


@frozen(kw_only=True)
class Job(ActivityTask):
    """An activity that the encoder knows by a number."""

    def start(self, given: Given) -> ScheduleActivityTask:
        decision = super().start(given)
        return evolve(decision, activity_id=f"{self.id_}-{next(_NUMBERS)}")


codec = CODEC.with_type("film.Job", Job)

probe = ActivityTask(name="probe", version="1", id_="probe")
split = ActivityTask(name="split", version="1", id_="split", requires=[probe])
encoded = [
    Job(
        name="encode",
        version="1",
        id_=f"encode-{part}",
        input={"part": part},
        requires=[split],
        retry_strategy=FixedDelay(10, 2),
        start_to_close_timeout=3600,
    )
    for part in range(3)
]
subtitles = ActivityTask(name="subtitles", version="1", id_="subtitles", requires=[probe])
join = ActivityTask(name="join", version="1", id_="join", requires=[*encoded, subtitles])

spec = DeciderSpec(activity_tasks=[probe, split, *encoded, subtitles, join])
