"""The option ``--metrics`` of the commands that run until stopped."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from floto.runtime.cli.extras import module_of_extra

if TYPE_CHECKING:
    from floto.runtime.metrics.metrics import Metrics

_LOOPBACK = "127.0.0.1"
_PORTS = 65_535


def address(text: str) -> tuple[str, int]:
    """Return the host, which is loopback by default, and the port of ``[HOST:]PORT``."""
    found = re.fullmatch(r"(?:\[(?P<v6>[^\]]+)\]:|(?P<name>[^:\[\]]+):)?(?P<port>[0-9]{1,5})", text)
    if found is None or int(found["port"]) > _PORTS:
        msg = f"{text!r} is not [HOST:]PORT"
        raise click.BadParameter(msg)
    return found["v6"] or found["name"] or _LOOPBACK, int(found["port"])


metrics_option = click.option(
    "--metrics",
    type=address,
    metavar="[HOST:]PORT",
    help="Serve metrics for Prometheus there; without HOST on loopback only.",
)


def need_metrics(address: tuple[str, int] | None) -> None:
    """Raise ``UsageError`` if metrics are to be served, and what they need is not installed."""
    if address is not None:
        _serving_module()


def serving_metrics(address: tuple[str, int] | None) -> AbstractContextManager[Metrics | None]:
    """Return a block in which the metrics of deciders and workers are served; None without an address."""
    if address is None:
        return nullcontext()
    served: AbstractContextManager[Metrics] = _serving_module().serving_metrics(*address)
    return served


def _serving_module() -> Any:
    return module_of_extra("floto.runtime.metrics.serving", "prometheus_client")
