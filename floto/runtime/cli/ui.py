"""The command ``floto ui``, and its options that ``floto server`` has, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from floto.core.spec.decider_spec import CODEC
from floto.core.visible import visible
from floto.logs import configure
from floto.runtime.cli.metrics import metrics_option, need_metrics
from floto.runtime.cli.options import (
    F,
    codec_name_option,
    domain_option,
    log_format_option,
    payloads_name_option,
    service_option,
)
from floto.runtime.cli.output import say
from floto.runtime.cli.target import check_service
from floto.runtime.connect import absolute_store, payload_store, shown_service
from floto.runtime.loading import absolute_source, load_codec, load_spec

#: Packages that the extras ``server`` and ``ui`` install.
_EXTRAS = frozenset({"jinja2", "markupsafe", "starlette", "uvicorn"})


def listen_options(port: int) -> Callable[[F], F]:
    """Return a decorator that adds the options of where a server listens; ``port`` is the default."""
    host = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
    numbered = click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=port,
        show_default=True,
        help="Port to listen on; 0: any free port.",
    )
    allowed = click.option(
        "--allowed-host",
        multiple=True,
        metavar="NAME",
        help="Another host name in requests; may be repeated.",
    )
    return lambda function: host(numbered(allowed(function)))


def page_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a server of pages."""
    for option in (
        payloads_name_option,
        codec_name_option,
        click.option(
            "--spec", metavar="SPEC", help="Spec of runs on the page that carry none, as for a decider."
        ),
        click.option(
            "--allow-actions", is_flag=True, help="Let the page act on runs; without it, it only reads."
        ),
        click.option(
            "--token",
            envvar="FLOTO_TOKEN",
            show_envvar=True,
            help="Token that the page needs; as an argument, other users can see it.",
        ),
    ):
        function = option(function)
    return function


def server_module(extra: str) -> Any:
    """Return the module of the servers. Raises ``UsageError`` if what it needs is not installed."""
    try:
        from floto.runtime import server  # noqa: PLC0415 - only servers need what the extra installs
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        msg = f"'floto {extra}' needs extra packages: pip install 'floto[{extra}]'"
        raise click.UsageError(msg) from None
    return server


def page_settings(  # noqa: PLR0913 - the options of the pages
    server: Any,
    *,
    spec: str | None,
    codec: str | None,
    payloads: str | None,
    allow_actions: bool,
    token: str | None,
) -> Any:
    """Return the settings of the pages, with what they name. Raises ``UsageError`` for an empty token."""
    if token is not None and not token.strip():
        msg = "--token must not be empty"
        raise click.UsageError(msg)
    loaded, options = CODEC, list[str]()
    if codec is not None:
        loaded, options = load_codec(codec), ["--codec", absolute_source(codec)]
    if payloads is not None:
        loaded = loaded.with_payloads(payload_store(payloads))
        options += ["--payloads", absolute_store(payloads)]
    return server.PageSettings(
        token=token,
        allow_actions=allow_actions,
        spec=None if spec is None else load_spec(spec, loaded),
        spec_name=None if spec is None else absolute_source(spec),
        codec=loaded,
        codec_options=tuple(options),
    )


@click.command("ui", short_help="Show runs in a browser")
@listen_options(8045)
@page_options
@service_option
@domain_option
@metrics_option
@log_format_option
def ui_command(  # noqa: PLR0913 - click passes each option as an argument
    *,
    host: str,
    port: int,
    allowed_host: tuple[str, ...],
    service: str,
    domain: str | None,
    metrics: tuple[str, int] | None,
    log_format: str,
    **pages: Any,
) -> None:
    """Show the runs of a service in a browser: the list, each run at any moment, and why it waits.

    The page only reads unless --allow-actions is set. Without --token, it listens on loopback only. SIGTERM
    or Ctrl-C stops it with exit code 0.
    """
    check_service(service, new=False)
    server = server_module("ui")
    need_metrics(metrics)
    settings = server.UiSettings(
        service=service,
        domain=domain,
        host=host,
        port=port,
        allowed_hosts=allowed_host,
        pages=page_settings(server, **pages),
        metrics=metrics,
    )
    configure(json=log_format == "json")
    server.serve_pages(settings, lambda url: _say_where(url, service, pages["token"]))


def _say_where(url: str, service: str, token: str | None) -> None:
    say(visible(f"floto ui on {url}, showing {shown_service(service)}"))
    if token is not None:
        say(f"open {url}/?token=TOKEN once, with the token")
