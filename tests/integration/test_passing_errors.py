"""Errors of AWS and of the network: which are transient, for loops and for calls that are made once."""

from __future__ import annotations

import socket
import time
from functools import partial
from typing import Any

import boto3
import botocore.session
import pytest
from attrs import evolve
from botocore import exceptions as b
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ClientError

import floto
from floto.adapters.aws_errors import translated
from floto.adapters.swf import SwfService
from floto.adapters.swf_client import make_client
from floto.core.errors import (
    NotCarriedOut,
    NotListening,
    NotPermitted,
    ServiceFault,
    ServiceUnavailable,
    Throttled,
    Unauthenticated,
    Unreachable,
)
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowType
from floto.runtime import retrying as resilient
from floto.runtime.retrying import persist, persist_at_start, poll, report, retry_read, retry_write
from floto.runtime.shutdown import StopFlag
from floto.runtime.supervisor import Supervisor
from tests.integration.commands import PATIENCE, Shell
from tests.integration.scripted import LOGIN, SLOW_DOWN, STARTED, Answer, connected, refusing, scripted


def answered(code: str, status: int = 400) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "PollForDecisionTask")


#: The credential and network errors that loops met, and what they are at the first call.
CREDENTIALS = [
    answered("InvalidSignatureException"),
    answered("UnrecognizedClientException", 403),
    answered("InvalidIdentityToken"),
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
    answered("403", 403),
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
    KeyError("AccessKeyId"),
    ValueError("the answer of the credential process is not JSON"),
]
#: Nothing was sent, or the service refused it unread: a command may repeat it.
NOT_CARRIED_OUT = [
    answered("ExpiredToken"),
    answered("RequestTimeTooSkewed"),
    b.EndpointConnectionError(endpoint_url="http://x"),
    b.ConnectTimeoutError(endpoint_url="http://x"),
    b.ProxyConnectionError(proxy_url="http://x"),
    b.CredentialRetrievalError(provider="sso", error_msg="no"),
    RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired."),
]
MAY_BE_CARRIED_OUT = [
    answered("InternalFailure", 500),
    answered("404", 404),
    b.ReadTimeoutError(endpoint_url="http://x"),
    b.ConnectionClosedError(endpoint_url="http://x"),
    b.SSLError(endpoint_url="http://x", error=OSError("no")),
    ValueError("Invalid timestamp"),
]
THROTTLED = [answered("ThrottlingException"), answered("RequestLimitExceeded"), answered("x", 429)]
FINAL = [answered("AccessDeniedException"), answered("ValidationException"), b.NoRegionError()]


@pytest.mark.parametrize("error", CREDENTIALS, ids=repr)
def test_credential_errors_are_permanent_at_the_first_call(error: Exception) -> None:
    assert isinstance(translated(error), Unauthenticated)


def test_throttling_and_refusals_are_distinguished() -> None:
    assert all(isinstance(translated(error), Throttled) for error in THROTTLED)
    finals = [translated(error) for error in FINAL]
    assert all(isinstance(error, ServiceFault) and not isinstance(error, Unauthenticated) for error in finals)


class Client:
    """Return a boto3 client whose calls fail by script, then succeed."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls = list(errors), 0

    def start_workflow_execution(self, **_request: Any) -> Any:
        self.calls += 1
        if self.errors and self.calls > 1:
            raise self.errors.pop(0)
        return {"runId": f"run {self.calls}"}


REQUEST = StartRequest(workflow_id="w", workflow_type=WorkflowType("t", "1"))


@pytest.mark.parametrize("error", [*CREDENTIALS, *PASSING, *THROTTLED], ids=repr)
def test_every_loop_survives_transient_errors_after_the_first_response(error: Exception) -> None:
    """``persist`` is what ``floto.run``, deciders and daemons make their calls with."""
    service = SwfService(Client(error), "d")
    assert service.start_workflow_execution(REQUEST) == "run 1"
    assert persist(StopFlag(), service.start_workflow_execution, REQUEST) == "run 3"


@pytest.mark.parametrize("error", [*NOT_CARRIED_OUT, *THROTTLED], ids=repr)
def test_command_retries_a_call_that_was_not_executed(error: Exception) -> None:
    client = Client(error)
    service = SwfService(client, "d", repeat=retry_write)
    service.start_workflow_execution(REQUEST)
    assert service.start_workflow_execution(REQUEST) == "run 3"


@pytest.mark.parametrize("error", MAY_BE_CARRIED_OUT, ids=repr)
def test_command_does_not_retry_a_call_that_may_have_been_executed(error: Exception) -> None:
    client = Client(error)
    service = SwfService(client, "d", repeat=retry_write)
    service.start_workflow_execution(REQUEST)
    with pytest.raises(ServiceUnavailable):
        service.start_workflow_execution(REQUEST)
    assert client.calls == 2


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_command_does_not_retry_a_refused_connection_on_loopback(host: str) -> None:
    client = Client(b.EndpointConnectionError(endpoint_url=f"http://{host}:9"))
    service = SwfService(client, "d", repeat=retry_write)
    service.start_workflow_execution(REQUEST)
    with pytest.raises(NotListening):
        service.start_workflow_execution(REQUEST)
    assert client.calls == 2


@pytest.mark.parametrize("repeat", [retry_write, retry_read])
def test_command_gives_up_on_a_throttled_call_at_its_time_limit(
    repeat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("READ", "WRITE"):
        monkeypatch.setattr(resilient, name, evolve(getattr(resilient, name), seconds=0.3))
    began = time.monotonic()
    service = SwfService(Client(*THROTTLED * 1000), "d", repeat=repeat)
    service.start_workflow_execution(REQUEST)
    with pytest.raises(Throttled):
        service.start_workflow_execution(REQUEST)
    assert 0.3 <= time.monotonic() - began < 10


def test_throttled_start_over_a_real_socket_is_retried() -> None:
    with connected(SLOW_DOWN, SLOW_DOWN, STARTED, repeat=retry_write) as (service, seen):
        assert service.start_workflow_execution(REQUEST) == "r"
        assert seen == ["StartWorkflowExecution"] * 3


def test_credentials_that_are_refreshed_and_still_expired_are_transient() -> None:
    expired = {"access_key": "a", "secret_key": "b", "token": "c", "expiry_time": "2020-01-01T00:00:00Z"}
    session = botocore.session.Session()
    refreshing = RefreshableCredentials.create_from_metadata(expired, lambda: expired, "test")
    session._credentials = refreshing  # type: ignore[attr-defined]  # noqa: SLF001
    with scripted(Answer()) as (url, seen):
        client = session.create_client("swf", "us-east-1", endpoint_url=url)
        with pytest.raises(NotCarriedOut, match="still expired"):
            SwfService(client, "d").respond_activity_task_completed("token", "result")
        client.close()
    assert seen == []


def test_credential_process_with_invalid_output_is_transient(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\ncredential_process = /bin/echo nonsense\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(ServiceUnavailable, match="JSON"):
        SwfService(make_client("us-east-1"), "d").latest_execution("w")


def test_endpoint_that_is_not_a_host_is_refused() -> None:
    with pytest.raises(ServiceFault, match=r"a\.\.b"):
        floto.connect("http://a..b:80")


def test_first_call_succeeds_once_the_clock_is_corrected() -> None:
    skewed = refusing("InvalidSignatureException", "Signature expired: a is now earlier than b")
    with connected(skewed, skewed, STARTED) as (service, seen):
        assert persist_at_start(StopFlag(), service.start_workflow_execution, REQUEST) == "r"
        assert len(seen) == 3


DENIED = refusing("AccessDeniedException")


@pytest.mark.parametrize(
    "loop", [partial(each, StopFlag()) for each in (persist, persist_at_start, poll, report)]
)
def test_temporarily_denied_permission_is_transient_in_all_loops(loop: Any) -> None:
    with connected(STARTED, DENIED, DENIED, STARTED) as (service, seen):
        service.start_workflow_execution(REQUEST)
        assert loop(service.start_workflow_execution, REQUEST) == "r"
        assert len(seen) == 4


@pytest.mark.parametrize("kind", [floto.Decider, floto.ActivityWorker])
@pytest.mark.parametrize("sole", [True, False])
def test_poll_without_permission_ends_the_only_poller_of_a_task_list(kind: Any, *, sole: bool) -> None:
    with connected(DENIED) as (service, seen):
        loops = Supervisor()
        loops.start(loop := kind(service=service, task_list="list", sole=sole))
        assert loops.join(0.5 if not sole else PATIENCE) is sole
        loop.stop()
        assert loops.join(PATIENCE)
        if sole:
            with pytest.raises(NotPermitted):
                loops.check()
            assert len(seen) == 1
        loops.check()


def test_error_names_the_reason_why_there_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    client = make_client("us-east-1", "http://nowhere.invalid")
    with pytest.raises(Unreachable, match=r"nowhere\.invalid.*\(Name or service not known\)"):
        SwfService(client, "d").signal_workflow_execution("w", "s")
    client.close()


def test_permission_denied_at_the_first_call_is_permanent() -> None:
    with connected(STARTED, DENIED, STARTED) as (service, seen):
        service.start_workflow_execution(REQUEST)
        with pytest.raises(NotPermitted):
            persist(StopFlag(), service.signal_workflow_execution, "w", "s")
        assert len(seen) == 2


@pytest.mark.parametrize("command", [["list"], ["show", "w"], ["signal", "w", "s"], ["terminate", "w"]])
def test_command_fails_at_once_if_loopback_refuses_the_connection(tmp_path: Any, command: list[str]) -> None:
    began = time.monotonic()
    done = Shell(tmp_path, "http://127.0.0.1:9")(*command, code=2)
    assert "is 'floto server' running there" in done.stderr
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("command", "remedy"),
    [
        (["start", "--type", "n", "1"], "see what became of it with floto show floto-"),
        (["start", "--type", "n", "1", "--workflow-id", "w"], "--workflow-id 'w' starts no second run"),
        (["signal", "w", "s"], "see what became of it with floto show w"),
        (["cancel", "w"], "see what became of it with floto show w"),
        (["terminate", "w", "--domain", "d"], "see what became of it with floto show --domain d w"),
        (["register", "domain", "d"], "repeat the command"),
        (["register", "activity", "a", "1"], "repeat the command"),
    ],
)
def test_command_whose_response_is_lost_says_how_to_see_what_it_did(
    tmp_path: Any, command: list[str], remedy: str
) -> None:
    with scripted(LOGIN) as (url, seen):
        _, err = Shell(tmp_path, url).here(*command, code=1)
    assert "the call may have been carried out" in err
    assert remedy in err
    assert len(seen) == 1


def test_throttled_command_succeeds_after_retries(tmp_path: Any) -> None:
    with scripted(SLOW_DOWN, SLOW_DOWN, Answer()) as (url, seen):
        Shell(tmp_path, url)("signal", "w", "s")
        # What follows looks up which signals the run waits for.
        assert seen[:3] == ["SignalWorkflowExecution"] * 3
        assert seen.count("SignalWorkflowExecution") == 3


@pytest.mark.parametrize("error", MAY_BE_CARRIED_OUT, ids=repr)
def test_error_with_unknown_execution_translates_to_service_unavailable(error: Exception) -> None:
    assert type(translated(error)) is ServiceUnavailable


@pytest.mark.parametrize(
    "error",
    [
        b.EndpointConnectionError(endpoint_url="http://x"),
        b.ConnectTimeoutError(endpoint_url="http://x"),
        b.ProxyConnectionError(proxy_url="http://x"),
    ],
    ids=repr,
)
def test_failed_connection_translates_to_unreachable(error: Exception) -> None:
    assert isinstance(translated(error), Unreachable)
