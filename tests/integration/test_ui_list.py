"""The list of runs over HTTP, as it is without a script: filter, statuses, sort, pages, domains, updates."""

from __future__ import annotations

import html
import json
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from floto.adapters.local import LocalSwf
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowExecution, WorkflowType
from floto.core.swf.wire import to_ms
from floto.pages.web.watch import MOST_VIEWERS
from floto.runtime.connect import connect
from tests.integration.browser import Ui, ask, ui
from tests.integration.commands import PATIENCE, ROOT, wait_for
from tests.integration.hostile import IN_NAMES
from tests.integration.shown import ORDER, Shop, shop
from tests.integration.test_server import serving

HTML = "text/html"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Runs of every kind."""
    with shop(tmp_path_factory.mktemp("list")) as made:
        made.completed("done-1", "eu")
        made.completed("done-2", "us")
        made.failed("failed-1", "eu", "vip")
        made.retrying("retried", "eu")
        made.running("busy")
        made.service.terminate_workflow_execution(made.start("ended").workflow_id)
        made.start("undecided", task_list="nobody")
        made.start("unworked", lists="elsewhere")
        made.decide()
        yield made


@pytest.fixture(scope="module")
def page(made: Shop) -> Iterator[Ui]:
    with ui(made.url, cwd=Path(made.url.removeprefix("sqlite:///")).parent) as page:
        yield page


_COUNT = r'<a href="(/[^"]*)"[^>]*><span class="status" data-status="(\w+)">.*?>([\d,]+)</span>'


def listed(at: Ui, /, **given: str) -> list[str]:
    """The workflow ids of a page of the list."""
    status, _, text = ask(at, "GET", f"/?{urlencode(given)}", accept=HTML)
    assert status == 200, text
    return rows(text)


def rows(text: str) -> list[str]:
    return [html.unescape(each) for each in re.findall(r'<a href="/runs/[^"]*"[^>]*>([^<]*)</a>', text)]


ALL = ["unworked", "undecided", "ended", "busy", "retried", "failed-1", "done-2", "done-1"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ALL),
        ("status:failed", ["failed-1"]),
        ("status:COMPLETED", ["done-2", "done-1"]),
        ("status:retrying", ["retried"]),
        ("status:stuck", ["unworked", "undecided"]),
        ("status:running", ["busy"]),
        ("status:open", ["unworked", "undecided", "busy", "retried"]),
        ("status:closed tag:eu", ["failed-1", "done-1"]),
        ("status:failed status:terminated", ["ended", "failed-1"]),
        ("type:order", ALL),
        ("type:orde", []),
        ('type:"order 1" done', ["done-2", "done-1"]),
        ("tag:vip", ["failed-1"]),
        ("age<1h", ALL),
        ("age>1h", []),
        ("took<1h status:closed -1", ["failed-1", "done-1"]),
        ("DONE-1", ["done-1"]),
        ("<script>", []),
    ],
)
def test_filter_selects_runs(page: Ui, text: str, found: list[str]) -> None:
    wait_for(lambda: listed(page, filter="status:stuck") == ["unworked", "undecided"])
    assert listed(page, filter=text) == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("state:x", "there is no condition 'state'"),
        ("status:odd", "there is no status 'odd'"),
        ("age:1h", "age takes < or >, not ':'"),
        ("age<1y", "'1y' is not a span of time"),
        ("tag:", "tag: has no value"),
        ('"open', "a quotation mark is not closed"),
        ("x" * 501, "more than 500 characters"),
    ],
)
def test_filter_that_is_not_valid_is_explained_on_the_page(page: Ui, text: str, problem: str) -> None:
    status, _, found = ask(page, "GET", f"/?{urlencode({'filter': text})}", accept=HTML)
    assert (status, problem in html.unescape(found)) == (400, True)
    assert rows(found) == ALL


def test_counts_are_links_to_the_runs_of_a_status(page: Ui) -> None:
    wait_for(lambda: listed(page, filter="status:stuck"))
    text = ask(page, "GET", f"/?{urlencode({'filter': 'tag:eu status:failed'})}")[2]
    links = re.findall(
        r'<a href="(/[^"]*)"[^>]*><span class="status" data-status="(\w+)">.*?>([\d,]+)</span>', text
    )
    counts = {status: (int(count), html.unescape(url)) for url, status, count in links}
    assert {status: count for status, (count, _) in counts.items() if count} == {
        "COMPLETED": 1,
        "FAILED": 1,
        "retrying": 1,
    }
    assert rows(ask(page, "GET", counts["retrying"][1])[2]) == ["retried"]


def test_reasons_of_stuck_and_retrying_runs_are_shown(page: Ui) -> None:
    wait_for(lambda: listed(page, filter="status:stuck"))
    text = html.unescape(ask(page, "GET", "/")[2])
    assert "nobody polls task list 'nobody' for decisions" in text
    assert "nobody polls task list 'elsewhere' for activities" in text
    assert "send waits for its retry" in text


@pytest.mark.parametrize("name", ["workflow", "type", "status", "started", "took"])
def test_sort_by_every_column_both_ways(page: Ui, name: str) -> None:
    one, other = listed(page, sort=name), listed(page, sort=f"-{name}")
    assert sorted(one) == sorted(ALL)
    if name in {"workflow", "started"}:
        assert one == other[::-1]
    assert (one == sorted(ALL)) is (name == "workflow")


def test_unknown_sort_and_page_show_the_first_page(page: Ui) -> None:
    for given in (
        {"sort": "x"},
        {"page": "x"},
        {"page": "-1"},
        {"page": "9" * 30},
        {"page": "99"},
        {"page": "²"},
    ):
        assert listed(page, **given) == ALL


def test_pages_of_fifty_runs(tmp_path: Path) -> None:
    with shop(tmp_path) as many, ui(many.url, cwd=tmp_path) as page:
        for number in range(120):
            many.start(f"run-{number:03}", task_list="later")
        wait_for(lambda: len(listed(page)) == 50)
        found = [each for number in ("1", "2", "3") for each in listed(page, page=number)]
        assert found == [f"run-{number:03}" for number in reversed(range(120))]
        text = ask(page, "GET", "/?page=2&filter=run")[2]
        assert "51 to 100 of 120 runs" in text
        assert 'href="/?filter=run&amp;page=3"' in text or 'href="/?page=3&amp;filter=run"' in text


def test_domains_are_chosen_from(made: Shop, page: Ui) -> None:
    other: Any = connect(made.url, "another")
    other.prepare([ORDER], [])
    run_id = other.start_workflow_execution(StartRequest(workflow_id="over-there", workflow_type=ORDER))
    other.close()
    with ui(made.url, cwd=Path(made.url.removeprefix("sqlite:///")).parent) as fresh:
        text = ask(fresh, "GET", "/?domain=another")[2]
        assert rows(text) == ["over-there"]
        assert '<option value="another" selected>another</option>' in text
        status, headers, _ = ask(fresh, "GET", f"/runs/over-there/{quote(run_id)}")
        assert (status, headers["location"].endswith("?domain=another")) == (303, True)
    assert ask(page, "GET", "/?domain=unknown")[0] == 404


@pytest.mark.parametrize("name", [*IN_NAMES, "dots", "dot", "percent", "quotes", "script"])
def test_hostile_names_are_shown_and_lead_to_their_runs(tmp_path: Path, name: str) -> None:
    names = {"dots": "..", "dot": ".", "percent": "%2E%2e+%", "quotes": "\"'><x>", "script": "<script>x()<"}
    workflow_id = names[name] if name in names else IN_NAMES[name]
    kind = WorkflowType(workflow_id, "<b>1")
    service: Any = connect(f"sqlite:///{tmp_path}/floto.db")
    service.prepare([kind], [])
    service.start_workflow_execution(
        StartRequest(workflow_id=workflow_id, workflow_type=kind, task_list="<i>", tags=(workflow_id,))
    )
    service.close()
    with ui("sqlite:///floto.db", cwd=tmp_path) as page:
        text = ask(page, "GET", "/")[2]
        assert "<script>x" not in text
        assert "<b>" not in text
        assert all(each.isprintable() or each == "\n" for each in text)
        found = re.search(r'<a href="(/runs/[^"]*)"[^>]*>', text)
        assert found is not None
        url = html.unescape(found[1])
        assert not re.search(r"/\.{1,2}/|/(?:%2e){1,2}/", url, re.IGNORECASE)
        assert ask(page, "GET", url, accept=HTML)[0] == 200
        document = json.loads(ask(page, "GET", url.replace("?", "/document?"))[2])
        assert document["format"] == "floto.view/1"


def test_document_is_sent_again_only_after_new_events(made: Shop, page: Ui) -> None:
    run = made.start("followed", task_list="nobody")
    url = f"/runs/followed/{quote(run.run_id)}/document"
    status, headers, text = ask(page, "GET", url)
    assert (status, json.loads(text)["run"]["workflow_id"]) == (200, "followed")
    assert ask(page, "GET", url, if_none_match=headers["etag"])[0] == 304
    made.service.signal_workflow_execution("followed", "go")
    assert ask(page, "GET", url, if_none_match=headers["etag"])[0] == 200


def test_latest_run_of_a_workflow_id(page: Ui) -> None:
    status, headers, _ = ask(page, "GET", "/runs/busy")
    assert (status, headers["location"].startswith("/runs/busy/")) == (303, True)


@contextmanager
def stream(
    page: Ui, path: str, headers: Mapping[str, str] | None = None
) -> Iterator[Iterator[dict[str, Any]]]:
    """The messages of a stream."""
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    with socket.create_connection(("127.0.0.1", page.port), PATIENCE) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n".encode()
        )
        lines = connection.makefile("r", encoding="utf-8")
        assert "200" in lines.readline()
        yield (json.loads(line[6:]) for line in lines if line.startswith("data: "))


def test_stream_sends_the_rows_that_changed(tmp_path: Path) -> None:
    with shop(tmp_path) as made, ui(made.url, cwd=tmp_path) as page:
        first = made.running("first")
        with stream(page, "/events?filter=first") as messages:
            message = next(messages)
            assert message["order"] == [first.run_id]
            made.start("other", task_list="x")
            made.service.terminate_workflow_execution("first")
            while message["rows"].get(first.run_id, {}).get("status") != "TERMINATED":
                message = next(messages)
            assert message["counts"]["TERMINATED"] == 1
            assert set(message["rows"]) == {first.run_id}


@pytest.mark.parametrize(
    ("text", "counts"),
    [("age<6s", [1, 0]), ("age>4s", [0, 1]), ("took<6s", [1, 0]), ("took>4s", [0, 1])],
)
def test_stream_of_a_list_that_depends_on_time_moves_with_it(
    tmp_path: Path, text: str, counts: list[int]
) -> None:
    with shop(tmp_path) as made, ui(made.url, cwd=tmp_path) as page:
        made.running("first")
        with stream(page, f"/events?{urlencode({'filter': text})}") as messages:
            seen = (len(message["order"]) for message in messages)
            assert next(each for each in seen if each == counts[0]) == counts[0]
            assert next(each for each in seen if each == counts[1]) == counts[1]


def test_stream_of_runs_by_what_they_took_moves_with_time(tmp_path: Path) -> None:
    with shop(tmp_path) as made, ui(made.url, cwd=tmp_path) as page:
        done = made.start("done")
        time.sleep(2)
        made.service.terminate_workflow_execution("done")
        busy = made.start("busy")
        with stream(page, "/events?sort=took") as messages:
            orders = (message["order"] for message in messages)
            assert [done.run_id, busy.run_id] in orders
            assert [busy.run_id, done.run_id] in orders


def last_event(made: Shop, run: WorkflowExecution) -> dict[str, int]:
    """Return what a stream says of the last event of a run."""
    last = made.service.history(run)[-1]
    return {"event": last.id, "at": to_ms(last.at)}


def test_stream_of_a_run_ends_with_it(tmp_path: Path) -> None:
    with shop(tmp_path) as made, ui(made.url, cwd=tmp_path) as page:
        run = made.running("first")
        with stream(page, f"/runs/first/{quote(run.run_id)}/changes") as messages:
            assert next(messages) == {**last_event(made, run), "closed": False, "help": []}
            made.service.terminate_workflow_execution("first")
            assert next(messages) == {**last_event(made, run), "closed": True, "help": []}
            assert list(messages) == []


def test_closed_run_is_told_once_to_a_page_that_does_not_know(tmp_path: Path) -> None:
    with shop(tmp_path) as made, ui(made.url, cwd=tmp_path) as page:
        run = made.running("first")
        made.service.terminate_workflow_execution("first")
        count, path = len(made.service.history(run)), f"/runs/first/{quote(run.run_id)}/changes"
        for known in ({}, {"last-event-id": str(count - 1)}):
            with stream(page, path, known) as messages:
                assert list(messages) == [{**last_event(made, run), "closed": True, "help": []}]
        assert ask(page, "GET", path, last_event_id=str(count))[0] == 204


def test_streams_are_bounded_and_given_back(page: Ui) -> None:
    with ExitStack() as stack:
        for _ in range(MOST_VIEWERS):
            stack.enter_context(stream(page, "/events"))
        assert ask(page, "GET", "/events")[0] == 503
        assert ask(page, "GET", "/")[0] == 200
    wait_for(lambda: _opens(page))


def _opens(page: Ui) -> bool:
    try:
        with stream(page, "/events"):
            return True
    except AssertionError:
        return False


def test_server_stops_while_pages_are_open(tmp_path: Path) -> None:
    with shop(tmp_path) as made, ui(made.url, cwd=tmp_path) as page:
        made.running("first")
        with stream(page, "/events") as messages:
            next(messages)
            page.process.terminate()
            began = time.monotonic()
            assert page.process.wait(PATIENCE) == 0
            assert time.monotonic() - began < PATIENCE / 2


def test_pages_of_a_server_over_its_protocol(tmp_path: Path) -> None:
    with serving(tmp_path / "swf.db") as server:
        service: Any = connect(server.url)
        service.prepare([ORDER], [])
        service.start_workflow_execution(StartRequest(workflow_id="remote", workflow_type=ORDER))
        service.close()
        with ui(server.url, cwd=tmp_path) as page:
            assert listed(page) == ["remote"]
            wait_for(lambda: listed(page, filter="status:stuck") == ["remote"])
            assert rows(ask(Ui(server.process, server.url), "GET", "/")[2]) == ["remote"]


def test_service_that_cannot_be_reached_is_said_on_the_page(tmp_path: Path) -> None:
    with serving(tmp_path / "swf.db") as server:
        url = server.url
    with ui(url, cwd=tmp_path) as page:
        status, _, text = ask(page, "GET", "/", accept=HTML)
        assert (status, "cannot connect" in text, "Traceback" in text) == (503, True, False)


def test_name_of_a_domain_is_shown_with_direction_characters_as_escapes(tmp_path: Path) -> None:
    hidden, shown = "shop\u202e", r"shop\u202e"
    swf = LocalSwf(tmp_path / "floto.db")
    swf.register_domain(name=hidden, workflowExecutionRetentionPeriodInDays="1")
    with ui("sqlite:///floto.db", "--domain", hidden, cwd=tmp_path) as page:
        assert f", domain {shown}<" in ask(page, "GET", "/")[2]
    swf.register_domain(name="other", workflowExecutionRetentionPeriodInDays="1")
    swf.close()
    with ui("sqlite:///floto.db", "--domain", hidden, cwd=tmp_path) as page:
        text = ask(page, "GET", "/")[2]
        assert f'<option value="{hidden}" selected>{shown}</option>' in text
        assert hidden not in text.replace(f'value="{hidden}"', "")


def test_file_without_a_domain_has_pages_all_the_same(tmp_path: Path) -> None:
    LocalSwf(tmp_path / "floto.db").close()
    with ui("sqlite:///floto.db", cwd=tmp_path) as page:
        for path, said in (
            ("/", "no run yet"),
            ("/schedules", "no open schedule"),
            ("/actions/start", "Version"),
        ):
            status, _, text = ask(page, "GET", path, accept=HTML)
            assert (status, said in text, 'role="alert"' in text) == (200, True, False)


def test_script_and_style_of_the_list_are_small() -> None:
    static = ROOT / "floto" / "pages" / "static"
    assert sum((static / name).stat().st_size for name in ("list.js", "list.css")) <= 8_000
    assert sum(path.stat().st_size for path in static.iterdir()) <= 150_000
