"""SWF's rules for ids and names, shared by specs and the embedded engine.

Source: the API reference, e.g.
https://docs.aws.amazon.com/amazonswf/latest/apireference/API_StartWorkflowExecution.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from floto.core.swf.limits import NAME_LIMIT, RUN_ID_LIMIT
from floto.core.swf.reserved_names import OWN_LIST_PREFIX
from floto.core.visible import shortened, visible

#: Characters that SWF's documentation forbids in ids and names. It also forbids ``:``, which the service is
#: known to accept in the ids of activities, timers and workflows. Unpaired surrogates cannot be sent in
#: UTF-8.
FORBIDDEN_IN_IDS = re.compile(r"[/|\x00-\x1f\x7f-\x9f\ud800-\udfff]")
FORBIDDEN_IN_NAMES = re.compile(r"[:/|\x00-\x1f\x7f-\x9f\ud800-\udfff]")
#: SWF's documentation also forbids white space at the ends of the names of task lists and domains.
FORBIDDEN_IN_LISTS = re.compile(rf"{FORBIDDEN_IN_NAMES.pattern}|^\s|\s\Z")
FORBIDDEN_WORD = "arn"


def id_problems(what: str, value: Any, limit: int = NAME_LIMIT) -> Iterable[str]:
    """Yield the problems of the id of an activity, a timer or a workflow."""
    return _problems(what, value, limit, FORBIDDEN_IN_IDS, "'/', '|'")


def name_problems(what: str, value: Any, limit: int = NAME_LIMIT) -> Iterable[str]:
    """Yield the problems of the name or the version of a type."""
    return _problems(what, value, limit, FORBIDDEN_IN_NAMES, "':', '/', '|'")


def list_problems(what: str, value: Any, limit: int = NAME_LIMIT) -> Iterable[str]:
    """Yield the problems of the name of a task list or a domain."""
    return _problems(what, value, limit, FORBIDDEN_IN_LISTS, "':', '/', '|', white space at the ends")


def task_list_problems(what: str, value: Any) -> Iterable[str]:
    """Yield the problems of the name of a task list, including floto's reserved prefix."""
    yield from list_problems(what, value)
    if isinstance(value, str) and value.startswith(OWN_LIST_PREFIX):
        yield f"{what}: {OWN_LIST_PREFIX!r} is reserved for floto.run; choose another name"


def _problems(
    what: str, value: Any, limit: int, forbidden: re.Pattern[str], characters: str
) -> Iterable[str]:
    if not isinstance(value, str) or not value:
        yield f"{what} must be a string of at least one character, not {shown(value)}"
    elif len(value) > limit:
        yield f"{what} is {len(value)} characters long; at most {limit} fit"
    elif forbidden.search(value) or value == FORBIDDEN_WORD:
        yield f"{what} may not contain {characters}, control characters or unpaired surrogates, nor be 'arn'"


def may_exist(workflow_id: str, run_id: str | None = None) -> bool:
    """Return True if a run may have these ids: SWF refuses every request with others."""
    is_run_id = run_id is None or 1 <= len(run_id) <= RUN_ID_LIMIT
    return is_run_id and not any(id_problems("workflow_id", workflow_id))


def shown(value: Any) -> str:
    """Return the form of a value in messages: one line of at most 80 characters, for any value."""
    try:
        text = visible(repr(value))
    except Exception:  # noqa: BLE001 - a message about a value must not fail on it
        text = f"a {type(value).__name__}"
    return shortened(text, _SHOWN)


_SHOWN = 80
