"""The pages of a service: ``floto ui``, and what ``floto server`` shows beside SWF's protocol."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from attrs import field, frozen

from floto.core.decide.progress import Progress
from floto.core.decide.schedule import ScheduleView
from floto.core.errors import HistoryError, PayloadsNeeded, SpecError, UnknownResource
from floto.core.replay.recorded_progress import recorded_progress
from floto.core.replay.redrive.redrive_plan import Redrive
from floto.core.replay.saved_history import Saved
from floto.core.replay.why_report import OWN_DECIDERS, Command, stalls
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.state.fold import fold
from floto.core.swf import wire
from floto.core.swf.events import Event
from floto.core.swf.floto_defaults import DEFAULT_DOMAIN
from floto.core.swf.history import History
from floto.core.swf.limits import EVENT_LIMIT, PAGE_LIMIT
from floto.core.swf.pollers import Live
from floto.core.swf.service import ExecutionInfo
from floto.core.swf.shapes import WorkflowExecution
from floto.core.visible import shell_command
from floto.pages.runs import RunRow, row
from floto.pages.source import Act, Pace, ScheduleRow
from floto.runtime.cli.source import LoadedRun
from floto.runtime.cli.target import Target, UnknownDomain, where_options
from floto.runtime.connect import domain_of, live_of, saved_history, shown_service
from floto.runtime.deciders.spec_choice import DeciderSpecs, NoSpec
from floto.runtime.retrying import retry_read
from floto.runtime.schedules import UnreadableSchedule, all_schedules, local_time, next_fires, state_text
from floto.runtime.ui_actions import COMMANDS, DO, planned

#: A file or a server's own engine says cheaply whether it changed; another service is asked less often.
_NEAR = Pace(every=0.5, histories=0.2, lag=2, idle=5)
_REMOTE = Pace(every=5, histories=0.03, lag=60, idle=10)
#: Seconds for which the names of the domains are kept.
_DOMAINS_SECONDS = 30.0
_MOST_TYPES = 200
#: Groups of tasks that a run's page has commands for.
_MOST_HELP = 5
#: Events that are read at first of a run whose earlier events are known.
_FEW = 20
#: Maximum events of a saved history that is opened: the events of the last decisions may exceed SWF's limit.
_MOST_OPENED_EVENTS = EVENT_LIMIT + EVENT_LIMIT // 10


@frozen
class _PageTarget(Target):
    """A domain that is read without retries: a page says at once that its service cannot be reached."""

    def read(self, method: str, **arguments: Any) -> Any:
        """Call a method that changes nothing, once. Raises ``ServiceError``."""
        return self._known(_once, method, arguments)


def _once(call: Callable[..., Any], **arguments: Any) -> Any:
    return call(**arguments)


@frozen
class _Domains:
    read: datetime
    names: tuple[str, ...]


@frozen(kw_only=True)
class ServiceSource:
    """A service behind the pages; satisfies ``floto.pages.source.Source``.

    Args:
        client: A client with boto3's methods.
        url: The URL of the service, for command lines; the path of a file is absolute.
        domain: The domain that is shown first; default: floto.
        spec: The spec of runs that carry none; default: none.
        spec_name: Its name, for command lines.
        codec: Reads specs and generated tasks; default: floto's own.
        codec_options: The options that name it and its store, for command lines.
        changes: Returns a value that differs after every change of the service; None if nothing says so.
    """

    client: Any
    url: str
    domain: str = DEFAULT_DOMAIN
    spec: DeciderSpec | None = None
    spec_name: str | None = None
    codec: Codec = CODEC
    codec_options: tuple[str, ...] = ()
    changes: Callable[[], object] | None = None
    #: The domains, once they were read.
    _known: list[_Domains] = field(init=False, factory=list)

    @property
    def name(self) -> str:
        """The name of the service."""
        return shown_service(self.url)

    @property
    def pace(self) -> Pace:
        """How often the service is looked at."""
        return _REMOTE if self.changes is None else _NEAR

    def domains(self) -> Sequence[str]:
        """Return the registered domains, sorted; read again after some seconds."""
        known, now = self._known, datetime.now(UTC)
        if not known or now - known[0].read > timedelta(seconds=_DOMAINS_SECONDS):
            known[:] = [_Domains(now, tuple(sorted(self._domain_names())))]
        return known[0].names

    def _domain_names(self) -> Iterator[str]:
        request = {"registrationStatus": "REGISTERED", "domain": None}
        pages = self.target(self.domain).pages("list_domains", "domainInfos", **request)
        return (info["name"] for info in pages)

    def version(self) -> object:
        """Return a value that differs after every change; None if only the listings can tell."""
        return None if self.changes is None else self.changes()

    def open_runs(self, domain: str) -> Iterable[RunRow]:
        """Yield the open runs, the newest first."""
        return self._rows(self.target(domain).open_runs(maximumPageSize=PAGE_LIMIT))

    def closed_runs(self, domain: str, since: int | None) -> Iterable[RunRow]:
        """Yield the closed runs, the newest first, or those that closed since a time in milliseconds."""
        there, page = self.target(domain), {"maximumPageSize": PAGE_LIMIT}
        if since is None:
            return self._rows(there.closed_runs(**page))
        start = wire.from_ms(since)
        request = {"closeTimeFilter": {"oldestDate": start}, **page}
        return self._rows(there.pages("list_closed_workflow_executions", "executionInfos", **request))

    @staticmethod
    def _rows(infos: Iterable[Any]) -> Iterator[RunRow]:
        try:
            yield from map(row, infos)
        except UnknownDomain:
            # The usual domain may not be registered yet.
            return

    def live(self) -> Live | None:
        """Return the pollers and backlogs; None if the service does not report pollers."""
        return live_of(self.client)

    def find(self, domain: str, workflow_id: str, run_id: str) -> tuple[str, RunRow] | None:
        """Return a run and its domain, which may be another one; with no run id, the latest run."""
        others = [name for name in self.domains() if name != domain]
        for name in (domain, *others):
            found = self._described(name, workflow_id, run_id)
            if found is not None:
                return name, found
        return None

    def _described(self, domain: str, workflow_id: str, run_id: str) -> RunRow | None:
        try:
            if not run_id:
                info = retry_read(domain_of(self.client, domain).latest_execution, workflow_id)
                if info is None:
                    return None
                run_id = info.execution.run_id
            execution = {"workflowId": workflow_id, "runId": run_id}
            return row(
                self.target(domain).read("describe_workflow_execution", execution=execution)["executionInfo"]
            )
        except (UnknownDomain, UnknownResource):
            return None

    def history(self, domain: str, run: WorkflowExecution) -> tuple[Event, ...]:
        """Return the events of a run."""
        return self._events(domain, run, 1, PAGE_LIMIT)

    def events_since(self, domain: str, run: WorkflowExecution, known: Event) -> tuple[Event, ...] | None:
        """Return the events of a run that follow a known one; None if its history has not that event."""
        # A run that is followed has few new events, mostly.
        found = self._events(domain, run, known.id, _FEW)
        return found[1:] if found[:1] == (known,) else None

    def _events(self, domain: str, run: WorkflowExecution, first: int, size: int) -> tuple[Event, ...]:
        """Return the events of a run from an id on; ``size`` is that of a page."""
        request = {"execution": wire.write(run), "reverseOrder": True, "maximumPageSize": size}
        pages = self.target(domain).pages("get_workflow_execution_history", "events", **request)
        found = [*takewhile(lambda event: event["eventId"] >= first, pages)]
        return tuple(wire.events_from_swf(found[::-1]))

    def spec_of(self, history: History) -> DeciderSpec | None:
        """Return the spec of a run, as a decider with the named spec chooses it; None if there is none."""
        state = fold(history.events)
        if state.start.workflow_type in OWN_DECIDERS:
            return None
        try:
            return DeciderSpecs(self.spec, {}, self.codec).choose(state)
        except NoSpec:
            return None

    def help(self, domain: str, history: History) -> Sequence[tuple[str, Sequence[str]]]:
        """Return what an open run waits for, now, that a command helps with: a sentence and the commands."""
        found = LoadedRun(saved=Saved(history=history), service=self.url, domain=domain, live=self.live())
        progress = self._progress(history)
        groups = stalls(found.explained(progress), found.context(progress))
        helped = [group for group in groups if group.commands]
        shown = [
            (str(group), [found.command(words) for words in group.commands]) for group in helped[:_MOST_HELP]
        ]
        if len(helped) > _MOST_HELP:
            run = history.execution
            why = found.command(Command(("floto", "why"), (run.workflow_id,) if run else ()))
            shown.append((f"and {len(helped) - _MOST_HELP} more", [why]))
        return shown

    def _progress(self, history: History) -> Progress | None:
        """Return the progress of a run; None without a spec, or if it needs a codec or a store."""
        with suppress(SpecError, PayloadsNeeded):
            spec = self.spec_of(history)
            return None if spec is None else recorded_progress(spec, history, self.codec)
        return None

    def saved(self, data: bytes) -> Saved:
        """Read a saved history. Raises ``HistoryError``."""
        with tempfile.TemporaryDirectory(prefix="floto-") as directory:
            path = Path(directory) / ("history.json.gz" if data[:2] == b"\x1f\x8b" else "history.json")
            path.write_bytes(data)
            try:
                return saved_history(path, most_events=_MOST_OPENED_EVENTS)
            except HistoryError as error:
                # The name is that of a file that the reader of the message has never seen.
                raise HistoryError(error.event_id, error.problem.replace(str(path), "the file")) from None

    def types(self, domain: str) -> Sequence[tuple[str, str]]:
        """Return names and versions of the registered workflow types, at most some hundred."""
        if domain not in self.domains():
            return []
        pages = self.target(domain).pages("list_workflow_types", "typeInfos", registrationStatus="REGISTERED")
        kinds = (info["workflowType"] for info in islice(pages, _MOST_TYPES))
        return sorted((kind["name"], kind["version"]) for kind in kinds)

    def schedules(self, domain: str) -> Sequence[ScheduleRow]:
        """Return the open schedules, by id."""
        if domain not in self.domains():
            return []
        found = all_schedules(domain_of(self.client, domain), self.codec)
        return [_schedule_row(info, each) for info, each in found]

    def command(self, act: Act) -> str:
        """Return the command line that does the same as an action."""
        words, arguments = COMMANDS[act.name](act)
        options = *self._spec_options(act), *where_options(self.url, act.domain)
        return shell_command("floto", *words, *options, arguments=arguments)

    def _spec_options(self, act: Act) -> tuple[str, ...]:
        """Return the options that a redrive needs: the codec, and the spec by which the run is shown."""
        if act.name != "redrive":
            return ()
        if self.spec is None or self.spec_name is None:
            return self.codec_options
        run = WorkflowExecution(act.workflow_id, act.run_id)
        spec = self.spec_of(History(self.history(act.domain, run), run))
        return (*self.codec_options, *(("--spec", self.spec_name) if spec is self.spec else ()))

    def plan(self, act: Act) -> Redrive:
        """Return what a redrive would keep and run."""
        return planned(self, act)[0]

    def do(self, act: Act) -> tuple[str, str]:
        """Carry out an action; return the workflow id and the run id of the run that it concerns."""
        return DO[act.name](self, act)

    def target(self, domain: str) -> Target:
        """Return a domain of the service, as commands use it."""
        return _PageTarget(self.client, domain, self.url)


def _schedule_row(info: ExecutionInfo, found: ScheduleView | UnreadableSchedule) -> ScheduleRow:
    id_, run_id = info.execution.workflow_id, info.execution.run_id
    if isinstance(found, UnreadableSchedule):
        state = f"cannot be read: {found.problem}"
        return ScheduleRow(id_=id_, run_id=run_id, words="", state=state, is_paused=False)
    last = found.recorded.recent[-1] if found.recorded.recent else None
    fires = next_fires(found, datetime.now(UTC))
    return ScheduleRow(
        id_=id_,
        run_id=run_id,
        words=found.schedule.words,
        state=state_text(found),
        is_paused=found.memory.paused is not None,
        next=tuple(local_time(found.schedule, at) for at in fires),
        last="" if last is None else f"{local_time(found.schedule, last.fire)} {last.status}",
    )
