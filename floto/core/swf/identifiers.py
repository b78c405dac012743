"""Which characters SWF takes in ids and names: one truth for specs and for the model of SWF.

Source: the API reference, e.g.
https://docs.aws.amazon.com/amazonswf/latest/apireference/API_StartWorkflowExecution.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from floto.core.visible import visible

#: What SWF's prose forbids in ids and names. It also forbids ``:``, which the service is known to accept
#: in the ids of activities, timers and workflows; of the others floto takes the prose at its word.
#: Halves of a surrogate pair are no text to begin with.
FORBIDDEN_IN_IDS = re.compile(r"[/|\x00-\x1f\x7f-\x9f\ud800-\udfff]")
FORBIDDEN_IN_NAMES = re.compile(r"[:/|\x00-\x1f\x7f-\x9f\ud800-\udfff]")
#: Of the names of task lists and domains, SWF's prose also says that white space must not be at their ends.
FORBIDDEN_IN_LISTS = re.compile(rf"{FORBIDDEN_IN_NAMES.pattern}|^\s|\s\Z")
FORBIDDEN_WORD = "arn"
#: Prefix of the task list that a run of ``floto.run`` has to itself; no spec may name such a list.
OWN_LIST_PREFIX = "floto.run."


def id_problems(what: str, value: Any, limit: int = 256) -> Iterable[str]:
    """What SWF would not take in the id of an activity, a timer or a workflow."""
    return _problems(what, value, limit, FORBIDDEN_IN_IDS, "'/', '|'")


def name_problems(what: str, value: Any, limit: int = 256) -> Iterable[str]:
    """What SWF would not take in the name of a type, or in a version."""
    return _problems(what, value, limit, FORBIDDEN_IN_NAMES, "':', '/', '|'")


def list_problems(what: str, value: Any, limit: int = 256) -> Iterable[str]:
    """What SWF would not take in the name of a task list or a domain."""
    return _problems(what, value, limit, FORBIDDEN_IN_LISTS, "':', '/', '|', white space at the ends")


def task_list_problems(what: str, value: Any) -> Iterable[str]:
    """Yield what SWF would not take in the name of a task list, and the names that floto keeps for itself."""
    yield from list_problems(what, value)
    if isinstance(value, str) and value.startswith(OWN_LIST_PREFIX):
        yield f"{what}: {OWN_LIST_PREFIX!r} begins the task lists of floto.run; choose another name"


def _problems(
    what: str, value: Any, limit: int, forbidden: re.Pattern[str], characters: str
) -> Iterable[str]:
    if not isinstance(value, str) or not value:
        yield f"{what} must be text of at least one character, not {shown(value)}"
    elif len(value) > limit:
        yield f"{what} is {len(value)} characters long; at most {limit} fit"
    elif forbidden.search(value) or value == FORBIDDEN_WORD:
        yield f"{what}: SWF takes no {characters}, control characters or half characters in it, nor 'arn'"


def shown(value: Any) -> str:
    """Return a value as messages show it: one line, never too long, whatever the value is."""
    try:
        text = visible(repr(value))
    except Exception:  # noqa: BLE001 - a message about a value must not fail on it
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


_SHOWN = 80
