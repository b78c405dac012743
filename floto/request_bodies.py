"""The memory of HTTP request bodies that are being read.

A client may send most of a body and then wait, on any number of connections, before the server can know if it
serves the request. A limit for each body does not bound their memory, so all bodies of an application share
one. If it refused new bodies, a few such clients could keep out all others; so the slowest body ends instead.
Adapters and pages share this module, which imports neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field

from floto.core.errors import ServiceUnavailable

#: Maximum bytes of a body that does not count; a connection may have more in memory by itself.
UNCOUNTED = 16_384


class BodyBudget:
    """A limit of the bytes of all bodies that are being read; only the thread of the event loop may use it.

    Args:
        most: Maximum bytes of these bodies together, without small ones; no body may be larger.
    """

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self._counted: set[ReceivedBody] = set()

    @asynccontextmanager
    async def reading(self, seconds: float) -> AsyncIterator[ReceivedBody]:
        """Read a body in the block, for which it counts.

        Args:
            seconds: Maximum seconds for which the body may be read.

        Raises:
            TimeoutError: if the block takes longer.
            ServiceUnavailable: if the body is the slowest, and another needs its memory.
        """
        loop = asyncio.get_running_loop()
        body = ReceivedBody(self, asyncio.timeout(seconds), loop.time())
        try:
            async with body.deadline:
                yield body
        except TimeoutError:
            if body.is_ended:
                raise self.exceeded() from None
            raise
        finally:
            self._release(body)

    def count(self, body: ReceivedBody, size: int) -> None:
        """Count a body with its new size; end the slowest bodies if there is no room for it."""
        self._left -= size - body.counted
        body.counted = size
        self._counted.add(body)
        now = asyncio.get_running_loop().time()
        while self._left < 0:
            slowest = max(self._counted, key=lambda each: (now - each.began) / each.counted)
            slowest.is_ended = True
            self._release(slowest)
            # A deadline that has passed already ends the body by itself.
            if not slowest.deadline.expired():
                slowest.deadline.reschedule(now)

    def exceeded(self) -> ServiceUnavailable:
        """Return the error of a body that has been ended."""
        problem = f"the requests being read have more than {self._most:,} bytes together; the slowest ends"
        return ServiceUnavailable(problem)

    def _release(self, body: ReceivedBody) -> None:
        self._counted.discard(body)
        self._left += body.counted
        body.counted = 0


@define(eq=False)
class ReceivedBody:
    """The part of a body that was received, and the loop's time in seconds at which its reading began."""

    _budget: BodyBudget
    deadline: asyncio.Timeout
    began: float
    data: bytearray = field(factory=bytearray, init=False, repr=False)
    #: Bytes for which it counts.
    counted: int = field(default=0, init=False)
    #: True if another body needed its memory.
    is_ended: bool = field(default=False, init=False)

    def add(self, chunk: bytes) -> None:
        """Append bytes. Raises ``ServiceUnavailable`` if the body is the slowest, and there is no room."""
        size = len(self.data) + len(chunk)
        if size > UNCOUNTED and not self.is_ended:
            self._budget.count(self, size)
        if self.is_ended:
            raise self._budget.exceeded()
        self.data += chunk
