"""Completion of workflow ids in a shell: ``eval "$(_FLOTO_COMPLETE=bash_source floto)"``.

Shells insert what a program offers as it is, and the next Enter executes it, so only ids that no shell
changes are offered. Quoting the others would not do: bash splits what is offered at blanks and expands
patterns in it, while zsh and fish quote on their own.
"""

from __future__ import annotations

import os
from typing import Any

import click

from floto.core.errors import FlotoError
from floto.core.visible import is_plain_word
from floto.runtime.cli.target import target
from floto.runtime.connect import SERVICE_VARIABLE, file_of

_MOST = 100


def complete_run(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return workflow ids of an existing file: a key press must not call a network or create a file."""
    try:
        return _matching(context.params, incomplete)
    except (FlotoError, click.ClickException, OSError):
        return []


def _matching(params: dict[str, Any], incomplete: str) -> list[str]:
    url = params.get("service") or os.environ.get(SERVICE_VARIABLE) or "sqlite:///floto.db"
    if file_of(url) is None:
        return []
    with target(url, params.get("domain")) as there:
        found = filter(is_plain_word, there.workflow_ids(_MOST))
        return [workflow_id for workflow_id in found if workflow_id.startswith(incomplete)]
