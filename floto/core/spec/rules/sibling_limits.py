"""Limits of the tasks that a generator returned: how many at once, how many may fail or must complete."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from attrs import frozen

from floto.core.swf.identifiers import shown

#: A number of failures, or a share such as ``"5 %"``.
Tolerance = int | str | None
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")
_WHOLE = 100


@frozen(kw_only=True)
class SiblingLimits:
    """The limits of the tasks that a generator returned; its member ``sibling_limits`` has this type.

    Args:
        max_in_flight: Maximum number of them that are in flight at once; None for no limit but SWF's.
        tolerated_failures: Maximum number of them that may fail, or a share such as ``"5 %"``, rounded down;
            None if none may fail, or as many as ``min_successful`` permits.
        min_successful: Number of them that must complete; None for no such number.
    """

    max_in_flight: int | None = None
    tolerated_failures: Tolerance = None
    min_successful: int | None = None

    @property
    def tolerates(self) -> bool:
        """True if a task may fail without failing the run by itself."""
        return self.tolerated_failures is not None or self.min_successful is not None

    def is_enough(self, completed: int) -> bool:
        """Return True if so many completed tasks are enough."""
        return self.min_successful is not None and completed >= self.min_successful

    def allowed(self, total: int) -> int:
        """Return the number of failures that are tolerated of so many tasks."""
        if self.tolerated_failures is None:
            return total - (self.min_successful or total)
        if isinstance(self.tolerated_failures, int):
            return self.tolerated_failures
        return int(total * Decimal(self.tolerated_failures.rstrip("% ")) / _WHOLE)

    def problem(self, of: str, total: int, failed: int, skipped: int) -> str | None:
        """Return why a run fails in which so many of the tasks have failed or are skipped; None if not.

        Args:
            of: Id of the generator.
            total: Number of the tasks.
            failed: Number of those that have failed.
            skipped: Number of those that are skipped.
        """
        if self.tolerated_failures is not None and failed > self.allowed(total):
            found = f"{failed} of {total} tasks of {of!r} failed"
            return f"{found}, tolerated_failures is {self.tolerated_failures}"
        possible = total - failed - skipped
        if self.min_successful is not None and possible < self.min_successful:
            found = f"at most {possible} of {total} tasks of {of!r} can complete"
            return f"{found}, min_successful is {self.min_successful}"
        return None


def sibling_limits_of(task: Any) -> SiblingLimits | None:
    """Return the limits of the tasks that a generator returns; None if there are none."""
    found = getattr(task, "sibling_limits", None)
    # A user's own kind may have a member of this name for something else.
    return found if isinstance(found, SiblingLimits) else None


def limits_text(task: Any) -> str:
    """Return the limits of a generator, as in ``max_in_flight 4, tolerated_failures 5 %``; '' for none."""
    limits = sibling_limits_of(task) or SiblingLimits()
    names = ("max_in_flight", "tolerated_failures", "min_successful")
    values = ((name, getattr(limits, name)) for name in names)
    return ", ".join(f"{name} {value}" for name, value in values if value is not None)


def sibling_limit_problems(limits: SiblingLimits) -> Iterable[str]:
    """Yield the problems of limits, one line each."""
    for name in ("max_in_flight", "min_successful"):
        value = getattr(limits, name)
        if value is not None and not (type(value) is int and value >= 1):
            yield f"{name} must be an integer from 1, or None, not {shown(value)}"
    tolerated = limits.tolerated_failures
    if tolerated is not None and not (_is_share(tolerated) or (type(tolerated) is int and tolerated >= 0)):
        yield (
            "tolerated_failures must be an integer from 0, a share such as '5 %', or None, "
            f"not {shown(tolerated)}"
        )


def returned_problems(limits: SiblingLimits | None, returned: int, *, has_generators: bool) -> Iterable[str]:
    """Yield the problems of the tasks that a generator with limits has returned, one line each.

    Args:
        limits: The limits of the generator.
        returned: Number of the tasks.
        has_generators: True if some of them return tasks.
    """
    if limits is None or limits.min_successful is None:
        return
    if returned < limits.min_successful:
        yield f"the number of tasks that it returned is {returned}, min_successful is {limits.min_successful}"
    if has_generators:
        yield "it returned a generator, which min_successful does not permit"


def _is_share(value: Any) -> bool:
    found = _SHARE.fullmatch(value) if isinstance(value, str) else None
    return found is not None and Decimal(found[1]) <= _WHOLE
