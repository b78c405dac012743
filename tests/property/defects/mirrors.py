"""A release that is copied to mirrors, each copy known by where it comes from and goes to."""

from attrs import evolve, frozen

from floto import CODEC, ActivityTask, DeciderSpec, FixedDelay, Given
from floto.core.state.state import Key, Kind
from floto.core.swf.decisions import ScheduleActivityTask


@frozen(kw_only=True)
class Copy(ActivityTask):
    """An activity with an id that says what it does."""

    source: str
    target: str

    @property
    def key(self) -> Key:
        return (Kind.ACTIVITY, self._name())

    def start(self, given: Given) -> ScheduleActivityTask:
        return evolve(super().start(given), activity_id=self._name())

    def _name(self) -> str:
        return f"copy of {self.source} to {self.target}"


codec = CODEC.with_type("release.Copy", Copy)

_SOURCE = "releases.example.org" + "".join(f".{part:03}" for part in range(40))

sign = ActivityTask(name="sign", version="1", id_="sign")
upload = ActivityTask(name="upload", version="1", id_="upload", requires=[sign])
copies = [
    Copy(
        name="copy",
        version="1",
        id_=f"mirror-{country}",
        source=_SOURCE,
        target=f"{country}.mirror.example.org".rjust(length, "a"),
        requires=[upload],
        retry_strategy=FixedDelay(60, 3),
    )
    for country, length in (("fi", 30), ("jp", 90), ("br", 30))
]
announce = ActivityTask(name="announce", version="1", id_="announce", requires=copies)

spec = DeciderSpec(activity_tasks=[sign, upload, *copies, announce])
