"""A join of one's own: a task starts once a share of what it requires has completed."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from floto.extend import JoinVerdict, Tally


@frozen
class Share:
    """Start once at least this share of the tasks has completed, from 0 to 1, and all of them have ended."""

    share: float

    def verdict(self, tally: Tally) -> JoinVerdict | int:
        """Return the verdict; while some are open, their number."""
        if tally.open:
            return tally.open
        ended = tally.completed + tally.continued + tally.failed + tally.skipped
        return JoinVerdict.START if tally.completed >= self.share * ended else JoinVerdict.SKIP

    def problems(self) -> Iterator[str]:
        """Yield one line for each problem."""
        if not 0 < self.share <= 1:
            yield f"share must be more than 0 and at most 1, not {self.share}"
