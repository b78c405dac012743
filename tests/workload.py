"""A mixed workload of SWF's operations, always the same, and what a file says after each of its calls."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
from attrs import define, field
from botocore.config import Config
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.exceptions import HTTPClientError

from floto.core.engine.tokens import TaskKind, Token

ROOT = Path(__file__).parents[1]

#: All that matters of a file: every run with its events, in the order they began.
Content = tuple[tuple[str, str], ...]


def content(path: Path) -> Content:
    """Return the content of a file without times, and with run ids as the numbers of their runs."""
    with closing(sqlite3.connect(path)) as db:
        numbers = {
            run_id: f"run {number}" for number, run_id in db.execute("SELECT number, run_id FROM runs")
        }
        rows = db.execute("SELECT run, type, attributes FROM events ORDER BY run, id").fetchall()
        rows += db.execute("SELECT name, version, deprecated_at IS NULL FROM types").fetchall()
        rows += db.execute("SELECT name, is_deprecated, tags FROM domains").fetchall()
        # When the tasks of a run are due is left out, as are all times.
        rows += [
            (number, [entry[:1] + entry[3:6] + entry[7:] for entry in json.loads(work)])
            for number, work in db.execute("SELECT number, work FROM runs WHERE work IS NOT NULL")
        ]
        rows += db.execute("SELECT run, event_id, details FROM heartbeats ORDER BY run, event_id").fetchall()
    known = re.compile("|".join(map(re.escape, numbers)) or "$^")
    return tuple(
        (str(row[:-1]), known.sub(lambda match: numbers[match[0]], json.dumps(row[-1]))) for row in rows
    )


def is_sound(path: Path) -> bool:
    """Return True if SQLite's integrity check passes."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@define
class Crash(Exception):
    """The server crashed, and the response of a call is lost."""


@define
class Workload:
    """Makes the calls, one after the other; ``after_each`` sees the number of each that was answered."""

    directory: Path
    kill_at: int = 0
    when: str = "before"
    after_each: Callable[[int], None] = lambda _number: None
    #: What the file held after each call of a calm run: a crash leaves one of two of these.
    expected: list[Content] = field(factory=list)
    calls: int = 0
    crashed: str = ""
    _seconds: float = 0.0
    _server: Any = None
    _client: Any = None

    @property
    def path(self) -> Path:
        """The database."""
        return self.directory / "db"

    def run(self) -> None:
        """Make all the calls, and stop the server."""
        self._serve(self.kill_at)
        try:
            self._script()
        finally:
            self._server.kill()
            self._server.communicate()
            self._client.close()

    def _serve(self, kill_at: int) -> None:
        clock = self.directory / "clock"
        clock.write_text(str(self._seconds), encoding="utf-8")
        arguments = [str(self.path), "0", str(clock), str(kill_at), self.when]
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.mortal_server", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT)},
        )
        url = self._server.stdout.readline().strip()
        if not url:
            # Killed while it made its tables.
            self._restart()
            return
        config = Config(retries={"total_max_attempts": 1}, parameter_validation=False, read_timeout=70)
        self._client = boto3.client(
            "swf",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="k",
            aws_secret_access_key="s",  # noqa: S106 - nobody checks it
            config=config,
        )

    def _restart(self) -> None:
        assert self._server.wait(60) == -9
        self._server.communicate()
        assert is_sound(self.path)
        if self._client is not None:
            self._client.close()
        self._serve(0)

    def _call(self, operation: str, **request: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**request)
        except (BotoConnectionError, HTTPClientError):
            answer = self._after_a_crash(operation, request)
        self.after_each(self.calls)
        self.calls += 1
        return answer

    def _after_a_crash(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """The call is wholly in the file, or not at all; in either case the rest continues."""
        self._server.wait(60)
        self.crashed = operation
        found = content(self.path)
        before = self.expected[self.calls - 1] if self.calls else ()
        is_in = found == self.expected[self.calls]
        assert is_in or found == before, f"half of {operation} is in the file"
        self._restart()
        if is_in and operation.startswith("poll"):
            return {"taskToken": self._lost_token(operation)}
        return {} if is_in else self._call_again(operation, request)

    def _call_again(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(self._client, operation)(**request)
        return answer

    def _lost_token(self, operation: str) -> str:
        """The token in an answer that never came: its client lost it, and its task would time out."""
        kind = TaskKind.DECISION if "decision" in operation else TaskKind.ACTIVITY
        with closing(sqlite3.connect(self.path)) as db:
            found = [
                (started_at, -entry[7], -number, run_id, entry[0])
                for number, run_id, started_at, work in db.execute(
                    "SELECT number, run_id, started_at, work FROM runs WHERE work IS NOT NULL"
                )
                for entry in json.loads(work)
                if entry[3:4] == [kind] and entry[7]
            ]
        _, started, _, run_id, event_id = min(found)
        return str(Token("d", run_id, kind, event_id, -started))

    # The script.

    def _script(self) -> None:
        self._register()
        for number in range(6):
            self._call("start_workflow_execution", **_named(f"w{number}"), tagList=["t"])
        for batch in _FIRST:
            self._decide(batch)
        # One of the timers is due at once, and fires in a separate transaction.
        self._pass(0.0)
        tokens = [self._poll("poll_for_activity_task") for _ in range(3)]
        self._call("record_activity_task_heartbeat", taskToken=tokens[0], details="half")
        self._call("respond_activity_task_completed", taskToken=tokens[0], result="1")
        self._call("respond_activity_task_failed", taskToken=tokens[1], reason="r")
        self._call("signal_workflow_execution", domain="d", workflowId="w0", signalName="s")
        self._call("request_cancel_workflow_execution", domain="d", workflowId="w3")
        self._call("terminate_workflow_execution", domain="d", workflowId="w5", reason="enough")
        for seconds in (6.0, 5.0, 60.0):
            self._pass(seconds)
        for kind in ("complete", "fail", "cancel"):
            for _ in range(3):
                self._close(kind)
        self._call("deprecate_activity_type", domain="d", activityType={"name": "a", "version": "1"})
        self._call("tag_resource", resourceArn=_ARN, tags=[{"key": "k", "value": "v"}])
        self._call("deprecate_domain", name="d")

    def _register(self) -> None:
        self._call("register_domain", name="d", workflowExecutionRetentionPeriodInDays="1")
        timeouts = dict.fromkeys(_TIMEOUTS, "NONE")
        self._call("register_activity_type", domain="d", name="a", version="1", **timeouts)
        self._call(
            "register_workflow_type",
            domain="d",
            name="w",
            version="1",
            defaultExecutionStartToCloseTimeout="3600",
            defaultTaskStartToCloseTimeout="600",
            defaultChildPolicy="TERMINATE",
            defaultTaskList={"name": "l"},
        )

    def _poll(self, operation: str) -> str:
        token: str = self._call(operation, domain="d", taskList={"name": "l"})["taskToken"]
        assert token
        return token

    def _decide(self, decisions: list[dict[str, Any]]) -> None:
        token = self._poll("poll_for_decision_task")
        self._call("respond_decision_task_completed", taskToken=token, decisions=decisions)

    def _close(self, kind: str) -> None:
        if self._call("count_pending_decision_tasks", domain="d", taskList={"name": "l"}).get("count"):
            self._decide([{"decisionType": f"{kind.capitalize()}WorkflowExecution"}])

    def _pass(self, seconds: float) -> None:
        """Time advances; due deadlines fire with the next call."""
        self._seconds += seconds
        (self.directory / "clock").write_text(str(self._seconds), encoding="utf-8")
        self._call("count_pending_decision_tasks", domain="d", taskList={"name": "l"})


_ARN = "arn:aws:swf:us-east-1:000000000000:/domain/d"
_TIMEOUTS = (
    "defaultTaskScheduleToStartTimeout",
    "defaultTaskScheduleToCloseTimeout",
    "defaultTaskStartToCloseTimeout",
    "defaultTaskHeartbeatTimeout",
)


def _named(workflow_id: str) -> dict[str, Any]:
    return {"domain": "d", "workflowId": workflow_id, "workflowType": {"name": "w", "version": "1"}}


def _decision(kind: str, **attributes: Any) -> dict[str, Any]:
    return {"decisionType": kind, f"{kind[0].lower()}{kind[1:]}DecisionAttributes": attributes}


def _activity(id: str, **more: Any) -> dict[str, Any]:
    type_ = {"name": "a", "version": "1"}
    return _decision(
        "ScheduleActivityTask", activityType=type_, activityId=id, taskList={"name": "l"}, **more
    )


#: What is decided first for each of the runs.
_FIRST = (
    [
        _activity("a"),
        _decision("StartTimer", timerId="t", startToFireTimeout="10"),
        _decision("RecordMarker", markerName="m"),
    ],
    [
        _decision(
            "StartChildWorkflowExecution",
            workflowId="child",
            workflowType={"name": "w", "version": "1"},
        )
    ],
    [
        _decision("SignalExternalWorkflowExecution", workflowId="w0", signalName="s"),
        _decision("RequestCancelExternalWorkflowExecution", workflowId="w3"),
        _activity("b"),
    ],
    [_activity("c", heartbeatTimeout="5"), _decision("StartTimer", timerId="u", startToFireTimeout="70")],
    [_decision("ContinueAsNewWorkflowExecution")],
    [_activity("d"), _decision("StartTimer", timerId="v", startToFireTimeout="0")],
)
