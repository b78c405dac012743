"""The engine's store in a file."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from floto.adapters.sqlite.inspection import live
from floto.adapters.sqlite.sqlite_engine import SqliteEngine
from floto.core.engine import commands as c
from floto.core.engine.registration.registered_types import Domain
from floto.core.engine.registration.type_settings import default_workflow
from floto.core.engine.run import ToWorkflow
from floto.core.swf.shapes import TaskList, WorkflowType

T0 = datetime(2026, 1, 1, tzinfo=UTC)
WORKFLOW = WorkflowType("work", "1")


def answer(host: SqliteEngine, context: str | None = None) -> None:
    """Respond to the next decision task with no decisions."""
    task = host.write(lambda now: host.engine.poll_decision("d", "floto", "", now))
    assert task is not None
    respond, fields = c.RespondDecisionTaskCompleted, {"execution_context": context}
    host.write(lambda now: host.engine.respond(respond, task.token, now, **fields))


def test_execution_context_is_stored_as_data(tmp_path: Path) -> None:
    first = SqliteEngine(tmp_path / "db", lambda: T0)
    # The cache of the second is empty: it reads the run from the file.
    second = SqliteEngine(tmp_path / "db", lambda: T0)
    try:
        registration = first.engine.registration
        first.write(lambda _now: registration.register_domain(Domain(name="d")))
        first.write(lambda now: registration.ensure("d", {WORKFLOW: default_workflow()}, now))
        start = c.StartWorkflowExecution(workflow_id="wf", workflow_type=WORKFLOW)
        first.write(lambda now: first.engine.start("d", start, "run", now))
        answer(first, "half \ud800")
        signal = c.SignalWorkflowExecution(signal_name="go")
        first.write(lambda now: first.engine.send("d", ToWorkflow("wf"), signal, now))
        answer(second)
        assert len(second.store.history("run")) == 8
        assert second.store.history("run")[3].data.execution_context == "half \ud800"
    finally:
        first.close()
        second.close()


def test_store_of_queries_remembers_no_task_list_that_had_tasks(tmp_path: Path) -> None:
    # Those of ``floto.run`` are one for each run, and a server or a page runs for weeks.
    with closing(SqliteEngine(tmp_path / "db", lambda: T0)) as host:
        registration = host.engine.registration
        host.write(lambda _now: registration.register_domain(Domain(name="d")))
        host.write(lambda now: registration.ensure("d", {WORKFLOW: default_workflow()}, now))
        for number in range(3):
            name = f"run {number}"
            start = c.StartWorkflowExecution(
                workflow_id=name, workflow_type=WORKFLOW, task_list=TaskList(name)
            )
            host.write(partial(host.engine.start, "d", start, name))
            assert len(live(host).backlogs) == 1
            terminate = c.TerminateWorkflowExecution()
            host.write(partial(host.engine.send, "d", ToWorkflow(name), terminate))
            assert not live(host).backlogs
            assert not host.view.offered
