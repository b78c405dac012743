"""The commands that run until stopped: ``floto decider``, ``floto worker`` and ``floto daemon``."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from floto.core.decide.daemon import DAEMON_LIST
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.swf.floto_defaults import DEFAULT_DOMAIN, DEFAULT_TASK_LIST
from floto.core.swf.service import Service
from floto.runtime.cli.codes import DONE
from floto.runtime.cli.metrics import metrics_option, serving_metrics
from floto.runtime.cli.options import (
    Number,
    Seconds,
    activities_option,
    codec_options,
    domain_option,
    log_format_option,
    no_activity,
    service_option,
    verbose_option,
)
from floto.runtime.cli.output import log_loop
from floto.runtime.cli.target import run_until_signal
from floto.runtime.connect import connect_loop
from floto.runtime.deciders.decider import Decider
from floto.runtime.loading import load_module, load_spec
from floto.runtime.retrying import persist_at_start
from floto.runtime.runs.needs import needs
from floto.runtime.runs.run_request import WORKFLOW_TYPE
from floto.runtime.shutdown import StopFlag
from floto.runtime.supervisor import Loop, Supervisor
from floto.runtime.workers.activities import DEFAULT
from floto.runtime.workers.worker import ActivityWorker

if TYPE_CHECKING:
    from floto.runtime.metrics.metrics import Metrics

log = logging.getLogger("floto")

#: Seconds between checks whether a loop has ended or failed.
_CHECK_SECONDS = 0.2
_STOPPING = "stopping when current tasks and polls are finished; interrupt again to stop at once"

identity_option = click.option(
    "--identity", help="Identity that histories record; default: host and process id."
)


@click.command("decider", short_help="Decide for runs, until stopped")
@click.argument("specs", nargs=-1, metavar="[SPEC]...")
@click.option("--task-list", help="Task list to poll; default: that of the spec, else floto.")
@click.option("--take-over", is_flag=True, help="Decide runs that record another spec by SPEC from now on.")
@codec_options
@service_option
@domain_option
@identity_option
@metrics_option
@log_format_option
@verbose_option
def decider_command(  # noqa: PLR0913 - click passes each option as an argument
    specs: tuple[str, ...],
    task_list: str | None,
    identity: str | None,
    codec: Codec,
    log_format: str,
    *,
    metrics: tuple[str, int] | None,
    take_over: bool,
    verbose: bool,
    **where: Any,
) -> int:
    """Decide for runs until stopped, by the spec in the run's input, else by the SPEC of the task list.

    Several SPECs need different task lists. The task lists of their children are polled too; with
    --task-list, only that one. SIGTERM or Ctrl-C: finish the current decision tasks, exit code 0; a second
    one: exit at once.
    """
    log_loop(log_format, verbose=verbose)
    by_list = _by_list([(source, load_spec(source, codec)) for source in specs], task_list)

    def make_loops(service: Service, stop: StopFlag) -> Sequence[Loop]:
        _prepare(service, [spec for spec in by_list.values() if spec is not None], stop)
        return [
            Decider(
                spec,
                service=service,
                task_list=name,
                identity=identity,
                codec=codec,
                take_over=take_over,
                metrics=served,
            )
            for name, spec in by_list.items()
        ]

    with serving_metrics(metrics) as served:
        return run_loops(where["service"], _domain(by_list, where["domain"]), make_loops)


@click.command("worker", short_help="Run activities, until stopped")
@activities_option
@click.option("--task-list", multiple=True, help="Task list to poll; may be repeated.  [default: floto]")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Maximum of activities that run at the same time, for each task list.",
)
@click.option(
    "--max-per-second",
    type=Number(min=0, min_open=True),
    metavar="NUMBER",
    help="Maximum of activities that start per second, for each task list; 0.1: one in ten seconds.",
)
@click.option(
    "--heartbeat",
    type=Seconds(min=0),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="Time between the heartbeats of an activity; 0: no heartbeats.",
)
@codec_options
@service_option
@domain_option
@identity_option
@metrics_option
@log_format_option
@verbose_option
def worker_command(activities: tuple[str, ...], log_format: str, *, verbose: bool, **options: Any) -> int:
    """Run the activities of FILE.py or MODULE until stopped.

    SIGTERM or Ctrl-C: finish and report running activities, exit code 0; a second one: exit at once.
    """
    log_loop(log_format, verbose=verbose)
    for source in activities:
        load_module(source)
    if not DEFAULT.types:
        raise click.UsageError(no_activity(activities))
    lists = dict.fromkeys(options["task_list"] or (DEFAULT_TASK_LIST,))

    def make_loops(service: Service, stop: StopFlag) -> Sequence[Loop]:
        persist_at_start(stop, service.prepare, (), DEFAULT.types)
        return [_worker(name, service, options, served) for name in lists]

    with serving_metrics(options["metrics"]) as served:
        return run_loops(options["service"], options["domain"], make_loops)


def _worker(
    task_list: str, service: Service, options: dict[str, Any], metrics: Metrics | None
) -> ActivityWorker:
    return ActivityWorker(
        task_list=task_list,
        service=service,
        concurrency=options["concurrency"],
        max_per_second=options["max_per_second"],
        task_heartbeat_in_seconds=options["heartbeat"],
        identity=options["identity"],
        codec=options["codec"],
        payloads=options["codec"].store,
        metrics=metrics,
    )


def daemon_options(task_list: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Return a decorator that adds the options of ``run_daemon``, with a default task list."""
    options = (
        click.option("--task-list", default=task_list, show_default=True, help="Task list to poll."),
        codec_options,
        service_option,
        domain_option,
        identity_option,
        metrics_option,
        log_format_option,
        verbose_option,
    )

    def add(function: Callable[..., int]) -> Callable[..., int]:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def run_daemon(  # noqa: PLR0913 - the options of a command
    kind: Callable[..., Loop],
    *,
    task_list: str,
    identity: str | None,
    codec: Codec,
    metrics: tuple[str, int] | None,
    log_format: str,
    verbose: bool,
    **where: Any,
) -> int:
    """Run a loop that decides for the runs of a domain on one task list, until stopped.

    Args:
        kind: The class of the loop, ``Daemon`` or one like it.
        task_list: The task list to poll.
        identity: Identity that histories record; None for host and process id.
        codec: The codec, which may have a store for values that are too long for SWF.
        metrics: Host and port of the metrics; None to serve none.
        log_format: ``text`` or ``json``.
        verbose: Log at debug level.
        where: The service and the domain.
    """
    log_loop(log_format, verbose=verbose)
    domain = where["domain"] or DEFAULT_DOMAIN

    def make_loops(service: Service, _stop: StopFlag) -> Sequence[Loop]:
        return [kind(domain, task_list, service=service, identity=identity, codec=codec, metrics=served)]

    with serving_metrics(metrics) as served:
        return run_loops(where["service"], domain, make_loops)


@click.command("daemon", short_help="Start a child workflow for each signal, until stopped")
@daemon_options(DAEMON_LIST)
def daemon_command(**options: Any) -> int:
    """Start a child workflow for each signal that requests one, and decide for the children, until stopped.

    The signals go to a run of type floto_daemon_type v1 on the same task list; start it once, with
    'floto start --type floto_daemon_type v1'. SIGTERM or Ctrl-C: finish the current decision tasks, exit code
    0; a second one: exit at once.
    """
    from floto.runtime.deciders.daemon import Daemon  # noqa: PLC0415 - only this command needs it

    return run_daemon(Daemon, **options)


def _by_list(
    specs: Sequence[tuple[str, DeciderSpec]], task_list: str | None
) -> dict[str, DeciderSpec | None]:
    """Return the spec of each task list; None for that of a child, whose runs contain their specs."""
    if task_list is not None and len(specs) > 1:
        msg = "--task-list can be given with one SPEC only; several need different task lists"
        raise click.UsageError(msg)
    own: dict[str, tuple[str, DeciderSpec]] = {}
    for source, spec in specs:
        name = task_list or spec.task_list or DEFAULT_TASK_LIST
        if name in own:
            msg = (
                f"{own[name][0]} and {source} have the same task list, {name!r}; give each its own task_list"
            )
            raise click.UsageError(msg)
        own[name] = source, spec
    found: dict[str, DeciderSpec | None] = {name: spec for name, (_, spec) in own.items()}
    if task_list is None:
        for name in (name for _, spec in specs for name in needs(spec).decider_lists):
            found.setdefault(name, None)
    return found or {task_list or DEFAULT_TASK_LIST: None}


def _domain(by_list: dict[str, DeciderSpec | None], domain: str | None) -> str | None:
    named = {spec.domain for spec in by_list.values() if spec is not None and spec.domain}
    if domain is None and len(named) > 1:
        msg = f"the specs name several domains ({', '.join(sorted(named))}); choose one with --domain"
        raise click.UsageError(msg)
    return domain or next(iter(named), None)


def _prepare(service: Service, specs: Sequence[DeciderSpec], stop: StopFlag) -> None:
    """Register the types that are missing, as ``floto.run`` does."""
    needed = [needs(spec) for spec in specs]
    workflows = [kind for each in needed for kind in each.workflow_types]
    activities = [kind for each in needed for kind in each.activity_types]
    persist_at_start(stop, service.prepare, (WORKFLOW_TYPE, *workflows), activities)


def run_loops(url: str, domain: str | None, make_loops: Callable[[Service, StopFlag], Sequence[Loop]]) -> int:
    """Run the loops of a service until a signal, as ``run_until_signal`` does."""

    def run(stop: StopFlag) -> None:
        with contextlib.closing(connect_loop(url, domain)) as service:
            _run(make_loops(service, stop), stop)

    run_until_signal(url, domain, run)
    return DONE


def _run(loops: Sequence[Loop], stop: StopFlag) -> None:
    """Run each loop in a thread of its own until all have ended, one has failed, or a signal stops them."""
    supervisor = Supervisor()
    for loop in loops:
        supervisor.start(loop)
    try:
        while not supervisor.join(0):
            supervisor.check()
            if stop.wait(_CHECK_SECONDS):
                log.info(_STOPPING)
                break
    except Exception:
        supervisor.stop()
        supervisor.join()
        raise
    # A second signal, here or above, is a KeyboardInterrupt, which waits for no loop.
    supervisor.stop()
    supervisor.join()
    supervisor.check()
