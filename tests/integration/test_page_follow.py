"""The page of an open run that goes on: what the reader has chosen stays as it is."""

from __future__ import annotations

import json

import pytest

import floto
from floto.core.payloads import payload
from floto.core.spec.decider_spec import CODEC
from floto.core.swf.reserved_names import SPEC_KEY
from floto.core.swf.service import StartRequest
from floto.runtime.runs.needs import needs
from tests.integration.browser import browser, needs_browser, until
from tests.integration.page_runs import Page
from tests.integration.shown import LIST, ORDER
from tests.integration.test_page_live import Site, opened, site

__all__ = ["browser", "site"]
pytestmark = needs_browser

#: Tasks alike: a group, and more rows than are in sight.
ALIKE = 40
DECLARED, PARTS = ALIKE + 3, 5


def generating(site: Site) -> None:
    """Start a run with a generator; two declared tasks and a group of others come after it."""
    split = floto.Generator(id_="split", name="split", version="1", task_list=LIST)
    after = [
        floto.ActivityTask(id_=f"after {n}", name=f"after {n}", version="1", requires=[split]) for n in (1, 2)
    ]
    alike = [floto.ActivityTask(id_=f"item {n}", name="item", version="1") for n in range(ALIKE)]
    spec = floto.DeciderSpec(
        activity_tasks=[split, *after, *alike], task_list=LIST, activity_task_list="elsewhere"
    )
    site.shop.service.prepare([], needs(spec).activity_types)
    input = payload.dumps({SPEC_KEY: CODEC.unstructure(spec)}, "input")
    request = StartRequest(workflow_id="order-1", workflow_type=ORDER, task_list=LIST, input=input)
    site.shop.service.start_workflow_execution(request)
    site.shop.decide()


def split(site: Site) -> None:
    """Let the generator return tasks, which the document has behind it."""
    parts = [floto.ActivityTask(id_=f"part {n}", name="item", version="1") for n in range(PARTS)]
    task = site.shop.service.poll_for_activity_task(LIST, "worker", 5)
    assert task is not None
    result = json.dumps([CODEC.unstructure(part) for part in parts])
    site.shop.service.respond_activity_task_completed(task.token, result)
    site.shop.decide()
    last = len(site.shop.service.history(task.execution))
    until(site.page.browser, lambda: site.page.one("#slider").get_attribute("max") == str(last))


def expanded(page: Page) -> list[str]:
    """The names of the groups that are open."""
    script = (
        "return [...document.querySelectorAll('#view [aria-expanded=true]')]"
        ".map(each => each.getAttribute('aria-label').split(':')[0])"
    )
    found: list[str] = page.browser.execute_script(script)
    return found


def test_chosen_task_and_open_group_stay_when_a_generator_returns_tasks(site: Site) -> None:
    generating(site)
    page = opened(site, "order-1", "task=after+2&tab=tasks")
    page.sees(f"of {DECLARED} tasks", "#matches")
    page.tab("graph")
    page.browser.execute_script(
        "document.querySelector('#view [aria-expanded=false]').dispatchEvent(new MouseEvent('click'))"
    )
    [group] = until(page.browser, lambda: expanded(page))
    page.tab("tasks")
    split(site)
    assert page.text("#side-name").endswith("after 2")
    assert page.texts("#view tr.chosen button") == ["after 2"]
    page.tab("graph")
    assert expanded(page) == [group]


#: The place of the view and its zoom, which is the width of the drawing.
PLACE = """
const area = document.querySelector("#view > :is(.rows, .surface, .scroll)")
return [area.scrollLeft, area.scrollTop, document.querySelector("#view .sizer")?.style.width ?? ""]
"""


def scrolled(page: Page, left: int, top: int) -> list[int]:
    """Scroll the view; return its place."""
    script = 'document.querySelector("#view > :is(.rows, .surface, .scroll)").scrollTo(...arguments)'
    page.browser.execute_script(script, left, top)
    found: list[int] = page.browser.execute_script(PLACE)
    assert found[:2] == [left, top]
    return found


@pytest.mark.parametrize(
    ("tab", "keys", "left", "top"),
    [("graph", "++++", 150, 90), ("timeline", "++", 300, 0), ("tasks", "", 0, 450), ("events", "", 0, 210)],
)
def test_view_stays_where_the_reader_has_scrolled_and_zoomed(
    site: Site, tab: str, keys: str, left: int, top: int
) -> None:
    generating(site)
    page = opened(site, "order-1", f"tab={tab}")
    page.press(*keys)
    before = scrolled(page, left, top)
    split(site)
    assert page.browser.execute_script(PLACE) == before


def test_events_follow_the_last_one_as_long_as_it_is_in_sight(site: Site) -> None:
    generating(site)
    page = opened(site, "order-1", "tab=events")
    split(site)
    until(page.browser, lambda: page.text("#view tr.now td") == str(page.event))


def test_focus_stays_on_the_same_task(site: Site) -> None:
    generating(site)
    page = opened(site, "order-1", "tab=graph")
    page.browser.execute_script("document.querySelector('#view g[aria-label^=\"after 2\"]').focus()")
    split(site)
    name = page.browser.switch_to.active_element.get_attribute("aria-label") or ""
    assert name.startswith("after 2: ")
