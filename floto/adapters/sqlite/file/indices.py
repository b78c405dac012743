"""The indices of listings: one for each combination of state, filter and time that SWF's calls allow.

An index contains the runs of a filter ordered by time, so that a page reads as many entries as it shows. It
covers every column that a count needs, so that a count reads no rows. The indices are partial: open and
closed runs are in different ones. A workflow id has at most one open run, which the index ``open_runs``
finds.
"""

from __future__ import annotations

from itertools import product

#: The part of the index's name for each filtered column.
_KEYS = {"workflow_id": "workflow", "type_name": "type", "tag": "tag", "close_status": "status"}
_TIMES = {"started_at": "start", "closed_at": "close"}


def name_of(key: str | None, ordered_by: str, *, is_closed: bool) -> str:
    """Return the name of an index.

    Args:
        key: The filtered column; None for no filter.
        ordered_by: The column of the time.
        is_closed: True for closed runs, False for open ones.
    """
    if key == "workflow_id" and not is_closed:
        return "open_runs"
    parts = [_KEYS[key]] if key else []
    return "_".join([f"{'closed' if is_closed else 'open'}_by", *parts, _TIMES[ordered_by]])


def _statement(key: str | None, ordered_by: str, *, is_closed: bool) -> str:
    table, number = ("run_tags", "run") if key == "tag" else ("runs", "number")
    columns = ["domain", *([key] if key else []), ordered_by, number]
    if key == "type_name":
        columns.append("type_version")
    if ordered_by != "closed_at":
        # SQLite needs the column for the condition, although every row of the index fulfils it.
        columns.append("closed_at")
    name = name_of(key, ordered_by, is_closed=is_closed)
    state = f"closed_at IS {'NOT ' if is_closed else ''}NULL"
    return f"CREATE INDEX {name} ON {table} ({', '.join(columns)}) WHERE {state}"


LISTING_INDICES = (
    *(_statement(key, "started_at", is_closed=False) for key in (None, "type_name", "tag")),
    *(_statement(key, by, is_closed=True) for key, by in product((None, *_KEYS), _TIMES)),
)
