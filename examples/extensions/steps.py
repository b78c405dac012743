"""A retry strategy of one's own: a list of pauses."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

import floto


@frozen
class Steps:
    """Retry after each of these numbers of seconds in turn."""

    pauses: tuple[float, ...]

    def delay(self, retry: floto.Retry) -> float | None:
        """Return the seconds to wait before a retry; None if the task has failed."""
        return self.pauses[retry.number - 1] if retry.number <= len(self.pauses) else None

    def problems(self) -> Iterator[str]:
        """Yield one line for each problem."""
        if min(self.pauses, default=0) < 0:
            yield f"pauses must not be negative: {self.pauses}"
