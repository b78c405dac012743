"""Text that others control, and a saved history and a service that hold it in every field."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from contextlib import closing, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from attrs import frozen

from floto.adapters.local import LocalSwf
from floto.runtime.cli import main

#: What moves a cursor, forges a line, reverses text or hides it, and rich's markup.
HOSTILE = {
    "escape": "\x1b[2J\x1b[31mred",
    "csi": "\x9b31mred",
    "line": "x\n2026-01-01 00:00:00 WARNING forged",
    "carriage return": "x\rforged",
    "tab": "x\tforged",
    "next line": "x\x85forged",
    "separators": "x\u2028forged\u2029forged",
    "delete": "x\x7f\x08forged",
    "bidi": "x\u202eforged\u2066\u2069",
    "zero width": "x\u200bforged\ufeff",
    "null": "x\x00forged",
    "surrogate": "x\ud800forged",
    "tag": "x\U000e0041forged",
    "markup": "[red]x[/red][/]",
}
PLAIN = "x" * 12
#: What SWF takes in ids and names: no control characters and no unpaired surrogates.
IN_NAMES = {
    name: text
    for name, text in HOSTILE.items()
    if not re.search(r"[/|\x00-\x1f\x7f-\x9f\ud800-\udfff]", text)
}


@frozen
class Said:
    """The output and exit code of a command."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> tuple[int, int]:
        """The number of lines on stdout and on stderr."""
        return len(self.out.split("\n")), len(self.err.split("\n"))

    @property
    def unsafe(self) -> set[str]:
        """The characters that a terminal or a log may take for something else than text."""
        return {each for each in self.out + self.err if not each.isprintable()} - {"\n"}


def floto(*arguments: str) -> Said:
    """Run the command line in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogatepass", newline="") for _ in range(2))
    code, log = 0, logging.getLogger("floto")
    handlers, level = log.handlers[:], log.level
    with patch.object(sys, "argv", ["floto", *arguments]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    log.handlers = handlers
    log.setLevel(level)
    return Said(code, *(_written(each) for each in (out, err)))


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


def history(text: str) -> dict[str, Any]:
    """Return a failed run with ``text`` in every field, as SWF's JSON."""
    kind = {"name": text, "version": text}
    started = {
        "workflowType": kind,
        "taskList": {"name": text},
        "childPolicy": "TERMINATE",
        "input": text,
        "tagList": [text],
        "taskStartToCloseTimeout": "60",
        "executionStartToCloseTimeout": "600",
        "lambdaRole": text,
    }
    scheduled = {
        "activityId": text,
        "activityType": kind,
        "taskList": {"name": text},
        "input": text,
        "decisionTaskCompletedEventId": 4,
        "control": text,
    }
    child = {
        "workflowId": f"child {text}",
        "workflowType": kind,
        "taskList": {"name": text},
        "control": text,
        "decisionTaskCompletedEventId": 4,
        "childPolicy": "TERMINATE",
        "input": text,
    }
    bodies = [
        ("WorkflowExecutionStarted", started),
        ("DecisionTaskScheduled", {"taskList": {"name": text}}),
        ("DecisionTaskStarted", {"scheduledEventId": 2, "identity": text}),
        ("DecisionTaskCompleted", {"scheduledEventId": 2, "startedEventId": 3, "executionContext": text}),
        ("ActivityTaskScheduled", scheduled),
        ("TimerStarted", _timer(f"timer {text}", text)),
        ("StartChildWorkflowExecutionInitiated", child),
        ("MarkerRecorded", {"markerName": text, "details": text, "decisionTaskCompletedEventId": 4}),
        ("ActivityTaskStarted", {"scheduledEventId": 5, "identity": text}),
        ("WorkflowExecutionSignaled", {"signalName": text, "input": text}),
        ("ActivityTaskFailed", {**_ends(5, 9), "reason": text, "details": text}),
        (f"Unheard{text}", {}),
        ("DecisionTaskScheduled", {"taskList": {"name": text}}),
        ("DecisionTaskStarted", {"scheduledEventId": 13, "identity": text}),
        ("DecisionTaskCompleted", {"scheduledEventId": 13, "startedEventId": 14}),
        (
            "WorkflowExecutionFailed",
            {"decisionTaskCompletedEventId": 15, "reason": text, "details": json.dumps({text: text})},
        ),
    ]
    events = [
        {
            "eventId": number,
            "eventTimestamp": 1_700_000_000 + number,
            "eventType": name,
            f"{name[0].lower()}{name[1:]}EventAttributes": body,
        }
        for number, (name, body) in enumerate(bodies, start=1)
    ]
    return {"execution": {"workflowId": text, "runId": text}, "events": events}


def _timer(id_: str, text: str) -> dict[str, Any]:
    return {"timerId": id_, "startToFireTimeout": "60", "decisionTaskCompletedEventId": 4, "control": text}


def _ends(scheduled: int, started: int) -> dict[str, int]:
    return {"scheduledEventId": scheduled, "startedEventId": started}


def write_history(path: Path, text: str) -> None:
    """Write that history into a file."""
    path.write_text(json.dumps(history(text)))


def fill(file: Path, name: str, text: str) -> None:
    """Make a file with an open and a closed run: ``name`` where SWF limits characters, else ``text``."""
    kind = {"name": name, "version": name}
    with closing(LocalSwf(str(file))) as swf:
        swf.register_domain(name="floto", workflowExecutionRetentionPeriodInDays="7")
        swf.register_workflow_type(
            domain="floto",
            **kind,
            defaultTaskStartToCloseTimeout="60",
            defaultExecutionStartToCloseTimeout="600",
            defaultChildPolicy="TERMINATE",
            defaultTaskList={"name": name},
        )
        for workflow_id in (f"open {name}", f"closed {name}"):
            swf.start_workflow_execution(
                domain="floto", workflowId=workflow_id, workflowType=kind, input=text, tagList=[name]
            )
            with suppress(Exception):
                swf.signal_workflow_execution(
                    domain="floto", workflowId=workflow_id, signalName=text, input=text
                )
        swf.terminate_workflow_execution(
            domain="floto", workflowId=f"closed {name}", reason=text, details=text
        )
