"""Calls of SWF's operations: their errors, and responses of several pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_before_delay, wait_random_exponential

from floto.adapters.aws_errors import called, translating
from floto.call_deadline import deadline_in
from floto.core.errors import (
    NotCarriedOut,
    NotPermitted,
    ServiceUnavailable,
    Unauthenticated,
)
from floto.core.swf.limits import PAGE_LIMIT

#: Seconds for a later page of a claimed task, and for retries of another page: no flag stops them.
_TASK_SECONDS, _LIST_SECONDS = 20.0, 5.0


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
        """Yield the pages of a response, which callers retry as a whole.

        Each page is retried for some seconds: a long history that begins anew for every error never ends.
        """
        return self._pages(call, _retrying(_LIST_SECONDS), arguments)

    def task_pages(self, call: Callable[..., Any], **arguments: Any) -> Iterator[dict[str, Any]]:
        """Yield the pages of the response to a poll.

        The first page claims a task, which a transient error of a later page must not lose, so each is tried
        for 20 seconds.
        """
        return self._pages(call, _page_of_task, arguments)

    def _pages(
        self, call: Callable[..., Any], repeated: Callable[..., Any], arguments: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        request = {"maximumPageSize": PAGE_LIMIT, **arguments}
        page = self.in_domain(call, **request)
        yield page
        while token := page.get("nextPageToken"):
            page = repeated(self.in_domain, call, nextPageToken=token, **request)
            yield page


def _page_of_task(call: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
    with deadline_in(_TASK_SECONDS):
        return _retrying(_TASK_SECONDS)(call, *args, **arguments)


def _retrying(seconds: float) -> Retrying:
    return Retrying(
        retry=retry_if_exception_type(ServiceUnavailable),
        wait=wait_random_exponential(multiplier=0.1, max=5),
        stop=stop_before_delay(seconds),
        reraise=True,
    )
