"""Credentials of AWS that are read from the configuration again after the service has refused them.

botocore refreshes credentials that have an expiry time. It reads all others, such as those of the file
``~/.aws/credentials``, once, and a client keeps them for good, or keeps that there are none. A decider or a
worker runs for longer than that: keys are rotated, and tools write new temporary credentials into the file
every hour. Without this module, every call would fail until the process is restarted, and the results of
activities that completed meanwhile would be lost.

An error of a provider of credentials, such as STS or a token file, is raised by the call of SWF that needs
them. That call was not sent, so an error that would leave open if it was carried out is raised as botocore's
``CredentialRetrievalError``, which names the provider.

The alternative is to read the configuration before every call. That takes longer than many calls, and asks
the metadata service of a cloud each time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any

import boto3
import botocore.session
from botocore.exceptions import ClientError

from floto.adapters.aws_errors import RAISED, translated
from floto.adapters.retrieved_credentials import failed, in_thread, limited, retrieved
from floto.core.errors import NotCarriedOut, ServiceUnavailable, Unauthenticated

log = logging.getLogger("floto")

#: Least seconds between two readings: some sources of credentials are slow, or start a process.
_PAUSE_SECONDS = 5.0
#: Seconds for which a call that failed waits for new credentials, which later calls use.
_RENEWAL_SECONDS = 5.0
#: The key in botocore's context of a call whose request was signed.
_SIGNED = "floto_signed"
#: botocore's names of the sources that it reads once. It refreshes an assumed role, but with the keys that it
#: has read for that.
_READ_ONCE = frozenset({"assume-role", "config-file", "custom-process", "shared-credentials-file"})


def renewed_client(
    create: Callable[..., Any], service: str, read: Callable[[], Any] | None = None, **options: Any
) -> Any:
    """Return a new client of boto3 whose credentials are renewed (``renew``).

    Args:
        create: Makes the client: ``boto3.client``, or ``create_client`` of a session of botocore.
        service: boto3's name of the service.
        read: See ``renew``.
        options: Other arguments of ``create``.

    Raises:
        CredentialRetrievalError: if a provider of credentials fails or does not respond in time.
    """
    # In one call: botocore looks for credentials again if it has found none, which takes seconds.
    return renew(retrieved(partial(create, service, **options)), read)


def renew(client: Any, read: Callable[[], Any] | None = None) -> Any:
    """Make a boto3 client read its credentials again after an error about them; return the client.

    Transient errors of a call that could not be signed become ``CredentialRetrievalError``.

    The call that failed is not repeated. Credentials that a program has passed to boto3 itself are kept.

    Args:
        client: A boto3 client; it is changed in place.
        read: Returns the credentials that are configured now, or None; default: those of the profile that
            boto3's default session has now.
    """
    renewal = _Renewal(client, read or _reader())
    service = client.meta.service_model.service_name
    client.meta.events.register(f"after-call.{service}", renewal.answered)
    client.meta.events.register(f"after-call-error.{service}", renewal.raised)
    client.meta.events.register_last(f"request-created.{service}", _mark_as_signed)
    return client


def _reader() -> Callable[[], Any]:
    """Return a function that reads the credentials of the profile of boto3's default session."""
    # Looked up now: keys of another profile, which a program may set later, may be those of another account.
    # ``profile_name`` does not say whether a profile was named.
    default: Any = boto3.DEFAULT_SESSION
    profile = default and default._session.profile  # noqa: SLF001
    return lambda: botocore.session.Session(profile=profile).get_credentials()


class _Renewal:
    """The handlers of one client's events."""

    def __init__(self, client: Any, read: Callable[[], Any]) -> None:
        # botocore has no public name for it; the client that owns this handler owns it, too.
        self._signer, self._read = client._request_signer, read  # noqa: SLF001
        self._signer._credentials = limited(self._signer._credentials)  # noqa: SLF001
        self._read_at, self._lock = -inf, threading.Lock()

    def answered(self, parsed: dict[str, Any], **_: Any) -> None:
        """Read the credentials again if a response is an error about them."""
        if "Error" in parsed:
            self.failed(ClientError(parsed, ""))  # type: ignore[arg-type]  # botocore's own dict

    def raised(self, exception: Exception, context: dict[str, Any], **_: Any) -> None:
        """Read the credentials again if an error is about them; say so if they cannot be retrieved."""
        self.failed(exception)
        if _SIGNED in context or not isinstance(exception, RAISED):
            return
        if type(translated(exception)) is ServiceUnavailable:
            provider = getattr(self._signer._credentials, "method", None)  # noqa: SLF001 - see above
            raise failed(provider, exception) from exception

    def failed(self, exception: Exception) -> None:
        """Read the credentials again if an error is about them; one thread does."""
        if not (isinstance(exception, RAISED) and _is_about_credentials(exception)):
            return
        if self._lock.acquire(blocking=False):
            in_thread(self._renew_after_a_pause, _RENEWAL_SECONDS)

    def _renew_after_a_pause(self) -> None:
        try:
            if time.monotonic() - self._read_at >= _PAUSE_SECONDS:
                self._renew()
                self._read_at = time.monotonic()
        finally:
            self._lock.release()

    def _renew(self) -> None:
        old = self._signer._credentials  # noqa: SLF001 - see above
        if old is not None and old.method not in _READ_ONCE:
            return
        try:
            new = self._read()
            if new is None or _keys(new) == _keys_if_any(old):
                return
        except RAISED:
            # The file is being written, for example: the next error leads here again.
            return
        log.info("credentials of AWS have changed; using those of %s", new.method)
        self._signer._credentials = limited(new)  # noqa: SLF001


def _mark_as_signed(request: Any, **_: Any) -> None:
    """Record in the context of a call that its request was signed."""
    request.context[_SIGNED] = True


def _is_about_credentials(exception: Exception) -> bool:
    """Return True for refused, missing and expired credentials, not for throttling and lost connections."""
    error = translated(exception)
    return isinstance(error, Unauthenticated) or type(error) is NotCarriedOut


def _keys(credentials: Any) -> tuple[str, str, str | None]:
    frozen = credentials.get_frozen_credentials()
    return frozen.access_key, frozen.secret_key, frozen.token


def _keys_if_any(credentials: Any) -> tuple[str, str, str | None] | None:
    """Return the keys; None without credentials, or if a role can no longer be assumed with old keys."""
    try:
        return credentials and _keys(credentials)
    except RAISED:
        return None
