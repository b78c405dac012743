"""Pages in a real browser while their service fails or refuses their streams, and afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from socket import create_connection
from typing import Any
from urllib.parse import quote

import pytest

from floto.core.swf.service import StartRequest
from floto.pages.web.watch import HEARTBEAT, MOST_VIEWERS
from floto.runtime.connect import connect
from tests.integration.browser import Browser, browser, needs_browser, problems, ui, until
from tests.integration.page_runs import Page
from tests.integration.shown import ORDER, Shop, shop
from tests.integration.test_server import serving
from tests.integration.test_ui_list import stream

__all__ = ["browser"]
pytestmark = needs_browser


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    problems(browser)
    yield Page(browser, tmp_path)
    assert problems(browser) == []


@contextmanager
def opened(page: Page, url: str) -> Iterator[None]:
    """Open a live page, and leave it before its server ends."""
    page.browser.get(url)
    try:
        yield
    finally:
        page.browser.get("about:blank")


def is_live(page: Page) -> bool:
    return page.text("#live") == "live"


@contextmanager
def running(page: Page, directory: Path) -> Iterator[Shop]:
    """Show the page of an open run, order-1."""
    with shop(directory) as made, ui(made.url, cwd=directory) as served:
        made.running("order-1")
        with opened(page, f"{served.url}/runs/order-1"):
            until(page.browser, lambda: is_live(page))
            yield made


@pytest.mark.parametrize(("path", "status"), [("/", "#runs .status"), ("/runs/remote", "#state")])
def test_page_says_that_it_is_not_live_while_the_service_is_down_and_goes_on_afterwards(
    page: Page, tmp_path: Path, path: str, status: str
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serving(tmp_path / "swf.db"))
        service: Any = connect(server.url)
        service.prepare([ORDER], [])
        service.start_workflow_execution(StartRequest(workflow_id="remote", workflow_type=ORDER))
        served = stack.enter_context(ui(server.url, cwd=tmp_path))
        stack.enter_context(opened(page, f"{served.url}{path}"))
        until(page.browser, lambda: is_live(page))
        server.process.kill()
        server.process.wait()
        page.sees("not live: ", "#live")
        stack.enter_context(serving(tmp_path / "swf.db", "--port", server.url.rpartition(":")[2]))
        until(page.browser, lambda: is_live(page))
        service.terminate_workflow_execution("remote")
        service.close()
        page.sees("TERMINATED", status)
        served.process.terminate()
        logged = served.process.communicate()[1]
        assert not re.search("Traceback|botocore|connected_components|sugiyama", logged)


@pytest.mark.parametrize("path", ["/", "/runs/order-1"])
def test_page_whose_stream_is_refused_says_so_and_tries_again(page: Page, tmp_path: Path, path: str) -> None:
    with shop(tmp_path) as made, ui(made.url, cwd=tmp_path) as served, ExitStack() as outer:
        made.running("order-1")
        with ExitStack() as stack:
            for _ in range(MOST_VIEWERS):
                stack.enter_context(stream(served, "/events"))
            outer.enter_context(opened(page, f"{served.url}{path}"))
            page.sees("not live: too many pages get updates from this server", "#live")
        until(page.browser, lambda: is_live(page))


@pytest.mark.parametrize("path", ["/", "/runs/order-1"])
def test_page_whose_own_server_ended_says_so_and_goes_on_with_the_next_one(
    page: Page, tmp_path: Path, path: str
) -> None:
    with shop(tmp_path) as made, ExitStack() as stack:
        made.running("order-1")
        served = stack.enter_context(ui(made.url, cwd=tmp_path))
        stack.enter_context(opened(page, f"{served.url}{path}"))
        until(page.browser, lambda: is_live(page))
        served.process.kill()
        page.sees("not live: the server of the page does not respond", "#live")
        stack.enter_context(ui(made.url, "--port", str(served.port), cwd=tmp_path))
        until(page.browser, lambda: is_live(page))
    # The browser logs each connection that is refused.
    assert all("net::ERR_" in each for each in problems(page.browser))


@contextmanager
def impatient(page: Page) -> Iterator[None]:
    """Pages whose timers of more than 40 seconds take 4."""
    source = "const wait = setTimeout; window.setTimeout = (f, ms, why) => wait(f, ms > 4e4 ? 4e3 : ms, why)"
    command = "Page.addScriptToEvaluateOnNewDocument"
    added = page.browser.execute_cdp_cmd(command, {"source": source})
    try:
        yield
    finally:
        page.browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


@pytest.mark.parametrize("path", ["/", "/runs/order-1"])
def test_page_whose_server_hangs_is_not_called_live(page: Page, tmp_path: Path, path: str) -> None:
    with shop(tmp_path) as made, ui(made.url, cwd=tmp_path) as served, impatient(page):
        made.running("order-1")
        with opened(page, f"{served.url}{path}"):
            until(page.browser, lambda: is_live(page))
            served.process.send_signal(SIGSTOP)
            page.sees("not live: the server of the page does not respond", "#live")
            served.process.send_signal(SIGCONT)
            until(page.browser, lambda: is_live(page))


def test_stream_without_changes_has_heartbeats(tmp_path: Path) -> None:
    with shop(tmp_path) as made, ui(made.url, cwd=tmp_path) as served:
        run = made.running("order-1")
        paths = ("/events", f"/runs/order-1/{quote(run.run_id)}/changes")
        sockets = [create_connection(("127.0.0.1", served.port), 3 * HEARTBEAT) for _ in paths]
        for path, connection in zip(paths, sockets, strict=True):
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        for connection in sockets:
            with connection, connection.makefile("r", encoding="utf-8") as lines:
                assert "event: heartbeat\n" in lines


def test_page_whose_token_is_not_accepted_any_more_says_so(page: Page, tmp_path: Path) -> None:
    with shop(tmp_path) as made, ExitStack() as stack:
        served = stack.enter_context(ui(made.url, "--token", "old", cwd=tmp_path))
        stack.enter_context(opened(page, f"{served.url}/?token=old"))
        until(page.browser, lambda: is_live(page))
        served.process.kill()
        served.process.wait()
        stack.enter_context(ui(made.url, "--token", "new", "--port", str(served.port), cwd=tmp_path))
        page.sees("not live: this page needs its token", "#live")
    assert all("net::ERR_" in each for each in problems(page.browser))


def test_page_of_a_run_that_closes_is_not_called_live(page: Page, tmp_path: Path) -> None:
    with running(page, tmp_path) as made:
        made.service.terminate_workflow_execution("order-1")
        page.sees("TERMINATED", "#state")
        until(page.browser, lambda: page.text("#live") == "")


def test_document_that_cannot_be_read_is_not_called_live(page: Page, tmp_path: Path) -> None:
    with running(page, tmp_path) as made:
        page.browser.execute_script(
            "window.read = fetch; window.fetch = () => Promise.reject(new TypeError('refused by the test'))"
        )
        made.service.terminate_workflow_execution("order-1")
        page.sees("not live: refused by the test", "#live")
        page.browser.execute_script("window.fetch = read")
        page.sees("TERMINATED", "#state")
