"""Lists and values of the run page, as the script shows them without knowing what they are.

A section is ``{"title", "columns", "rows"}``, a list without ``columns``; a row is ``[event, cell, ...]``
and is shown from that event on. A cell is a text, or
an object with one key: ``value`` (any JSON, shown with its lines), ``event`` (a link to its moment, which
``label`` may replace), ``task`` (a link to why it stands where it stands), ``seconds``, or ``run`` (another
run).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

Cell = Any
Section = dict[str, Any]
Document = Mapping[str, Any]

_SAME = {True: "✓ same", False: "✕ differs", None: ""}
#: Most characters of details that are shown beside the reason of a failure.
_LONGEST = 200
_LEVELS = {"note": "i note", "warning": "! warning"}


def with_sections(document: Document) -> dict[str, Any]:
    """Return a document in which attempts, decision tasks, and all about the run and its checks are cells."""
    moments = list(accumulate(document["events"]["at"]))
    kept = {name: value for name, value in document.items() if name not in _REPLACED}
    return {
        **kept,
        "tasks": [{**task, "attempts": _attempts(task["attempts"])} for task in document["tasks"]],
        "signals": [each["event"] for each in document["signals"]],
        "decisions": _decisions(document, moments),
        "data": _run(document),
        "check": _check(document["check"]),
    }


_REPLACED = frozenset({"decision_tasks", "timers", "markers"})


def _seconds(moments: Sequence[int], start: int | None, end: int | None) -> Cell:
    return {"seconds": (moments[end - 1] - moments[start - 1]) / 1000} if start and end else ""


def _event(event: int | None) -> Cell:
    return {"event": event} if event else ""


def _value(value: Any) -> Cell:
    return "" if value is None or value == "" else {"value": value}


def _attempts(attempts: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Return attempts as lists: event ids of its moments, then worker, outcome, reason and details."""
    names = ("opened", "started", "ended", "worker", "outcome")
    return [
        [*(each[name] or 0 for name in names), _message(each), each["details"] or ""] for each in attempts
    ]


def _message(attempt: Mapping[str, Any]) -> str:
    """Return the reason of a failure with its message: details of one line, or the last of a traceback."""
    reason, details = attempt["reason"] or "", (attempt["details"] or "").rstrip()
    last = details.rpartition("\n")[2]
    if last.startswith(f"{reason}:"):
        return last
    return f"{reason}: {last}" if last and last == details and len(last) <= _LONGEST else reason


def _decisions(document: Document, moments: Sequence[int]) -> list[list[Cell]]:
    """Return decision tasks: the event at which each ended, seconds, outcome, decider, replay, decisions."""
    return [
        [
            each["ended"] or each["started"] or each["scheduled"],
            _seconds(moments, each["started"], each["ended"]),
            *(each["outcome"], each["decider"] or "", _SAME[each["same"]], "; ".join(each["decisions"])),
        ]
        for each in document["decision_tasks"]
    ]


def _section(title: str, columns: str, rows: Sequence[Sequence[Cell]]) -> list[Section]:
    return [{"title": title, "columns": columns.split("|"), "rows": rows}] if rows else []


def _listed(title: str, cells: Sequence[Cell], event: int = 1) -> Section:
    return {"title": title, "rows": [[event, each] for each in cells or ["none"]]}


def _run(document: Document) -> list[Section]:
    """Return the sections about the run: its names, values, signals, timers, markers and related runs."""
    run, last = document["run"], len(document["events"]["at"])
    names = {"Workflow id": "workflow_id", "Run id": "run_id", "Type": "type", "Domain": "domain"}
    facts = {title: run.get(name) for title, name in names.items()}
    facts |= {"Task list": run["task_list"], "Tags": ", ".join(run["tags"])}
    outcome = [_value(run[name]) for name in ("reason", "details", "result")]
    ended = [_listed("Result", [each for each in outcome if each], last)] if run["ended"] is not None else []
    return [
        *_section("The run", "Name|Value", [[1, name, value] for name, value in facts.items() if value]),
        _listed("Input", [each for each in [_value(run["input"])] if each]),
        *ended,
        *_section("Signals", "Name|When|Input", [_named(each, "input") for each in document["signals"]]),
        *_section("Timers", "Name|Started|Delay|Ended", [_timer(each) for each in document["timers"]]),
        *_section("Markers", "Name|When|Details", [_named(each, "details") for each in document["markers"]]),
        *_section("Related runs", "Role|Run|Task", [_related(each) for each in document["related"]]),
    ]


def _named(each: Mapping[str, Any], value: str) -> list[Cell]:
    return [each["event"], each["name"], _event(each["event"]), _value(each[value])]


def _timer(each: Mapping[str, Any]) -> list[Cell]:
    seconds = each["seconds"]
    delay = {"seconds": int(seconds)} if str(seconds).isdecimal() else str(seconds)
    return [each["event"], each["name"], _event(each["event"]), delay, _event(each["ended"])]


def _related(each: Mapping[str, Any]) -> list[Cell]:
    task = each.get("task")
    return [1, each["role"], {"run": each}, "" if task is None else {"task": task}]


def _check(check: Mapping[str, Any]) -> list[Section]:
    """Return the sections about the checks: the verdict, the first difference, and the lints."""
    unknown = [] if check["has_spec"] else ["Without a spec, tasks that have not begun are unknown."]
    apart = check["difference"]
    difference = (
        [[1, name, _value(apart[name])] for name in ("what", "field", "recorded", "decided")] if apart else []
    )
    if apart and apart["event"]:
        difference.append([1, "after", {"event": apart["event"], "label": f"event {apart['event']}"}])
    lints = [[1, _LEVELS[each["level"]], each["text"], _place(each)] for each in check["lints"]]
    verdict = _listed("Does the spec decide what was decided?", [check["verdict"], *unknown])
    other = check.get("compared")
    none = _listed("Warnings and notes", [])
    return [
        verdict,
        *_section("First difference", "Field|Value", difference),
        *(_compared(other) if other else []),
        *(_section("Warnings and notes", "Level|What|Where", lints) or [none]),
    ]


def _compared(found: Mapping[str, Any]) -> list[Section]:
    """Return the sections about another spec: ``floto.pages.comparison.compared``."""
    verdict = "✓ no change" if found["is_same"] else "✕ changes"
    plan, title = [[1, *row] for row in found["plan"] or ()], "The plan of a redrive with the other spec"
    none = _listed(title, ["none: the run is open, or the file does not name it"])
    return [
        _listed("What another spec decides", [verdict, {"value": "\n".join(found["lines"])}]),
        *(_section(title, "Task|Plan|Why", plan) or [none]),
    ]


def _place(lint: Mapping[str, Any]) -> Cell:
    task = lint.get("task")
    return _event(lint.get("event")) if task is None else {"task": task}
