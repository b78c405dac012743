"""What the shell offers when a run is to be named.

eval "$(_FLOTO_COMPLETE=bash_source floto)"
"""

from __future__ import annotations

import os
from typing import Any

import click

from floto.core.errors import FlotoError
from floto.runtime.cli.target import target
from floto.runtime.connect import SERVICE_VARIABLE, file_of

_MOST = 100


def complete_run(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Workflow ids of a file that is there: a key pressed must not ask a network, nor make a file."""
    try:
        return _matching(context.params, incomplete)
    except (FlotoError, click.ClickException, OSError):
        return []


def _matching(params: dict[str, Any], incomplete: str) -> list[str]:
    url = params.get("service") or os.environ.get(SERVICE_VARIABLE) or "sqlite:///floto.db"
    if file_of(url) is None:
        return []
    with target(url, params.get("domain")) as there:
        return [found for found in there.workflow_ids(_MOST) if found.startswith(incomplete)]
