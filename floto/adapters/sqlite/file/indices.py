"""The indices of listings: one for each state of runs, filter and time that SWF's calls can combine.

Each has the runs of a filter in the order of their time, so that a page reads as many entries as it shows,
and holds every column that a count needs, so that a count reads no row of a table. They are partial: a run is
in those of its state only. A workflow id has at most one open run, which ``open_runs`` finds.
"""

from __future__ import annotations

from itertools import product

#: The filters, by the column that each restricts.
_KEYS = {"workflow_id": "workflow", "type_name": "type", "tag": "tag", "close_status": "status"}
_TIMES = {"started_at": "start", "closed_at": "close"}


def name_of(key: str | None, ordered_by: str, *, is_closed: bool) -> str:
    """Return the name of the index for a filter's column, None for no filter, and a column of times."""
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
        # For the condition on it, although the index has no other rows.
        columns.append("closed_at")
    name = name_of(key, ordered_by, is_closed=is_closed)
    state = f"closed_at IS {'NOT ' if is_closed else ''}NULL"
    return f"CREATE INDEX {name} ON {table} ({', '.join(columns)}) WHERE {state}"


LISTING_INDICES = (
    *(_statement(key, "started_at", is_closed=False) for key in (None, "type_name", "tag")),
    *(_statement(key, by, is_closed=True) for key, by in product((None, *_KEYS), _TIMES)),
)
