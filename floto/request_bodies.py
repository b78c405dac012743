"""The memory of HTTP request bodies that are being read.

A client may send most of a body and then wait, on any number of connections, before the server can know if it
serves the request. A limit for each body does not bound their memory, so all bodies of an application share
one. Adapters and pages share this module, which imports neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field

from floto.core.errors import ServiceUnavailable


class BodyBudget:
    """A limit of the bytes of all bodies that are being read; only the thread of the event loop may use it.

    Args:
        most: Maximum bytes of these bodies together.
    """

    def __init__(self, most: int) -> None:
        self.most = self.left = most

    @asynccontextmanager
    async def reading(self, seconds: float) -> AsyncIterator[ReceivedBody]:
        """Read a body in the block, for which it counts.

        Args:
            seconds: Maximum seconds for which the body may be read.

        Raises:
            TimeoutError: if the block takes longer.
        """
        body = ReceivedBody(self)
        try:
            async with asyncio.timeout(seconds):
                yield body
        finally:
            self.left += len(body.data)


@define(eq=False)
class ReceivedBody:
    """The part of a body that was received."""

    _budget: BodyBudget
    data: bytearray = field(factory=bytearray, init=False, repr=False)

    def add(self, chunk: bytes) -> None:
        """Append bytes. Raises ``ServiceUnavailable`` if all bodies together have no room for them."""
        if len(chunk) > self._budget.left:
            problem = f"the requests being read have more than {self._budget.most:,} bytes together"
            raise ServiceUnavailable(problem)
        self._budget.left -= len(chunk)
        self.data += chunk
