"""The command ``floto check``."""

from __future__ import annotations

import click

from floto.core.errors import SpecError
from floto.core.estimate import expected_events
from floto.core.limits import EVENT_LIMIT
from floto.runtime.cli.codes import DONE, FAILED
from floto.runtime.loading import load_spec


@click.command("check")
@click.argument("spec")
def check_command(spec: str) -> int:
    """Say everything that is wrong with SPEC, and how many events a run of it should take."""
    try:
        loaded = load_spec(spec)
    except SpecError as error:
        for problem in error.problems:
            click.echo(problem)
        click.echo(f"{spec}: {len(error.problems)} problem{'s'[: len(error.problems) != 1]}", err=True)
        return FAILED
    least, most = expected_events(loaded)
    expected = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    click.echo(
        f"{len(loaded.all_tasks)} tasks, {expected} events expected; SWF ends a run at {EVENT_LIMIT:,}"
    )
    if least > EVENT_LIMIT:
        click.echo("a run of this cannot end before SWF ends it: split it into child workflows")
        return FAILED
    if most > EVENT_LIMIT:
        click.echo("retries could take it past that: move some tasks into child workflows")
    return DONE
