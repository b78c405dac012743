"""Errors of AWS and of the network: which pass, for loops and for calls that are made once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore import exceptions as b
from botocore.exceptions import ClientError

import floto
from floto.adapters.aws_errors import translated
from floto.adapters.swf import SwfService
from floto.core.errors import ServiceFault, ServiceUnavailable, Throttled, Unauthenticated, Unreachable
from floto.core.ports import StartRequest
from floto.core.shapes import WorkflowType
from floto.runtime.resilient import persist
from floto.runtime.stopping import StopFlag
from tests.integration.commands import Shell


def answered(code: str, status: int = 400) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "PollForDecisionTask")


#: The credential and network errors that loops met, and what they are at the first call.
CREDENTIALS = [
    answered("InvalidSignatureException"),
    answered("UnrecognizedClientException", 403),
    answered("InvalidIdentityToken"),
    answered("403", 403),
    b.NoCredentialsError(),
    b.PartialCredentialsError(provider="env", cred_var="secret"),
    b.SSOTokenLoadError(error_msg="expired"),
    b.UnauthorizedSSOTokenError(),
]
PASSING = [
    answered("InternalFailure", 500),
    answered("anything", 503),
    answered("ExpiredToken"),
    answered("ExpiredTokenException"),
    answered("RequestExpired"),
    answered("RequestTimeTooSkewed"),
    b.EndpointConnectionError(endpoint_url="http://x"),
    b.ConnectTimeoutError(endpoint_url="http://x"),
    b.ReadTimeoutError(endpoint_url="http://x"),
    b.ConnectionClosedError(endpoint_url="http://x"),
    b.ProxyConnectionError(proxy_url="http://x"),
    b.SSLError(endpoint_url="http://x", error=OSError("no")),
    b.CredentialRetrievalError(provider="sso", error_msg="no"),
    b.TokenRetrievalError(provider="sso", error_msg="no"),
    b.MetadataRetrievalError(error_msg="no"),
    OSError("the token file of the web identity is being replaced"),
]
THROTTLED = [answered("ThrottlingException"), answered("RequestLimitExceeded"), answered("x", 429)]
FINAL = [answered("AccessDeniedException"), answered("ValidationException"), b.NoRegionError()]


@pytest.mark.parametrize("error", CREDENTIALS, ids=repr)
def test_trouble_with_credentials_is_a_mistake_at_the_first_call(error: Exception) -> None:
    assert isinstance(translated(error), Unauthenticated)


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_trouble_of_the_network_passes(error: Exception) -> None:
    assert isinstance(translated(error), ServiceUnavailable)


def test_throttling_and_refusals_are_told_apart() -> None:
    assert all(isinstance(translated(error), Throttled) for error in THROTTLED)
    finals = [translated(error) for error in FINAL]
    assert all(isinstance(error, ServiceFault) and not isinstance(error, Unauthenticated) for error in finals)


class Client:
    """A client of boto3 whose calls fail by script, then succeed."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls = list(errors), 0

    def start_workflow_execution(self, **_request: Any) -> Any:
        self.calls += 1
        if self.errors and self.calls > 1:
            raise self.errors.pop(0)
        return {"runId": f"run {self.calls}"}


REQUEST = StartRequest(workflow_id="w", workflow_type=WorkflowType("t", "1"))


@pytest.mark.parametrize("error", [*CREDENTIALS, *PASSING, *THROTTLED], ids=repr)
def test_every_loop_survives_what_passes_once_it_has_been_answered(error: Exception) -> None:
    """``persist`` is what ``floto.run``, deciders and daemons make their calls with."""
    service = SwfService(Client(error), "d")
    assert service.start_workflow_execution(REQUEST) == "run 1"
    assert persist(StopFlag(), service.start_workflow_execution, REQUEST) == "run 3"


def test_throttled_call_of_one_who_asks_once_is_made_again() -> None:
    client = Client(*THROTTLED)
    service = SwfService(client, "d", is_patient=True)
    service.start_workflow_execution(REQUEST)
    assert service.start_workflow_execution(REQUEST) == "run 5"


def test_call_that_may_have_been_carried_out_is_not_made_again_for_one_who_asks_once() -> None:
    client = Client(b.ReadTimeoutError(endpoint_url="http://x"))
    service = SwfService(client, "d", is_patient=True)
    service.start_workflow_execution(REQUEST)
    with pytest.raises(ServiceUnavailable):
        service.start_workflow_execution(REQUEST)
    assert client.calls == 2


@contextmanager
def scripted(*answers: tuple[int, str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback that answers by script; the last answer repeats."""
    seen: list[str] = []
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(self.headers["X-Amz-Target"].rpartition(".")[2])
            status, kind, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


JSON = "application/x-amz-json-1.0"
SLOW_DOWN = (400, JSON, json.dumps({"__type": "ThrottlingException", "message": "slow down"}).encode())


def test_throttled_start_over_a_real_socket_is_made_again() -> None:
    with scripted(SLOW_DOWN, SLOW_DOWN, (200, JSON, b'{"runId": "r"}')) as (url, seen):
        service = floto.connect(url)
        assert service.start_workflow_execution(REQUEST) == "r"
        assert seen == ["StartWorkflowExecution"] * 3
        service.close()


def test_page_of_a_firewall_is_trouble_with_credentials() -> None:
    with scripted((403, "text/html", b"<html>go away</html>")) as (url, _):
        service = floto.connect(url)
        with pytest.raises(Unauthenticated):
            service.start_workflow_execution(REQUEST)
        service.close()


@pytest.mark.parametrize("command", [["list"], ["show", "w"], ["signal", "w", "s"], ["terminate", "w"]])
def test_command_ends_at_once_where_nobody_listens_on_loopback(tmp_path: Any, command: list[str]) -> None:
    began = time.monotonic()
    done = Shell(tmp_path, "http://127.0.0.1:9")(*command, code=2)
    assert "is 'floto server' running there" in done.stderr
    assert time.monotonic() - began < 10


def test_throttled_command_is_carried_out(tmp_path: Any) -> None:
    with scripted(SLOW_DOWN, SLOW_DOWN, (200, JSON, b"")) as (url, seen):
        Shell(tmp_path, url)("signal", "w", "s")
        # What follows looks up which signals the run waits for.
        assert seen[:3] == ["SignalWorkflowExecution"] * 3
        assert seen.count("SignalWorkflowExecution") == 3


def test_unreachable_is_told_from_what_may_have_happened() -> None:
    assert isinstance(translated(b.EndpointConnectionError(endpoint_url="http://x")), Unreachable)
    assert not isinstance(translated(b.ReadTimeoutError(endpoint_url="http://x")), Unreachable)
