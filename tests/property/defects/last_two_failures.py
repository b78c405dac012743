"""A deployment that waits as long as the trouble seems to last."""

from attrs import frozen

from floto import CODEC, ActivityTask, DeciderSpec, Retry, Signal


@frozen
class AsLongAsBefore:
    """Wait twice as long as lay between the last two failures."""

    retries: int = 5

    def delay(self, retry: Retry) -> float | None:
        if retry.number > self.retries:
            return None
        before, last = retry.failures[-2], retry.failures[-1]
        return 2 * (last.at - before.at).total_seconds()


codec = CODEC.with_type("deploy.AsLongAsBefore", AsLongAsBefore)

build = ActivityTask(name="build", version="1", id_="build")
test = ActivityTask(name="test", version="1", id_="test", requires=[build])
approved = Signal(id_="approved", signal_name="approved", requires=[test])
canary = ActivityTask(
    name="deploy", version="1", id_="canary", requires=[approved], retry_strategy=AsLongAsBefore()
)
everywhere = ActivityTask(name="deploy", version="1", id_="everywhere", requires=[canary])
notes = ActivityTask(name="notes", version="1", id_="notes", requires=[build])
undo = ActivityTask(name="undo", version="1", id_="undo")

spec = DeciderSpec(activity_tasks=[build, test, approved, canary, everywhere, notes], on_failure=[undo])
