"""Listings that are refreshed while a page shows them, and not otherwise.

A refresh is a call in a thread, so the event loop never waits for the service. While at least one page is
open, a task per domain refreshes its listing at the pace of the service, and less often if that takes long:
at most a fifth of the time is spent on it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

from floto.core.errors import FlotoError
from floto.core.visible import visible
from floto.pages.listing.listing import Listing
from floto.pages.source import Source
from floto.pages.web.security import Refused
from floto.trouble_log import TroubleLog

log = logging.getLogger("floto")

#: Calls a function in a thread.
InThread = Callable[..., Awaitable[Any]]

#: Maximum pages that get updates.
MOST_VIEWERS = 64
#: Maximum domains whose runs are kept.
_MOST_LISTINGS = 8
#: Seconds that a response waits for a refresh, if there is something to show already.
_PATIENCE = 0.05
#: Seconds between two messages on a connection without changes: proxies then keep it, and a page that has had
#: none for three times as long says that it is not live.
HEARTBEAT = 15.0
#: Least pause after a refresh, in durations of it.
_SHARE = 4


class Watch:
    """The listings of a service; only the thread of the event loop may use it.

    Args:
        source: The service.
        in_thread: Calls a function in a thread.
    """

    def __init__(self, source: Source, in_thread: InThread) -> None:
        self._source, self._in_thread = source, in_thread
        self._listings: dict[str, Listing] = {}
        #: The refreshes that are running, by domain.
        self._refreshes: dict[str, asyncio.Task[None]] = {}
        self._loops: dict[str, asyncio.Task[None]] = {}
        self._viewers: Counter[str] = Counter()
        self._connections = 0
        #: Set when a listing has changed, and then replaced.
        self._changed = asyncio.Event()
        self._troubles = TroubleLog(log)
        self._stopped = asyncio.Event()

    @property
    def is_stopped(self) -> bool:
        """True if the streams are to end."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End every stream."""
        self._stopped.set()
        self._notify()

    async def fresh(self, domain: str, *, force: bool = False) -> Listing:
        """Return the listing of a domain, after a refresh if that is fast and no page refreshes it already.

        Args:
            domain: The domain.
            force: Wait for a refresh that began after this call.

        Raises:
            FlotoError: if nothing is known yet, and the service cannot be read.
        """
        listing = self._listing(domain)
        if force:
            await self._in_thread(listing.refresh, force=True)
            self._notify()
        elif not listing.is_loaded:
            await self._in_thread(listing.refresh)
        elif domain not in self._loops:
            refresh = self._refresh(domain, listing)
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(refresh), _PATIENCE)
        return listing

    @contextmanager
    def viewer(self, domain: str) -> Iterator[None]:
        """Keep a listing up to date in the block. Raises ``Refused`` if too many pages are open."""
        with self.connection():
            self._viewers[domain] += 1
            if domain not in self._loops:
                self._loops[domain] = asyncio.create_task(self._follow(domain))
            try:
                yield
            finally:
                self._viewers[domain] -= 1

    @contextmanager
    def connection(self) -> Iterator[None]:
        """Count a connection in the block. Raises ``Refused`` if there are too many."""
        if self._connections >= MOST_VIEWERS:
            raise Refused(503, "too many pages get updates from this server; close some, and load this one")
        self._connections += 1
        try:
            yield
        finally:
            self._connections -= 1

    async def wait_for_change(self, seconds: float) -> None:
        """Wait until a listing has changed or the server stops, at most some seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    def _listing(self, domain: str) -> Listing:
        listing = self._listings.pop(domain, None) or Listing(self._source, domain)
        self._listings[domain] = listing
        for name in list(self._listings)[:-_MOST_LISTINGS]:
            if not self._viewers[name]:
                del self._listings[name]
        return listing

    def _refresh(self, domain: str, listing: Listing) -> asyncio.Task[None]:
        """Return the refresh of a listing that is running, else start one."""
        refresh = self._refreshes.get(domain)
        if refresh is None or refresh.done():
            refresh = self._refreshes[domain] = asyncio.create_task(self._refreshed(listing))
        return refresh

    async def problem_of(self, what: str, call: Awaitable[object]) -> str:
        """Wait for a call of the service; return why it failed, which is logged, or an empty string."""
        try:
            await call
        except FlotoError as error:
            self._troubles.failed(what, "%s failed: %s", what, error)
            return visible(str(error))
        except Exception as error:  # noqa: BLE001 - a page must not stay as it is without a word
            if not self.is_stopped:
                self._troubles.failed(what, "%s failed: %r", what, error, error=error)
            return "the log of the server says why"
        self._troubles.over(what)
        return ""

    async def _refreshed(self, listing: Listing) -> None:
        before = listing.version, listing.problem
        listing.problem = await self.problem_of("reading the runs", self._in_thread(listing.refresh))
        if (listing.version, listing.problem) != before:
            self._notify()

    async def _follow(self, domain: str) -> None:
        took = 0.0
        try:
            while self._viewers[domain]:
                await self.pause(max(self._source.pace.every, _SHARE * took))
                if self.is_stopped:
                    return
                began = monotonic()
                await self._refresh(domain, self._listing(domain))
                took = monotonic() - began
        finally:
            del self._loops[domain]

    async def pause(self, seconds: float) -> None:
        """Wait some seconds, or until the server stops."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
