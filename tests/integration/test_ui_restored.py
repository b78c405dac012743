"""Pages whose service is restored from a backup, and pages whose payload store comes back."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from attrs import define

import floto
from floto import LocalSwf
from floto.core.payloads import payload
from floto.core.swf.reserved_names import SPEC_KEY
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowExecution
from floto.pages.documents import Documents
from floto.pages.listing.listing import Listing, Query
from floto.payloads import DirectoryStore
from floto.runtime.connect import back_up, connect
from floto.runtime.runs.needs import needs
from floto.runtime.ui import ServiceSource
from tests.integration.browser import ask, browser, needs_browser, problems, ui, until
from tests.integration.commands import PATIENCE
from tests.integration.page_runs import Page
from tests.integration.shown import LIST, ORDER, shop
from tests.integration.test_server import serving
from tests.integration.test_ui_outage import is_live, opened, page

__all__ = ["browser", "page"]


def fail(service: Any, identity: str) -> None:
    """Fail the next activity."""
    task = service.poll_for_activity_task(LIST, identity, 5)
    service.respond_activity_task_failed(task.token, f"by the {identity}", None)


@pytest.fixture
def run(tmp_path: Path) -> WorkflowExecution:
    """A run whose activity has failed in the file, and is queued in a copy of it."""
    with shop(tmp_path) as made:
        run = made.start("order-1")
        made.decide()
        back_up(tmp_path / "floto.db", tmp_path / "copy.db", replace=False)
        fail(made.service, "old worker")
    return run


@define
class Restorable:
    """A client of a service that is restored while the client is in use."""

    client: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)


@define
class Site:
    """What pages know of a service, before and after it is restored."""

    client: Restorable
    restored: Any
    source: ServiceSource

    def restore(self) -> None:
        self.client.client = self.restored


@pytest.fixture
def site(run: WorkflowExecution, tmp_path: Path) -> Iterator[Site]:
    assert run.workflow_id == "order-1"
    with LocalSwf(tmp_path / "floto.db") as old, LocalSwf(tmp_path / "copy.db") as new:
        client = Restorable(old)
        yield Site(client, new, ServiceSource(client=client, url="http://127.0.0.1:1"))


def identities(events: Iterable[Any]) -> list[str]:
    """Return who has worked, by the history."""
    return [event.data.identity for event in events if type(event.data).__name__ == "ActivityTaskStarted"]


def test_history_of_a_restored_service_is_read_again(
    site: Site, run: WorkflowExecution, tmp_path: Path
) -> None:
    documents = Documents(site.source)
    old = documents.document("floto", run)
    assert identities(documents.history("floto", run)[0].events) == ["old worker"]
    site.restore()
    assert identities(documents.history("floto", run)[0].events) == []
    assert documents.document("floto", run).last_event.id < old.last_event.id
    service = connect(f"sqlite:///{tmp_path}/copy.db")
    fail(service, "new worker")
    service.close()
    assert identities(documents.history("floto", run)[0].events) == ["new worker"]
    new = documents.document("floto", run)
    assert new.last_event.id == old.last_event.id
    assert new.data != old.data


def test_history_that_has_grown_by_events_of_a_restored_service_is_not_a_mixture(
    site: Site, run: WorkflowExecution, tmp_path: Path
) -> None:
    documents = Documents(site.source)
    documents.document("floto", run)
    site.restore()
    service = connect(f"sqlite:///{tmp_path}/copy.db")
    fail(service, "new worker")
    service.signal_workflow_execution(run.workflow_id, "later")
    service.close()
    history, _ = documents.history("floto", run)
    assert identities(history.events) == ["new worker"]
    assert [event.id for event in history.events] == [*range(1, len(history.events) + 1)]


def test_list_of_a_restored_service_has_the_new_status_of_a_run(site: Site) -> None:
    listing = Listing(site.source, "floto")

    def note() -> str:
        listing.refresh(force=True)
        [row] = listing.page(Query(domain="floto"), 0).rows
        return row.note

    assert "for decisions" in note()
    site.restore()
    assert "for activities" in note()


@needs_browser
def test_page_shows_the_history_of_the_backup_that_its_server_was_restored_from(
    page: Page, run: WorkflowExecution, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serving(tmp_path / "floto.db"))
        stack.enter_context(opened(page, f"{server.url}/runs/{run.workflow_id}"))
        until(page.browser, lambda: is_live(page))
        page.sees("by the old worker", "main")
        server.process.kill()
        server.process.wait()
        for path in (tmp_path / "floto.db-wal", tmp_path / "floto.db-shm"):
            path.unlink(missing_ok=True)
        shutil.rmtree(tmp_path / "floto.db.leases")
        (tmp_path / "copy.db").replace(tmp_path / "floto.db")
        stack.enter_context(serving(tmp_path / "floto.db", "--port", server.url.rpartition(":")[2]))
        page.sees("pack queued", "#sentence")
        assert "by the old worker" not in page.text("main")
        page.browser.get("about:blank")
        # The browser has logged that it could not connect.
        problems(page.browser)


def test_ui_exits_with_an_error_when_its_file_is_replaced(run: WorkflowExecution, tmp_path: Path) -> None:
    with ui(f"sqlite:///{tmp_path}/floto.db", cwd=tmp_path) as served:
        assert ask(served, "GET", f"/runs/{run.workflow_id}/{run.run_id}/document")[0] == 200
        (tmp_path / "copy.db").replace(tmp_path / "floto.db")
        _, log = served.process.communicate(timeout=PATIENCE)
    assert served.process.returncode == 2
    assert log.splitlines()[-1].startswith(f"floto: {tmp_path / 'floto.db'} was deleted or replaced")
    assert "Traceback" not in log


def test_document_is_made_again_when_the_payload_store_is_back(tmp_path: Path) -> None:
    store, away = DirectoryStore(tmp_path / "payloads"), tmp_path / "away"
    split = floto.Generator(id_="split", name="split", version="1", task_list=LIST)
    spec = floto.DeciderSpec(activity_tasks=[split], task_list=LIST)
    part = floto.ActivityTask(id_="part", name="part", version="1")
    with shop(tmp_path) as made, LocalSwf(tmp_path / "floto.db") as client:
        made.service.prepare([], needs(spec).activity_types)
        input = payload.dumps({SPEC_KEY: floto.CODEC.unstructure(spec)}, "input")
        request = StartRequest(workflow_id="split", workflow_type=ORDER, task_list=LIST, input=input)
        run = WorkflowExecution("split", made.service.start_workflow_execution(request))
        made.decide()
        task: Any = made.service.poll_for_activity_task(LIST, "worker", 5)
        result = json.dumps(store.put([floto.CODEC.unstructure(part)]))
        made.service.respond_activity_task_completed(task.token, result)
        codec = floto.CODEC.with_payloads(store)
        documents = Documents(ServiceSource(client=client, url="sqlite:///floto.db", codec=codec))

        def verdict() -> str:
            document: Any = json.loads(gzip.decompress(documents.document("floto", run).data))
            return str(document["check"])

        store.path.rename(away)
        assert "the spec cannot be used" in verdict()
        away.rename(store.path)
        assert "the spec decides as recorded" in verdict()
