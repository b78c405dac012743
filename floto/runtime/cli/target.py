"""The service and domain that a command works on, and the runs there."""

from __future__ import annotations

import contextlib
import difflib
import logging
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import click
from attrs import define, frozen

from floto.core.errors import (
    FlotoError,
    NotCarriedOut,
    OutcomeUnknown,
    PayloadsUnavailable,
    ServiceFault,
    ServiceUnavailable,
    UnknownResource,
    Unreachable,
)
from floto.core.swf import wire
from floto.core.swf.floto_defaults import DEFAULT_DOMAIN
from floto.core.swf.history import History
from floto.core.swf.identifiers import may_exist
from floto.core.swf.limits import PAGE_LIMIT
from floto.core.swf.shapes import WorkflowExecution
from floto.core.visible import first_few, shell_command
from floto.runtime.connect import (
    AMAZON_SWF,
    USUAL_FILE,
    client,
    default_service,
    file_of,
    shown_service,
    translating,
)
from floto.runtime.retrying import persist_at_start, retry_read, retry_write
from floto.runtime.shutdown import StopFlag, stop_on_signals

log = logging.getLogger("floto")

#: The commands that read files.
_READERS = "floto why, timeline, trace, replay, compare, report and redrive"
_REPEAT = "repeat the command, which leaves unchanged what is registered"
#: Number of runs whose ids are compared with an unknown one.
_NEAR = 200
#: Characters of a run id that are shown where it need not be whole; any number of them is read.
SHORT = 8
#: Name of standard input.
STDIN = "-"
BEGINNING = datetime(1970, 1, 2, tzinfo=UTC)


def where_options(service: str, domain: str = DEFAULT_DOMAIN) -> tuple[str, ...]:
    """Return the options that another command needs for the same service and domain."""
    usual = default_service(USUAL_FILE)
    found = () if service == usual else ("--service", service)
    return found if domain == DEFAULT_DOMAIN else (*found, "--domain", domain)


def still_open(workflow_id: str, url: str, domain: str) -> str:
    """Return the usage error of a command that cannot start a run beside an open one."""
    end = command_to_terminate(workflow_id, url, domain)
    return f"workflow {workflow_id!r} has an open run; end that one first: {end}"


def command_to_terminate(workflow_id: str, url: str, domain: str) -> str:
    """Return the command line that terminates the open run of a workflow."""
    return shell_command("floto", "terminate", *where_options(url, domain), arguments=[workflow_id])


def look_at(workflow_id: str, url: str, domain: str) -> str:
    """Return the remedy that shows what became of a workflow."""
    command = shell_command("floto", "show", *where_options(url, domain), arguments=[workflow_id])
    return f"see what became of it with {command}"


@define
class UnknownDomain(FlotoError):
    """A domain that is not registered on a service."""

    domain: str
    url: str

    def __str__(self) -> str:
        """Return the problem and a remedy."""
        words = ("floto", "register", "domain", *where_options(self.url))
        command = shell_command(*words, arguments=[self.domain])
        return (
            f"there is no domain {self.domain!r} on {shown_service(self.url)}; "
            f"give another --domain, or register it: {command}"
        )


@contextlib.contextmanager
def naming_domain(domain: str, url: str) -> Iterator[None]:
    """Raise ``UnknownDomain`` in place of SWF's fault for a domain that is not registered."""
    try:
        yield
    except UnknownResource as fault:
        if "unknown domain" in fault.message.lower():
            raise UnknownDomain(domain, url) from fault
        raise


@contextlib.contextmanager
def naming_unknown_outcome(url: str, remedy: str) -> Iterator[None]:
    """Raise ``OutcomeUnknown`` with a remedy for an error after which a call may have been carried out.

    A call on a file is not: its transaction is rolled back.
    """
    try:
        yield
    except (NotCarriedOut, PayloadsUnavailable):
        raise
    except ServiceUnavailable as error:
        if file_of(url) is not None:
            raise
        raise OutcomeUnknown(error.problem, remedy) from error


@define
class UnknownRun(FlotoError):
    """A run that does not exist, and similar workflow ids that do."""

    run: str
    domain: str
    url: str
    near: tuple[str, ...]

    def __str__(self) -> str:
        """Return the problem and the similar workflow ids."""
        text = f"there is no run {self.run!r} in domain {self.domain!r} on {self.url}"
        if is_existing_file(self.run):
            return f"{text}; saved histories are read by {_READERS}"
        return f"{text}; there is {', '.join(map(repr, self.near))}" if self.near else text


@define
class AmbiguousRun(FlotoError):
    """The beginning of a run id that several runs of a workflow id share."""

    workflow_id: str
    beginning: str
    run_ids: tuple[str, ...]

    def __str__(self) -> str:
        """Name the runs, and say what to do."""
        what = f"several runs of {self.workflow_id!r} have ids that begin with {self.beginning!r}"
        return f"{what}: {first_few(self.run_ids)}; write more characters of one"


@frozen
class Target:
    """A domain of a service, and a client with boto3's methods."""

    client: Any
    domain: str
    url: str

    def read(self, method: str, **arguments: Any) -> Any:
        """Call a method that changes nothing, with retries. Raises ``ServiceError``."""
        return self._known(retry_read, method, arguments)

    def write(self, method: str, **arguments: Any) -> Any:
        """Call a method; retry it only if it cannot have had an effect.

        Raises:
            OutcomeUnknown: if it may have had one, with the command that shows the run.
            ServiceError: for other errors.
        """
        workflow_id = arguments.get("workflowId")
        remedy = _REPEAT if workflow_id is None else look_at(workflow_id, self.url, self.domain)
        with naming_unknown_outcome(self.url, remedy):
            return self._known(retry_write, method, arguments)

    def service_wide(self, method: str, **arguments: Any) -> Any:
        """Call a method as ``write`` does, without a domain."""
        with naming_unknown_outcome(self.url, _REPEAT):
            return retry_write(translating(getattr(self.client, method)), **arguments)

    def _known(self, repeat: Callable[..., Any], method: str, arguments: dict[str, Any]) -> Any:
        try:
            with naming_domain(self.domain, self.url):
                call = translating(getattr(self.client, method))
                return repeat(call, **{"domain": self.domain, **arguments})
        except Unreachable as error:
            hint = "" if self.url.startswith(AMAZON_SWF) else "; is 'floto server' running there?"
            message = f"cannot connect to {self.url}{hint} ({error})"
            raise Unreachable(message) from error

    def pages(self, method: str, key: str, **arguments: Any) -> Iterator[Any]:
        """Yield the items of all pages of a listing or a history, reading each page when it is needed."""
        token = None
        while True:
            page = self.read(method, nextPageToken=token, **arguments)
            yield from page[key]
            token = page.get("nextPageToken")
            if not token:
                return

    def events(self, execution: dict[str, str]) -> Iterator[Any]:
        """Yield the events of a run as boto3 has them, page by page."""
        request = {"execution": execution, "maximumPageSize": PAGE_LIMIT}
        return self.pages("get_workflow_execution_history", "events", **request)

    def history(self, execution: WorkflowExecution) -> History:
        """Return the history of a run."""
        return History(tuple(wire.events_from_swf(self.events(wire.write(execution)))), execution)

    def open_runs(self, **filters: Any) -> Iterator[Any]:
        """Yield open runs, the one that was started last first."""
        return self._runs("list_open_workflow_executions", filters)

    def closed_runs(self, **filters: Any) -> Iterator[Any]:
        """Yield closed runs, the one that was started last first."""
        return self._runs("list_closed_workflow_executions", filters)

    def closed_since(self, oldest: datetime) -> Iterator[Any]:
        """Yield the runs that closed at a time or later, the one that closed last first."""
        wanted = {"closeTimeFilter": {"oldestDate": oldest}}
        return self.pages("list_closed_workflow_executions", "executionInfos", **wanted)

    def _runs(self, method: str, filters: dict[str, Any]) -> Iterator[Any]:
        request = {"startTimeFilter": {"oldestDate": BEGINNING}, **filters}
        return self.pages(method, "executionInfos", **request)

    def find(self, run: str, run_id: str | None) -> dict[str, Any]:
        """Return the description of the run that a name means. Raises ``UnknownRun``."""
        for workflow_id, exact in self.readings(run, run_id):
            execution = self._latest(workflow_id) if exact is None else _execution(workflow_id, exact)
            with contextlib.suppress(UnknownResource):
                if execution is not None:
                    found: dict[str, Any] = self.read("describe_workflow_execution", execution=execution)
                    return found
        name = run if run_id is None else f"{run}@{run_id}"
        raise UnknownRun(name, self.domain, shown_service(self.url), self.near(run))

    def readings(self, run: str, run_id: str | None) -> Iterator[tuple[str, str | None]]:
        """Yield the workflow id and run id that a person may mean, first the likelier.

        ``run`` is ``WORKFLOW_ID`` or ``WORKFLOW_ID@RUN_ID``; a workflow id may have an @ in it. Last come
        run ids of which only the beginning is given; they are looked for when they are asked for.

        Raises:
            AmbiguousRun: if several run ids have this beginning.
        """
        exact = _readings(run, run_id)
        yield from exact
        for workflow_id, beginning in exact:
            found = () if beginning is None else self._run_ids(workflow_id, beginning)
            if len(found) > 1:
                raise AmbiguousRun(workflow_id, str(beginning), found)
            yield from ((workflow_id, each) for each in found)

    def _run_ids(self, workflow_id: str, beginning: str) -> tuple[str, ...]:
        wanted = {"executionFilter": {"workflowId": workflow_id}}
        infos = (info for runs in (self.open_runs, self.closed_runs) for info in runs(**wanted))
        ids = dict.fromkeys(info["execution"]["runId"] for info in infos)
        return tuple(each for each in ids if each.startswith(beginning))

    def _latest(self, workflow_id: str) -> Any:
        wanted = {"executionFilter": {"workflowId": workflow_id}, "maximumPageSize": 1}
        for runs in (self.open_runs, self.closed_runs):
            for info in runs(**wanted):
                return info["execution"]
        return None

    def near(self, run: str) -> tuple[str, ...]:
        """Return the workflow ids that are similar to a name."""
        return tuple(difflib.get_close_matches(run.partition("@")[0], self.workflow_ids(_NEAR), cutoff=0.5))

    def workflow_ids(self, most: int) -> list[str]:
        """Return the workflow ids of the newest runs, those of open runs first."""
        infos = [
            info
            for runs in (self.open_runs, self.closed_runs)
            for info, _ in zip(runs(maximumPageSize=most), range(most), strict=False)
        ]
        return list(dict.fromkeys(info["execution"]["workflowId"] for info in infos))


def _execution(workflow_id: str, run_id: str) -> dict[str, str]:
    return {"workflowId": workflow_id, "runId": run_id}


def _readings(run: str, run_id: str | None) -> list[tuple[str, str | None]]:
    """Return the workflow ids and run ids that ``WORKFLOW_ID[@RUN_ID]`` may mean, the likelier first.

    A workflow id may have an @ in it. What cannot be an id is left out: SWF refuses a request with it.
    """
    found, (workflow_id, _, after) = [(run, run_id)], run.rpartition("@")
    if run_id is None and after:
        found.append((workflow_id, after))
    return [each for each in found if may_exist(*each)]


def is_existing_file(name: str) -> bool:
    """Return True if a name is that of a file, or of standard input."""
    # Unlike Path.is_file, this is False for a name that is too long for a file.
    return name == STDIN or os.path.isfile(name)  # noqa: PTH113


@contextlib.contextmanager
def target(url: str, domain: str | None, *, new: bool = False) -> Iterator[Target]:
    """Open the service of a command; ``new``: the file may be created. Raises the errors of ``connect``."""
    check_service(url, new=new)
    opened = client(url)
    try:
        yield Target(opened, domain or DEFAULT_DOMAIN, url)
    finally:
        opened.close()


def check_service(url: str, *, new: bool) -> None:
    """Raise ``UsageError`` for a service in memory, and unless ``new`` for a file that does not exist."""
    file = file_of(url)
    if url == "memory:":
        msg = "--service memory: does not outlive this command; use a file or a server"
        raise click.UsageError(msg)
    if file is not None and not new and not file.exists():
        msg = (
            f"there is no file {file.absolute()}; "
            "give another --service (floto start and floto register create the file)"
        )
        raise click.UsageError(msg)


def run_until_signal(url: str, domain: str | None, run: Callable[[StopFlag], None]) -> None:
    """Call ``run`` with a flag that a signal sets, which may come before the service has responded.

    The file and the domain must exist: a loop on new ones would never have anything to do.
    """
    check_service(url, new=False)
    stop = StopFlag()
    with stop_on_signals(stop.set):
        try:
            check_domain(url, domain, stop)
            run(stop)
        except ServiceUnavailable:
            if not stop.is_set():
                raise


def check_domain(url: str, domain: str | None, stop: StopFlag) -> None:
    """Raise ``UnknownDomain`` unless the domain is registered; skip the check without permission for it.

    Raises ``ServiceUnavailable`` if the service does not respond for 30 seconds, or when ``stop`` is set.
    """
    name, opened = domain or DEFAULT_DOMAIN, client(url)
    try:
        persist_at_start(stop, translating(opened.describe_domain), name=name)
    except UnknownResource as fault:
        raise UnknownDomain(name, url) from fault
    except ServiceFault as fault:
        # A loop may have no other permissions than those that it needs.
        log.info("cannot check whether domain %r is registered (%s)", name, fault)
    finally:
        opened.close()
