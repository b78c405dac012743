"""The command ``floto why``."""

from __future__ import annotations

import click

from floto.core.codec import Codec
from floto.core.explain import explain
from floto.core.history import Saved
from floto.core.reference import Store
from floto.core.specs import CODEC, DeciderSpec
from floto.runtime.cli.options import payloads_option
from floto.runtime.cli.output import say
from floto.runtime.cli.saved import read_saved
from floto.runtime.loading import load_spec, spec_with


@click.command("why")
@click.argument("task")
@click.argument("history")
@click.option("--spec", help="The spec that decided the run; default: the one in HISTORY.")
@click.option("--at", type=click.IntRange(min=1), metavar="EVENT", help="How it was after this event.")
@payloads_option
def why_command(task: str, history: str, *, spec: str | None, at: int | None, payloads: Store | None) -> None:
    """Say where TASK stands in a saved HISTORY, and what keeps it there.

    Now, or with --at as it was after any event.
    """
    saved = read_saved(history)
    events = saved.history.events
    codec = CODEC.with_payloads(payloads)
    found = explain(_spec(spec, saved, codec), saved.history, at, codec)
    say(f"after event {found.event_id} ({events[found.event_id - 1].at:%Y-%m-%d %H:%M:%S} UTC)")
    say(found.why(task))


def _spec(source: str | None, saved: Saved, codec: Codec) -> DeciderSpec:
    """The spec that is named, else the one beside the history, else the one that the run carries."""
    if source:
        return load_spec(source)
    found = spec_with(saved, codec)
    if found is None:
        msg = "there is no spec in this history; name the one that decided the run with --spec"
        raise click.UsageError(msg)
    return found
