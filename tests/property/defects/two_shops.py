"""The orders of two shops, which both count from one."""

from typing import Any

from floto import ActivityTask, DeciderSpec, FixedDelay, Generator


def orders(context: dict[str, Any]) -> Any:
    """One task for each order."""
    shop = context["activity_task"]["shop"]
    return [
        ActivityTask(name="pack", version="1", id_=f"order-{number}", input={"shop": shop})
        for number in (1, 2)
    ]


activities = {"orders": orders}

stock = ActivityTask(name="stock", version="1", id_="stock")
shops = [
    Generator(
        name="orders",
        version="1",
        id_=f"orders-{shop}",
        input={"shop": shop},
        requires=[stock],
        retry_strategy=FixedDelay(30, 2),
    )
    for shop in ("books", "bicycles")
]
labels = ActivityTask(name="labels", version="1", id_="labels", requires=shops)
courier = ActivityTask(name="courier", version="1", id_="courier", requires=[labels])
count = ActivityTask(name="count", version="1", id_="count", requires=[stock])

spec = DeciderSpec(activity_tasks=[stock, *shops, labels, courier, count])
