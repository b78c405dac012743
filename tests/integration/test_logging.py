"""Logs of loops and of users' loggers: each line with the fields of its run and task, as text and JSON."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import floto
from floto import logs
from floto.adapters.sqlite import SqliteService
from floto.core.payloads.payload import LIMIT
from floto.core.state.failures import failure_of
from floto.core.swf import events as e
from floto.runtime.workers.activities import Activities
from tests.integration.commands import PATIENCE, Shell
from tests.runs import spec, task

KEYS = {"time", "level", "logger", "message", "workflow_id", "run_id", "task", "attempt"}
TALKING = """
import floto, logging
log = logging.getLogger("my.own.module")

@floto.activity(name="ask", version="1")
def ask():
    log.info("asking %s", "politely")

@floto.activity(name="tell", version="1")
def tell():
    raise ValueError("no such luck")
"""
FLOTO = (sys.executable, "-m", "floto")
FORGED = 'x\n{"level": "ERROR", "message": "forged"}\n2026-01-01 00:00:00,000 ERROR forged \x1b[31m'


@pytest.fixture
def talking(shell: Shell) -> Shell:
    (shell.cwd / "acts.py").write_text(TALKING)
    text = (shell.cwd / "flow.py").read_text()
    (shell.cwd / "flow.py").write_text(text.replace("FixedDelay(3600, 5)", "InstantRetry(1)"))
    return shell


@pytest.fixture
def stream() -> Iterator[StringIO]:
    yield StringIO()
    logs.reset()


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def worked(shell: Shell, *options: str) -> tuple[str, str, str]:
    """Run the flow with a decider and a worker; return its run id, and what each of them logged."""
    said, _ = shell.here("start", "--spec", "flow.py:spec", "--workflow-id", "my run")
    with (
        shell.loop("decider", *options) as decider,
        shell.loop("worker", "--activities", "acts.py", *options) as worker,
    ):
        shell.until("my run", "FAILED")
        logged = []
        for process in (decider, worker):
            process.send_signal(signal.SIGTERM)
            logged.append(process.communicate(timeout=PATIENCE)[1])
            assert process.returncode == 0
    return said.strip(), logged[0], logged[1]


def test_worker_logs_users_loggers_with_the_fields_of_the_attempt(talking: Shell) -> None:
    run_id, _, logged = worked(talking)
    [asked] = [line for line in logged.splitlines() if line.endswith("asking politely")]
    assert datetime.fromisoformat(asked[:23].replace(",", "."))
    assert f"INFO my.own.module workflow_id='my run' run_id={run_id} task=ask attempt=1: " in asked
    failed = [line for line in logged.splitlines() if "activity tell failed" in line]
    assert [f"task=tell attempt={number}: " in line for number, line in enumerate(failed, 1)] == [True, True]
    assert "  | ValueError: no such luck" in logged


def test_worker_logs_json_with_one_object_per_line(talking: Shell) -> None:
    run_id, decided, logged = worked(talking, "--log-format", "json")
    records = lines_of(logged)
    for record in [*records, *lines_of(decided)]:
        assert set(record) - {"exception"} == KEYS
        assert datetime.fromisoformat(record["time"]).tzinfo is not None
    [asked] = [each for each in records if each["logger"] == "my.own.module"]
    expected = {"workflow_id": "my run", "run_id": run_id, "task": "ask", "attempt": 1}
    assert {key: asked[key] for key in expected} == expected
    assert (asked["level"], asked["message"]) == ("INFO", "asking politely")
    failed = [each for each in records if each.get("exception")]
    assert [each["attempt"] for each in failed] == [1, 2]
    assert failed[0]["exception"].rstrip().endswith("ValueError: no such luck")
    assert records[0]["workflow_id"] is None


def test_run_shows_users_log_lines_and_json_covers_its_progress(talking: Shell) -> None:
    done = talking("run", "flow.py:spec", "--activities", "acts.py", "--workflow-id", "w", code=1)
    [asked] = [line for line in done.stderr.splitlines() if "asking politely" in line]
    assert "INFO my.own.module workflow_id=w run_id=" in asked
    assert "task=ask attempt=1: " in asked
    arguments = ("run", "flow.py:spec", "--activities", "acts.py", "--log-format", "json")
    with talking.loop(*arguments) as process:
        again = process.communicate(timeout=PATIENCE)[1]
    records = lines_of("\n".join(line for line in again.splitlines() if line.startswith("{")))
    assert [line for line in again.splitlines() if line.startswith("floto: ")]
    assert {"asking politely", "completed"} <= {each["message"].partition(" in ")[0] for each in records}
    assert {each["task"] for each in records} == {None, "ask", "tell", "rest"}


WRONG_CALLS = """
import floto, logging, uuid
log = logging.getLogger("my.own.module")

@floto.activity(name="ask", version="1")
def ask():
    log.info("rule %d", "one")
    print("printed")
    log.info("user:key:1 :100:", extra={"run_id": uuid.UUID(int=7)}, stack_info=True)
    return {"n": 1}

@floto.activity(name="tell", version="1")
def tell():
    return 2
"""


@pytest.mark.parametrize("format", logs.FORMATS)
def test_wrong_log_call_of_an_activity_fails_no_activity(talking: Shell, format: str) -> None:
    (talking.cwd / "acts.py").write_text(WRONG_CALLS)
    command = [*FLOTO, "run", "flow.py:spec", "--activities", "acts.py", "--log-format", format]
    done = subprocess.run(
        command, cwd=talking.cwd, env=talking.environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {"tell": 2}
    said = {"text": " task=ask attempt=1: user:key:1 :100:\n", "json": '"message": "user:key:1 :100:", '}
    assert said[format] in done.stderr
    if format == "json":
        [line] = [line for line in done.stderr.splitlines() if said["json"] in line]
        record = json.loads(line)
        assert record["run_id"] == str(uuid.UUID(int=7))
        assert "stack_info=True" in record["stack"]


@pytest.mark.parametrize("format", logs.FORMATS)
def test_run_ends_with_its_result_where_its_log_cannot_be_written(talking: Shell, format: str) -> None:
    (talking.cwd / "acts.py").write_text(WRONG_CALLS)
    command = [*FLOTO, "run", "flow.py:spec", "--activities", "acts.py", "--log-format", format]
    # A print that is not buffered fails in the activity itself, as in every program.
    buffered = {**talking.environment, "PYTHONUNBUFFERED": ""}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command,
            cwd=talking.cwd,
            env=buffered,
            stdout=subprocess.PIPE,
            stderr=full,
            timeout=PATIENCE,
            check=True,
        )
    assert json.loads(done.stdout) == {"tell": 2}


def test_program_logs_with_the_documented_helper(talking: Shell) -> None:
    (talking.cwd / "once.py").write_text(
        "import acts, floto, floto.logs\nfrom flow import ask\n"
        "floto.logs.configure()\n"
        "floto.run(floto.DeciderSpec(activity_tasks=[ask]), service='sqlite:///p.db', workflow_id='w')\n"
    )
    done = subprocess.run(
        [sys.executable, "once.py"],
        cwd=talking.cwd,
        env=talking.environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert "INFO my.own.module workflow_id=w run_id=" in done.stderr


def test_failure_is_reported_where_a_handler_of_the_user_raises(activities: Activities) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError(record.name)

    handler, logger = Broken(logging.WARNING), logging.getLogger("floto.activity")
    logger.addHandler(handler)
    try:
        with pytest.raises(floto.WorkflowFailed, match="a: ValueError: on purpose"):
            floto.run(spec(task("fail", "a")), activities=activities, timeout=PATIENCE)
    finally:
        logger.removeHandler(handler)


LOUD = ["botocore.credentials", "connected_components", "rust-sugiyama.layouting"]


def loud(stream: StringIO) -> list[str]:
    """The loggers of loud libraries whose line at level INFO is shown; each shows its warning."""
    for name in LOUD:
        logging.getLogger(name).info("a step")
        logging.getLogger(name).warning("a problem")
    lines = stream.getvalue().splitlines()
    assert [line.split()[3].rstrip(":") for line in lines if line.endswith("a problem")] == LOUD
    return [line.split()[3].rstrip(":") for line in lines if line.endswith("a step")]


def test_loud_libraries_log_warnings_only(stream: StringIO) -> None:
    levels = {name: logging.getLogger(name).level for name in LOUD}
    logs.configure(stream=stream)
    assert loud(stream) == []
    logs.reset()
    assert {name: logging.getLogger(name).level for name in LOUD} == levels


def test_level_that_a_user_has_set_for_a_loud_library_stays(
    stream: StringIO, request: pytest.FixtureRequest
) -> None:
    before, after = logging.getLogger("rust-sugiyama"), logging.getLogger("botocore")
    for logger in (before, after):
        request.addfinalizer(partial(logger.setLevel, logging.NOTSET))
    before.setLevel(logging.INFO)
    logs.configure(stream=stream)
    after.setLevel(logging.INFO)
    assert loud(stream) == ["botocore.credentials", "rust-sugiyama.layouting"]
    logs.reset()
    assert (before.level, after.level) == (logging.INFO, logging.INFO)


def test_import_configures_no_logging() -> None:
    program = "import floto, floto.logs, logging\nfloto.run\nassert not logging.getLogger().handlers"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("json_lines", [False, True])
def test_values_cannot_forge_a_line_or_a_field(stream: StringIO, *, json_lines: bool) -> None:
    logs.configure(json=json_lines, stream=stream)
    with logs.context(workflow_id=FORGED, run_id="r", task=FORGED, attempt=2):
        logging.getLogger(f"mine.{FORGED}").error(
            "what %s", FORGED, stack_info=True, exc_info=ValueError(FORGED)
        )
    lines = stream.getvalue().rstrip("\n").split("\n")
    assert all(line.isprintable() for line in lines)
    if json_lines:
        [record] = lines_of(stream.getvalue())
        assert (record["workflow_id"], record["attempt"], record["level"]) == (FORGED, 2, "ERROR")
    else:
        assert all(line.startswith("  | ") for line in lines[1:])


def failed_events(service: SqliteService, workflow_id: str) -> list[Any]:
    info = service.latest_execution(workflow_id)
    assert info is not None
    history = service.history(info.execution)
    return [event for event in history if isinstance(event.data, e.ActivityTaskFailed)]


def test_traceback_is_in_the_details_and_not_in_the_message(
    service: SqliteService, activities: Activities, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")

    @activities.activity(name="deep", version="1")
    def deep() -> None:
        def dig(depth: int) -> None:
            if not depth:
                msg = "at the bottom"
                raise LookupError(msg)
            # Frames that differ, which no traceback collapses.
            exec(f"{'(' * (depth % 50)}dig(depth - 1){')' * (depth % 50)}", {"dig": dig, "depth": depth})  # noqa: S102

        dig(300)

    with pytest.raises(floto.WorkflowFailed) as raised:
        floto.run(spec(task("deep")), service=service, activities=activities, workflow_id="w")
    assert raised.value.failures == {"deep": "LookupError: at the bottom"}
    [event] = failed_events(service, "w")
    assert len(event.data.details) <= LIMIT
    failure = failure_of(event)
    assert (failure.details, failure.message) == ("at the bottom", "LookupError: at the bottom")
    assert failure.traceback.rstrip().endswith("LookupError: at the bottom")
    assert "raise LookupError(msg)" in failure.traceback
    assert "hunter2" not in event.data.details
    assert "floto/" not in failure.traceback.partition("test_logging.py")[0]


def test_traceback_of_an_activity_begins_with_its_own_frame(
    service: SqliteService, activities: Activities, caplog: pytest.LogCaptureFixture
) -> None:
    @activities.activity(name="plain", version="1")
    def plain() -> None:
        raise LookupError

    @activities.activity(name="later", version="1")
    async def later() -> None:
        raise LookupError

    own = spec(*(task(name, on_error="continue") for name in ("plain", "later")))
    floto.run(own, service=service, activities=activities, workflow_id="w")
    told = [failure_of(event).traceback for event in failed_events(service, "w")]
    logged = [record.exc_text or "" for record in caplog.records if record.name == "floto.activity"]
    assert len(told) == len(logged) == 2
    for text in (*told, *logged):
        assert "test_logging.py" in text.splitlines()[1]


def in_a_thread(work: Any) -> list[Any]:
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:  # noqa: BLE001 - the test looks at it
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found


def test_current_in_a_thread_of_an_activity_raises_with_advice(activities: Activities) -> None:
    import contextvars  # noqa: PLC0415 - as a user would

    found: list[Any] = []

    @activities.activity(name="threads", version="1")
    def threads() -> None:
        found.extend(in_a_thread(floto.current))
        found.extend(in_a_thread(lambda: contextvars.copy_context))
        carried = contextvars.copy_context()
        found.extend(in_a_thread(lambda: carried.run(floto.current).id))

    floto.run(spec(task("threads")), activities=activities)
    assert isinstance(found[0], floto.FlotoError)
    assert "copy_context" in str(found[0])
    assert found[2] == "threads"
    # Where no activity runs, an activity is a plain function.
    assert in_a_thread(lambda: floto.current().heartbeat()) == [False]


@pytest.mark.parametrize("loop", ["worker", "decider", "daemon"])
def test_start_line_names_service_domain_lists_and_activities(shell: Shell, loop: str) -> None:
    shell.here("register", "spec", "flow.py:spec")
    arguments = {
        "worker": ("--activities", "acts.py", "--task-list", "a", "--task-list", "b"),
        "decider": ("flow.py:spec",),
        "daemon": (),
    }[loop]
    lists = {"worker": ("'a'", "'b'"), "decider": ("'floto'",), "daemon": ("'floto_daemon'",)}[loop]
    with shell.loop(loop, *arguments) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in lists]
    for name in lists:
        [line] = [line for line in lines if f"task list {name}" in line]
        assert f"sqlite:///{shell.cwd / 'floto.db'}" in line
        assert "domain 'floto'" in line
        if loop != "daemon":
            assert "ask 1, tell 1" in line


def test_run_and_server_log_service_and_domain(shell: Shell) -> None:
    said = shell("run", "flow.py:other", "--activities", "acts.py", "--workflow-id", "w").stderr
    for text in (f"workflow w on sqlite:///{shell.cwd / 'floto.db'}", "domain 'floto'", "ask 1, tell 1"):
        assert text in said.splitlines()[0]
    assert "task list 'floto.run.w'" in said.splitlines()[0]
    with shell.loop("server", "--db", "swf.db", "--port", "0") as process:
        assert process.stdout is not None
        assert f"writing {shell.cwd / 'swf.db'}" in process.stdout.readline()


@pytest.mark.parametrize(
    "loop", [("worker", "--activities", "acts.py"), ("decider", "flow.py:spec"), ("daemon",)]
)
def test_loop_creates_no_file_and_no_domain(anywhere: Shell, loop: tuple[str, ...]) -> None:
    if anywhere.service.startswith("sqlite"):
        said = anywhere(*loop, code=2).stderr
        assert f"there is no file {anywhere.cwd / 'floto.db'}" in said
        assert not (anywhere.cwd / "floto.db").exists()
        anywhere.here("register", "domain", "other")
    said = anywhere(*loop, code=2).stderr
    assert "there is no domain 'floto'" in said
    assert "floto register domain floto" in said
    domains = floto.LocalSwf(next(Path(anywhere.cwd).glob("*.db")))
    found = domains.list_domains(registrationStatus="REGISTERED")["domainInfos"]
    domains.close()
    assert "floto" not in [each["name"] for each in found]
