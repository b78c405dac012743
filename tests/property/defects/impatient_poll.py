"""Prices from a supplier whose interface is often not ready yet."""

from attrs import frozen

from floto import CODEC, ActivityTask, DeciderSpec, InstantRetry, Retry
from floto.testing import fails


@frozen
class UntilReady:
    """Ask again every few seconds until the supplier has an answer."""

    seconds: float

    def delay(self, retry: Retry) -> float | None:
        if retry.failure.reason == "NotReady":
            return self.seconds
        return self.seconds if retry.number <= 3 else None


#: Possible outcomes of the query.
activities = {"prices": fails(1, reason="NotReady")}
codec = CODEC.with_type("shop.UntilReady", UntilReady)

login = ActivityTask(name="login", version="1", id_="login", retry_strategy=InstantRetry(2))
catalogue = ActivityTask(name="catalogue", version="1", id_="catalogue", requires=[login])
prices = ActivityTask(
    name="prices",
    version="1",
    id_="prices",
    requires=[login],
    retry_strategy=UntilReady(30),
    start_to_close_timeout=60,
)
stock = ActivityTask(name="stock", version="1", id_="stock", requires=[login])
merge = ActivityTask(name="merge", version="1", id_="merge", requires=[catalogue, prices, stock])
publish = ActivityTask(name="publish", version="1", id_="publish", requires=[merge])

spec = DeciderSpec(activity_tasks=[login, catalogue, prices, stock, merge, publish])
