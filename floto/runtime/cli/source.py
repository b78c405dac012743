"""Read the run or the saved history that a command names."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import click
from attrs import frozen

from floto.core.decide.decide import spec_of
from floto.core.decide.progress import Progress
from floto.core.errors import PayloadsNeeded, ServiceError, SpecError
from floto.core.replay.explain import Explanation, explain_progress, explain_started, state_at
from floto.core.replay.recorded_progress import recorded_progress
from floto.core.replay.saved_history import Saved
from floto.core.replay.task_status import task_statuses
from floto.core.replay.why_report import Command, RunContext, unused_signals
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.fingerprint import all_recorded, fingerprint
from floto.core.spec.tasks import TaskCodec
from floto.core.state.state import Kind, State
from floto.core.swf import wire
from floto.core.swf.floto_defaults import DEFAULT_DOMAIN
from floto.core.swf.pollers import Live
from floto.core.swf.shapes import WorkflowExecution
from floto.core.visible import shell_command, visible
from floto.runtime.cli.completion import complete_run
from floto.runtime.cli.options import domain_option, run_id_option, service_option
from floto.runtime.cli.output import error_text, say
from floto.runtime.cli.summary import timed_out_deciders
from floto.runtime.cli.target import STDIN, Target, is_existing_file, target, where_options
from floto.runtime.connect import live_of, saved_history
from floto.runtime.loading import load_spec, spec_with

#: Suffixes of the files in a directory that are read as histories.
ENDINGS = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")


def source_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument and the options of a command on a run or a saved history."""
    for option in (
        domain_option,
        service_option,
        run_id_option,
        click.argument("source", metavar="RUN|FILE", shell_complete=complete_run),
    ):
        function = option(function)
    return function


@frozen(kw_only=True)
class LoadedRun:
    """A history, and what its file or service says about the run."""

    saved: Saved
    #: The event after which the run is looked at; None: the last one.
    at: int | None = None
    #: URL of the service; None for a file.
    service: str | None = None
    domain: str = DEFAULT_DOMAIN
    #: Pollers and backlogs of the service; None for a file or if unknown.
    live: Live | None = None
    #: The response of DescribeWorkflowExecution; None for a file.
    described: dict[str, Any] | None = None

    @cached_property
    def state(self) -> State:
        """The state of the run after the event ``at``."""
        return state_at(self.saved.history, self.at)

    def progress(self, spec: DeciderSpec | None, codec: TaskCodec) -> Progress | None:
        """Return the progress of the run; None without a spec, or with a note if it cannot be read here."""
        if spec is None:
            return None
        try:
            return recorded_progress(spec, self.state, codec)
        except SpecError as error:
            _note(error)
            return None

    def explained(self, progress: Progress | None) -> Explanation:
        """Return the status of each task; without a progress, of those that have begun."""
        events = self.saved.history.events
        return explain_started(self.state, events) if progress is None else explain_progress(progress, events)

    def context(self, progress: Progress | None) -> RunContext:
        """Return the context of the run; for an event in the past, without current pollers and backlogs."""
        state, events = self.state, self.saved.history.events[: self.at]
        tasks = [] if progress is None else [task for task, _ in task_statuses(progress)]
        waited = [task.key[1] for task in tasks if task.key[0] is Kind.SIGNAL]
        return RunContext(
            workflow_id="" if state.execution is None else state.execution.workflow_id,
            domain=self.domain,
            state=state,
            now=datetime.now(UTC) if self.at is None else events[-1].at,
            live=self.live if self.at is None else None,
            left=timed_out_deciders(events),
            carries_spec=_carries_spec(state),
            unused_signals=() if progress is None else unused_signals(state, waited),
        )

    def command(self, command: Command) -> str:
        """Return a command line for the same service and domain."""
        where = where_options(self.service, self.domain) if self.service is not None else ()
        return shell_command(*command.words, *where, arguments=command.arguments)


def read_source(
    name: str, *, service: str, domain: str | None, run_id: str | None = None, with_live: bool = True
) -> LoadedRun:
    """Read a history from a file, from standard input where the name is ``-``, or from a service.

    Print a warning for a file that is truncated.

    Raises:
        HistoryError: if a file cannot be read as a history.
        UnknownRun: if there is neither a file nor a run of that name.
        ServiceError: if a call fails.
    """
    if _is_file(name) and run_id is None:
        saved = saved_history("/dev/stdin" if name == STDIN else name)
        if saved.history.cut:
            say(visible(f"floto: {saved.history.cut}"), err=True)
        return LoadedRun(saved=saved, domain=saved.domain or DEFAULT_DOMAIN)
    try:
        return read_run(name, service=service, domain=domain, run_id=run_id, with_live=with_live)
    except click.UsageError as error:
        msg = f"there is no file {name!r}, and runs cannot be looked up: {error.message}"
        raise click.UsageError(msg) from None


def read_run(
    name: str, *, service: str, domain: str | None, run_id: str | None, with_live: bool = True
) -> LoadedRun:
    """Read the history of a run from a service. Raises the errors of ``read_source``.

    Read the pollers and backlogs too, if the run is open and ``with_live`` is set.
    """
    with target(service, domain) as there:
        described = there.find(name, run_id)
        execution = wire.read(WorkflowExecution, described["executionInfo"]["execution"])
        history = there.history(execution)
        is_open = described["executionInfo"]["executionStatus"] == "OPEN"
        live = _live(there) if with_live and is_open else None
        domain = there.domain
    return LoadedRun(
        saved=Saved(history=history, domain=domain),
        service=service,
        domain=domain,
        live=live,
        described=described,
    )


def spec_of_run(named: str | None, found: LoadedRun, codec: Codec) -> DeciderSpec | None:
    """Return the named spec, else the one saved with the history, else the one in the run's input.

    Warn about a named spec that is not among those that the run records.
    """
    if not named:
        return spec_with(found.saved, codec)
    spec = load_spec(named, codec)
    warn_of_another_spec(named, spec, found.saved, found.state, codec)
    return spec


def spec_to_show(named: str | None, found: LoadedRun, codec: Codec) -> DeciderSpec | None:
    """Return the spec of a run; None, with a note, if the run carries one that cannot be read here."""
    if named:
        return spec_of_run(named, found, codec)
    try:
        return spec_of_run(None, found, codec)
    except SpecError as error:
        _note(error)
        return None


def _note(error: SpecError) -> None:
    say(visible(f"floto: what follows is what the history alone says: {error.problems[0]}"), err=True)


def warn_of_another_spec(named: str, spec: DeciderSpec, saved: Saved, state: State, codec: Codec) -> None:
    """Print a warning if a run records, up to a state, the digests of specs, and not that of a named one."""
    recorded, digest = _digests(saved, state, codec), fingerprint(spec, codec)
    if digest is None or not recorded or digest in recorded:
        return
    note = f"the run was decided by another spec ({recorded[-1]}) than {named} ({digest})"
    say(visible(f"floto: {note}: what is shown of its tasks is by {named}, and may be wrong"), err=True)


def _digests(saved: Saved, state: State, codec: Codec) -> list[str | None]:
    recorded = list(all_recorded(state))
    if not recorded:
        # A spec that cannot be read here is not compared.
        with contextlib.suppress(PayloadsNeeded, SpecError):
            carried = saved.spec(codec) or spec_of(state.start.input, codec)
            return [] if carried is None else [fingerprint(carried, codec)]
    return recorded


def _carries_spec(state: State) -> bool:
    # A spec that cannot be read here is in the input all the same.
    with contextlib.suppress(PayloadsNeeded, SpecError):
        return spec_of(state.start.input) is not None
    return True


def _is_file(name: str) -> bool:
    """Return True if a name means a file, not a run: the file exists, or the name has the form of one."""
    return is_existing_file(name) or "/" in name or name.endswith(ENDINGS)


def _live(there: Target) -> Live | None:
    try:
        return live_of(there.client)
    except ServiceError as error:
        # The run itself was read, so only warn.
        say(f"floto: pollers are not known: {error_text(error)}", err=True)
        return None
