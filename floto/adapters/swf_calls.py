"""Calls of SWF's operations: their errors, and responses of several pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from floto.adapters.aws_errors import called, translating
from floto.core.errors import NotCarriedOut, NotPermitted, ServiceUnavailable, Unauthenticated

_PAGE = 1000


class SwfCalls:
    """Calls operations in one domain, and remembers which of them have succeeded.

    Args:
        domain: The name of the domain.
        repeat: See ``SwfService``.
    """

    def __init__(self, domain: str, repeat: Callable[..., Any] | None) -> None:
        self._domain, self._repeat = domain, repeat
        self._was_answered = False
        #: Names of the operations that have succeeded, so are permitted.
        self._permitted: set[str] = set()

    def in_domain(self, call: Callable[..., Any], **arguments: Any) -> Any:
        """Call an operation with the domain as an argument, like ``call``."""
        return self.call(call, domain=self._domain, **arguments)

    def call(self, call: Callable[..., Any], **arguments: Any) -> Any:
        """Call an operation, with the rules of ``aws_errors`` about earlier successes."""
        operation = getattr(call, "__name__", "")
        try:
            reply = self.authenticated(call, **arguments)
        except NotPermitted as fault:
            if operation in self._permitted:
                raise NotCarriedOut(str(fault)) from fault
            raise
        self._permitted.add(operation)
        return reply

    def authenticated(self, call: Callable[..., Any], **arguments: Any) -> Any:
        """Call an operation, with the rule about credentials that were valid before."""
        try:
            if self._repeat is None:
                reply = called(call, **arguments)
            else:
                reply = self._repeat(translating(call), **arguments)
        except Unauthenticated as fault:
            if self._was_answered:
                raise NotCarriedOut(str(fault)) from fault
            raise
        self._was_answered = True
        return reply

    def pages(self, call: Callable[..., Any], **arguments: Any) -> Iterator[dict[str, Any]]:
        """Yield the pages of a response."""
        page = self.in_domain(call, maximumPageSize=_PAGE, **arguments)
        yield page
        while token := page.get("nextPageToken"):
            # The first page claimed the task: a transient error of a later page must not lose it.
            page = _PATIENT(self.in_domain, call, maximumPageSize=_PAGE, nextPageToken=token, **arguments)
            yield page


_PATIENT = Retrying(
    retry=retry_if_exception_type(ServiceUnavailable),
    wait=wait_random_exponential(multiplier=0.1, max=5),
    stop=stop_after_attempt(8),
    reraise=True,
)
