"""Errors of AWS and of the network: which are transient, for loops and for calls that are made once."""

from __future__ import annotations

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
from tests.integration.commands import Shell
from tests.integration.scripted import SLOW_DOWN, STARTED, Answer, connected, refusing, scripted


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


@pytest.mark.parametrize("error", [*NOT_CARRIED_OUT, *THROTTLED], ids=repr)
def test_call_that_was_not_carried_out_is_repeated_for_a_command(error: Exception) -> None:
    client = Client(error)
    service = SwfService(client, "d", repeat=retry_write)
    service.start_workflow_execution(REQUEST)
    assert service.start_workflow_execution(REQUEST) == "run 3"


@pytest.mark.parametrize("error", MAY_BE_CARRIED_OUT, ids=repr)
def test_call_that_may_have_been_carried_out_is_not_repeated_for_a_command(error: Exception) -> None:
    client = Client(error)
    service = SwfService(client, "d", repeat=retry_write)
    service.start_workflow_execution(REQUEST)
    with pytest.raises(ServiceUnavailable):
        service.start_workflow_execution(REQUEST)
    assert client.calls == 2


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_refused_connection_on_loopback_is_not_repeated_for_a_command(host: str) -> None:
    client = Client(b.EndpointConnectionError(endpoint_url=f"http://{host}:9"))
    service = SwfService(client, "d", repeat=retry_write)
    service.start_workflow_execution(REQUEST)
    with pytest.raises(NotListening):
        service.start_workflow_execution(REQUEST)
    assert client.calls == 2


@pytest.mark.parametrize("repeat", [retry_write, retry_read])
def test_command_gives_up_on_a_throttled_call_in_time(repeat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("READ", "WRITE"):
        monkeypatch.setattr(resilient, name, evolve(getattr(resilient, name), seconds=0.3))
    began = time.monotonic()
    service = SwfService(Client(*THROTTLED * 1000), "d", repeat=repeat)
    service.start_workflow_execution(REQUEST)
    with pytest.raises(Throttled):
        service.start_workflow_execution(REQUEST)
    assert 0.3 <= time.monotonic() - began < 10


def test_throttled_start_over_a_real_socket_is_repeated() -> None:
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


def test_credential_process_that_prints_nonsense_is_transient(
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


def test_clock_that_is_set_right_in_time_fails_no_first_call() -> None:
    skewed = refusing("InvalidSignatureException", "Signature expired: a is now earlier than b")
    with connected(skewed, skewed, STARTED) as (service, seen):
        assert persist_at_start(StopFlag(), service.start_workflow_execution, REQUEST) == "r"
        assert len(seen) == 3


DENIED = refusing("AccessDeniedException")


@pytest.mark.parametrize(
    "loop", [partial(each, StopFlag()) for each in (persist, persist_at_start, poll, report)]
)
def test_permission_that_is_withdrawn_for_a_while_is_transient_in_all_loops(loop: Any) -> None:
    with connected(STARTED, DENIED, DENIED, STARTED) as (service, seen):
        service.start_workflow_execution(REQUEST)
        assert loop(service.start_workflow_execution, REQUEST) == "r"
        assert len(seen) == 4


def test_permission_that_was_never_given_is_a_mistake() -> None:
    with connected(STARTED, DENIED, STARTED) as (service, seen):
        service.start_workflow_execution(REQUEST)
        with pytest.raises(NotPermitted):
            persist(StopFlag(), service.signal_workflow_execution, "w", "s")
        assert len(seen) == 2


def test_workflow_types_that_may_not_be_registered_are_skipped() -> None:
    kinds = [WorkflowType(name, "1") for name in "abc"]
    with connected(Answer(), Answer(), DENIED) as (service, seen):
        service.prepare(kinds, [])
        assert len(seen) == 4


@pytest.mark.parametrize("command", [["list"], ["show", "w"], ["signal", "w", "s"], ["terminate", "w"]])
def test_command_ends_at_once_where_nobody_listens_on_loopback(tmp_path: Any, command: list[str]) -> None:
    began = time.monotonic()
    done = Shell(tmp_path, "http://127.0.0.1:9")(*command, code=2)
    assert "is 'floto server' running there" in done.stderr
    assert time.monotonic() - began < 10


def test_throttled_command_is_carried_out(tmp_path: Any) -> None:
    with scripted(SLOW_DOWN, SLOW_DOWN, Answer()) as (url, seen):
        Shell(tmp_path, url)("signal", "w", "s")
        # What follows looks up which signals the run waits for.
        assert seen[:3] == ["SignalWorkflowExecution"] * 3
        assert seen.count("SignalWorkflowExecution") == 3


@pytest.mark.parametrize("error", NOT_CARRIED_OUT, ids=repr)
def test_what_was_not_carried_out_is_told_from_what_may_have_been(error: Exception) -> None:
    assert isinstance(translated(error), NotCarriedOut)


@pytest.mark.parametrize("error", MAY_BE_CARRIED_OUT, ids=repr)
def test_what_may_have_been_carried_out_is_not_called_otherwise(error: Exception) -> None:
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
def test_connection_that_cannot_be_made_is_unreachable(error: Exception) -> None:
    assert isinstance(translated(error), Unreachable)
