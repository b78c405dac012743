"""Runs for tests of the run page, their reports, and what a test does with a page that is open."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from floto import ActivityTask, ChildWorkflow, DeciderSpec, FixedDelay, Generator, History, Signal, Timer
from floto.core.swf.shapes import WorkflowExecution
from floto.core.view.run_view import view
from floto.pages.document.prepare import prepare
from floto.pages.document.run_document import run_document
from floto.pages.report import report
from floto.testing import fails, simulate, takes
from tests.integration.browser import Browser, until

PARTS = 10
#: The views of the page.
TABS = ("graph", "timeline", "tasks", "events", "decisions", "data", "check")
#: Looks at each view at several moments; returns the most elements, and the longest step in milliseconds.
WALK = """
const [tabs, done] = arguments;
const slider = document.getElementById("slider");
const most = { nodes: 0, ms: 0, what: "", steps: 0 };
const look = (what, act) => {
  const start = performance.now();
  act();
  document.body.getBoundingClientRect();
  const ms = performance.now() - start;
  most.steps++;
  if (ms > most.ms) Object.assign(most, { ms, what });
  most.nodes = Math.max(most.nodes, document.getElementsByTagName("*").length);
};
const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
(async () => {
  for (const tab of tabs) {
    look(`tab ${tab}`, () => document.getElementById(`tab-${tab}`).click());
    await new Promise(requestAnimationFrame);
    for (const part of [0.1, 0.5, 0.9]) {
      look(`slider in ${tab}`, () => {
        slider.value = Math.round(slider.max * part);
        slider.dispatchEvent(new Event("input"));
      });
      await new Promise(requestAnimationFrame);
    }
    for (const key of ["ArrowLeft", "ArrowUp", "f", "F"]) look(`${key} in ${tab}`, () => press(key));
    const surface = document.querySelector("#panel .surface");
    for (const deltaY of surface ? [-300, -300, 600] : []) {
      const turn = new WheelEvent("wheel", { ctrlKey: true, deltaY, cancelable: true });
      look(`wheel in ${tab}`, () => surface.dispatchEvent(turn));
    }
    const task = document.querySelector("#panel [data-key*='t']");
    if (task) look(`task in ${tab}`, () => task.dispatchEvent(new MouseEvent("click", { bubbles: true })));
    if (task) look(`Escape in ${tab}`, () => press("Escape"));
    const group = document.querySelector("#panel [aria-expanded=false]");
    if (group) look(`group in ${tab}`, () => group.dispatchEvent(new MouseEvent("click", { bubbles: true })));
    await new Promise(requestAnimationFrame);
    most.nodes = Math.max(most.nodes, document.getElementsByTagName("*").length);
  }
  done(most);
})();
"""


def order_spec() -> DeciderSpec:
    """A run with every kind of task, whose charge fails three times."""
    load = ActivityTask(id_="load", name="load", version="1", input={"day": "monday"})
    split = Generator(id_="split", name="split", version="1", requires=[load])
    approved = Signal(id_="approved", signal_name="approved", requires=[load])
    pause = Timer(id_="pause", delay_in_seconds=7200, requires=[load])
    charge = ActivityTask(
        id_="charge",
        name="charge",
        version="2",
        requires=[split, pause, approved],
        retry_strategy=FixedDelay(41, 2),
    )
    invoice = ChildWorkflow(
        id_="invoice",
        workflow_type_name="invoice",
        workflow_type_version="1",
        requires=[load],
        spec=DeciderSpec(activity_tasks=[ActivityTask(id_="print", name="print", version="1")]),
    )
    ship = ActivityTask(id_="ship", name="ship", version="1", requires=[charge, invoice])
    refund = ActivityTask(id_="refund", name="refund", version="1")
    return DeciderSpec(
        activity_tasks=[load, split, approved, pause, charge, invoice, ship], on_failure=[refund]
    )


def order(workflow_id: str = "order-17") -> tuple[History, DeciderSpec]:
    """The history of a run of ``order_spec``."""
    spec = order_spec()
    parts = [ActivityTask(id_=f"part {n}", name="part", version="1") for n in range(PARTS)]
    outcomes: dict[str, Any] = {
        "split": lambda *_: parts,
        "charge": takes(seconds=2, then=fails(None, "CardDeclined", "no funds")),
        "load": takes(seconds=30),
        "part": takes(minutes=1),
    }
    events = simulate(spec, outcomes, input={"customer": "c-17"}).main.events
    return History(events, WorkflowExecution(workflow_id, f"run-of-{workflow_id}")), spec


class _Recorder:
    """Events in SWF's own shape, one every tenth of a second."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        task_list, kind = {"name": "decide"}, {"name": "large", "version": "1"}
        about = {"childPolicy": "TERMINATE", "taskList": task_list, "workflowType": kind}
        self.add("WorkflowExecutionStarted", **about, parentInitiatedEventId=0, input='{"n": 1}')

    def add(self, kind: str, **attributes: Any) -> int:
        id_ = len(self.events) + 1
        event = {"eventId": id_, "eventTimestamp": 1_700_000_000 + id_ / 10, "eventType": kind}
        self.events.append({**event, f"{kind[0].lower()}{kind[1:]}EventAttributes": attributes})
        return id_

    def decide(self) -> int:
        scheduled = self.add("DecisionTaskScheduled", taskList={"name": "decide"})
        started = self.add("DecisionTaskStarted", scheduledEventId=scheduled, identity="decider-1@host")
        ids = {"scheduledEventId": scheduled, "startedEventId": started}
        return self.add("DecisionTaskCompleted", **ids)

    def schedule(self, task: ActivityTask, decided: int) -> int:
        kind, task_list = {"name": task.name, "version": task.version}, {"name": "work"}
        about = {"activityId": task.id_, "activityType": kind, "taskList": task_list}
        return self.add("ActivityTaskScheduled", **about, decisionTaskCompletedEventId=decided)

    def work(self, scheduled: int, *, fails: bool = False) -> None:
        started = self.add("ActivityTaskStarted", scheduledEventId=scheduled, identity="worker-1@host")
        ids = {"scheduledEventId": scheduled, "startedEventId": started}
        if fails:
            self.add("ActivityTaskFailed", **ids, reason="Gone", details="the file has gone")
        else:
            self.add("ActivityTaskCompleted", **ids, result=json.dumps({"rows": started}))

    def history(self, workflow_id: str) -> History:
        return History.from_swf(self.events, WorkflowExecution(workflow_id, f"run-of-{workflow_id}"))


def sequence(count: int = 4166) -> tuple[History, DeciderSpec]:
    """A run of tasks one after the other; by default nearly 25,000 events, SWF's maximum."""
    recorder, tasks = _Recorder(), list[ActivityTask]()
    for number in range(count):
        before = tasks[-1:]
        tasks.append(ActivityTask(id_=f"step {number}", name="step", version="1", requires=before))
        recorder.work(recorder.schedule(tasks[-1], recorder.decide()))
    return recorder.history("sequence"), DeciderSpec(
        activity_tasks=tasks, activity_task_list="work", task_list="decide"
    )


def parallel(count: int = 5000) -> tuple[History, DeciderSpec]:
    """A run that started all of its tasks at once; some of them failed."""
    recorder = _Recorder()
    tasks = [ActivityTask(id_=f"item {n}", name="item", version="1") for n in range(count)]
    decided = recorder.decide()
    scheduled = [recorder.schedule(task, decided) for task in tasks]
    for number, event in enumerate(scheduled):
        recorder.work(event, fails=number % 40 == 7)
    return recorder.history("parallel"), DeciderSpec(
        activity_tasks=tasks, activity_task_list="work", task_list="decide"
    )


def document(history: History, spec: DeciderSpec | None) -> dict[str, Any]:
    return prepare(run_document(view(history, spec)))


def part_of(history: History, events: int) -> History:
    """The run as it was after so many events."""
    return evolve(history, events=history.events[:events])


def written(path: Path, documents: Iterable[dict[str, Any]]) -> Path:
    path.write_text(report([*documents]), encoding="utf-8")
    return path


@frozen
class Page:
    """A report that is open in a browser."""

    browser: Browser
    path: Path

    def open(self, state: str = "") -> Page:
        self.browser.get("about:blank")
        self.browser.get(f"{self.path.as_uri()}#{state}")
        until(self.browser, lambda: self.one("#run").is_displayed() and self.text("#shown"))
        return self

    def one(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        script = "return document.querySelector(arguments[0])?.textContent ?? ''"
        return str(self.browser.execute_script(script, selector))

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements, read at once, as rows are drawn anew when the view changes its size."""
        script = "return [...document.querySelectorAll(arguments[0])].map(each => each.textContent)"
        found: list[str] = self.browser.execute_script(script, selector)
        return found

    def click(self, selector: str) -> None:
        # What is in sight is drawn anew when its size is known, so an element may be replaced meanwhile.
        def clicked() -> bool:
            self.one(selector).click()
            return True

        until(self.browser, clicked)

    def press(self, *keys: str) -> None:
        ActionChains(self.browser).send_keys(*keys).perform()

    def tab(self, name: str) -> None:
        self.click(f"#tab-{name}")

    def link(self, name: str, within: str = "#panel") -> None:
        """Press the link of this text."""

        def pressed() -> bool:
            buttons = self.all(f"{within} button.link")
            next(each for each in buttons if each.text == name).click()
            return True

        until(self.browser, pressed)

    def sees(self, text: str, selector: str = "main") -> None:
        until(self.browser, lambda: text in self.text(selector))

    @property
    def event(self) -> int:
        return int(self.one("#slider").get_attribute("value") or 0)

    def go(self, event: int) -> None:
        """Move the slider."""
        self.browser.execute_script(
            "const slider = document.getElementById('slider'); slider.value = arguments[0];"
            "slider.dispatchEvent(new Event('input'))",
            event,
        )

    def statuses(self) -> dict[str, str]:
        """The status of each box of the graph."""
        script = (
            "return Object.fromEntries([...document.querySelectorAll('#panel g.node')]"
            ".map(each => [each.querySelector('text').textContent, each.dataset.status]))"
        )
        found: dict[str, str] = self.browser.execute_script(script)
        return found


LEFT, RIGHT, UP, DOWN, ESCAPE, ENTER, TAB = (
    *(Keys.ARROW_LEFT, Keys.ARROW_RIGHT, Keys.ARROW_UP, Keys.ARROW_DOWN),
    *(Keys.ESCAPE, Keys.ENTER, Keys.TAB),
)


def dropped(page: Page, name: str, text: str) -> None:
    """Drop a file onto the page."""
    page.browser.execute_script(
        "const data = new DataTransfer(); data.items.add(new File([arguments[1]], arguments[0]));"
        "const how = {dataTransfer: data, bubbles: true, cancelable: true};"
        "document.body.dispatchEvent(new DragEvent('drop', how))",
        name,
        text,
    )
