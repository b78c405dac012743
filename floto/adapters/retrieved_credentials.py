"""The retrieval of AWS credentials, for which a call waits a limited time.

botocore waits for a credential process without a time-out, and its own clients of STS and SSO have time-outs
of a minute, and retries. A call that needs credentials would wait for minutes, and a process could not be
stopped meanwhile. Therefore a daemon thread retrieves them. The call fails with ``CredentialRetrievalError``
after 25 seconds, or at its deadline (``call_deadline``); a later call uses what the thread has retrieved.

Only the clients that floto makes wait in this way. The session of the program and its other clients stay as
they are.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from traceback import walk_stack, walk_tb
from types import FrameType
from typing import Any, TypeVar

from botocore.credentials import CredentialProvider, RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError

from floto import forks
from floto.adapters.aws_errors import RAISED, translated
from floto.call_deadline import seconds_left
from floto.core.errors import ServiceUnavailable

T = TypeVar("T")

#: Seconds for which a call waits for credentials: with those of a renewal, less than the 30 s of a command.
_SECONDS = 25.0


def in_thread(call: Callable[[], T], seconds: float) -> tuple[Future[T], threading.Thread]:
    """Start a call in a daemon thread; wait for it for ``seconds``, or until the deadline of this thread."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
            future.set_exception(error)

    thread = threading.Thread(target=run, name="floto-credentials", daemon=True)
    thread.start()
    wait([future], seconds_left(seconds))
    return future, thread


def retrieved(call: Callable[[], T]) -> T:
    """Return the result of a call that retrieves credentials, such as one that makes a client.

    Args:
        call: It is called in another thread, and may go on there after this function has raised an error.

    Raises:
        CredentialRetrievalError: if a provider fails or does not respond in time; the error names it.
    """
    future, thread = in_thread(call, _SECONDS)
    if not future.done():
        frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - the frames of that thread
        raise late(_provider(each for each, _ in walk_stack(frame)) if frame else None)
    try:
        return future.result()
    except RAISED as error:
        provider = _provider(reversed([each for each, _ in walk_tb(error.__traceback__)]))
        if provider is None or type(translated(error)) is not ServiceUnavailable:
            raise
        raise failed(provider, error) from error


class LimitedCredentials:
    """The credentials of one client, whose refresh a call waits for a limited time."""

    def __init__(self, credentials: RefreshableCredentials) -> None:
        # Its types lack private members.
        self._credentials: Any = credentials
        self._refresh: Future[Any] | None = None
        self._lock = threading.Lock()
        forks.let_go_in_children(self)

    def after_fork(self) -> None:
        """Forget the refresh of the parent, whose thread and locks have no owner in a forked child."""
        self._refresh = None
        self._lock, self._credentials._refresh_lock = threading.Lock(), threading.Lock()  # noqa: SLF001

    def __getattr__(self, name: str) -> Any:
        return getattr(self._credentials, name)

    def get_frozen_credentials(self) -> Any:
        """Return the credentials; refresh them before, if they expire soon."""
        old = self._credentials
        if not old.refresh_needed():
            return old.get_frozen_credentials()
        with self._lock:
            if self._refresh is None or self._refresh.done():
                self._refresh, _ = in_thread(old.get_frozen_credentials, 0)
            refresh = self._refresh
        # As in botocore, one thread refreshes credentials that are valid for some minutes; others use them.
        if not old.refresh_needed(old._mandatory_refresh_timeout):  # noqa: SLF001 - as botocore does
            return old._frozen_credentials  # noqa: SLF001 - the method would wait for the refresh
        wait([refresh], seconds_left(_SECONDS))
        if not refresh.done():
            raise late(old.method)
        return refresh.result()


def limited(credentials: Any) -> Any:
    """Return credentials that a call waits for a limited time; others than refreshable ones as they are."""
    return LimitedCredentials(credentials) if isinstance(credentials, RefreshableCredentials) else credentials


def failed(provider: str | None, error: Exception) -> CredentialRetrievalError:
    """Return botocore's error for the error of a provider of credentials."""
    return _error(provider, f"{type(error).__name__}: {error}")


def late(provider: str | None) -> CredentialRetrievalError:
    """Return botocore's error for a provider of credentials that has not responded in time."""
    return _error(provider, "it has not responded in time")


def _error(provider: str | None, problem: str) -> CredentialRetrievalError:
    return CredentialRetrievalError(provider=provider or "their provider", error_msg=problem)


def _provider(frames: Iterable[FrameType]) -> str | None:
    """Return botocore's name of the provider that runs in the first of the frames that belong to one."""
    owners = (frame.f_locals.get("self") for frame in frames)
    return next((owner.METHOD for owner in owners if isinstance(owner, CredentialProvider)), None)
