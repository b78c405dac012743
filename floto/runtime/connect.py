"""From a URL to a service; the one place that names concrete adapters."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from attrs import define, frozen

from floto.core.errors import FlotoError, ServiceError
from floto.core.hosts import is_loopback_url
from floto.core.payloads.reference import Store
from floto.core.spec.saved_history import Saved
from floto.core.swf.defaults import DEFAULT_DOMAIN
from floto.core.swf.history import PathLike
from floto.core.swf.pollers import Live
from floto.core.swf.service import Service
from floto.runtime.retrying import once

if TYPE_CHECKING:
    from floto.adapters.swf import SwfService

T = TypeVar("T")

#: The environment variable that names the service where a program does not.
SERVICE_VARIABLE = "FLOTO_SERVICE"
#: Characters that SWF takes as the identity of a decider or worker.
_IDENTITY_LIMIT = 256


@define
class UnknownService(ServiceError, ValueError):
    """A service URL that does not say where to connect, and why."""

    url: str
    problem: str

    def __str__(self) -> str:
        """What is wrong, and what would be right."""
        return (
            f"service {self.url!r} {self.problem}; use sqlite:///relative.db, sqlite:////absolute.db, "
            "memory:, aws, aws:REGION or http://host:port"
        )


@define
class UnknownStore(FlotoError, ValueError):
    """What a store for payloads was called, which floto cannot open."""

    source: str

    def __str__(self) -> str:
        """What would be right."""
        return f"{self.source!r} is no store for payloads; name a directory or s3://bucket/prefix"


def connect(url: str, domain: str | None = None) -> Service:
    """Open the service a URL names, for one domain (default ``floto``).

    ``sqlite:///relative.db`` and ``sqlite:////absolute.db`` are files of the embedded engine, ``memory:`` is
    one that is gone with the process; ``aws`` and ``aws:REGION`` are Amazon SWF, and ``http://host:port`` is
    anything that speaks its protocol; on loopback it needs no configuration of AWS. A call that cannot have
    been carried out (it was throttled, or no connection could be made to another machine) is repeated for up
    to 30 seconds. Raises ``UnknownService``, or ``ServiceFault`` where AWS is not configured.
    """
    return _connected(url, domain, once)


def connect_loop(url: str, domain: str | None = None) -> Service:
    """``connect`` for a loop, which repeats calls itself, and can be stopped meanwhile."""
    return _connected(url, domain, None)


def _connected(url: str, domain: str | None, repeat: Callable[..., Any] | None) -> Service:
    swf = partial(_swf_service, repeat=repeat)
    service: Service = _opened(url, _Faces(_sqlite_service, swf), domain or DEFAULT_DOMAIN)
    return service


def client(url: str | None = None) -> Any:
    """Make an SWF client, boto3's own or one with its methods, for a URL as ``connect`` takes it.

    Without one, for what ``FLOTO_SERVICE`` says, else Amazon SWF. Raises what ``connect`` raises.
    """
    return _opened(url or default_service(), _Faces(_local_client, _swf_client), "")


def domain_of(client: Any, domain: str) -> SwfService:
    """One domain of what an SWF client reaches; the client stays the caller's."""
    from floto.adapters.swf import SwfService  # noqa: PLC0415 - as below

    return SwfService(client, domain, repeat=once)


def translating(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a client's method, without arguments that are None, and with ``ServiceError`` for its errors."""
    from floto.adapters import aws_errors  # noqa: PLC0415

    return aws_errors.translating(method)


def live_of(client: Any) -> Live | None:
    """Return what the service behind a client knows of its task lists; None: it does not say who polls.

    Raises:
        ServiceError: if it cannot be asked.
    """
    from floto.adapters import floto_server  # noqa: PLC0415

    # A file of the embedded engine; whatever else has boto3's methods may be floto's own server.
    found: Live | None = client.live() if hasattr(client, "live") else floto_server.live(client)
    return found


def shown_service(url: str) -> str:
    """Return a URL as people are shown it: that of a file with its whole path, whatever the directory."""
    return str(absolute_service(url)) if url.startswith("sqlite:") else url


def file_of(url: str) -> Path | None:
    """The file a URL names; None if it names something else. Raises ``UnknownService``."""
    return Path(_file(url)) if url.startswith("sqlite:") else None


def absolute_service(service: T | str | None) -> T | str:
    """Return a URL, by default that of the default service, that means the same in any directory.

    What is not a URL is returned as it is. Raises ``UnknownService``.
    """
    url = default_service() if service is None else service
    if not isinstance(url, str) or not url.startswith("sqlite:"):
        return url
    return f"sqlite:///{Path(_file(url)).absolute()}"


def absolute_store(source: str) -> str:
    """Return the name of a store that means the same in any directory."""
    return source if "://" in source else str(Path(source).absolute())


def back_up(source: Path, target: Path, *, replace: bool) -> int:
    """Copy a database of the embedded engine; return the size of the copy. Raises ``ServiceError``."""
    from floto.adapters.sqlite.file.backup import back_up as copy  # noqa: PLC0415 - as the adapters below

    return copy(str(source), target, replace=replace)


def saved_history(*paths: str | PathLike) -> Saved:
    """Return a saved history, and what the files say beside it. Raises ``HistoryError``."""
    from floto.adapters.history_files import load_saved  # noqa: PLC0415 - as the adapters below

    return load_saved(*paths)


def payload_store(source: str) -> Store:
    """The store that a directory or ``s3://bucket/prefix`` names. Raises ``UnknownStore``."""
    from floto.adapters.payloads import DirectoryStore, S3Store  # noqa: PLC0415 - as the adapters below

    if "://" not in source:
        return DirectoryStore(source)
    url = urlsplit(source)
    if url.scheme != "s3" or not url.netloc:
        raise UnknownStore(source)
    return S3Store(url.netloc, url.path)


def default_service() -> str:
    """The URL of the service where none is named: ``FLOTO_SERVICE``, else Amazon SWF."""
    return os.environ.get(SERVICE_VARIABLE) or "aws"


@frozen
class _Faces:
    """What opens a file of the embedded engine, and SWF in a region or at a URL, each for a domain."""

    file: Callable[[str, str], Any]
    swf: Callable[[str | None, str | None, str], Any]


def _opened(url: str, faces: _Faces, domain: str) -> Any:
    if url == "memory:":
        return faces.file(":memory:", domain)
    if url.startswith("sqlite:"):
        return faces.file(_file(url), domain)
    if match := re.fullmatch(r"aws(?::([a-z0-9-]+))?", url):
        return faces.swf(match[1], None, domain)
    if re.fullmatch(r"https?://[^/\s]+\S*", url):
        return faces.swf(None, url, domain)
    raise UnknownService(url, "is not a service floto knows")


def _file(url: str) -> str:
    path = url.removeprefix("sqlite:///")
    if path == url or not path:
        raise UnknownService(url, "does not name a file")
    if not Path(path).absolute().parent.is_dir():
        raise UnknownService(url, f"is in a directory that does not exist ({Path(path).parent})")
    return path


# The adapters are imported where they are used: who works on a file need not load boto3.


def _sqlite_service(path: str, domain: str) -> Service:
    from floto.adapters.sqlite import SqliteService  # noqa: PLC0415

    service: Service = SqliteService(path, domain=domain)
    return service


def _local_client(path: str, _domain: str) -> Any:
    from floto.adapters.local import LocalSwf  # noqa: PLC0415

    return LocalSwf(path)


def _swf_service(
    region: str | None, endpoint_url: str | None, domain: str, *, repeat: Callable[..., Any] | None
) -> Service:
    from floto.adapters.swf import SwfService  # noqa: PLC0415

    return SwfService(_swf_client(region, endpoint_url, domain), domain, repeat=repeat)


def _swf_client(region: str | None, endpoint_url: str | None, _domain: str) -> Any:
    from floto.adapters.swf import ClientOfProcess, make_client  # noqa: PLC0415

    is_here = is_loopback_url(endpoint_url)
    return ClientOfProcess(partial(make_client, region, endpoint_url, on_this_machine=is_here))


def service_for(service: Service | str | None, domain: str | None) -> Service:
    """The service a decider or worker was given: itself, its URL, or nothing for the default."""
    if service is None or isinstance(service, str):
        return connect_loop(service or default_service(), domain)
    return service


@contextmanager
def closing(service: Service, given: Service | str | None) -> Iterator[None]:
    """Close a service after the block, unless it is the caller's own."""
    try:
        yield
    finally:
        if service is not given:
            service.close()


def checked_identity(identity: str | None) -> str:
    """Return an identity that SWF takes: the given one, else the default. Raises ``ValueError``."""
    if identity is not None and len(identity) > _IDENTITY_LIMIT:
        msg = f"identity is {len(identity)} characters long; SWF takes {_IDENTITY_LIMIT}"
        raise ValueError(msg)
    return identity or default_identity()


def default_identity() -> str:
    """Who polls, as histories record it: the machine and the process."""
    return f"{socket.gethostname()}:{os.getpid()}"[-_IDENTITY_LIMIT:]
