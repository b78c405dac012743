"""A subscription whose notifications depend on the order."""

from typing import Any

from attrs import frozen

from floto import CODEC, ActivityTask, DeciderSpec, FixedDelay, Given, RetryStrategy, Task
from floto.core.payloads import payload
from floto.core.state.state import Item, Key, Kind
from floto.core.swf.decisions import Decision, ScheduleActivityTask
from floto.core.swf.shapes import ActivityType


@frozen(kw_only=True)
class Notify(Task):
    """A call of a customer's address, if there is one."""

    id_: str
    address: str | None = None
    requires: tuple[str, ...] = ()
    retry_strategy: RetryStrategy | None = None

    @property
    def key(self) -> Key:
        return (Kind.ACTIVITY, self.id_)

    def start(self, given: Given) -> Decision | None:
        if self.address is None:
            return None
        return ScheduleActivityTask(
            activity_type=ActivityType("notify", "1"),
            activity_id=self.id_,
            input=payload.dumps({**given.context, "address": self.address}, self.id_),
        )

    def result(self, item: Item) -> Any:
        return payload.loads(item.closed.data.result) if item.closed else None


codec = CODEC.with_type("subscriptions.Notify", Notify)

order = ActivityTask(name="order", version="1", id_="order")
account = ActivityTask(name="account", version="1", id_="account", requires=[order])
notified = [
    Notify(id_="notify-sales", address="https://sales.example.org", requires=("account",)),
    Notify(id_="notify-partner", requires=("account",), retry_strategy=FixedDelay(60, 3)),
]
bill = ActivityTask(
    name="bill", version="1", id_="bill", requires=[account], retry_strategy=FixedDelay(60, 3)
)
welcome = ActivityTask(name="welcome", version="1", id_="welcome", requires=[*notified, bill])

spec = DeciderSpec(activity_tasks=[order, account, *notified, bill, welcome])
