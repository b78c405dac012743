"""The updates of one run for its page."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from floto.core.swf.shapes import WorkflowExecution
from floto.pages.web import run_pages
from floto.pages.web.run_pages import RunPages, _LastRead


class Site:
    """A site whose service has no changes; ``reads`` counts the reads of the run."""

    def __init__(self) -> None:
        self.reads = 0
        self.source = SimpleNamespace(version=lambda: 1, pace=SimpleNamespace(idle=0.0))
        self.document_calls = self

    async def in_thread(self, call: Callable[[], Any]) -> Any:
        return call()

    async def execute(self, _call: Callable[[], Any]) -> Any:
        self.reads += 1
        return _LastRead().update


def test_run_is_read_again_after_the_clock_was_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pollers come and go without a change of the service."""
    backwards = itertools.count(1_000_000, -3600)
    monkeypatch.setattr(run_pages, "time", lambda: next(backwards), raising=False)
    site: Any = Site()
    pages, last = RunPages(site), _LastRead()
    for _ in range(3):
        asyncio.run(pages._read("shop", WorkflowExecution("w", "r"), last))  # noqa: SLF001
    assert site.reads == 3
