"""The command ``floto replay``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from floto.core.replay.decision_diff import name_of
from floto.core.replay.decision_tasks import RecordedOutcome
from floto.core.replay.recorded_decisions import Recorded
from floto.core.replay.recorded_progress import recorded_progress
from floto.core.replay.replay import Replay, Step, replay
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.swf.decisions import Decision
from floto.core.swf.history import History
from floto.core.swf.wire import type_name
from floto.core.visible import visible
from floto.runtime.cli.codes import DONE, FAILED
from floto.runtime.cli.histories import (
    divergence_as_json,
    histories_argument,
    json_lines_option,
    read_each,
)
from floto.runtime.cli.options import codec_options
from floto.runtime.cli.output import json_line, say, writing
from floto.runtime.cli.source import read_source
from floto.runtime.loading import load_spec


@click.command("replay", short_help="Check that a spec decides histories as recorded")
@click.argument("spec")
@histories_argument
@json_lines_option
@click.option("--step", "walks", is_flag=True, help="Walk through the decisions of one history.")
@click.option(
    "--shrink",
    "test",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.py",
    help="Write a test for pytest: the smallest spec and history that differ as the first that does.",
)
@codec_options
def replay_command(  # noqa: PLR0913 - click passes each option as an argument
    spec: str,
    histories: tuple[str, ...],
    *,
    as_json: bool,
    walks: bool,
    test: Path | None,
    codec: Codec,
    **where: Any,
) -> int:
    """Decide histories again by SPEC, and show the first difference of each.

    HISTORY is a file or a directory of files, saved with floto, boto3 or the AWS CLI; - is standard
    input. RUN is WORKFLOW_ID or WORKFLOW_ID@RUN_ID.
    Exit code: 0 all agree, 1 one differs, 2 one cannot be read.
    """
    loaded = load_spec(spec, codec)
    if walks:
        return _walk(loaded, histories, test, codec, where)
    tests = [] if test is None else [test]

    def read(name: str, history: History) -> bool:
        done = replay(loaded, history, codec)
        if done.divergence is not None:
            recorded_progress(loaded, history, codec)
        if as_json:
            found = divergence_as_json(done.divergence)
            cut = history.cut or None
            say(json_line({"file": name, "steps": len(done.steps), "divergence": found, "cut": cut}))
        else:
            say(visible(f"{name}: {done.divergence or f'agrees in {len(done.steps)} steps'}"))
        if done.divergence is not None and tests:
            _shrink(loaded, history, tests.pop(), codec)
        return done.divergence is None

    return read_each(histories, read, where)


def _shrink(spec: DeciderSpec, history: History, test: Path, codec: Codec) -> None:
    # Import it only here: few replays need it, and it imports the simulator.
    from floto.testing import shrink  # noqa: PLC0415

    found = shrink(spec, history, codec=codec)
    with writing(test) as file:
        file.write(found.as_pytest())
    counts = ((len(found.spec.all_tasks), "task"), (len(found.history), "event"))
    text = " and ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)
    say(visible(f"{test}: {text}"), err=True)


def _walk(
    spec: DeciderSpec, histories: Sequence[str], test: Path | None, codec: Codec, where: Mapping[str, Any]
) -> int:
    if len(histories) != 1:
        msg = "--step walks through one history at a time"
        raise click.UsageError(msg)
    done = replay(spec, read_source(histories[0], **where, with_live=False).saved.history, codec)
    if done.steps:
        _show_steps(done)
    say(str(done.divergence or "the history agrees with the spec"))
    if done.divergence is not None and test is not None:
        _shrink(spec, done.history, test, codec)
    return DONE if done.divergence is None else FAILED


_KEYS = "Enter: next, b: back, d: the first difference, a number: that step, q: quit"


def _show_steps(done: Replay) -> None:
    number, shown = 1, 0
    while True:
        if number != shown:
            say("\n".join(map(visible, _lines(done.steps[number - 1], len(done.steps)))))
            shown = number
        key = _key()
        if key in {None, "q"} or (not key and number == len(done.steps)):
            return
        try:
            number = _step(str(key), number, done)
        except ValueError as error:
            say(visible(str(error)), err=True)


def _key() -> str | None:
    """Ask for a key; None at the end of the input."""
    say(f"{_KEYS} > ", err=True, ends_line=False)
    line = sys.stdin.readline()
    if not line:
        say(err=True)
        return None
    return line.strip()


def _step(key: str, number: int, done: Replay) -> int:
    """Return the step that a key leads to. Raises ``ValueError`` with what is wrong with the key."""
    last = len(done.steps)
    if key.isdecimal() and not 1 <= int(key[:9]) <= last:
        msg = f"there is no step {key[:9]}; there are steps 1 to {last}"
        raise ValueError(msg)
    if key == "d" and done.divergence is None:
        msg = "there is no difference: the history agrees with the spec"
        raise ValueError(msg)
    first = done.divergence.step if done.divergence else number
    steps = {"": number + 1, "b": max(number - 1, 1), "d": first}
    if key not in steps and not key.isdecimal():
        msg = f"{key!r} is not a key here"
        raise ValueError(msg)
    return int(key[:9]) if key.isdecimal() else steps[key]


def _lines(step: Step, steps: int) -> Iterator[str]:
    yield ""
    yield f"step {step.number} of {steps}, {_when(step)}"
    yield from (f"  new     {event.id:>6} {type_name(event.data)}" for event in step.events)
    yield from (f"  decided {each.event_id:>6} {_recorded(each)}" for each in step.recorded)
    if step.outcome is not RecordedOutcome.ANSWERED or step.difference is not None:
        yield from (f"  now            {_sentence(decision)}" for decision in step.decided or (None,))
    if step.outcome is RecordedOutcome.ANSWERED:
        yield f"  {step.difference or 'the same would be decided now'}"


def _when(step: Step) -> str:
    if step.outcome is RecordedOutcome.OPEN:
        return f"asked by event {step.started} and not answered"
    return f"{step.outcome} by event {step.ended}"


def _recorded(each: Recorded) -> str:
    return name_of(each.decision) + (f", refused by SWF: {each.cause}" if each.cause else "")


def _sentence(decision: Decision | None) -> str:
    return "nothing" if decision is None else name_of(decision)
