"""The command ``floto why``."""

from __future__ import annotations

import click

from floto.core.decide import spec_of
from floto.core.explain import explain
from floto.core.history import History
from floto.core.specs import DeciderSpec
from floto.runtime.cli.saved import read_one
from floto.runtime.loading import load_spec


@click.command("why")
@click.argument("task")
@click.argument("history")
@click.option("--spec", help="The spec that decided the run; not needed where the run's input carries one.")
@click.option("--at", type=click.IntRange(min=1), metavar="EVENT", help="How it was after this event.")
def why_command(task: str, history: str, *, spec: str | None, at: int | None) -> None:
    """Say where TASK stands in a saved HISTORY, and what keeps it there.

    Now, or with --at as it was after any event.
    """
    saved = read_one(history)
    found = explain(_spec(spec, saved), saved, at)
    click.echo(f"after event {found.event_id} ({saved.events[found.event_id - 1].at:%Y-%m-%d %H:%M:%S} UTC)")
    click.echo(found.why(task))


def _spec(source: str | None, history: History) -> DeciderSpec:
    carried = None if source else spec_of(history.events[0].data.input)
    if source is None and carried is None:
        msg = "this run carries no spec in its input; name the one that decided it with --spec"
        raise click.UsageError(msg)
    return carried or load_spec(source or "")
