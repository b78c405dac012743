"""Comparison of a run's own spec with another one, and the plan of a redrive with that."""

from __future__ import annotations

from typing import Any

from floto.core.errors import SpecError
from floto.core.replay.compare import Verdict, compare
from floto.core.replay.redrive.redrive import redrive
from floto.core.replay.redrive.redrive_plan import Redrive
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.swf.history import History
from floto.core.visible import visible


def compared(
    history: History, own: DeciderSpec | None, new: DeciderSpec, codec: Codec = CODEC
) -> dict[str, Any]:
    """Return the comparison of a run's own spec with another one, as JSON.

    Args:
        history: The history of the run.
        own: Its own spec.
        new: The other spec.
        codec: Codec of task results; with the payload store of the run if it has one.

    Returns:
        ``is_same``, the ``lines`` of ``floto compare``, and the rows of the ``plan`` of a redrive with the
        other spec; it is None for an open run, and if the history does not name its run.

    Raises:
        SpecError: if the run's own spec is not known.
    """
    if own is None:
        raise SpecError(["the run carries no spec to compare with; name it with --spec"])
    [found] = compare(own, new, [history], codec).histories
    has_plan = not found.is_open and history.execution is not None
    return {
        "is_same": found.verdict is Verdict.SAME and found.is_safe,
        "lines": [visible(line) for line in str(found).split("\n")],
        "plan": plan(redrive(new, history, codec=codec)) if has_plan else None,
    }


def plan(found: Redrive) -> list[tuple[str, ...]]:
    """Return the rows of the plan of a redrive: each task, what is done with it, and why."""
    return [tuple(map(visible, row)) for row in found.rows()]
