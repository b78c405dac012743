"""Open services and stores by URL; with ``server.py`` the only module of the runtime that names adapters."""

from __future__ import annotations

import os
import re
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
from floto.core.replay.saved_history import Saved
from floto.core.swf.floto_defaults import DEFAULT_DOMAIN
from floto.core.swf.history import PathLike
from floto.core.swf.identifiers import shown
from floto.core.swf.pollers import Live
from floto.core.swf.service import Service
from floto.runtime.retrying import retry_write

if TYPE_CHECKING:
    from floto.adapters.swf import SwfService

T = TypeVar("T")

#: The environment variable with the default service URL.
SERVICE_VARIABLE = "FLOTO_SERVICE"
AMAZON_SWF, IN_MEMORY, USUAL_FILE = "aws", "memory:", "sqlite:///floto.db"
#: One of these is an operation of every service, also of one for workers alone.
_OPERATIONS = ("respond_decision_task_completed", "poll_for_activity_task")


@define
class UnknownService(ServiceError, ValueError):
    """A service URL that is not valid, and the problem."""

    url: str
    problem: str

    def __str__(self) -> str:
        """Return the problem and the forms of a service URL."""
        return (
            f"service {self.url!r} {self.problem}; use sqlite:///relative.db, sqlite:////absolute.db, "
            "memory:, aws, aws:REGION or http://host:port"
        )


@define
class UnknownStore(FlotoError, ValueError):
    """A name that is not the name of a payload store."""

    source: str

    def __str__(self) -> str:
        """Return the problem and the forms of a store's name."""
        return f"{self.source!r} is not a payload store; give a directory or s3://bucket/prefix"


def connect(url: str, domain: str | None = None) -> Service:
    """Open a service for one domain.

    A call that cannot have been carried out (it was throttled, or no connection to another machine could be
    made) is repeated for up to 30 seconds. The service may be used by several threads at once; close it with
    ``close()``.

    Args:
        url: ``sqlite:///relative.db`` or ``sqlite:////absolute.db``: a file of the embedded engine, created
            if it does not exist. ``memory:``: the engine in memory. ``aws`` or ``aws:REGION``: Amazon
            SWF. ``http://host:port``: a server with SWF's protocol; on loopback, AWS need not be configured.
        domain: SWF's domain; default: ``floto``.

    Raises:
        UnknownService: if the URL is not valid.
        ServiceFault: if AWS is not configured.
        ServiceError: if the file cannot be opened.
    """
    return _connected(url, domain, retry_write)


def connect_loop(url: str, domain: str | None = None) -> Service:
    """Open a service as ``connect`` does, without retries: loops retry calls themselves until stopped."""
    return _connected(url, domain, None)


def _connected(url: str, domain: str | None, repeat: Callable[..., Any] | None) -> Service:
    if domain is not None and not isinstance(domain, str):
        msg = f"domain must be a string, not {shown(domain)}"
        raise TypeError(msg)
    swf = partial(_swf_service, repeat=repeat)
    service: Service = _opened(url, _Openers(_sqlite_service, swf), domain or DEFAULT_DOMAIN)
    return service


def client(url: str | None = None) -> Any:
    """Return an SWF client, boto3's own or one with its methods, for a URL that ``connect`` accepts.

    The default is ``FLOTO_SERVICE``, else Amazon SWF. Raises the errors of ``connect``.
    """
    return _opened(default_service() if url is None else url, _Openers(_local_client, _swf_client), "")


def domain_of(client: Any, domain: str) -> SwfService:
    """Return a service for one domain over an SWF client; the caller closes the client."""
    from floto.adapters.swf import SwfService  # noqa: PLC0415 - as below

    return SwfService(client, domain, repeat=retry_write)


def translating(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a client's method: omit arguments that are None, and raise ``ServiceError`` for its errors."""
    from floto.adapters import aws_errors  # noqa: PLC0415

    return aws_errors.translating(method)


def live_of(client: Any) -> Live | None:
    """Return the pollers and backlogs of the service behind a client; None if it does not report pollers.

    Raises:
        ServiceError: if the call fails.
    """
    from floto.adapters import floto_server  # noqa: PLC0415

    # Only the embedded engine's client has the method; any other client may be connected to floto's server.
    found: Live | None = client.live() if hasattr(client, "live") else floto_server.live(client)
    return found


def shown_service(url: str) -> str:
    """Return a URL for messages: the path of a file is absolute."""
    return str(absolute_service(url)) if url.startswith("sqlite:") else url


def file_of(url: str) -> Path | None:
    """Return the file of a ``sqlite:`` URL; None for every other URL. Raises ``UnknownService``."""
    return Path(_file(url)) if url.startswith("sqlite:") else None


def absolute_service(service: T | str | None) -> T | str:
    """Return a URL, by default that of the default service, with an absolute path.

    A service object is returned as it is. Raises ``UnknownService``.
    """
    url = default_service() if service is None else service
    if not isinstance(url, str) or not url.startswith("sqlite:"):
        return url
    return f"sqlite:///{Path(_file(url)).absolute()}"


def absolute_store(source: str) -> str:
    """Return the name of a store with an absolute path."""
    return source if "://" in source else str(Path(source).absolute())


def changes_of(url: str) -> Callable[[], object] | None:
    """Return a function whose value differs after every commit to a file; None for another service.

    Raises:
        ServiceError: if the file cannot be opened.
    """
    from floto.adapters.sqlite.inspection import FileChanges  # noqa: PLC0415 - as the adapters below

    file = file_of(url)
    return None if file is None else FileChanges(str(file)).version


def back_up(source: Path, target: Path, *, replace: bool) -> int:
    """Copy a database of the embedded engine; return the size of the copy. Raises ``ServiceError``."""
    from floto.adapters.sqlite.storage.backup import back_up as copy  # noqa: PLC0415 - as the adapters below

    return copy(str(source), target, replace=replace)


def saved_history(*paths: str | PathLike, most_events: int | None = None) -> Saved:
    """Load a saved history with the domain and spec that were saved with it. Raises ``HistoryError``."""
    from floto.adapters.history_files import EVENTS_LIMIT, load_saved  # noqa: PLC0415 - as the adapters below

    return load_saved(*paths, most_events=EVENTS_LIMIT if most_events is None else most_events)


def payload_store(source: str) -> Store:
    """Return the store of a directory or of ``s3://bucket/prefix``. Raises ``UnknownStore``."""
    from floto.adapters.payloads import DirectoryStore, S3Store  # noqa: PLC0415 - as the adapters below

    if "://" not in source:
        if Path(source).exists() and not Path(source).is_dir():
            raise UnknownStore(source)
        return DirectoryStore(source)
    url = urlsplit(source)
    if url.scheme != "s3" or not url.netloc:
        raise UnknownStore(source)
    return S3Store(url.netloc, url.path)


def default_service(otherwise: str = AMAZON_SWF) -> str:
    """Return the URL of the service that is used where none is named: ``FLOTO_SERVICE``, else ``otherwise``.

    What an entry point uses otherwise is its own: the commands ``USUAL_FILE``, ``floto.run`` ``IN_MEMORY``,
    and everything that floto 0.0.3 had Amazon SWF.
    """
    return os.environ.get(SERVICE_VARIABLE) or otherwise


@frozen
class _Openers:
    """Functions that open a file of the embedded engine, and SWF in a region or at a URL, for a domain."""

    file: Callable[[str, str], Any]
    swf: Callable[[str | None, str | None, str], Any]


def _opened(url: str, openers: _Openers, domain: str) -> Any:
    if not isinstance(url, str):
        msg = f"the URL of a service must be a string, not {shown(url)}"
        raise TypeError(msg)
    if url == "memory:":
        return openers.file(":memory:", domain)
    if url.startswith("sqlite:"):
        return openers.file(_file(url), domain)
    if match := re.fullmatch(r"aws(?::([a-z0-9-]+))?", url):
        return openers.swf(match[1], None, domain)
    if re.fullmatch(r"https?://[^/\s]+\S*", url) and _has_host(url):
        return openers.swf(None, url, domain)
    raise UnknownService(url, "is not a service URL")


def _has_host(url: str) -> bool:
    """Return True if a URL names a host, and no port or one that exists."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _file(url: str) -> str:
    path = url.removeprefix("sqlite:///")
    if path == url or not path:
        raise UnknownService(url, "does not name a file")
    if not Path(path).absolute().parent.is_dir():
        raise UnknownService(url, f"is in a directory that does not exist ({Path(path).parent})")
    return path


# The adapters are imported where they are used: programs on a file need not import boto3.


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
    from floto.adapters.swf_client import ClientOfProcess, make_client  # noqa: PLC0415

    is_here = is_loopback_url(endpoint_url)
    return ClientOfProcess(partial(make_client, region, endpoint_url, on_this_machine=is_here))


def service_for(service: Service | str | None, domain: str | None, otherwise: str = AMAZON_SWF) -> Service:
    """Return an object as it is, else open the service of the URL, or the default service.

    Raises:
        TypeError: if it is neither a service nor a URL, but a client of boto3, for example.
    """
    if service is None or isinstance(service, str):
        return connect_loop(default_service(otherwise) if service is None else service, domain)
    # A client has all of SWF's operations, with other arguments.
    is_client = hasattr(service, "list_domains") and not hasattr(service, "prepare")
    if is_client or not any(hasattr(service, name) for name in _OPERATIONS):
        msg = f"service must be a URL, or what floto.connect(url) returns, not {shown(service)}"
        raise TypeError(msg)
    return service


@contextmanager
def closing(service: Service, given: Service | str | None) -> Iterator[None]:
    """Close a service after the block, unless the caller gave the object itself."""
    try:
        yield
    finally:
        if service is not given:
            service.close()
