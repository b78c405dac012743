"""boto3 clients of SWF: their settings, and one client per process."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import create_loader
from botocore.utils import is_valid_endpoint_url, is_valid_ipv6_endpoint_url

from floto import forks
from floto.adapters.answers import guard
from floto.adapters.aws_errors import called
from floto.adapters.pending_calls import PendingCalls
from floto.adapters.renewed_credentials import renewed_client
from floto.adapters.retrieved_credentials import retrieved
from floto.core.engine.registration.regions import DEFAULT_REGION
from floto.core.errors import ServiceFault

#: Read time-out of polls in seconds; SWF holds a poll for 60 seconds.
_READ_SECONDS = 70
#: Seconds until an attempt to connect fails: enough for two lost packets, and few of the 30 s of a command.
_CONNECT_SECONDS = 5
#: Maximum connections of a client, which the threads of a worker and a decider share.
_CONNECTIONS = 50
_INVALID_ENDPOINT = "InvalidEndpoint"


def make_client(
    region: str | None = None, endpoint_url: str | None = None, *, on_this_machine: bool = False
) -> Any:
    """Make a boto3 SWF client for long polls.

    Its own retries are off: floto's deciders and workers retry, and can be stopped meanwhile.

    Args:
        region: AWS region; default: the configured one.
        endpoint_url: URL of the service; default: Amazon's endpoint of the region.
        on_this_machine: True for a service on this machine, which is called without a proxy and needs no AWS
            configuration: placeholder credentials are used if none are configured.

    Raises:
        ServiceFault: if ``endpoint_url`` is not a valid URL, or AWS is not configured.
    """
    if endpoint_url and not (is_valid_endpoint_url(endpoint_url) or is_valid_ipv6_endpoint_url(endpoint_url)):
        raise ServiceFault(_INVALID_ENDPOINT, f"{endpoint_url!r} does not name a host")
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"total_max_attempts": 1},
        max_pool_connections=_CONNECTIONS,
        proxies={} if on_this_machine else None,
    )
    create, read = boto3.client, None
    if on_this_machine:
        create, read = called(_local_session).create_client, _local_credentials
    options = {"region_name": region, "endpoint_url": endpoint_url, "config": config}
    client = called(renewed_client, create, "swf", read, **options)
    guard(client)
    return client


class ClientOfProcess:
    """A boto3 client per process: a forked child must not use the connections of its parent."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._client: Any = make()
        self._calls = PendingCalls(self._client)
        forks.let_go_in_children(self)

    def after_fork(self) -> None:
        """Forget the parent's client without closing it; the next call makes another one."""
        _OF_PARENTS.append(self._client)
        self._client = None

    def __getattr__(self, name: str) -> Any:
        if self._client is None:
            self._client = self._make()
            self._calls = PendingCalls(self._client)
        return getattr(self._client, name)

    def close(self) -> None:
        """Close the connections and end the pending polls."""
        # A forked child that has made no call of its own has no client: its parent's stays open.
        if self._client is not None:
            self._calls.end_polls()
            self._client.close()


#: Clients that a forked child inherited, kept so that they are never closed or collected.
_OF_PARENTS: list[Any] = []


def _local_session() -> Any:
    session = _session_outside_of_a_cloud()
    if retrieved(session.get_credentials) is None:
        session.set_credentials("local", "local")
    if session.get_config_variable("region") is None:
        session.set_config_variable("region", DEFAULT_REGION)
    return session


def _local_credentials() -> Any:
    return _session_outside_of_a_cloud().get_credentials()


def _session_outside_of_a_cloud() -> Any:
    session = botocore.session.Session()
    # Asking for the metadata service takes seconds until a time-out.
    session.get_component("credential_provider").remove("iam-role")
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    return session


@cache
def _loader(path: str | None) -> Any:
    """Return a loader of botocore's descriptions of services; reading them takes most of a client's time.

    Clients share it, as those of one session do.
    """
    return create_loader(path)
