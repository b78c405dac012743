"""A report whose queries share a budget of patience."""

from attrs import frozen

from floto import CODEC, ActivityTask, DeciderSpec, InstantRetry, Retry


@frozen
class LessAndLess:
    """Wait long at first, and ever less as time runs out."""

    first: int = 300
    step: int = 100
    retries: int = 6

    def delay(self, retry: Retry) -> float | None:
        if retry.number > self.retries:
            return None
        return self.first - self.step * (retry.number - 1)


codec = CODEC.with_type("report.LessAndLess", LessAndLess)

connect = ActivityTask(name="connect", version="1", id_="connect", retry_strategy=InstantRetry(3))
queries = [
    ActivityTask(
        name="query", version="1", id_=f"query-{table}", requires=[connect], retry_strategy=LessAndLess()
    )
    for table in ("orders", "customers", "returns")
]
join = ActivityTask(name="join", version="1", id_="join", requires=queries)
mail = ActivityTask(name="mail", version="1", id_="mail", requires=[join])

spec = DeciderSpec(activity_tasks=[connect, *queries, join, mail])
