"""Credentials that change while a client is in use."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import exceptions as b
from botocore.credentials import CredentialResolver, RefreshableCredentials

from floto import logs
from floto.adapters import renewed_credentials, retrieved_credentials
from floto.adapters.payloads import S3Store
from floto.adapters.renewed_credentials import renew
from floto.adapters.retrieved_credentials import LimitedCredentials
from floto.adapters.swf import SwfService
from floto.adapters.swf_client import make_client
from floto.core.errors import NotCarriedOut, ServiceError, StoreUnavailable, Unauthenticated
from floto.runtime.retrying import report
from floto.runtime.shutdown import StopFlag
from tests.integration.playing import eventually
from tests.integration.scripted import HANGING, SLOW_DOWN, Answer, refusing, scripted
from tests.integration.test_forks import exit_code, in_child

UNKNOWN_KEY = refusing("UnrecognizedClientException", status=403)
EXPIRED = refusing("ExpiredTokenException")
ACCEPTED = Answer(request_id="1", kind=None)


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that writes the credentials file of AWS, which is empty at first."""
    file, config = tmp_path / "credentials", tmp_path / "config"
    file.touch()
    config.write_text("[default]\nregion = us-east-1\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(renewed_credentials, "_PAUSE_SECONDS", 0)

    def write(key: str, profile: str = "default") -> None:
        file.write_text(f"[{profile}]\naws_access_key_id = {key}\naws_secret_access_key = secret\n")

    return write


def key_of(client: Any) -> str | None:
    """The access key that a client of boto3 signs with."""
    credentials = client._request_signer._credentials  # noqa: SLF001
    return credentials and str(credentials.access_key)


def complete(client: Any) -> None:
    SwfService(client, "d").respond_activity_task_completed("token", "result")


def key_after(refusal: Answer, change: Callable[[], object]) -> str | None:
    """The key of a client whose configuration changed before its call was refused."""
    with scripted(refusal) as (url, _):
        client = make_client(None, url)
        change()
        with pytest.raises(ServiceError):
            complete(client)
        client.close()
    return key_of(client)


@pytest.mark.parametrize("refusal", [UNKNOWN_KEY, EXPIRED])
@pytest.mark.parametrize("on_this_machine", [True, False])
def test_report_is_signed_with_the_new_keys_of_the_credentials_file(
    refusal: Answer, *, on_this_machine: bool, configure: Any
) -> None:
    configure("OLD")
    with scripted(ACCEPTED, refusal, ACCEPTED) as (url, seen):
        client = make_client(None, url, on_this_machine=on_this_machine)
        complete(client)
        configure("NEW")
        report(StopFlag(), SwfService(client, "d").respond_activity_task_completed, "token", "result")
        client.close()
    assert key_of(client) == "NEW"
    assert len(seen) == 3


def test_credentials_that_are_configured_later_are_used(configure: Any) -> None:
    with scripted(ACCEPTED) as (url, seen):
        client = make_client(None, url)
        with pytest.raises(Unauthenticated):
            complete(client)
        configure("NEW")
        with pytest.raises(Unauthenticated):
            complete(client)
        complete(client)
        client.close()
    assert len(seen) == 1


def test_new_keys_are_those_of_the_profile_of_the_default_session(configure: Any) -> None:
    configure("OLD", "other")
    boto3.setup_default_session(profile_name="other", region_name="us-east-1")
    assert key_after(UNKNOWN_KEY, lambda: configure("NEW", "other")) == "NEW"


@pytest.mark.parametrize("is_named_later", [True, False])
def test_client_keeps_its_profile_when_another_one_is_named(
    configure: Any, monkeypatch: pytest.MonkeyPatch, *, is_named_later: bool
) -> None:
    configure("OLD")
    boto3.setup_default_session(profile_name="default")

    def name_another() -> None:
        configure("OTHER", "other")
        if is_named_later:
            boto3.setup_default_session(profile_name="other")
        else:
            monkeypatch.setenv("AWS_PROFILE", "other")

    assert key_after(UNKNOWN_KEY, name_another) == "OLD"


def test_keys_that_a_program_gave_to_boto3_are_kept(configure: Any) -> None:
    given: Any = {"aws_access_key_id": "GIVEN", "aws_secret_access_key": "secret"}
    boto3.setup_default_session(**given)
    assert key_after(UNKNOWN_KEY, lambda: configure("OTHER")) == "GIVEN"


@pytest.mark.parametrize("refusal", [SLOW_DOWN, refusing("InternalFailure", status=500)])
def test_other_errors_read_no_credentials(refusal: Answer, configure: Any) -> None:
    configure("OLD")
    assert key_after(refusal, lambda: configure("NEW")) == "OLD"


@pytest.mark.parametrize("problem", [b.PartialCredentialsError(provider="p", cred_var="c"), OSError("no")])
def test_unreadable_file_leaves_the_keys_as_they_are(problem: Exception, configure: Any) -> None:
    def read() -> Any:
        raise problem

    configure("OLD")
    with scripted(UNKNOWN_KEY) as (url, _):
        client = renew(boto3.client("swf", endpoint_url=url), read)
        with pytest.raises(b.ClientError):
            client.respond_activity_task_completed(taskToken="token")
        client.close()
    assert key_of(client) == "OLD"


def test_file_is_read_once_in_some_seconds_by_one_thread(
    configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewed_credentials, "_PAUSE_SECONDS", 600)
    reads: list[None] = []
    configure("OLD")
    with scripted(UNKNOWN_KEY) as (url, _):
        client = renew(boto3.client("swf", endpoint_url=url), lambda: reads.append(None))
        calls = [threading.Thread(target=complete_and_fail, args=(client,)) for _ in range(5)]
        for call in calls:
            call.start()
        for call in calls:
            call.join()
        client.close()
    assert len(reads) == 1


ROLE = "arn:aws:iam::123456789012:role/role"


@pytest.mark.parametrize(
    ("profile", "problem"),
    [
        (f"role_arn = {ROLE}\nweb_identity_token_file = missing\n", "FileNotFoundError: .*'missing'"),
        (f"role_arn = {ROLE}\nsource_profile = base\n", "ClientError: .*InternalFailure.* AssumeRole"),
    ],
)
def test_call_without_credentials_of_a_role_was_not_carried_out(
    configure: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: str, problem: str
) -> None:
    configure("KEY", "base")
    (tmp_path / "config").write_text(f"[default]\nregion = us-east-1\n{profile}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    body = b"<ErrorResponse><Error><Code>InternalFailure</Code><Message>no</Message></Error></ErrorResponse>"
    with scripted(ACCEPTED) as (url, seen), scripted(Answer(500, "text/xml", body)) as (sts, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts)
        client = make_client(None, url)
        with pytest.raises(NotCarriedOut, match=f"retrieving credentials from assume-role.*: {problem}"):
            complete(client)
        client.close()
    assert seen == []


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """An event for which providers of credentials wait that are late at once; it is set at the end."""
    monkeypatch.setattr(retrieved_credentials, "_SECONDS", 0.1)
    monkeypatch.setattr(renewed_credentials, "_RENEWAL_SECONDS", 0.1)
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.usefixtures("configure")
@pytest.mark.parametrize("on_this_machine", [True, False])
def test_error_names_the_credential_process_whose_response_is_not_json(
    tmp_path: Path, *, on_this_machine: bool
) -> None:
    (tmp_path / "config").write_text("[default]\nregion = us-east-1\ncredential_process = echo secret\n")
    with pytest.raises(NotCarriedOut, match="from custom-process: JSONDecodeError: Exp") as raised:
        make_client(None, "http://127.0.0.1:9", on_this_machine=on_this_machine)
    assert "secret" not in str(raised.value)


@pytest.mark.usefixtures("configure")
def test_providers_are_asked_once_if_no_credentials_are_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    lookups: list[None] = []
    monkeypatch.setattr(CredentialResolver, "load_credentials", lambda _: lookups.append(None))
    make_client(None, "http://127.0.0.1:9").close()
    assert len(lookups) == 1


@pytest.mark.usefixtures("configure")
@pytest.mark.parametrize("on_this_machine", [True, False])
def test_credential_process_that_hangs_fails_the_client(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, on_this_machine: bool
) -> None:
    # boto3 needs some of it until it starts the process.
    monkeypatch.setattr(retrieved_credentials, "_SECONDS", 1.0)
    os.mkfifo(tmp_path / "pipe")
    process = f"credential_process = cat {tmp_path}/pipe\n"
    (tmp_path / "config").write_text(f"[default]\nregion = us-east-1\n{process}")
    with pytest.raises(NotCarriedOut, match="from custom-process: it has not responded in time"):
        make_client(None, "http://127.0.0.1:9", on_this_machine=on_this_machine)
    # The process ends.
    (tmp_path / "pipe").write_text("")


def test_call_without_the_response_of_sts_was_not_carried_out(
    request: pytest.FixtureRequest, configure: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configure("KEY", "base")
    role = f"role_arn = {ROLE}\nsource_profile = base\n"
    (tmp_path / "config").write_text(f"[default]\nregion = us-east-1\n{role}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with scripted(ACCEPTED) as (url, seen), scripted(HANGING) as (sts, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts)
        client = make_client(None, url)
        request.getfixturevalue("late")
        with pytest.raises(NotCarriedOut, match="from assume-role: it has not responded in time"):
            complete(client)
        client.close()
    assert seen == []


def refreshed(event: threading.Event, minutes: float) -> tuple[LimitedCredentials, list[None]]:
    """Credentials that expire in so many minutes and whose refresh waits for the event; the refreshes."""
    refreshes: list[None] = []

    def keys(key: str, minutes: float) -> dict[str, str]:
        expiry = datetime.now(UTC) + timedelta(minutes=minutes)
        return {"access_key": key, "secret_key": "s", "token": "t", "expiry_time": expiry.isoformat()}

    def refresh() -> dict[str, str]:
        refreshes.append(None)
        event.wait(60)
        return keys("NEW", 60)

    found = RefreshableCredentials.create_from_metadata(keys("OLD", minutes), refresh, "test")
    return LimitedCredentials(found), refreshes


def test_expired_credentials_are_refreshed_once_for_all_calls_that_gave_up(late: threading.Event) -> None:
    credentials, refreshes = refreshed(late, -1)
    for _ in range(3):
        with pytest.raises(b.CredentialRetrievalError, match="from test: it has not responded in time"):
            credentials.get_frozen_credentials()
    late.set()
    eventually(lambda: not credentials.refresh_needed())
    assert credentials.get_frozen_credentials().access_key == "NEW"
    assert len(refreshes) == 1


def test_credentials_that_expire_in_some_minutes_are_used_until_the_refresh_ends(
    late: threading.Event,
) -> None:
    credentials, refreshes = refreshed(late, 12)
    assert {credentials.get_frozen_credentials().access_key for _ in range(3)} == {"OLD"}
    late.set()
    eventually(lambda: credentials.get_frozen_credentials().access_key == "NEW")
    assert len(refreshes) == 1


def test_forked_child_refreshes_credentials_that_its_parent_was_refreshing(late: threading.Event) -> None:
    credentials, _ = refreshed(late, -1)
    with pytest.raises(b.CredentialRetrievalError):
        credentials.get_frozen_credentials()

    def refresh() -> None:
        retrieved_credentials._SECONDS = 20  # noqa: SLF001
        late.set()
        assert credentials.get_frozen_credentials().access_key == "NEW"

    assert exit_code(in_child(refresh)) == 0


def test_call_does_not_wait_for_a_renewal_that_hangs(late: threading.Event, configure: Any) -> None:
    configure("OLD")
    with scripted(UNKNOWN_KEY) as (url, _):
        client = renew(boto3.client("swf", endpoint_url=url), lambda: late.wait(60) and None)
        complete_and_fail(client)
        assert not late.is_set()
        client.close()


def complete_and_fail(client: Any) -> None:
    with pytest.raises(ServiceError):
        complete(client)


def test_payload_store_in_s3_uses_new_keys(configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    configure("OLD")
    body = b"<Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>"
    with scripted(Answer(403, "application/xml", body)) as (url, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        store = S3Store("bucket")
        configure("NEW")
        with pytest.raises(StoreUnavailable):
            store.put("value")
    assert key_of(store.client) == "NEW"


def test_credentials_that_cannot_be_refreshed_are_one_line_of_the_log() -> None:
    def refresh() -> Any:
        problem = "log in again"
        raise ValueError(problem)

    old = {"access_key": "a", "secret_key": "b", "token": "c", "expiry_time": "2020-01-01T00:00:00Z"}
    credentials = RefreshableCredentials.create_from_metadata(old, refresh, "test")
    stream = StringIO()
    logs.configure(stream=stream)
    try:
        for _ in range(3):
            with pytest.raises(ValueError, match="log in again"):
                credentials.get_frozen_credentials()
    finally:
        logs.reset()
    assert stream.getvalue().count("log in again") == 1
    assert stream.getvalue().count("\n") == 1
