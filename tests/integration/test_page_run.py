"""The page of one run in a real browser: each thing that it shows, by at least one click and one look."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.keys import Keys

from tests.integration.browser import Browser, browser, needs_browser, problems, until, violations
from tests.integration.page_runs import (
    DOWN,
    ENTER,
    ESCAPE,
    LEFT,
    PARTS,
    RIGHT,
    TAB,
    UP,
    Page,
    document,
    dropped,
    order,
    part_of,
    written,
)

__all__ = ["browser"]
pytestmark = needs_browser


@pytest.fixture(scope="module")
def doc() -> dict[str, Any]:
    return document(*order())


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, doc: dict[str, Any]) -> Path:
    return written(tmp_path_factory.mktemp("page") / "run.html", [doc])


@pytest.fixture
def page(browser: Browser, path: Path) -> Iterator[Page]:
    problems(browser)
    yield Page(browser, path).open()
    assert problems(browser) == []


def events_of(doc: dict[str, Any], name: str, task: str | None = None) -> list[int]:
    """The ids of the events of a type, and of a task."""
    number = doc["events"]["types"].index(name)
    ids = [each["id"] for each in doc["tasks"]]
    return [
        id_
        for id_, (kind, about) in enumerate(
            zip(doc["events"]["type"], doc["events"]["task"], strict=True), start=1
        )
        if kind == number and (task is None or about == ids.index(task))
    ]


def test_head_says_in_a_sentence_what_the_run_does_at_the_moment_shown(
    page: Page, doc: dict[str, Any]
) -> None:
    assert page.text("#name") == "order-17"
    assert page.text("#state") == "FAILED"
    assert page.text("#sentence").startswith("failed at ")
    page.go(events_of(doc, "ActivityTaskFailed", "charge")[0] + 4)
    assert page.text("#state") == "RUNNING"
    assert "charge" in page.text("#sentence")
    assert ", in 41 s" in page.text("#sentence")


def test_graph_shows_the_statuses_of_the_moment(page: Page, doc: dict[str, Any]) -> None:
    assert page.statuses()["charge"] == "failed"
    page.go(events_of(doc, "ActivityTaskStarted", "load")[0])
    found = page.statuses()
    assert (found["load"], found["charge"]) == ("running", "waiting")


def test_group_of_the_graph_opens_in_place(page: Page) -> None:
    assert not any(name.endswith("part 3") for name in page.statuses())
    page.click("#panel g.node[aria-expanded=false]")
    names = [name for name in page.statuses() if "part " in name]
    assert len(names) == PARTS
    page.click("#panel g.node[aria-expanded=true] text")
    assert not any(name.endswith("part 3") for name in page.statuses())


def test_task_that_is_pressed_says_why_it_stands_where_it_stands(page: Page, doc: dict[str, Any]) -> None:
    page.click("#panel g[aria-label^=ship]")
    assert page.text("#side-name") == "skippedship"
    assert "Root failures" in page.text("#why")
    page.go(events_of(doc, "ActivityTaskFailed", "charge")[0] + 4)
    assert page.text("#side-name") == "waitingship"
    assert "waiting for charge to complete" in page.text("#why .tree")
    assert "is due at" in page.text("#why .tree .tree")
    page.press(ESCAPE)
    assert "Pending" in page.text("#why")


def test_attempts_are_side_by_side(page: Page) -> None:
    page.open("task=charge")
    assert page.texts("#why thead th") == ["attempt 1", "attempt 2", "attempt 3"]
    rows = {
        row.find_element("css selector", "th").text: [
            cell.text for cell in row.find_elements("css selector", "td")
        ]
        for row in page.all("#why tbody tr")
    }
    assert rows["ran"] == ["2 s"] * 3
    assert rows["reason"] == ["CardDeclined: no funds"] * 3
    assert rows["details"] == ["no funds"] * 3


def test_input_and_result_are_shown(page: Page) -> None:
    page.tab("data")
    assert '"customer": "c-17"' in page.text("#panel pre")
    assert "charge" in page.text("#panel")
    page.go(3)
    assert "Result" not in page.text("#panel")


def test_signals_timers_and_related_runs_are_listed(page: Page) -> None:
    page.tab("data")
    for title in ("Signals", "Timers", "Related runs"):
        assert title in page.text("#panel")
    assert "approved" in page.text("table[aria-label=Signals]")
    assert "pause" in page.text("table[aria-label=Timers]")
    assert "child" in page.text("#related")


def test_timeline_folds_idle_time_and_marks_the_moment(page: Page, doc: dict[str, Any]) -> None:
    page.tab("timeline")
    assert page.text("#panel .folded").endswith("min") or "h" in page.text("#panel .folded")
    assert any(piece[4] for piece in doc["axes"][0])
    page.click("[data-toggle=folds]")
    assert not page.all("#panel .folded")
    later = page.all("#panel .span.later")
    page.go(events_of(doc, "ActivityTaskStarted", "load")[0])
    assert len(page.all("#panel .span.later")) > len(later)


def test_timeline_zooms_and_a_group_opens(page: Page) -> None:
    page.tab("timeline")
    assert len(page.all("#panel g.lane")) < PARTS
    page.click("#panel g.lane[aria-expanded=false]")
    assert len(page.all("#panel g.lane")) > PARTS
    width = page.browser.execute_script("return document.querySelector('.sizer').scrollWidth")
    page.press("+")
    page.press("+")
    assert page.browser.execute_script("return document.querySelector('.sizer').scrollWidth") > width


#: Width of the names beside a timeline, and of the edge at its end, in pixels.
NAMES, EDGE = 210, 24


def place_of_timeline(page: Page) -> tuple[float, float, float]:
    """The width of what is in sight of a timeline, the width of all of it, and how far it is scrolled."""
    script = """
    const each = document.querySelector(".surface");
    return [each.clientWidth, document.querySelector(".sizer").offsetWidth, each.scrollLeft];
    """
    found: tuple[float, float, float] = tuple(page.browser.execute_script(script))
    return found


def test_span_that_is_dragged_over_fills_the_timeline(page: Page) -> None:
    page.open("tab=timeline")
    seen, _, _ = place_of_timeline(page)
    drag = ActionChains(page.browser, duration=50)
    drag.move_to_element_with_offset(page.one(".surface"), int(NAMES + 100 - seen / 2), 0).click_and_hold()
    drag.move_by_offset(100, 0).perform()
    assert page.one(".brush").size["width"] == pytest.approx(100, abs=2)
    drag.move_by_offset(100, 0).release().perform()
    assert not page.all(".brush")
    plot = seen - NAMES - EDGE
    _, width, left = place_of_timeline(page)
    assert width == pytest.approx(NAMES + plot * plot / 200 + EDGE, rel=0.02)
    assert left == pytest.approx(100 * plot / 200, rel=0.05)
    assert page.text("#side-name") == "At the end"
    page.click("#panel g[aria-label^=load]")
    assert page.text("#side-name") == "doneload"
    page.press("0")
    until(page.browser, lambda: place_of_timeline(page)[1] == seen)


@pytest.mark.parametrize("view", ["graph", "timeline"])
def test_wheel_with_ctrl_zooms_a_drawing(page: Page, view: str) -> None:
    page.open(f"tab={view}")
    before = place_of_timeline(page)[1]
    origin = ScrollOrigin.from_element(page.one(".surface"))
    zoom = ActionChains(page.browser).key_down(Keys.CONTROL).scroll_from_origin(origin, 0, -600)
    zoom.key_up(Keys.CONTROL).perform()
    until(page.browser, lambda: place_of_timeline(page)[1] > before * 1.5)
    ratio = page.browser.execute_script("return window.visualViewport.scale * devicePixelRatio")
    assert ratio == 1


def test_tasks_and_drawings_say_which_tasks_clean_up(page: Page) -> None:
    assert "on failure" in str(page.one("#panel g[aria-label^=refund]").get_attribute("aria-label"))
    page.tab("tasks")
    kinds = dict(
        zip(
            page.texts("#panel tbody tr:not(.space) td:first-child"),
            page.texts("#panel tbody tr:not(.space) td:nth-child(3)"),
            strict=True,
        )
    )
    assert "on failure" in kinds["refund"]
    assert "on failure" not in kinds["ship"]
    page.one("#filter").send_keys('"on failure"')
    until(page.browser, lambda: page.texts("#panel tbody tr:not(.space) td:first-child") == ["refund"])


def test_long_list_says_how_many_it_leaves_out(browser: Browser, tmp_path: Path) -> None:
    made = document(*order())
    row = [1, "a", {"event": 1}, ""]
    made["data"] = [{"title": "Signals", "columns": ["Name", "When", "Input"], "rows": [row] * 250}]
    page = Page(browser, written(tmp_path / "run.html", [made])).open("tab=data")
    assert len(page.all("#panel tbody tr")) == 200
    assert "and 50 more" in page.text("#panel")


def test_timeline_has_a_table(page: Page) -> None:
    page.tab("timeline")
    page.click("[data-toggle=table]")
    assert not page.all("#panel svg")
    assert "load" in page.text("#panel tbody")
    page.click("[data-toggle=table]")
    assert page.all("#panel svg")


def test_graph_has_a_table_of_the_tasks_and_what_they_require(page: Page) -> None:
    page.click("[data-press='3'][data-views]")
    tasks = page.texts("#panel tbody tr:not(.space) td:first-child")
    required = page.texts("#panel tbody tr:not(.space) td:last-child")
    assert dict(zip(tasks, required, strict=True))["ship"] == "charge, invoice"


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("failed", {"charge"}),
        ("attempt>1", {"charge"}),
        ("type:part", {f"part {n}" for n in range(PARTS)}),
        ("task:ref", {"refund"}),
        ("part done", {f"part {n}" for n in range(PARTS)}),
        ('"reserved for cleanup"', set()),
    ],
)
def test_filter_of_the_tasks(page: Page, filter: str, expected: set[str]) -> None:
    page.press("/")
    page.press(filter)
    assert {*page.texts("#panel tbody td:first-child button")} == expected
    assert page.text("#matches").startswith(f"{len(expected)} of ")


def test_count_of_a_status_filters_the_tasks(page: Page) -> None:
    page.click("#counts [data-key=failed]")
    assert page.texts("#panel tbody td:first-child button") == ["charge"]


def test_events_are_flat_or_by_task_and_full_or_raw(page: Page, doc: dict[str, Any]) -> None:
    failed = events_of(doc, "ActivityTaskFailed", "charge")[0]
    page.tab("events")
    page.go(failed)
    shown = "#panel tr[aria-current=true] td:nth-child(3)"
    until(page.browser, lambda: page.text(shown) == "✕ ActivityTaskFailed")
    until(page.browser, lambda: "no funds" in page.text("#panel section pre"))
    page.click("[data-toggle=raw]")
    page.sees("scheduledEventId", "#panel tr[aria-current=true]")
    page.click("[data-toggle=grouped]")
    assert page.all("#panel .divider")


def test_decisions_are_listed_with_who_took_them(page: Page, doc: dict[str, Any]) -> None:
    page.tab("decisions")
    assert "ScheduleActivityTask 'load'" in page.text("#panel tbody")
    page.link("2")
    assert page.event == doc["decisions"][1][0]


def test_check_shows_the_verdict_and_the_first_difference(page: Page, doc: dict[str, Any]) -> None:
    page.tab("check")
    assert doc["check"][0]["rows"][0][1] in page.text("#panel")
    assert "Warnings and notes" in page.text("#panel")


def test_check_shows_the_first_difference_field_by_field(browser: Browser, tmp_path: Path) -> None:
    history, spec = order()
    other = type(spec)(activity_tasks=list(spec.activity_tasks)[:2])
    page = Page(browser, written(tmp_path / "run.html", [document(history, other)])).open("tab=check")
    assert "First difference" in page.text("#panel")
    fields = page.texts("table[aria-label='First difference'] td:first-child")
    assert {"what", "field", "recorded", "decided"} <= {*fields}
    assert fields[0] == "what"


def test_arrow_keys_step_over_events_and_decisions(page: Page, doc: dict[str, Any]) -> None:
    last = len(doc["events"]["at"])
    page.press(LEFT, LEFT)
    assert page.event == last - 2
    page.press(RIGHT)
    assert page.event == last - 1
    stops = [row[0] for row in doc["decisions"]]
    page.press(UP)
    before = [stop for stop in stops if stop < last - 1]
    assert page.event == before[-1]
    page.press("k")
    assert page.event == before[-2]
    page.press("j", DOWN)
    assert page.event > before[-1]


def test_f_steps_over_failures(page: Page, doc: dict[str, Any]) -> None:
    page.press("F")
    assert page.event == doc["failures"][-2]
    page.press("F", "f")
    assert page.event == doc["failures"][-2]
    assert "✕" in page.text("#shown")


def test_slider_over_decisions_stops_at_each_of_them(page: Page, doc: dict[str, Any]) -> None:
    page.click("[data-toggle=decisions]")
    page.go(3)
    assert page.text("#shown").startswith(f"Decision 3 of {len(doc['decisions'])}, event ")
    assert page.one("#slider").get_attribute("aria-valuetext") == page.text("#shown")
    page.press(RIGHT)
    assert page.text("#shown").startswith("Decision 4 of ")


def test_state_of_the_page_is_in_its_address(page: Page) -> None:
    page.go(20)
    page.tab("tasks")
    page.link("charge")
    until(page.browser, lambda: "task=charge" in page.browser.current_url)
    address = page.browser.current_url
    page.browser.get("about:blank")
    page.browser.get(address)
    page.sees("Event 20 of", "#shown")
    assert page.text("#side-name").endswith("charge")
    assert page.one("#tab-tasks").get_attribute("aria-selected") == "true"


@pytest.mark.parametrize(("state", "shown"), [("run=7", "Event "), ("event=2.5", "Event 2 of ")])
def test_address_of_a_run_or_an_event_that_does_not_exist_shows_another_one(
    page: Page, state: str, shown: str
) -> None:
    page.open(state).sees(shown, "#shown")
    assert page.text("#message") == ""


def test_times_are_utc_or_relative_by_one_switch(page: Page) -> None:
    assert "2026-" in page.text("#facts")
    assert ":" in page.text("#shown").split("·")[-1]
    page.click("[data-switch=times] [value=relative]")
    assert page.text("#shown").split("·")[-1].strip().startswith("+2 h")
    page.click("[data-switch=times] [value=utc]")


def test_theme_is_switched(page: Page) -> None:
    def paper() -> Any:
        return page.browser.execute_script("return getComputedStyle(document.body).backgroundColor")

    page.click("[data-switch=theme] [value=light]")
    light = paper()
    page.click("[data-switch=theme] [value=dark]")
    assert paper() != light
    page.click("[data-switch=theme] [value=system]")


def test_help_lists_the_keys(page: Page) -> None:
    page.press("?")
    assert page.one("#keys").is_displayed()
    page.press(ESCAPE)
    assert not page.one("#keys").is_displayed()


def test_several_runs_are_in_one_file(browser: Browser, tmp_path: Path) -> None:
    documents = [document(*order("first")), document(*order("second"))]
    page = Page(browser, written(tmp_path / "runs.html", documents)).open()
    assert page.text("#name") == "first"

    def second() -> bool:
        # Again: what is drawn when its size is known may move the link away from under a click.
        page.click("main nav a[href='#run=1']")
        return page.text("#name") == "second"

    until(browser, second)
    assert page.text("main nav [aria-current=true]") == "second"
    assert violations(browser, "light") == []
    page.tab("events")
    page.go(1)
    page.sees("customer", "#panel section")
    assert problems(browser) == []


def test_open_run_shows_what_is_pending(browser: Browser, tmp_path: Path, doc: dict[str, Any]) -> None:
    history, spec = order()
    open_run = part_of(history, events_of(doc, "ActivityTaskStarted", "charge")[0])
    page = Page(browser, written(tmp_path / "run.html", [document(open_run, spec)])).open()
    assert page.text("#state") == "RUNNING"
    assert "running since" in page.text("#why")


def test_document_that_is_dropped_opens(page: Page) -> None:
    dropped(page, "other.json", json.dumps(document(*order("other"))))
    page.sees("other", "#name")


def test_history_that_is_dropped_onto_a_report_names_the_command(page: Page) -> None:
    dropped(page, "run.json", '{"events": []}')
    page.sees("floto report run.json -o run.html", "#message")


def test_run_without_its_spec_is_shown(browser: Browser, tmp_path: Path) -> None:
    history, _spec = order()
    page = Page(browser, written(tmp_path / "run.html", [document(history, None)])).open("tab=tasks")
    assert "charge" in page.text("#panel")
    page.tab("graph")
    assert "without arrows" in page.text("#view")
    page.tab("check")
    assert "Without a spec" in page.text("#panel")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", ["graph", "timeline", "tasks", "events", "decisions", "data", "check"])
def test_axe_finds_no_violation(page: Page, view: str, theme: str) -> None:
    page.open(f"tab={view}&task=charge&event=60")
    assert violations(page.browser, theme) == []


def test_keyboard_alone_reaches_why(page: Page) -> None:
    """Tab to the graph's boxes, press Enter on one, and read why."""
    page.one("#tab-graph").send_keys(RIGHT)
    assert page.one("#tab-timeline").get_attribute("aria-selected") == "true"
    page.press(LEFT)
    for _ in range(40):
        label = page.browser.switch_to.active_element.get_attribute("aria-label") or ""
        if label.startswith("charge"):
            break
        page.press(TAB)
    page.press(ENTER)
    assert page.text("#side-name") == "failedcharge"
    assert page.browser.switch_to.active_element.get_attribute("aria-label") == "charge: failed, attempt 3"
    page.press("F")
    assert page.text("#side-name").endswith("charge")
