"""Pictures of the pages for the documentation, made from runs of this moment.

python -m tests.screenshots docs/images
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import floto
from floto.adapters import history_files
from floto.runtime.connect import connect
from tests.integration.browser import Browser, browsing, ui, until
from tests.integration.shown import Shop, shop

SIZE = (1280, 860)


def _flow() -> floto.DeciderSpec:
    """A flow that fails: parts are fetched in parallel, one of them fails and is tried again, in vain."""

    @floto.activity(name="list parts", version="1")
    def list_parts() -> list[str]:
        time.sleep(0.2)
        return ["north", "east", "south", "west"]

    @floto.activity(name="fetch", version="2")
    def fetch(context: dict[str, object]) -> dict[str, int]:
        time.sleep(0.3)
        part = context["activity_task"]["part"]  # type: ignore[index]
        if part == "south":
            msg = "503 from the warehouse: no route to shelf 7"
            raise ConnectionError(msg)
        return {"rows": 12 * len(part)}

    @floto.activity(name="check stock", version="1")
    def check_stock() -> str:
        time.sleep(0.4)
        return "ok"

    @floto.activity(name="tell", version="1")
    def tell() -> str:
        return "told the night shift"

    listing = floto.ActivityTask(id_="list", name="list parts", version="1")
    stock = floto.ActivityTask(id_="stock", name="check stock", version="1")
    fetches = [
        floto.ActivityTask(
            id_=part,
            name="fetch",
            version="2",
            input={"part": part},
            requires=[listing],
            retry_strategy=floto.FixedDelay(1, 2),
        )
        for part in ("north", "east", "south", "west")
    ]
    settle = floto.Timer(id_="settle", delay_in_seconds=1, requires=[stock])
    report = floto.ActivityTask(id_="report", name="tell", version="1", requires=[*fetches, settle])
    told = floto.ActivityTask(id_="tell", name="tell", version="1")
    return floto.DeciderSpec(activity_tasks=[listing, stock, *fetches, settle, report], on_failure=[told])


def _runs(made: Shop) -> None:
    for number in range(1, 8):
        made.completed(f"order-{1040 + number}", "eu" if number % 2 else "us")
    made.failed("order-1048", "eu", "vip")
    made.retrying("order-1049", "us")
    made.running("order-1050", "eu")
    made.service.terminate_workflow_execution(made.start("order-1051", "us").workflow_id)
    made.start("order-1052", "eu", task_list="orders-canary")
    with suppress(floto.WorkflowFailed):
        floto.run(_flow(), service=made.url, workflow_id="nightly-stock")


def _pictures(browser: Browser, url: str, folder: Path) -> None:
    def shot(name: str) -> None:
        time.sleep(0.5)  # animations
        browser.save_screenshot(str(folder / f"{name}.png"))

    def press(key: str) -> None:
        browser.execute_script("document.activeElement.blur()")
        browser.find_element("css selector", "body").send_keys(key)

    browser.get(f"{url}/")
    until(browser, lambda: "orders-canary" in browser.find_element("id", "runs").text)
    shot("list")
    browser.get(f"{url}/runs/nightly-stock")
    until(browser, lambda: browser.find_element("id", "run").is_displayed())
    shot("run")
    press("F")
    press("2")
    until(browser, lambda: browser.find_element("css selector", "#why button.link").is_displayed())
    browser.find_element("css selector", "#why button.link").click()
    shot("run-at-failure")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, shop(Path(directory)) as made, browsing() as browser:
        browser.set_window_size(*SIZE)
        _runs(made)
        (Path(directory) / "spec.json").write_text(_flow().to_json())
        with ui("sqlite:///floto.db", "--spec", "spec.json", cwd=Path(directory)) as page:
            _pictures(browser, page.url, folder)
        history = Path(directory) / "nightly-stock.json"
        service = connect(made.url)
        info = service.latest_execution("nightly-stock")
        assert info is not None
        events = service.history(info.execution)
        history_files.save(floto.History(events, info.execution), history, spec=_flow())
        service.close()
        report = Path(directory) / "report.html"
        command = [sys.executable, "-m", "floto", "report", str(history), "-o", str(report)]
        subprocess.run(command, check=True, capture_output=True)
        browser.get(report.as_uri())
        until(browser, lambda: browser.find_element("id", "run").is_displayed())
        browser.execute_script("document.documentElement.dataset.theme = 'dark'")
        time.sleep(0.5)
        browser.save_screenshot(str(folder / "report.png"))


if __name__ == "__main__":
    main()
