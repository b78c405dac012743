"""The page of one run on ``floto ui``: live, and with saved histories that are dropped onto it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from floto.core.swf.pollers import PollKind
from tests.integration.browser import (
    Browser,
    Ui,
    browser,
    leave,
    needs_browser,
    problems,
    ui,
    until,
    violations,
)
from tests.integration.commands import Shell
from tests.integration.page_runs import ENTER, LEFT, RIGHT, TAB, Page, dropped
from tests.integration.shown import Shop, shop

__all__ = ["browser"]
pytestmark = needs_browser


@frozen
class Site:
    shop: Shop
    ui: Ui
    page: Page


@pytest.fixture
def site(browser: Browser, tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        there = stack.enter_context(shop(tmp_path))
        served = stack.enter_context(ui(there.url, cwd=tmp_path))
        problems(browser)
        yield Site(there, served, Page(browser, tmp_path))
        browser.get("about:blank")
    assert problems(browser) == []


def opened(site: Site, workflow_id: str, state: str = "") -> Page:
    site.page.browser.get(f"{site.ui.url}/runs/{workflow_id}#{state}")
    until(site.page.browser, lambda: site.page.text("#name") == workflow_id)
    return site.page


def test_run_page_of_the_server_follows_the_run(site: Site) -> None:
    site.shop.running("order-1")
    page = opened(site, "order-1")
    assert page.text("#state") == "RUNNING"
    page.sees("pack", "#sentence")
    before = page.event
    site.shop.service.terminate_workflow_execution("order-1", reason="enough")
    page.sees("TERMINATED", "#state")
    assert page.event > before


def test_help_is_that_of_now(site: Site) -> None:
    site.shop.start("order-1", task_list="later")
    page = opened(site, "order-1")
    page.sees("no decider polls this task list", "#helps")
    service: Any = site.shop.service
    service.announce(PollKind.DECISIONS, "later", "decider")
    until(page.browser, lambda: not page.one("#helps").is_displayed())
    service.withdraw(PollKind.DECISIONS, "later", "decider")
    page.sees("no decider polls this task list", "#helps")
    site.shop.service.terminate_workflow_execution("order-1", reason="enough")
    page.sees("TERMINATED", "#state")
    until(page.browser, lambda: not page.one("#helps").is_displayed())


def test_reader_of_an_earlier_event_stays_there_while_the_run_goes_on(site: Site) -> None:
    site.shop.running("order-1")
    page = opened(site, "order-1", "event=3")
    site.shop.service.terminate_workflow_execution("order-1", reason="enough")
    page.sees("Event 3 of", "#shown")
    until(page.browser, lambda: int(page.one("#slider").get_attribute("max") or 0) == 7)
    assert page.event == 3


@contextmanager
def held_documents(browser: Browser) -> Iterator[None]:
    """Hold what pages fetch until ``held.allowed``, and fail the next ``held.refused`` times."""
    script = """
    window.held = {allowed: false, refused: 0, read: 0}
    const read = window.fetch
    window.fetch = async (url, ...more) => {
        const answer = await read(url, ...more)
        held.read++
        while (!held.allowed) await new Promise((done) => setTimeout(done, 10))
        if (held.refused-- > 0) throw new TypeError("refused by the test")
        return answer
    }
    """
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def test_run_that_closes_before_its_page_listens_is_shown_as_closed(site: Site) -> None:
    site.shop.running("order-1")
    browser, page = site.page.browser, site.page
    with held_documents(browser):
        browser.get(f"{site.ui.url}/runs/order-1")
        until(browser, lambda: browser.execute_script("return held.read"))
        site.shop.service.terminate_workflow_execution("order-1", reason="enough")
        browser.execute_script("held.allowed = true")
        page.sees("TERMINATED", "#state")


def test_document_that_cannot_be_read_is_read_again(site: Site) -> None:
    site.shop.running("order-1")
    with held_documents(site.page.browser):
        site.page.browser.get(f"{site.ui.url}/runs/order-1")
        site.page.browser.execute_script("held.allowed = true")
        site.page.sees("RUNNING", "#state")
        site.page.browser.execute_script("held.refused = 1")
        site.shop.service.terminate_workflow_execution("order-1", reason="enough")
        site.page.sees("TERMINATED", "#state")


@pytest.mark.parametrize("is_open", [True, False])
def test_page_whose_first_document_cannot_be_read_reads_it_again(site: Site, *, is_open: bool) -> None:
    site.shop.running("order-1")
    if not is_open:
        site.shop.service.terminate_workflow_execution("order-1", reason="enough")
    with held_documents(site.page.browser):
        site.page.browser.get(f"{site.ui.url}/runs/order-1")
        site.page.browser.execute_script("held.refused = 1; held.allowed = true")
        site.page.sees("This run cannot be shown: refused by the test", "#message")
        site.page.sees("RUNNING" if is_open else "TERMINATED", "#state")
        assert not site.page.one("#message").is_displayed()
    if is_open:
        site.shop.service.terminate_workflow_execution("order-1", reason="enough")
        site.page.sees("TERMINATED", "#state")


def test_saved_history_that_is_dropped_onto_the_page_opens(site: Site, tmp_path: Path) -> None:
    site.shop.failed("order-1")
    site.shop.completed("order-2")
    page = opened(site, "order-2")
    shell = Shell(tmp_path, site.shop.url)
    shell("history", "order-1", "-o", "saved.json")
    dropped(page, "saved.json", (tmp_path / "saved.json").read_text())
    page.sees("order-1", "#name")
    assert "no card" in page.text("#why")


def test_file_that_is_not_a_history_is_refused_with_a_reason(site: Site) -> None:
    site.shop.completed("order-1")
    page = opened(site, "order-1")
    dropped(page, "notes.txt", "this is not a history")
    page.sees("notes.txt cannot be shown: ", "#message")
    assert page.text("#name") == "order-1"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_violation_on_the_server_s_page(site: Site, theme: str) -> None:
    site.shop.retrying("order-1")
    page = opened(site, "order-1", "task=send")
    assert violations(page.browser, theme) == []


def test_keyboard_alone_leads_from_the_list_through_the_slider_to_why(site: Site) -> None:
    site.shop.retrying("order-1")
    browser, page = site.page.browser, site.page

    def tab_to(selector: str) -> None:
        for _ in range(60):
            page.press(TAB)
            if browser.execute_script("return document.activeElement.matches(arguments[0])", selector):
                return
        pytest.fail(f"Tab does not reach {selector}")

    browser.get(site.ui.url)
    until(browser, lambda: "order-1" in page.text("body"))
    tab_to("a[href*='/runs/order-1/']")
    leave(browser, lambda: page.press(ENTER))
    until(browser, lambda: page.text("#name") == "order-1")
    tab_to("#slider")
    last = page.event
    page.press(LEFT, LEFT)
    assert page.event == last - 2
    assert page.one("#slider").get_attribute("aria-valuetext") == page.text("#shown")
    page.press(RIGHT, RIGHT)
    tab_to("g[data-key][aria-label^=send]")
    page.press(ENTER)
    assert page.text("#side-name") == "waiting for its retrysend"
    assert "is due at" in page.text("#why .tree")


def test_dropped_history_stays_while_the_run_of_the_page_goes_on(site: Site, tmp_path: Path) -> None:
    site.shop.running("order-2")
    site.shop.start("order-1")
    page = opened(site, "order-2")
    Shell(tmp_path, site.shop.url)("history", "order-1", "-o", "saved.json")
    dropped(page, "saved.json", (tmp_path / "saved.json").read_text())
    page.sees("order-1", "#name")
    page.browser.execute_script(
        "window.seen = []; const changes = document.getElementById('source').dataset.changes;"
        "new EventSource(changes).onmessage = ({data}) => seen.push(JSON.parse(data).closed)"
    )
    until(page.browser, lambda: page.browser.execute_script("return seen.length"))
    site.shop.service.terminate_workflow_execution("order-2", reason="enough")
    until(page.browser, lambda: page.browser.execute_script("return seen.includes(true)"))
    # The page has the same message; give it the time that reading the document again would take.
    page.browser.execute_async_script(
        "fetch(document.getElementById('source').dataset.document).then(arguments[0])"
    )
    page.browser.execute_async_script("setTimeout(arguments[0], 300)")
    assert page.text("#name") == "order-1"


def test_page_without_a_run_opens_what_is_dropped_onto_it(site: Site, tmp_path: Path) -> None:
    site.shop.failed("order-1")
    Shell(tmp_path, site.shop.url)("history", "order-1", "-o", "saved.json")
    site.page.browser.get(f"{site.ui.url}/open")
    site.page.sees("Drop a saved history here")
    assert violations(site.page.browser, "light") == []
    dropped(site.page, "saved.json", (tmp_path / "saved.json").read_text())
    site.page.sees("order-1", "#name")
    site.page.press("2")
    assert site.page.all("#panel .span")
