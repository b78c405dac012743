"""The list of runs and the pages of actions in a real browser: clicked and read, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

import floto
from floto.runtime.connect import saved_history
from floto.runtime.schedules import create
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
from tests.integration.shown import Shop, shop, spec_of

__all__ = ["browser"]

pytestmark = needs_browser

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop(tmp_path_factory.mktemp("browser")) as made:
        made.completed("done", "eu", HOSTILE)
        made.failed("failed", "eu", '"><script>alert(1)</script>')
        made.retrying("retried")
        made.start("undecided", task_list="nobody")
        create(made.service, floto.Schedule(id_="nightly", cron="0 3 * * *", workflow_type=("order", "1")))
        yield made


@pytest.fixture(scope="module")
def page(made: Shop) -> Iterator[Ui]:
    folder = Path(made.url.removeprefix("sqlite:///")).parent
    with ui(made.url, "--allow-actions", cwd=folder) as page:
        yield page


@pytest.fixture(autouse=True)
def no_problems(browser: Browser) -> Iterator[None]:
    problems(browser)
    yield
    assert problems(browser) == []


def find(browser: Browser, selector: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, selector)


def texts(browser: Browser, selector: str) -> list[str]:
    """The texts of elements, at one moment: the page may replace them between two calls."""
    script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.innerText);"
    found: list[str] = browser.execute_script(script, selector)
    return found


def press(browser: Browser, selector: str) -> None:
    """Press what opens another page."""
    leave(browser, find(browser, selector).click)


def runs(browser: Browser) -> list[str]:
    return texts(browser, "#runs tbody tr td:first-child a")


def status(browser: Browser, name: str) -> str:
    script = """
    const rows = [...document.querySelectorAll("#runs tbody tr")];
    const row = rows.find((each) => each.cells[0].innerText.startsWith(arguments[0]));
    return row ? row.cells[2].innerText : "";
    """
    return str(browser.execute_script(script, f"{name} "))


def live(browser: Browser) -> bool:
    return find(browser, "#live").text.endswith("live")


def open_list(browser: Browser, page: Ui, query: str = "") -> None:
    browser.get(f"{page.url}/{query}")
    until(browser, lambda: live(browser))


def test_filter_box_and_statuses_lead_to_lists_with_urls_of_their_own(browser: Browser, page: Ui) -> None:
    open_list(browser, page)
    until(browser, lambda: status(browser, "undecided").startswith("stuck"))
    assert "nobody polls task list 'nobody' for decisions" in status(browser, "undecided")
    press(browser, ".statuses [data-status=FAILED]")
    until(browser, lambda: runs(browser) == ["failed"])
    assert "filter=status%3Afailed" in browser.current_url
    box = find(browser, "#filter")
    assert box.get_attribute("value") == "status:failed"
    box.clear()
    leave(browser, lambda: box.send_keys("tag:eu", Keys.ENTER))
    until(browser, lambda: runs(browser) == ["failed", "done"])
    leave(browser, browser.back)
    until(browser, lambda: runs(browser) == ["failed"])
    browser.refresh()
    until(browser, lambda: runs(browser) == ["failed"])


def test_filter_that_is_not_valid_is_explained_beside_the_box(browser: Browser, page: Ui) -> None:
    open_list(browser, page)
    leave(browser, lambda: find(browser, "#filter").send_keys("state:x", Keys.ENTER))
    until(browser, lambda: "there is no condition 'state'" in find(browser, "#problem").text)
    assert find(browser, "#filter").get_attribute("aria-invalid") == "true"


def test_columns_sort(browser: Browser, page: Ui) -> None:
    open_list(browser, page, "?filter=type:order")
    press(browser, "#runs thead th:first-child a")
    until(browser, lambda: runs(browser) == sorted(runs(browser)) and "sort=workflow" in browser.current_url)
    assert find(browser, "#runs thead th:first-child").get_attribute("aria-sort") == "ascending"
    press(browser, "#runs thead th:first-child a")
    until(browser, lambda: "sort=-workflow" in browser.current_url)
    assert runs(browser) == sorted(runs(browser), reverse=True)
    assert "filter=type%3Aorder" in browser.current_url


def test_list_changes_while_it_is_looked_at(browser: Browser, page: Ui, made: Shop) -> None:
    open_list(browser, page, "?filter=live")
    assert runs(browser) == []
    assert find(browser, "#empty").is_displayed()
    made.start("live-1", task_list="nobody")
    until(browser, lambda: status(browser, "live-1").startswith("stuck"))
    assert not find(browser, "#empty").is_displayed()
    link = find(browser, "#runs tbody a")
    link.send_keys("")  # has the focus
    made.service.terminate_workflow_execution("live-1")
    made.start("live-2", task_list="nobody")
    until(browser, lambda: runs(browser) == ["live-2", "live-1"])
    until(browser, lambda: status(browser, "live-1") == "TERMINATED")
    assert browser.switch_to.active_element.text == "live-1"
    counted = find(browser, '[data-count="TERMINATED"]')
    assert counted.text == "1"
    made.service.terminate_workflow_execution("live-2")
    until(browser, lambda: find(browser, '[data-count="TERMINATED"]').text == "2")


def test_times_are_shown_by_one_switch(browser: Browser, page: Ui) -> None:
    open_list(browser, page)
    shown = texts(browser, "#runs time")[:1]
    for value in ("relative", "local", "utc"):
        find(browser, f'[data-switch="times"] [value="{value}"]').click()
        shown += texts(browser, "#runs time")[:1]
    assert shown[1].endswith(" ago")
    assert shown[0] == shown[3] != shown[1]


def test_relative_times_advance(browser: Browser, page: Ui, made: Shop) -> None:
    done = made.service.latest_execution("done")
    assert done is not None
    for path in ("/", f"/runs/done/{quote(done.execution.run_id)}/actions"):
        browser.get(f"{page.url}{path}")
        find(browser, '[data-switch="times"] [value="relative"]').click()
        seen = set(texts(browser, "time")[-1:])
        until(browser, lambda seen=seen: {*seen, *texts(browser, "time")[-1:]} != seen)  # type: ignore[misc]
        find(browser, '[data-switch="times"] [value="utc"]').click()


def test_hostile_text_is_text(browser: Browser, page: Ui) -> None:
    open_list(browser, page)
    tags = texts(browser, ".tag")
    assert HOSTILE in tags
    assert '"><script>alert(1)</script>' in tags
    assert browser.find_elements(By.CSS_SELECTOR, "#runs img, #runs script") == []


def test_run_is_terminated_after_a_look_at_its_command(browser: Browser, page: Ui, made: Shop) -> None:
    run = made.running("to end")
    browser.get(f"{page.url}/runs/to%20end/{run.run_id}/actions")
    press(browser, 'a[href^="/actions/terminate"]')
    until(browser, lambda: find(browser, "#field-reason")).send_keys("enough")
    press(browser, 'button[name="preview"]')
    command = until(browser, lambda: find(browser, ".command").text)
    assert command.startswith("floto terminate --reason enough ")
    assert f"'to end@{run.run_id}'" in command
    press(browser, "button.grave")
    until(browser, lambda: f"/runs/to%20end/{quote(run.run_id)}" in browser.current_url)
    until(browser, lambda: "TERMINATED" in find(browser, "main").text)


def test_run_is_started(browser: Browser, page: Ui) -> None:
    browser.get(f"{page.url}/actions/start")
    for name, value in (
        ("type", "order"),
        ("version", "1"),
        ("input", '{"n": 1}'),
        ("new_workflow_id", "begun"),
    ):
        find(browser, f"#field-{name}").send_keys(value)
    press(browser, 'button[name="preview"]')
    press(browser, "button.main")
    until(browser, lambda: "/runs/begun/" in browser.current_url)


def test_schedule_is_paused(browser: Browser, page: Ui) -> None:
    browser.get(f"{page.url}/schedules")
    press(browser, 'a[href^="/actions/pause"]')
    until(browser, lambda: find(browser, "#field-note")).send_keys("holidays")
    press(browser, 'button[name="preview"]')
    command = until(browser, lambda: find(browser, ".command").text)
    assert command.startswith("floto schedule pause --note holidays ")
    press(browser, "button.main")
    until(browser, lambda: browser.current_url.startswith(f"{page.url}/schedules"))


_DROP = """
const transfer = new DataTransfer();
transfer.items.add(new File([arguments[0]], "history.json"));
const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
document.body.dispatchEvent(new DragEvent("drop", options));
"""


def saved(made: Shop, folder: Path, workflow_id: str) -> str:
    """The text of a saved history, checked to be one."""
    found = made.service.latest_execution(workflow_id)
    assert found is not None
    path = folder / "saved.json"
    floto.History(made.service.history(found.execution), found.execution).save(path)
    assert saved_history(path).history.events
    return path.read_text()


def test_saved_history_that_is_dropped_on_the_list_opens(
    browser: Browser, page: Ui, made: Shop, tmp_path: Path
) -> None:
    open_list(browser, page)
    browser.execute_script(_DROP, saved(made, tmp_path, "failed"))
    until(browser, lambda: f"{page.url}/opened/" in browser.current_url)
    until(browser, lambda: "failed" in find(browser, "h1").text)
    browser.refresh()
    until(browser, lambda: "failed" in find(browser, "h1").text)


@pytest.mark.parametrize("text", ["{", "[1, 2", '{"events": "</script><script>alert(1)</script>"}'])
def test_file_that_is_not_a_history_is_refused_with_a_reason(browser: Browser, page: Ui, text: str) -> None:
    open_list(browser, page)
    browser.execute_script(_DROP, text)
    until(browser, lambda: "history.json cannot be opened: " in find(browser, "#live").text)
    assert "/tmp" not in find(browser, "#live").text  # noqa: S108 - the name of the server's own file


def test_list_by_keyboard_alone(browser: Browser, page: Ui) -> None:
    open_list(browser, page)
    find(browser, "body").send_keys("/")
    leave(browser, lambda: browser.switch_to.active_element.send_keys("status:failed tag:eu", Keys.ENTER))
    until(browser, lambda: runs(browser) == ["failed"])
    seen = []
    for _ in range(60):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        focused = browser.switch_to.active_element
        seen.append(focused.text)
        if focused.text == "failed":
            break
    assert seen[0] == "Skip to the content"
    leave(browser, lambda: browser.switch_to.active_element.send_keys(Keys.ENTER))
    until(browser, lambda: "/runs/failed/" in browser.current_url)


PAGES = (
    "/",
    "/?filter=foo:x",
    "/?filter=nothing",
    "/schedules",
    "/actions/start",
    "/actions/cancel?workflow_id=x",
    "/open",
    "/none",
)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_pages_are_accessible_in_both_themes(browser: Browser, page: Ui, path: str, theme: str) -> None:
    browser.get(f"{page.url}{path}")
    assert violations(browser, theme) == []


def test_pages_of_a_run_fit_into_a_window_of_360_pixels(browser: Browser, page: Ui) -> None:
    size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.get(f"{page.url}/runs/failed")
        until(browser, lambda: find(browser, "#shown").text)
        links = browser.find_elements(By.CSS_SELECTOR, "main a[href*='/runs/']")
        others = [each.get_attribute("href") for each in links]
        assert width(browser) == 360
        for address in others:
            browser.get(str(address))
            assert width(browser) == 360, address
        assert len(others) >= 2
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def width(browser: Browser) -> int:
    """The width of the page in pixels; more than that of the window if it scrolls sideways."""
    return int(browser.execute_script("return document.documentElement.scrollWidth"))


_DROP_SPEC = """
const transfer = new DataTransfer();
transfer.items.add(new File([arguments[0]], "spec.json"));
const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
document.getElementById("spec").dispatchEvent(new DragEvent("drop", options));
"""


def test_run_is_compared_with_a_spec_whose_file_is_dropped(browser: Browser, page: Ui, made: Shop) -> None:
    run = made.failed("compared")
    browser.get(f"{page.url}/runs/compared/{quote(run.run_id)}")
    press(browser, 'a[href*="/compare?"]')
    assert find(browser, "#hint-drop").is_displayed()
    browser.execute_script(_DROP_SPEC, spec_of("elsewhere").to_json())
    until(browser, lambda: "elsewhere" in str(find(browser, "#spec").get_property("value")))
    press(browser, "button.main")
    until(browser, lambda: "task_list was" in find(browser, "main").text)
    for theme in ("light", "dark"):
        assert violations(browser, theme) == []


def test_page_of_a_stuck_run_says_what_helps(browser: Browser, page: Ui, made: Shop) -> None:
    run = made.start("helpless", task_list="nobody")
    browser.get(f"{page.url}/runs/helpless/{quote(run.run_id)}")
    until(browser, lambda: "no decider polls this task list" in find(browser, "main").text)
    until(browser, lambda: find(browser, "#run").is_displayed())
    for theme in ("light", "dark"):
        assert violations(browser, theme) == []
    made.service.terminate_workflow_execution("helpless")
    until(browser, lambda: "TERMINATED" in find(browser, "#state").text)


def test_preview_of_an_action_and_plan_are_accessible(browser: Browser, page: Ui, made: Shop) -> None:
    run = made.failed("again")
    for theme in ("light", "dark"):
        for action in ("actions", "redrive"):
            where = f"/runs/again/{run.run_id}/actions"
            if action == "redrive":
                where = f"/actions/redrive?workflow_id=again&run_id={run.run_id}&preview=1"
            browser.get(f"{page.url}{where}")
            assert violations(browser, theme) == []


def test_pages_offer_to_drop_a_file_only_where_their_script_can_take_it(
    browser: Browser, page: Ui, made: Shop
) -> None:
    run = made.failed("offered")
    places = (f"/runs/offered/{quote(run.run_id)}/compare", "/open")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        for place in places:
            browser.get(f"{page.url}{place}")
            assert "drop" not in find(browser, "main").text.lower(), place
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    for place in places:
        browser.get(f"{page.url}{place}")
        assert "drop" in find(browser, "main").text.lower(), place


def test_list_and_actions_work_without_a_script(browser: Browser, page: Ui) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(f"{page.url}/?filter=status:failed")
        assert not find(browser, "[data-switch=times]").is_displayed()
        leave(browser, lambda: find(browser, "#filter").send_keys(" tag:eu", Keys.ENTER))
        until(browser, lambda: "tag" in browser.current_url)
        until(browser, lambda: "failed" in find(browser, "#runs tbody").text)
        press(browser, "#runs tbody a")
        until(browser, lambda: "/runs/failed/" in browser.current_url)
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
