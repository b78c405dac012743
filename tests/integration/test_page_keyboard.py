"""The pages for somebody without a mouse: the focus is never lost, and moving it changes nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.browser import Browser, browser, needs_browser, problems, ui, until
from tests.integration.page_runs import ENTER, Page, document, order, part_of, written
from tests.integration.shown import shop

__all__ = ["browser"]
pytestmark = needs_browser


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    problems(browser)
    history, spec = order()
    path = written(tmp_path / "run.html", [document(part_of(history, 40), spec), document(history, spec)])
    yield Page(browser, path)
    assert problems(browser) == []


def focus(page: Page, selector: str) -> None:
    page.browser.execute_script("document.querySelector(arguments[0]).focus()", selector)


def is_focused(page: Page, selector: str) -> bool:
    return bool(page.browser.execute_script("return document.activeElement.matches(arguments[0])", selector))


def test_link_to_the_content_keeps_the_run_and_the_moment_and_the_filter(page: Page) -> None:
    state = "run=1&event=20&tab=tasks&filter=part"
    page.open(state)
    page.sees("Event 20 of ", "#shown")
    focus(page, ".skip")
    page.press(ENTER)
    until(page.browser, lambda: is_focused(page, "#main"))
    assert page.text("#shown").startswith("Event 20 of ")
    assert page.browser.current_url.endswith(f"#{state}")


def test_focus_goes_to_the_reasons_of_a_task_that_was_chosen_beside_the_views(page: Page) -> None:
    page.open()
    focus(page, "#why button.link")
    page.press(ENTER)
    until(page.browser, lambda: page.all("#why [data-key=close]"))
    assert is_focused(page, "#side")
    focus(page, "#why [data-key=close]")
    page.press(ENTER)
    page.sees("Pending", "#why")
    assert is_focused(page, "#side")


def test_focus_stays_in_the_views_when_another_is_opened(page: Page) -> None:
    page.open("tab=graph")
    focus(page, "#view g.node")
    page.press("6")
    until(page.browser, lambda: page.all("#panel .scroll"))
    assert is_focused(page, "#panel")


def test_focus_goes_to_the_value_that_is_shown_whole(page: Page) -> None:
    long = document(*order())
    long["data"] = [{"title": "Long", "rows": [[1, {"value": "x" * 30_000}]]}]
    Page(page.browser, written(page.path, [long])).open("tab=data")
    focus(page, "#view button")
    page.press(ENTER)
    until(page.browser, lambda: len(page.text("#view pre")) == 30_000)
    assert is_focused(page, "#view pre")


@pytest.mark.parametrize(
    ("closed", "focused"), [("third", "tr[data-run='{}'] a"), ("first", "[aria-label=Runs]")]
)
def test_focus_of_the_list_stays_when_a_run_leaves_it(
    page: Page, tmp_path: Path, closed: str, focused: str
) -> None:
    with shop(tmp_path) as made, ui(made.url, cwd=tmp_path) as served:
        first, *_ = [made.start(name, task_list="nobody") for name in ("first", "second", "third")]
        page.browser.get(f"{served.url}/?filter=status:open")
        until(page.browser, lambda: page.text("#live") == "live")
        focus(page, f"tr[data-run='{first.run_id}'] a")
        made.service.terminate_workflow_execution(closed)
        until(page.browser, lambda: closed not in page.texts("#runs tbody a"))
        assert is_focused(page, focused.format(first.run_id))
        page.browser.get("about:blank")
