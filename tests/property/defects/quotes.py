"""Quotes of several carriers; a carrier that does not go there returns nothing."""

from typing import Any

from attrs import frozen

from floto import CODEC, ActivityTask, DeciderSpec, FixedDelay
from floto.core.state.state import Item


@frozen(kw_only=True)
class Quote(ActivityTask):
    """An activity of which the amount alone is of interest."""

    def result(self, item: Item) -> Any:
        quote = super().result(item)
        return quote["amount"]


codec = CODEC.with_type("freight.Quote", Quote)


def ask(context: dict[str, Any]) -> Any:
    carrier = context["activity_task"]["carrier"]
    return None if carrier == "canoe" else {"amount": 10 * len(carrier), "currency": "EUR"}


activities = {"ask": ask}

address = ActivityTask(name="address", version="1", id_="address")
quotes = [
    Quote(
        name="ask",
        version="1",
        id_=f"ask-{carrier}",
        input={"carrier": carrier},
        requires=[address],
        retry_strategy=FixedDelay(10, 1),
    )
    for carrier in ("train", "lorry", "canoe")
]
choose = ActivityTask(name="choose", version="1", id_="choose", requires=quotes)
label = ActivityTask(name="label", version="1", id_="label", requires=[choose])

spec = DeciderSpec(activity_tasks=[address, *quotes, choose, label])
