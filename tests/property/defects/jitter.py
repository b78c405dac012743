"""Thumbnails of a photograph, made by a service that does not like to be asked by all at once."""

import random

from attrs import frozen

from floto import CODEC, ActivityTask, DeciderSpec, Retry


@frozen
class FullJitter:
    """Wait for any time up to a bound that doubles."""

    cap: float = 60
    retries: int = 4

    def delay(self, retry: Retry) -> float | None:
        if retry.number > self.retries:
            return None
        most = min(self.cap, 2**retry.number)
        return random.uniform(0, most)


codec = CODEC.with_type("photos.FullJitter", FullJitter)

upload = ActivityTask(name="upload", version="1", id_="upload")
sizes = [
    ActivityTask(
        name="resize",
        version="1",
        id_=f"resize-{pixels}",
        input={"pixels": pixels},
        requires=[upload],
        retry_strategy=FullJitter(),
    )
    for pixels in (64, 256, 1024)
]
scan = ActivityTask(name="scan", version="1", id_="scan", requires=[upload])
publish = ActivityTask(name="publish", version="1", id_="publish", requires=[*sizes, scan])

spec = DeciderSpec(activity_tasks=[upload, *sizes, scan, publish])
