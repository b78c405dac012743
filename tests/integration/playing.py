"""A service of each kind, with deciders and workers on it in threads, to play workflows to their end."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from attrs import Factory, define, field, frozen
from moto.server import ThreadedMotoServer

import floto
import floto.api
from floto.core.swf.events import Event
from floto.core.swf.service import Service
from floto.runtime.workers.activities import Activities
from tests.integration.test_server import serving

T = TypeVar("T")

#: No test waits longer for what must happen.
PATIENCE = 60.0
DOMAIN = "floto_test"
TYPE = "play"


@contextmanager
def embedded(directory: Path) -> Iterator[str]:
    """The embedded engine on a file."""
    yield f"sqlite:///{directory / 'floto.db'}"


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """The command ``floto server``, for boto3."""
    with serving(directory / "swf.db") as server:
        yield server.url


@contextmanager
def motoed(_directory: Path) -> Iterator[str]:
    """moto's server, for boto3."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


SERVICES: Mapping[str, Callable[[Path], AbstractContextManager[str]]] = {
    "embedded": embedded,
    "server": served,
    "moto": motoed,
}


@frozen
class Played:
    """A run that is closed."""

    execution: floto.WorkflowExecution
    events: tuple[Event, ...]

    @property
    def names(self) -> list[str]:
        """The types of its events."""
        return [type(event.data).__name__ for event in self.events]

    @property
    def end(self) -> Any:
        """Return the attributes of the closing event."""
        return self.events[-1].data

    def of(self, kind: type) -> list[Any]:
        """Return the attributes of the events of a type."""
        return [event.data for event in self.events if isinstance(event.data, kind)]

    def place(self, kind: type, id_: str) -> int:
        """Return the position of the first event of a type for an id."""
        return next(
            event.id
            for event in self.events
            if isinstance(event.data, kind)
            and id_ in (getattr(event.data, "activity_id", None), getattr(event.data, "timer_id", None))
        )


@define(eq=False)
class Stage:
    """One service; what plays on it ends with it."""

    kind: str
    url: str
    swf: floto.api.Swf = field(init=False)
    service: Service = field(init=False)
    _members: list[tuple[Any, threading.Thread]] = Factory(list)
    _numbers: Iterator[int] = Factory(itertools.count)

    def __attrs_post_init__(self) -> None:
        self.swf = floto.api.Swf(self.url)
        self.swf.domains.register_domain(DOMAIN)
        self.swf.register_workflow_type(floto.api.WorkflowType(domain=DOMAIN, name=TYPE, version="v1"))
        self.service = floto.connect(self.url, DOMAIN)

    def name(self) -> str:
        """Return a unique name for task lists and workflow ids."""
        return f"{TYPE}-{os.getpid()}-{next(self._numbers)}"

    def enter(self, member: Any) -> None:
        """Let a decider or worker run in a thread."""
        # A daemon: one that waits in a poll of SWF's minute ends with the service.
        thread = threading.Thread(target=member.run, daemon=True)
        self._members.append((member, thread))
        thread.start()

    def decider(self, *args: Any, kind: Any = floto.Decider, **more: Any) -> None:
        """A decider of the domain."""
        self.enter(kind(*args, service=self.url, domain=DOMAIN, **more))

    def worker(self, task_list: str, activities: Activities, **more: Any) -> None:
        """Start a worker for activities, and register their types."""
        for known in activities.types:
            self.swf.register_activity_type(
                floto.api.ActivityType(domain=DOMAIN, name=known.name, version=known.version)
            )
        self.enter(
            floto.ActivityWorker(
                task_list=task_list, service=self.url, domain=DOMAIN, activities=activities, **more
            )
        )

    def start(self, task_list: str, input: Any = None, **more: Any) -> floto.WorkflowExecution:
        """Start a workflow."""
        return self.swf.start_workflow_execution(
            domain=DOMAIN,
            workflow_type_name=TYPE,
            workflow_type_version="v1",
            workflow_id=more.pop("workflow_id", None) or self.name(),
            task_list=task_list,
            input=input,
            **more,
        )

    def ended(self, execution: floto.WorkflowExecution) -> Played:
        """Wait until a run is closed."""

        def closed() -> tuple[Event, ...] | None:
            events = self.service.history(execution)
            return events if floto.fold(events).closed else None

        return Played(execution, eventually(closed))

    def play(self, *tasks: Any, activities: Activities, input: Any = None, **more: Any) -> Played:
        """Run tasks with a decider and a worker of their own."""
        name = self.name()
        spec = floto.DeciderSpec(activity_tasks=tasks, task_list=name, activity_task_list=name)
        self.decider(spec)
        self.worker(name, activities, **more)
        return self.ended(self.start(name, input))

    def stop(self) -> None:
        """Ask everybody to leave; those in a long poll see it when that ends."""
        for member, _ in self._members:
            member.stop()

    def close(self) -> None:
        """Wait until every thread has ended; the service is closed, so none waits for it."""
        for _, thread in self._members:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        self.service.close()
        self.swf.close()


@contextmanager
def playing(kind: str, directory: Path) -> Iterator[Stage]:
    """A stage on a fresh service."""
    with SERVICES[kind](directory) as url:
        stage = Stage(kind, url)
        try:
            yield stage
        finally:
            stage.stop()
    stage.close()


def eventually(what: Callable[[], T | None], seconds: float = PATIENCE) -> T:
    """Look until there is something to see."""
    end = time.monotonic() + seconds
    while (found := what()) is None:
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.05)
    return found
