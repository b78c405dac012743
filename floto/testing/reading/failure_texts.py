"""The texts of failures as floto records them: a second reading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from floto.core.errors import PayloadError, SpecError
from floto.core.payloads import payload
from floto.core.spec.decider_spec import FAILURES_KEY
from floto.core.swf.limits import DATA_LIMIT

_MESSAGE, _GIVEN = 2_000, 8_000


def written(failures: Mapping[str, str], limit: int = DATA_LIMIT) -> str:
    """Return failures as floto records them: cut, and fewer and fewer until they fit."""
    rows = [(id_, cut(failures[id_], _MESSAGE)) for id_ in sorted(failures)]
    while len(text := payload.encode(dict(rows), "the failures")) > limit:
        rows = rows[: max(1, len(rows) // 2 - 1)]
        # The failures may have been cut before, and have such a row already.
        rows = list({**dict(rows), "...": f"and {len(failures) - len(rows)} more"}.items())
    return text


def read_failures(details: str | None) -> dict[str, str] | None:
    """Return the failures that floto recorded in a marker, or None for a marker that floto did not write."""
    try:
        said = payload.loads(details)
    except PayloadError:
        return None
    is_ours = isinstance(said, dict) and all(isinstance(text, str) for text in said.values())
    return said if is_ours else None


def given_failures(failures: Mapping[str, str]) -> dict[str, Any]:
    """Return the context entry that tells cleanup tasks of the failures."""
    return {FAILURES_KEY: payload.loads(written(failures, _GIVEN))}


def cut(text: str, limit: int) -> str:
    """Return a text that is no longer than the limit."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def one_line(error: PayloadError | SpecError) -> str:
    """Return the message of an error in one line."""
    return str(error).replace("\n", "; ")
