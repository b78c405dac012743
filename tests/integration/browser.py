"""A real browser for tests of the pages: Debian's chromium, headless, and a real ``floto ui`` for it."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import pytest
from attrs import frozen
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.integration.commands import PATIENCE, ROOT
from tests.integration.forked import start_command

T = TypeVar("T")
Browser = webdriver.Chrome

_CHROMIUM, _DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
#: The tests of the test command run where there is a browser; in CI there is one.
needs_browser = pytest.mark.skipif(
    not (_CHROMIUM and _DRIVER) and "CI" not in os.environ,
    reason="chromium is not installed",
)
_OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"),
    *("--hide-scrollbars", "--force-color-profile=srgb", "--disable-background-networking"),
)
#: What a page of another status than 200 makes the browser log, which is no problem of the page.
_STATUS = "Failed to load resource: the server responded with a status of"


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser with a profile of its own."""
    options = webdriver.ChromeOptions()
    for option in _OPTIONS:
        options.add_argument(option)
    options.binary_location = str(_CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(_DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as driver:
        yield driver


def until(browser: Browser, look: Callable[[], T], seconds: float = PATIENCE) -> T:
    """The first value that is true; a page may replace an element while it is looked at."""
    wait = WebDriverWait(
        browser, seconds, poll_frequency=0.05, ignored_exceptions=[StaleElementReferenceException]
    )
    try:
        return wait.until(lambda _: look())
    except TimeoutException:
        shown = browser.find_element(By.TAG_NAME, "body").text
        msg = f"not within {seconds} s; {browser.current_url} shows:\n{shown}"
        raise AssertionError(msg) from None


def leave(browser: Browser, act: Callable[[], object]) -> None:
    """Do what opens another page, and wait until that page and its scripts are loaded.

    On a busy machine, the browser may begin to load the page after the call that clicks has returned. A look
    at the old page, or at a half of the new one, would then be taken for the new page.
    """
    browser.execute_script("window.isLeft = true")
    act()
    script = "return document.readyState === 'complete' && !window.isLeft"
    until(browser, lambda: browser.execute_script(script))


def problems(browser: Browser) -> list[str]:
    """What the browser logged since the last call: errors of scripts and refusals of the policy."""
    logged: list[dict[str, Any]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return [
        each["message"] for each in logged if each["level"] == "SEVERE" and _STATUS not in each["message"]
    ]


def axe_source() -> str:
    """The script of axe-core, from the package that carries it."""
    spec = find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        if "CI" in os.environ:
            pytest.fail("axe-core is not installed: pip install axe-playwright-python")
        pytest.skip("axe-core is not installed")
    path = Path(spec.origin).parent / "axe.min.js"
    return path.read_text(encoding="utf-8")


def violations(browser: Browser, theme: str) -> list[str]:
    """What axe-core finds on the page that is open, in a theme."""
    browser.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
    browser.execute_script(axe_source())
    found = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    return [f"{each['id']}: {node['html']}" for each in found["violations"] for node in each["nodes"]]


def ask(
    at: Ui, method: str, path: str, body: str | bytes = "", **headers: str
) -> tuple[int, dict[str, str], str]:
    """Send a request over a socket of its own; return the status, the headers and the body as text.

    Names of headers have underscores for dashes. The Origin of a POST is that of the page unless it is given.
    """
    connection = HTTPConnection("127.0.0.1", at.port, timeout=PATIENCE)
    given = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    if method == "POST":
        given = {"origin": at.url, "content-type": "application/x-www-form-urlencoded", **given}
    try:
        connection.request(
            method, path, body or None, {name: value for name, value in given.items() if value}
        )
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        data = response.read()
    finally:
        connection.close()
    if found.get("content-encoding") == "gzip":
        data = gzip.decompress(data)
    return response.status, found, data.decode()


@frozen
class Ui:
    """A real ``floto ui``."""

    process: subprocess.Popen[str]
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextmanager
def ui(service: str, *options: str, cwd: Path, **env: str) -> Iterator[Ui]:
    """Serve the pages of a service on a free port."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FLOTO_"))}
    words = ("ui", "--service", service, "--port", "0", *options)
    with start_command(*words, cwd=cwd, env={**inherited, "PYTHONPATH": str(ROOT), **env}) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert said.startswith("floto ui on "), (said, process.communicate())
            yield Ui(process, said.split()[3].rstrip(","))
        finally:
            process.kill()
