"""Payments, each with the number of its receipt."""

from typing import Any

from attrs import frozen

from floto import CODEC, ActivityTask, DeciderSpec, FixedDelay
from floto.core.state.state import Item


@frozen(kw_only=True)
class Payment(ActivityTask):
    """An activity that passes on the number of a receipt as well."""

    def result(self, item: Item) -> Any:
        number = item.closed.id if item.closed else 0
        return {"paid": super().result(item), "receipt": f"{self.id_}-{number}"}


codec = CODEC.with_type("money.Payment", Payment)

order = ActivityTask(name="order", version="1", id_="order")
goods = Payment(name="pay", version="1", id_="goods", requires=[order], retry_strategy=FixedDelay(30, 2))
freight = Payment(name="pay", version="1", id_="freight", requires=[order])
pack = ActivityTask(name="pack", version="1", id_="pack", requires=[order])
book = ActivityTask(name="book", version="1", id_="book", requires=[goods, freight])
ship = ActivityTask(name="ship", version="1", id_="ship", requires=[book, pack])

spec = DeciderSpec(activity_tasks=[order, goods, freight, pack, book, ship])
