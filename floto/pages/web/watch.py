"""Listings that are brought up to date while somebody looks at them, and not otherwise.

A look is a call in a thread, so the event loop never waits for the service. While at least one page is open,
a task per domain looks at the pace of the service, and less often if a look takes long: at most a fifth of
the time is spent on looks.
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
#: Seconds that an answer waits for a look, if there is something to show already.
_PATIENCE = 0.05
#: Seconds between two messages on a connection without news: proxies and browsers then keep it.
HEARTBEAT = 15.0
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
        self._looks: dict[str, asyncio.Task[None]] = {}
        self._loops: dict[str, asyncio.Task[None]] = {}
        self._viewers: Counter[str] = Counter()
        self._places = 0
        self._news = asyncio.Event()
        self._troubles = TroubleLog(log)
        self._stopped = asyncio.Event()

    @property
    def is_stopped(self) -> bool:
        """True if the streams are to end."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End every stream."""
        self._stopped.set()
        self._tell()

    async def fresh(self, domain: str, *, force: bool = False) -> Listing:
        """Return the listing of a domain, after a look if that does not take long and nobody looks already.

        Args:
            domain: The domain.
            force: Wait for a look that began after this call.

        Raises:
            FlotoError: if nothing is known yet, and the service cannot be read.
        """
        listing = self._listing(domain)
        if force:
            await self._in_thread(listing.refresh, force=True)
            self._tell()
        elif not listing.is_loaded:
            await self._in_thread(listing.refresh)
        elif domain not in self._loops:
            look = self._look(domain, listing)
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(look), _PATIENCE)
        return listing

    @contextmanager
    def viewer(self, domain: str) -> Iterator[None]:
        """Keep a listing up to date in the block. Raises ``Refused`` if too many pages are open."""
        with self.place():
            self._viewers[domain] += 1
            if domain not in self._loops:
                self._loops[domain] = asyncio.create_task(self._follow(domain))
            try:
                yield
            finally:
                self._viewers[domain] -= 1

    @contextmanager
    def place(self) -> Iterator[None]:
        """Count a connection in the block. Raises ``Refused`` if there are too many."""
        if self._places >= MOST_VIEWERS:
            raise Refused(503, "too many pages get updates from this server; close some, and load this one")
        self._places += 1
        try:
            yield
        finally:
            self._places -= 1

    async def news(self, seconds: float) -> None:
        """Wait until a listing has changed or the server stops, at most some seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)

    def _listing(self, domain: str) -> Listing:
        listing = self._listings.pop(domain, None) or Listing(self._source, domain)
        self._listings[domain] = listing
        for name in list(self._listings)[:-_MOST_LISTINGS]:
            if not self._viewers[name]:
                del self._listings[name]
        return listing

    def _look(self, domain: str, listing: Listing) -> asyncio.Task[None]:
        look = self._looks.get(domain)
        if look is None or look.done():
            look = self._looks[domain] = asyncio.create_task(self._refreshed(listing))
        return look

    async def problem_of(self, what: str, look: Awaitable[object]) -> str:
        """Wait for a look at the service; return why it failed, which is logged, or an empty string."""
        try:
            await look
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
            self._tell()

    async def _follow(self, domain: str) -> None:
        took = 0.0
        try:
            while self._viewers[domain]:
                await self.pause(max(self._source.pace.every, _SHARE * took))
                if self.is_stopped:
                    return
                began = monotonic()
                await self._look(domain, self._listing(domain))
                took = monotonic() - began
        finally:
            del self._loops[domain]

    async def pause(self, seconds: float) -> None:
        """Wait some seconds, or until the server stops."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
