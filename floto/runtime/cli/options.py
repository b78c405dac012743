"""Options that several commands share."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from floto.core.payloads.reference import Store
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC
from floto.core.swf.limits import NUMBER_DIGITS
from floto.core.swf.shapes import ChildPolicy
from floto.logs import FORMATS
from floto.runtime.cli.output import stdout_for_the_result
from floto.runtime.connect import SERVICE_VARIABLE, USUAL_FILE, payload_store
from floto.runtime.loading import load_codec

F = TypeVar("F", bound=Callable[..., Any])

#: The default is a file, unlike in programs: trying floto must not need AWS.
service_option = click.option(
    "--service",
    envvar=SERVICE_VARIABLE,
    show_envvar=True,
    default=USUAL_FILE,
    show_default=True,
    help="The service: sqlite:///FILE, aws, aws:REGION or http://HOST:PORT.",
)
domain_option = click.option("--domain", help="The SWF domain; default: the spec's, else floto.")
run_id_option = click.option("--run-id", help="Run id; default: that of the latest run.")
child_policy_option = click.option(
    "--child-policy",
    type=click.Choice([policy.value for policy in ChildPolicy]),
    help="Policy for children of a run that is terminated or times out.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON output; times are ISO 8601 in UTC.")
verbose_option = click.option("--verbose", is_flag=True, help="Detailed logs, with tracebacks.")
log_format_option = click.option(
    "--log-format", type=click.Choice(FORMATS), default="text", show_default=True, help="Format of the log."
)
activities_option = click.option(
    "--activities",
    multiple=True,
    metavar="FILE.py|MODULE",
    help="File or module that defines activities; may be repeated.",
)


def no_activity(activities: Sequence[str]) -> str:
    """Return the usage error of a command that finds no activity in what ``--activities`` names."""
    remedy = "name the file or module that defines them with --activities"
    if not activities:
        return f"no activity is registered; {remedy}"
    return f"{', '.join(activities)}: no function is registered with @floto.activity there; {remedy}"


def _codec(context: click.Context, _option: click.Parameter, value: str | None) -> Codec:
    # A shell that completes a command line must not execute code of users.
    if value is None or context.resilient_parsing:
        return CODEC
    with stdout_for_the_result():
        return load_codec(value)


_codec_words: dict[str, Any] = {
    "metavar": "FILE.py:name",
    "help": "Codec that knows task kinds, joins and retry strategies of your own.",
}
codec_option = click.option("--codec", callback=_codec, **_codec_words)
#: The name of a codec that the command loads itself.
codec_name_option = click.option("--codec", **_codec_words)
_payloads_words: dict[str, Any] = {
    "metavar": "DIR|s3://BUCKET/PREFIX",
    "help": "Store for values that are too long for SWF.",
}
payloads_option = click.option(
    "--payloads",
    callback=lambda _context, _option, value: None if value is None else payload_store(value),
    **_payloads_words,
)
#: The name of a store that the command opens itself.
payloads_name_option = click.option("--payloads", **_payloads_words)


def codec_options(command: F) -> F:
    """Add ``--codec`` and ``--payloads`` to a command, which gets the codec with the store as ``codec``."""

    @codec_option
    @payloads_option
    @wraps(command)
    def with_codec(*args: Any, codec: Codec, payloads: Store | None, **options: Any) -> Any:
        return command(*args, codec=codec if payloads is None else codec.with_payloads(payloads), **options)

    return cast("F", with_codec)


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def seconds(text: str) -> str:
    """Return a time-out in SWF's form: an integer number of seconds, or NONE."""
    if not re.fullmatch(rf"NONE|[0-9]{{1,{NUMBER_DIGITS}}}", text):
        msg = f"{text!r} is not an integer number of seconds, nor NONE"
        raise click.BadParameter(msg)
    return text


def time_or_age(text: str) -> datetime:
    """Parse a time: an age (30s, 15m, 2h, 7d, 4w), or ISO 8601, local unless it has an offset."""
    try:
        if ago := re.fullmatch(r"([0-9]{1,6})([smhdw])", text):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        msg = f"{text!r} is not a time; say 30s, 15m, 2h, 7d or 2026-12-31T23:59"
        raise click.BadParameter(msg) from None


def output_option(help: str, *, required: bool = False) -> Callable[[F], F]:
    """Return the option of a file to write."""
    kind = click.Path(dir_okay=False, path_type=Path)
    return click.option("-o", "--output", type=kind, required=required, help=help)


class Number(click.FloatRange):
    """A number that is not NaN: every comparison with that is false."""

    what = "a number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number. Raises ``BadParameter``."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not {self.what}", param, ctx)
        return number


class Seconds(Number):
    """A number of seconds."""

    what = "a number of seconds"


def timeout_option(name: str, help: str) -> Callable[[F], F]:
    """Return an option whose value is a time-out."""
    return click.option(name, type=seconds, metavar="SECONDS|NONE", help=help)
