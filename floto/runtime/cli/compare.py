"""The command ``floto compare``."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from floto.core.replay.compare import Compared, Verdict, compare
from floto.core.replay.recorded_progress import recorded_progress
from floto.core.spec.codec import Codec
from floto.core.swf.history import History
from floto.core.visible import visible
from floto.runtime.cli.histories import (
    difference_as_json,
    divergence_as_json,
    histories_argument,
    json_lines_option,
    read_each,
)
from floto.runtime.cli.options import codec_options
from floto.runtime.cli.output import json_line, say
from floto.runtime.loading import load_apart, load_spec


@click.command("compare", short_help="Compare the decisions of two specs on histories")
@click.argument("old")
@click.argument("new")
@histories_argument
@json_lines_option
@codec_options
def compare_command(
    old: str, new: str, histories: tuple[str, ...], *, as_json: bool, codec: Codec, **where: Any
) -> int:
    """Show where the spec NEW decides otherwise than OLD, in histories of runs or saved ones.

    For open runs, also show whether deploying NEW is safe. Exit code: 0 no change, 1 changes,
    2 a history cannot be read.
    """
    before, after = load_apart(old, new, codec), load_spec(new, codec)
    totals: Counter[Verdict] = Counter()

    def read(name: str, history: History) -> bool:
        found = compare(before, after, [history], codec).histories[0]
        if found.stranger is not None:
            recorded_progress(before, history, codec)
        totals[found.verdict] += 1
        if as_json:
            say(json_line({"file": name, **_plain(found)}))
        else:
            say("\n  ".join(f"{visible(name)}: {found}".split("\n")))
        return found.verdict is Verdict.SAME and found.is_safe

    code = read_each(histories, read, where)
    if not as_json:
        counts = [f"{count} {verdict}" for verdict in Verdict if (count := totals[verdict])]
        all_of_them = "1 history" if totals.total() == 1 else f"{totals.total()} histories"
        say(f"{all_of_them}: {', '.join(counts) or 'none could be read'}")
    return code


def _plain(found: Compared) -> dict[str, object]:
    return {
        "verdict": str(found.verdict),
        "divergence": divergence_as_json(found.divergence),
        "stranger": divergence_as_json(found.stranger),
        "in_flight": found.is_open,
        "safe": found.is_safe,
        "next": difference_as_json(found.next),
    }
