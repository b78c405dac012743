"""The tasks that a generator returns where neither an outcome nor its input names any."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import count, filterfalse, islice

from floto.core.spec.graph import ID_LIMIT
from floto.core.spec.kinds import ActivityTask
from floto.core.spec.rules.sibling_limits import sibling_limits_of
from floto.core.spec.tasks import Task

#: Characters of an id that are left for the number of a task.
_NUMBER = 16


def default_tasks(generator: Task, is_taken: Callable[[str], bool]) -> list[ActivityTask]:
    """Return as many activities as must complete by the generator's ``min_successful``; else none.

    Args:
        generator: The generator, which may be of a user's own kind.
        is_taken: Returns True for an id that a task of its run has.
    """
    ids = islice(filterfalse(is_taken, _ids(generator.id_)), needed_tasks(generator))
    return [ActivityTask(id_=id_, name="default task", version="1") for id_ in ids]


def needed_tasks(task: Task) -> int:
    """Return how many of the tasks that a task returns must complete; 0 without ``min_successful``."""
    limits = sibling_limits_of(task)
    return 0 if limits is None else limits.min_successful or 0


def _ids(of: str) -> Iterator[str]:
    """Yield valid ids that no other generator gets: what precedes the last dot stands for this one."""
    fits = len(of) + _NUMBER <= ID_LIMIT
    stem = of if fits else sha256(of.encode(errors="surrogatepass")).hexdigest()
    return (f"{stem}.{number}" for number in count(1))
