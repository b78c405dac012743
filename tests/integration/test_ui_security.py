"""Who the pages answer, over real sockets: another host, another site, no token, a page that only reads."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowType
from floto.runtime.connect import connect
from tests.integration.browser import Ui, ask, ui
from tests.integration.commands import PATIENCE, ROOT, Shell
from tests.integration.test_server import ANYWHERE, Server, serving

KIND = WorkflowType("order", "1")
TOKEN = "a token, nobody knows"  # noqa: S105 - of a test
HTML = "text/html"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a file that has one open run."""
    directory = tmp_path_factory.mktemp("ui")
    service = connect(f"sqlite:///{directory}/floto.db")
    service.prepare([KIND], [])
    service.start_workflow_execution(StartRequest(workflow_id="first", workflow_type=KIND))
    service.close()
    return directory


@pytest.fixture(scope="module")
def reading(folder: Path) -> Iterator[Ui]:
    with ui("sqlite:///floto.db", cwd=folder) as page:
        yield page


@pytest.fixture(scope="module")
def acting(folder: Path) -> Iterator[Ui]:
    with ui("sqlite:///floto.db", "--allow-actions", cwd=folder) as page:
        yield page


@pytest.fixture(scope="module")
def locked(folder: Path) -> Iterator[Ui]:
    with ui("sqlite:///floto.db", cwd=folder, FLOTO_TOKEN=TOKEN) as page:
        yield page


def csrf(page: Ui) -> str:
    found = re.search(r'data-token="([^"]+)"', ask(page, "GET", "/")[2])
    assert found is not None
    return found[1]


def terminate(**more: str) -> str:
    return urlencode({"domain": "floto", "workflow_id": "first", **more})


def is_open(folder: Path) -> bool:
    service = connect(f"sqlite:///{folder}/floto.db")
    try:
        found = service.latest_execution("first")
    finally:
        service.close()
    return found is not None and found.close_status is None


PATHS = (
    "/",
    "/events",
    "/static/list.js",
    "/actions/start",
    "/runs/first",
    "/schedules",
    "/open",
    "/nothing",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["rebound.example:80", "[::1].rebound.example"])
def test_host_of_another_name_is_refused(reading: Ui, path: str, name: str) -> None:
    status, _, text = ask(reading, "GET", path, host=name)
    assert (status, "is not a name of this server" in text) == (403, True)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "127.0.0.1:1"])
def test_names_of_loopback_are_admitted(reading: Ui, name: str) -> None:
    assert ask(reading, "GET", "/", host=name)[0] == 200


def test_allowed_host_is_admitted(folder: Path) -> None:
    with ui("sqlite:///floto.db", "--allowed-host", "Pages.example", cwd=folder) as page:
        assert ask(page, "GET", "/", host="pages.example")[0] == 200
        assert ask(page, "GET", "/", host="other.example")[0] == 403


@pytest.mark.parametrize("name", ["Host", "Origin", "Cookie"])
def test_repeated_header_that_decides_is_refused(reading: Ui, name: str) -> None:
    with socket.create_connection(("127.0.0.1", reading.port), PATIENCE) as connection:
        twice = "".join(f"{name}: {reading.url.removeprefix('http://')}\r\n" for _ in range(2))
        host = "" if name == "Host" else f"Host: 127.0.0.1:{reading.port}\r\n"
        connection.sendall(f"GET / HTTP/1.1\r\n{host}{twice}Connection: close\r\n\r\n".encode())
        assert connection.makefile("rb").readline().split()[1] == b"400"


ORIGINS = (
    "http://evil.example",
    "null",
    "",
    "https://127.0.0.1",
    "http://127.0.0.1:1",
    "file://",
    "http://[::1",
)


@pytest.mark.parametrize("origin", ORIGINS)
def test_post_of_another_origin_is_refused(acting: Ui, folder: Path, origin: str) -> None:
    form = terminate(csrf=csrf(acting))
    status, _, text = ask(acting, "POST", "/actions/terminate", form, origin=origin)
    assert (status, "Origin" in text) == (403, True)
    assert ask(acting, "POST", "/open", b"{}", origin=origin)[0] == 403
    assert is_open(folder)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_request_that_another_site_makes_is_refused(acting: Ui, site: str) -> None:
    as_image = {"sec_fetch_site": site, "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}
    assert ask(acting, "GET", "/", **as_image)[0] == 403
    form = terminate(csrf=csrf(acting))
    assert ask(acting, "POST", "/actions/terminate", form, sec_fetch_site=site)[0] == 403


def test_link_of_another_site_is_followed_but_not_framed(reading: Ui) -> None:
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert ask(reading, "GET", "/", **link, sec_fetch_dest="document")[0] == 200
    assert ask(reading, "GET", "/", **link, sec_fetch_dest="iframe")[0] == 403


def test_missing_token_is_refused_everywhere(locked: Ui) -> None:
    for path in PATHS:
        status, _, text = ask(locked, "GET", path)
        assert (status, "?token=" in text) == (401, True)
    assert ask(locked, "POST", "/actions/terminate", terminate())[0] == 401


@pytest.mark.parametrize("given", ["", "a", TOKEN[:-1], f"{TOKEN} ", "ä"])
def test_wrong_token_is_refused(locked: Ui, given: str) -> None:
    assert ask(locked, "GET", f"/?{urlencode({'token': given})}")[0] == 401
    assert ask(locked, "GET", "/", authorization=f"Bearer x{given}".encode().decode("latin-1"))[0] == 401
    assert (
        ask(locked, "GET", "/", cookie=f"floto-session-{locked.port}={urlencode({'': given})[1:]}")[0] == 401
    )


def test_token_is_taken_once_from_the_url_and_then_from_the_cookie(locked: Ui) -> None:
    query = urlencode({"filter": "x y", "token": TOKEN})
    status, headers, _ = ask(locked, "GET", f"/?{query}")
    assert (status, headers["location"]) == (303, "/?filter=x+y")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert TOKEN not in cookie
    assert ask(locked, "GET", headers["location"], cookie=cookie.partition(";")[0])[0] == 200
    assert ask(locked, "GET", "/", authorization=f"Bearer {TOKEN}")[0] == 200


def test_redirect_after_the_token_stays_on_this_server(locked: Ui) -> None:
    status, headers, _ = ask(locked, "GET", f"//evil.example/x?{urlencode({'token': TOKEN})}")
    assert (status, headers["location"]) == (303, "/evil.example/x")


def test_address_of_other_machines_needs_a_token(folder: Path) -> None:
    shell = Shell(folder)
    found = shell("ui", "--host", ANYWHERE, "--port", "0", code=2)
    assert "set --token" in found.stderr
    with ui("sqlite:///floto.db", "--host", ANYWHERE, cwd=folder, FLOTO_TOKEN=TOKEN) as page:
        assert ask(page, "GET", "/")[0] == 401
    assert "--token must not be empty" in shell("ui", "--token", " ", code=2).stderr


def test_page_that_only_reads_refuses_every_action(reading: Ui, folder: Path) -> None:
    for name in ("start", "signal", "cancel", "terminate", "redrive", "pause", "resume", "trigger"):
        status, _, text = ask(reading, "POST", f"/actions/{name}", terminate(csrf=csrf(reading)))
        assert (status, "--allow-actions" in text) == (403, True)
    assert is_open(folder)


@pytest.mark.parametrize("given", [{}, {"csrf": ""}, {"csrf": "x"}])
def test_action_without_the_token_of_its_form_is_refused(
    acting: Ui, folder: Path, given: dict[str, str]
) -> None:
    status, _, text = ask(acting, "POST", "/actions/terminate", terminate(**given))
    assert (status, "load it again" in text) == (403, True)
    assert ask(acting, "POST", "/open", b"{}", x_floto_token=given.get("csrf", ""))[0] == 403
    assert is_open(folder)


def test_forms_and_files_that_are_too_large_are_refused(acting: Ui) -> None:
    big = "x" * (256 * 1024 + 1)
    assert ask(acting, "POST", "/actions/terminate", terminate(details=big))[0] == 413
    token = csrf(acting)
    assert ask(acting, "POST", "/open", b" " * (32 * 1024 * 1024 + 1), x_floto_token=token)[0] == 413


def test_every_response_has_the_headers_of_security(reading: Ui) -> None:
    answers = [ask(reading, "GET", path, accept=accept) for path in PATHS[2:] for accept in (HTML, "*/*")]
    answers += [ask(reading, "GET", "/", host="evil"), ask(reading, "POST", "/"), ask(reading, "PUT", "/")]
    for _, headers, _ in answers:
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] in {"no-store", "private, no-cache"}
        assert "server" not in headers


def test_pages_hold_no_inline_script_or_style(reading: Ui) -> None:
    for path in ("/", "/actions/start", "/schedules", "/open", "/none"):
        text = ask(reading, "GET", path, accept=HTML)[2]
        assert not re.search(r"<script(?![^>]* src=)|\son\w+=|\sstyle=|<style|javascript:", text)
        assert not re.search(r'(?:src|href)="(?:https?:)?//', text)


@pytest.mark.parametrize("path", ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "__init__.py", "x"])
def test_static_serves_its_own_files_only(reading: Ui, path: str) -> None:
    assert ask(reading, "GET", f"/static/{path}")[0] == 404


def test_input_of_a_form_names_no_file(acting: Ui, folder: Path) -> None:
    (folder / "secret.json").write_text('"secret"')
    given = {"type": "order", "version": "1", "input": "@secret.json", "csrf": csrf(acting)}
    status, _, text = ask(acting, "POST", "/actions/start", urlencode(given), accept=HTML)
    assert (status, "is not JSON" in text) == (409, True)


def test_error_is_a_page_without_a_traceback(reading: Ui) -> None:
    for path in ("/nothing", "/runs/unknown", "/actions/nothing", "/opened/x", "/?domain=nowhere"):
        status, _, text = ask(reading, "GET", path, accept=HTML)
        assert (status, "Traceback" in text, "<h1>" in text) == (404, False, True)


def test_server_shows_the_page_beside_its_protocol(folder: Path) -> None:
    with serving(folder / "floto.db") as server:
        page = of_server(server)
        status, _, text = ask(page, "GET", "/")
        assert (status, ">first</a>" in text) == (200, True)
        assert ask(page, "GET", "/", host="evil.example")[0] == 403
        assert ask(page, "GET", "/health")[0] == 200
        target = "SimpleWorkflowService.ListDomains"
        swf = {"content_type": "application/x-amz-json-1.0", "x_amz_target": target, "origin": ""}
        status, _, text = ask(page, "POST", "/", '{"registrationStatus": "REGISTERED"}', **swf)
        assert (status, '"floto"' in text) == (200, True)


def test_server_with_keys_shows_no_page_without_a_token(folder: Path) -> None:
    keys = {"FLOTO_ACCESS_KEY": "AKID", "FLOTO_SECRET_KEY": "secret"}
    with serving(folder / "floto.db", **keys) as server:
        status, _, text = ask(of_server(server), "GET", "/")
        assert (status, "--token" in text) == (403, True)
    with serving(folder / "floto.db", **keys, FLOTO_TOKEN=TOKEN) as server:
        assert ask(of_server(server), "GET", "/")[0] == 401
        assert ask(of_server(server), "GET", "/", authorization=f"Bearer {TOKEN}")[0] == 200


def of_server(server: Server) -> Ui:
    return Ui(server.process, server.url)


def without(directory: Path, name: str) -> str:
    """A directory for PYTHONPATH in which a package is as if it was not installed."""
    (directory / f"{name}.py").write_text(f"raise ModuleNotFoundError(name={name!r})\n")
    return f"{directory}{os.pathsep}{ROOT}"


def test_server_without_the_extra_says_what_to_install(folder: Path, tmp_path: Path) -> None:
    with serving(folder / "floto.db", PYTHONPATH=without(tmp_path, "jinja2")) as server:
        page = of_server(server)
        status, _, text = ask(page, "GET", "/")
        assert (status, "pip install 'floto[ui]'" in text) == (501, True)
        assert ask(page, "GET", "/health")[0] == 200
        assert ask(page, "GET", "/runs/x")[0] == 404


@pytest.mark.parametrize("name", ["jinja2", "starlette", "uvicorn"])
def test_command_without_the_extra_says_what_to_install(folder: Path, tmp_path: Path, name: str) -> None:
    found = Shell(folder)("ui", "--port", "0", code=2, PYTHONPATH=without(tmp_path, name))
    assert "pip install 'floto[ui]'" in found.stderr


def test_command_needs_a_file_that_exists(tmp_path: Path) -> None:
    found = Shell(tmp_path)("ui", "--port", "0", code=2)
    assert "there is no file" in found.stderr
    assert not list(tmp_path.iterdir())
