"""The command ``floto server``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from floto.core.visible import shell_word, visible
from floto.logs import configure
from floto.runtime.cli.metrics import metrics_option, need_metrics
from floto.runtime.cli.options import log_format_option
from floto.runtime.cli.output import say
from floto.runtime.cli.ui import listen_options, page_options, page_settings, server_module
from floto.runtime.loading import LoadError, load_module


@click.command("server", short_help="Serve SWF's protocol on one file")
@click.option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    default="floto.db",
    show_default=True,
    help="The database file.",
)
@listen_options(8044)
@click.option(
    "--durability",
    type=click.Choice(["full", "normal"]),
    default="full",
    show_default=True,
    help="Durability of calls; normal: a power failure may lose the last ones.",
)
@click.option(
    "--access-key",
    envvar="FLOTO_ACCESS_KEY",
    show_envvar=True,
    help="Access key that requests must be signed with.",
)
@click.option(
    "--secret-key",
    envvar="FLOTO_SECRET_KEY",
    show_envvar=True,
    help="Its secret key; as an argument, other users can see it.",
)
@click.option("--functions", metavar="FILE.py:NAME|MODULE:NAME", help="Dict of Lambda functions by name.")
@page_options
@metrics_option
@log_format_option
def server_command(  # noqa: PLR0913 - click passes each option as an argument
    *,
    db: Path,
    host: str,
    port: int,
    durability: Any,
    access_key: str | None,
    secret_key: str | None,
    allowed_host: tuple[str, ...],
    functions: str | None,
    metrics: tuple[str, int] | None,
    log_format: str,
    **pages: Any,
) -> None:
    """Serve Amazon SWF's protocol, for boto3, the AWS CLI and other clients, on one database file.

    With keys, every request must be signed with them. Without keys, the server listens on loopback only.
    SIGTERM or Ctrl-C stops it with exit code 0. Its URL opened in a browser shows the page of 'floto ui',
    with keys only if --token is set.
    """
    server = server_module("server")
    need_metrics(metrics)
    settings = server.Settings(
        db=db,
        host=host,
        port=port,
        durability=durability,
        keys=_keys(access_key, secret_key),
        allowed_hosts=allowed_host,
        functions=None if functions is None else _functions(functions),
        pages=page_settings(server, **pages),
        metrics=metrics,
    )
    configure(json=log_format == "json")  # uvicorn's records too
    server.serve(settings, lambda url: _say_where(url, db, access_key))


def _keys(access: str | None, secret: str | None) -> tuple[str, str] | None:
    if access is None and secret is None:
        return None
    if access is None or secret is None:
        msg = "--access-key and --secret-key must be given together"
        raise click.UsageError(msg)
    if not access.strip() or not secret.strip():
        msg = "--access-key and --secret-key must not be empty"
        raise click.UsageError(msg)
    return access, secret


def _functions(source: str) -> Mapping[str, Callable[[Any], Any]]:
    module_name, _, name = source.rpartition(":")
    if not module_name or not name:
        raise LoadError(source, "functions are named FILE.py:NAME or MODULE:NAME")
    functions = getattr(load_module(module_name), name, None)
    if not isinstance(functions, Mapping) or not all(
        isinstance(key, str) and callable(value) for key, value in functions.items()
    ):
        raise LoadError(source, f"{name!r} is not a dict of functions by name")
    return functions


def _say_where(url: str, db: Path, access_key: str | None) -> None:
    keys = ["AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local"]
    if access_key:
        keys = [f"AWS_ACCESS_KEY_ID={shell_word(access_key)}"]
    say(visible(f"floto server on {url}, writing {db.absolute()}"))
    say(f"export AWS_ENDPOINT_URL_SWF={shell_word(url)} AWS_DEFAULT_REGION=us-east-1 {' '.join(keys)}")
    if access_key:
        say("and AWS_SECRET_ACCESS_KEY, which is the server's secret key")
