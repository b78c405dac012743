"""The command ``floto fuzz``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import define, field
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.kinds import ActivityTask
from floto.core.swf.shapes import ActivityType
from floto.runtime.cli.codes import DONE, FAILED, INTERRUPTED
from floto.runtime.cli.options import Seconds, activities_option, codec_name_option, output_option
from floto.runtime.cli.output import progress_console, say
from floto.runtime.loading import load_codec, load_json, load_module, load_spec
from floto.runtime.workers.activities import DEFAULT

if TYPE_CHECKING:
    from floto.testing import Report

#: More runs than any machine simulates in the given time.
_NO_END = 1_000_000_000
_FILE = "test_counterexample.py"


@click.command("fuzz", short_help="Search a spec for faults in simulated runs")
@click.argument("spec")
@click.option(
    "--seconds", type=Seconds(min=0.1), default=10, show_default=True, help="Duration of the search."
)
@activities_option
@click.option("--input", "input_text", metavar="JSON|@FILE", help="The workflow's input.")
@codec_name_option
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the random runs."
)
@output_option("Test file to write for a violation; default: test_counterexample.py beside SPEC.")
def fuzz_command(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    spec: str,
    seconds: float,
    activities: tuple[str, ...],
    input_text: str | None,
    codec: str | None,
    seed: int,
    output: Path | None,
) -> int:
    """Simulate runs of SPEC with injected faults, and check every decision and run against the invariants.

    Nothing is started on a service, and time is virtual. Activities of --activities are called very often, so
    they must have no side effects; without --activities, tasks succeed with made-up results.

    Exit code: 0 every invariant held, 1 one was violated, 130 interrupted. For a violation, the smallest
    spec and history that show it are printed, and written as a test; otherwise the coverage is printed.
    """
    # No other command needs all of it.
    from floto.testing import Violation, check  # noqa: PLC0415

    target = output or _beside(spec)
    if not target.parent.is_dir():
        msg = f"there is no directory {target.parent}"
        raise click.BadParameter(msg, param_hint="--output")
    loaded, functions, own_codec = _loaded(spec, activities, codec)
    given = None if input_text is None else load_json("--input", input_text)
    console = progress_console()
    with _bar(console) as bar:
        progress = _SearchProgress(bar, bar.add_task("runs", total=seconds))
        try:
            report = check(
                loaded,
                activities=functions,
                input=given,
                max_examples=_NO_END,
                max_seconds=seconds,
                seed=seed,
                codec=own_codec,
                save=target,
                on_progress=progress.update,
            )
        except Violation as violation:
            bar.stop()
            say(str(violation))
            return FAILED
        except KeyboardInterrupt:
            bar.stop()
            say(f"interrupted after {time.monotonic() - progress.began:.0f} s", err=True)
            say(str(progress.report or "no run was simulated to its end"))
            return INTERRUPTED
    say(str(report))
    return DONE


def _beside(spec: str) -> Path:
    """Return a test file that can import the modules of the spec, in the same directory."""
    module, _, _ = spec.rpartition(":")
    return Path(module).parent / _FILE if module.endswith(".py") else Path(_FILE)


def _loaded(
    spec: str, activities: Iterable[str], codec: str | None
) -> tuple[DeciderSpec, dict[str, Callable[..., Any]], Codec]:
    """Load the spec, the functions of activities and the codec."""
    known = None if spec.endswith(".json") else load_spec(spec)
    for module in activities:
        load_module(module)
    # Activities that only the module of the codec registers were not asked for, and may have side effects.
    types = DEFAULT.types
    own_codec = CODEC if codec is None else load_codec(codec)
    loaded = load_spec(spec, own_codec) if known is None else known
    return loaded, registered(loaded, types), own_codec


def registered(spec: DeciderSpec, types: Iterable[ActivityType]) -> dict[str, Callable[..., Any]]:
    """Return the functions of loaded activities, by task id for tasks of the spec and by name."""
    loaded = {type_: each.function for type_ in types if (each := DEFAULT.find(type_))}
    named = {type_.name: function for type_, function in loaded.items()}
    activities = [task for task in spec.all_tasks if isinstance(task, ActivityTask)]
    own = {task.id_: loaded.get(ActivityType(task.name, task.version)) for task in activities}
    return named | {id_: function for id_, function in own.items() if function is not None}


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@define
class _SearchProgress:
    """The progress of a search, on a bar over its seconds."""

    _bar: Progress
    _task: TaskID
    began: float = field(factory=time.monotonic)
    report: Report | None = None

    def update(self, report: Report) -> None:
        """Keep the latest report, and show it on the bar."""
        self.report = report
        text = f"{report.runs:,} runs, {report.moments:,} decisions"
        self._bar.update(self._task, completed=time.monotonic() - self.began, description=text)
