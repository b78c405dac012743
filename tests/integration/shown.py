"""Runs of every status in one file, for tests of the pages; the deciders and workers are this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

import floto
from floto.core.spec.decider_spec import CODEC
from floto.core.swf.pollers import PollKind
from floto.core.swf.reserved_names import SPEC_KEY
from floto.core.swf.service import Service, StartRequest
from floto.core.swf.shapes import WorkflowExecution, WorkflowType
from floto.runtime.connect import connect
from floto.runtime.runs.needs import needs

#: The workflow type of most runs, and the task list of its deciders and workers.
ORDER = WorkflowType("order", "1")
LIST = "orders"


def spec_of(task_list: str = LIST) -> floto.DeciderSpec:
    """Two activities, one after the other; the second is tried again after an hour."""
    pack = floto.ActivityTask(id_="pack", name="pack", version="1", task_list=task_list)
    send = floto.ActivityTask(
        id_="send",
        name="send",
        version="1",
        task_list=task_list,
        requires=[pack],
        retry_strategy=floto.FixedDelay(3600, 1),
    )
    return floto.DeciderSpec(activity_tasks=[pack, send], task_list=LIST)


@frozen
class Shop:
    """A domain, and how its runs get on."""

    service: Service
    url: str

    def start(
        self, workflow_id: str, *tags: str, task_list: str = LIST, lists: str = LIST
    ) -> WorkflowExecution:
        """Start a run; ``lists`` is the task list of its activities."""
        input = floto.core.payloads.payload.dumps({SPEC_KEY: CODEC.unstructure(spec_of(lists))}, "input")
        request = StartRequest(
            workflow_id=workflow_id, workflow_type=ORDER, task_list=task_list, input=input, tags=tags
        )
        return WorkflowExecution(workflow_id, self.service.start_workflow_execution(request))

    def decide(self) -> None:
        """Decide for the next run."""
        task = self.service.poll_for_decision_task(LIST, "decider", 5)
        assert task is not None
        history = floto.History(self.service.history(task.execution), task.execution)
        spec = floto.core.decide.decide.spec_of(history.start.input)
        assert spec is not None
        self.service.respond_decision_task_completed(task.token, floto.decide(spec, history))

    def work(self, problem: str = "") -> None:
        """Carry out the next activity, and decide; it fails if there is a problem."""
        task = self.service.poll_for_activity_task(LIST, "worker", 5)
        assert task is not None
        if problem:
            self.service.respond_activity_task_failed(task.token, problem, "Traceback: here")
        else:
            self.service.respond_activity_task_completed(task.token, '"done"')
        self.decide()

    def completed(self, workflow_id: str, *tags: str) -> WorkflowExecution:
        """Return a run that completed."""
        run = self.start(workflow_id, *tags)
        self.decide()
        self.work()
        self.work()
        return run

    def failed(self, workflow_id: str, *tags: str) -> WorkflowExecution:
        """Return a run whose first activity failed."""
        run = self.start(workflow_id, *tags)
        self.decide()
        self.work("no card")
        return run

    def retrying(self, workflow_id: str, *tags: str) -> WorkflowExecution:
        """Return a run whose second activity waits for its retry."""
        run = self.start(workflow_id, *tags)
        self.decide()
        self.work()
        self.work("no carrier")
        return run

    def running(self, workflow_id: str, *tags: str) -> WorkflowExecution:
        """Return a run whose first activity has a worker."""
        run = self.start(workflow_id, *tags)
        self.decide()
        assert self.service.poll_for_activity_task(LIST, "worker", 5) is not None
        return run


@contextmanager
def shop(directory: Path, domain: str = "floto") -> Iterator[Shop]:
    """A domain in a new file, with a decider and a worker that are alive."""
    url = f"sqlite:///{directory}/floto.db"
    service: Any = connect(url, domain)
    try:
        service.prepare([ORDER], needs(spec_of()).activity_types)
        service.announce(PollKind.DECISIONS, LIST, "decider")
        service.announce(PollKind.ACTIVITIES, LIST, "worker")
        yield Shop(service, url)
    finally:
        service.close()
