"""``floto server`` as a real process behind a real socket: asked by boto3, and by hand."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from attrs import define, field
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from floto.adapters.local import LocalSwf
from floto.adapters.swf import SwfService
from floto.core.swf.decisions import CompleteWorkflowExecution
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowType
from floto.runtime.connect import connect
from tests.integration.commands import wait_for
from tests.integration.forked import start_command

ROOT = Path(__file__).parents[2]
#: No test waits longer for what must happen.
PATIENCE = 60.0
ACCESS, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ANYWHERE = "0.0.0.0"  # noqa: S104 - that is what is tested
AMZ_JSON = "application/x-amz-json-1.0"
POLLED = {"domain": "shop", "taskList": {"name": "orders"}}
NO_LIMIT = {
    "defaultTaskList": {"name": "orders"},
    "defaultExecutionStartToCloseTimeout": "3600",
    "defaultTaskStartToCloseTimeout": "NONE",
    "defaultChildPolicy": "TERMINATE",
}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "floto", "server", *arguments]


def environment(**more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FLOTO_"))}
    return {**inherited, "PYTHONPATH": str(ROOT), **more}


@define
class Server:
    """A server process, and where it listens."""

    process: subprocess.Popen[str]
    said: list[str]
    url: str = field(init=False)
    address: tuple[str, int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.url = self.said[0].split()[3].rstrip(",")
        parts = urlsplit(self.url)
        self.address = (str(parts.hostname), int(parts.port or 0))

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(db: Path, *arguments: str, **env: str) -> Iterator[Server]:
    """A server on a free port."""
    words = ("server", "--db", str(db), "--port", "0", *arguments)
    with start_command(*words, cwd=db.parent, env=environment(**env)) as process:
        try:
            assert process.stdout is not None
            lines = 3 if "--access-key" in arguments or "FLOTO_ACCESS_KEY" in env else 2
            said = [process.stdout.readline().rstrip("\n") for _ in range(lines)]
            assert said[0], process.communicate()
            yield Server(process, said)
        finally:
            process.kill()


@contextmanager
def client(
    server: Server,
    access: str = "local",
    secret: str = "local",  # noqa: S107
    region: str = "us-east-1",
) -> Iterator[Any]:
    made: Any = boto3.Session(access, secret, region_name=region).client(
        "swf",
        endpoint_url=server.url,
        config=Config(
            retries={"total_max_attempts": 1}, read_timeout=70, proxies={}, max_pool_connections=20
        ),
    )
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server") / "swf.db") as server, client(server) as swf:
        register(swf)
        yield server


@pytest.fixture
def swf(server: Server) -> Iterator[Any]:
    with client(server) as swf:
        yield swf


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    db = tmp_path_factory.mktemp("locked") / "swf.db"
    with serving(db, FLOTO_ACCESS_KEY=ACCESS, FLOTO_SECRET_KEY=SECRET) as server:
        yield server


def register(swf: Any) -> None:
    swf.register_domain(name="shop", workflowExecutionRetentionPeriodInDays="1")
    swf.register_workflow_type(domain="shop", name="order", version="1", **NO_LIMIT)


def start(swf: Any, workflow_id: str, task_list: str = "orders") -> str:
    run_id: str = swf.start_workflow_execution(
        domain="shop",
        workflowId=workflow_id,
        workflowType={"name": "order", "version": "1"},
        taskList={"name": task_list},
    )["runId"]
    return run_id


def history(swf: Any, workflow_id: str, run_id: str) -> list[str]:
    execution = {"workflowId": workflow_id, "runId": run_id}
    events = swf.get_workflow_execution_history(domain="shop", execution=execution)["events"]
    return [event["eventType"] for event in events]


@define
class Reply:
    """An answer as it came through the socket."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["__type"]).partition("#")[2]


def ask(
    server: Server,
    operation: str = "ListDomains",
    body: bytes = b'{"registrationStatus": "REGISTERED"}',
    method: str = "POST",
    path: str = "/",
    **headers: str,
) -> Reply:
    """Send a request by hand; underscores in the names of headers are hyphens."""
    given = {"Content-Type": AMZ_JSON, "X-Amz-Target": f"SimpleWorkflowService.{operation}"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = HTTPConnection(*server.address, timeout=PATIENCE)
    try:
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def send_poll(server: Server, task_list: str = "orders") -> socket.socket:
    """Begin a poll for decision tasks, and leave it."""
    body = json.dumps({"domain": "shop", "taskList": {"name": task_list}}).encode()
    head = (
        f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: {AMZ_JSON}\r\nContent-Length: {len(body)}\r\n"
        "X-Amz-Target: SimpleWorkflowService.PollForDecisionTask\r\n\r\n"
    )
    poll = socket.create_connection(server.address, timeout=PATIENCE)
    poll.sendall(head.encode() + body)
    return poll


@contextmanager
def held_poll(server: Server, task_list: str) -> Iterator[socket.socket]:
    """A poll that has reached the server."""
    before = connections(server.process)
    with send_poll(server, task_list) as poll:
        wait_for(lambda: connections(server.process) > before)
        yield poll


def answer_to(poll: socket.socket) -> Any:
    with HTTPResponse(poll) as answer:
        answer.begin()
        return json.loads(answer.read())


def read_all(held: socket.socket) -> bytes:
    """Return everything received until the server closes the connection."""
    return b"".join(iter(lambda: held.recv(65_536), b""))


def threads(process: subprocess.Popen[str]) -> int:
    return len(list(Path(f"/proc/{process.pid}/task").iterdir()))


def connections(process: subprocess.Popen[str]) -> int:
    count = 0
    for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            count += str(descriptor.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue
    return count


def test_run_times_out_while_no_client_calls(tmp_path: Path) -> None:
    db = tmp_path / "swf.db"
    with serving(db) as server, client(server) as swf, closing(sqlite3.connect(db)) as file:
        register(swf)
        run_id = swf.start_workflow_execution(
            domain="shop",
            workflowId="left alone",
            workflowType={"name": "order", "version": "1"},
            executionStartToCloseTimeout="1",
        )["runId"]
        wait_for(lambda: file.execute("SELECT closed_at FROM runs").fetchone() != (None,))
        execution = {"workflowId": "left alone", "runId": run_id}
        info = swf.describe_workflow_execution(domain="shop", execution=execution)["executionInfo"]
    assert info["closeStatus"] == "TIMED_OUT"
    assert 1 <= (info["closeTimestamp"] - info["startTimestamp"]).total_seconds() < 20


def test_server_prints_an_export_line(server: Server) -> None:
    assert server.said[0].startswith("floto server on http://127.0.0.1:")
    assert server.said[0].endswith("swf.db")
    assert server.said[1] == (
        f"export AWS_ENDPOINT_URL_SWF={server.url} AWS_DEFAULT_REGION=us-east-1 "
        "AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local"
    )


def test_printed_export_line_is_sufficient_for_boto3(server: Server) -> None:
    script = "import boto3; print(boto3.client('swf').list_domains(registrationStatus='REGISTERED'))"
    pasted = f'{server.said[1]}; exec "$0" -c "$1"'
    done = subprocess.run(
        ["sh", "-c", pasted, sys.executable, script],
        env=environment(NO_PROXY="*"),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert "'name': 'shop'" in done.stdout, done.stderr


def listed(service: str, *more: str, **env: str) -> list[str]:
    """Return the open runs of ``floto list --json``."""
    said = subprocess.run(
        [sys.executable, "-m", "floto", "list", "--json", "--service", service, *more],
        env=environment(**env),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=PATIENCE,
    )
    assert said.returncode == 0, said.stderr
    return [info["execution"]["workflowId"] for info in json.loads(said.stdout)]


@pytest.mark.parametrize("keys", [{}, {"FLOTO_ACCESS_KEY": ACCESS, "FLOTO_SECRET_KEY": SECRET}])
def test_two_regions_have_separate_domains(tmp_path: Path, keys: dict[str, str]) -> None:
    signed = (ACCESS, SECRET) if keys else ("local", "local")
    for _ in range(2):  # what is kept in the file is apart too
        with (
            serving(tmp_path / "swf.db", **keys) as server,
            client(server, *signed) as here,
            client(server, *signed, region="eu-west-1") as there,
        ):
            for swf, region in ((here, "us-east-1"), (there, "eu-west-1")):
                found = swf.list_domains(registrationStatus="REGISTERED")["domainInfos"]
                if not found:
                    register(swf)
                    start(swf, region)
                assert swf.describe_domain(name="shop")["domainInfo"]["arn"].split(":")[3] == region
                runs = swf.list_open_workflow_executions(domain="shop", startTimeFilter={"oldestDate": 0})
                assert [run["execution"]["workflowId"] for run in runs["executionInfos"]] == [region]
            if not keys:
                of_shop = ("--domain", "shop")
                assert listed(server.url, *of_shop) == ["us-east-1"]
                assert listed(server.url, *of_shop, AWS_DEFAULT_REGION="eu-west-1") == ["eu-west-1"]
    # Processes on the file itself see what clients of us-east-1 see.
    assert listed(f"sqlite:///{tmp_path / 'swf.db'}", "--domain", "shop") == ["us-east-1"]
    with LocalSwf(tmp_path / "swf.db") as local:
        [info] = local.list_domains(registrationStatus="REGISTERED")["domainInfos"]
    assert info["arn"] == "arn:aws:swf:us-east-1:000000000000:/domain/shop"


def test_health_needs_no_signature(server: Server, locked: Server) -> None:
    for each in (server, locked):
        answer = ask(each, method="GET", path="/health", body=b"")
        assert (answer.status, json.loads(answer.body)) == (200, {"status": "ok"})


def test_pending_poll_gets_a_task_of_another_server_on_the_file(tmp_path: Path) -> None:
    db = tmp_path / "swf.db"
    with serving(db) as here, serving(db) as there, client(there) as swf:
        register(swf)
        with held_poll(here, "held") as poll:
            began = time.monotonic()
            run_id = start(swf, "order-1", "held")
            assert answer_to(poll)["workflowExecution"]["runId"] == run_id
            assert time.monotonic() - began < 20


def test_timer_fires_during_a_pending_poll(swf: Any) -> None:
    start(swf, "order-timer", "timer")
    polled = {"domain": "shop", "taskList": {"name": "timer"}}
    attributes = {"timerId": "soon", "startToFireTimeout": "1"}
    decisions = [{"decisionType": "StartTimer", "startTimerDecisionAttributes": attributes}]
    token = swf.poll_for_decision_task(**polled)["taskToken"]
    swf.respond_decision_task_completed(taskToken=token, decisions=decisions)
    began = time.monotonic()
    events = swf.poll_for_decision_task(**polled)["events"]
    assert "TimerFired" in {event["eventType"] for event in events}
    assert time.monotonic() - began < 20


def test_hundreds_of_pending_polls_use_few_threads_and_end_with_the_server(tmp_path: Path) -> None:
    with serving(tmp_path / "swf.db") as server, client(server) as swf, ExitStack() as stack:
        register(swf)
        before = connections(server.process)
        polls = [stack.enter_context(send_poll(server)) for _ in range(300)]
        wait_for(lambda: connections(server.process) >= before + 300)
        # They are being held, and others are answered meanwhile.
        assert ask(server).status == 200
        assert threads(server.process) < 25
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        answers = [read_all(poll) for poll in polls]
        assert server.process.wait(PATIENCE) == 0
        assert time.monotonic() - began < 30
        assert all(b'{"startedEventId":0,"previousStartedEventId":0}' in answer for answer in answers)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_server_exits_silently_on_sigterm(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path / "swf.db") as server, client(server) as swf:
        register(swf)
        assert server.end(number) == 0
        assert server.process.stderr is not None
        assert server.process.stderr.read() == ""


def test_killed_server_keeps_all_calls_and_tokens_after_restart(tmp_path: Path) -> None:
    db = tmp_path / "swf.db"
    with serving(db) as server, client(server) as swf:
        register(swf)
        run_id = start(swf, "order-1")
        token = swf.poll_for_decision_task(**POLLED)["taskToken"]
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
    with serving(db) as server, client(server) as swf:
        assert history(swf, "order-1", run_id)[-1] == "DecisionTaskStarted"
        swf.respond_decision_task_completed(taskToken=token, decisions=[])
        assert history(swf, "order-1", run_id)[-1] == "DecisionTaskCompleted"


def signed(server: Server, secret: str = SECRET, body: bytes = b"{}") -> dict[str, str]:
    """Headers of a request that is signed by hand."""
    headers = {"Content-Type": AMZ_JSON, "X-Amz-Target": "SimpleWorkflowService.ListDomains"}
    headers["Host"] = "{}:{}".format(*server.address)
    request: Any = AWSRequest("POST", url=f"{server.url}/", data=body, headers=headers)
    SigV4Auth(Credentials(ACCESS, secret), "swf", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def test_secret_key_is_not_printed(locked: Server) -> None:
    assert not any(SECRET in line for line in locked.said)
    assert f"AWS_ACCESS_KEY_ID={ACCESS}" in locked.said[1]


def refused(*arguments: str, **env: str) -> str:
    """Return the error of a command that does not start."""
    done = subprocess.run(
        command(*arguments), env=environment(**env), capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    return done.stderr


def test_remote_host_requires_keys(tmp_path: Path) -> None:
    db = str(tmp_path / "swf.db")
    assert "--access-key" in refused("--host", ANYWHERE, "--port", "0", "--db", db)
    assert "must be given together" in refused("--access-key", "key", "--db", db)
    for access, secret in (("", ""), ("key", ""), (" ", "secret")):
        assert "must not be empty" in refused("--access-key", access, "--secret-key", secret, "--db", db)
    assert not Path(db).exists()
    with serving(Path(db), "--host", ANYWHERE, FLOTO_ACCESS_KEY=ACCESS, FLOTO_SECRET_KEY=SECRET) as server:
        assert ask(server).code == "MissingAuthenticationTokenException"


def test_allowed_host_is_accepted(tmp_path: Path) -> None:
    with serving(tmp_path / "swf.db", "--allowed-host", "swf.internal") as server:
        assert ask(server, Host="swf.internal:80").status == 200
        assert ask(server, Host="other.internal").status == 403


def test_startup_errors_print_one_line(server: Server, tmp_path: Path) -> None:
    port = str(server.address[1])
    assert "cannot listen on" in refused("--port", port, "--db", str(tmp_path / "swf.db"))
    assert "unable to open" in refused("--port", "0", "--db", str(tmp_path / "none" / "swf.db"))
    (tmp_path / "functions.py").write_text("functions = {'double': 2}\n")
    for source, problem in {
        "functions.py:functions": "not a dict of functions by name",
        "functions.py": "FILE.py:NAME",
    }.items():
        assert problem in refused("--functions", str(tmp_path / source), "--db", str(tmp_path / "swf.db"))


def test_server_without_its_extra_prints_advice_and_other_commands_work() -> None:
    missing = "import sys; sys.modules['uvicorn'] = sys.modules['starlette'] = None"
    script = f"{missing}; from floto.runtime.cli import main; main()"
    for arguments, code, says in [
        (["server"], 2, "pip install 'floto[server]'"),
        (["--version"], 0, "floto"),
    ]:
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            env=environment(),
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == code
        assert says in done.stdout + done.stderr


def test_lambda_functions_are_loaded_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "lambdas.py").write_text("functions = {'double': lambda given: given * 2}\n")
    attributes = {"id": "1", "name": "double", "input": "21"}
    decisions = [
        {"decisionType": "ScheduleLambdaFunction", "scheduleLambdaFunctionDecisionAttributes": attributes}
    ]
    source = f"{tmp_path / 'lambdas.py'}:functions"
    with serving(tmp_path / "swf.db", "--functions", source) as server, client(server) as swf:
        register(swf)
        swf.start_workflow_execution(
            domain="shop",
            workflowId="order-1",
            workflowType={"name": "order", "version": "1"},
            lambdaRole="arn:aws:iam::123456789012:role/any",
        )
        token = swf.poll_for_decision_task(**POLLED)["taskToken"]
        swf.respond_decision_task_completed(taskToken=token, decisions=decisions)
        events = swf.poll_for_decision_task(**POLLED)["events"]
        completed = [event for event in events if event["eventType"] == "LambdaFunctionCompleted"]
        assert completed[0]["lambdaFunctionCompletedEventAttributes"]["result"] == "42"


def test_floto_connects_to_a_local_server_without_configuration(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    # A proxy, if there is one, is for elsewhere.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    service = connect(server.url, "own")
    try:
        assert isinstance(service, SwfService)
        kind = WorkflowType("order", "1")
        service.prepare([kind], [])
        service.start_workflow_execution(
            StartRequest(workflow_id="order-1", workflow_type=kind, task_list="floto")
        )
        task = service.poll_for_decision_task("floto", "me", 1)
        assert task is not None
        service.respond_decision_task_completed(task.token, [CompleteWorkflowExecution(result="1")])
        info = service.latest_execution("order-1")
        assert info is not None
        assert info.close_status == "COMPLETED"
    finally:
        service.close()
