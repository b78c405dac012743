"""An invoice that is sent to a bank, which answers during office hours only."""

from datetime import UTC, datetime

from attrs import frozen

from floto import CODEC, ActivityTask, DeciderSpec, FixedDelay, Retry, Timer


@frozen
class InOfficeHours:
    """Try again at once by day, and the next morning by night."""

    retries: int

    def delay(self, retry: Retry) -> float | None:
        if retry.number > self.retries:
            return None
        hour = datetime.now(UTC).hour
        return 0 if 9 <= hour < 17 else (9 - hour) % 24 * 3600


codec = CODEC.with_type("bank.InOfficeHours", InOfficeHours)

draft = ActivityTask(name="draft", version="1", id_="draft")
check = ActivityTask(
    name="check", version="1", id_="check", requires=[draft], retry_strategy=FixedDelay(5, 2)
)
pause = Timer(id_="pause", delay_in_seconds=60, requires=[check])
send = ActivityTask(name="send", version="1", id_="send", requires=[pause], retry_strategy=InOfficeHours(5))
archive = ActivityTask(name="archive", version="1", id_="archive", requires=[check])
book = ActivityTask(name="book", version="1", id_="book", requires=[send, archive])

spec = DeciderSpec(activity_tasks=[draft, check, pause, send, archive, book])
