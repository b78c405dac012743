"""Completion of workflow ids in a shell: ``eval "$(_FLOTO_COMPLETE=bash_source floto)"``.

Shells insert completions as they are, and the next Enter executes them, so only ids without special
characters are offered. Quoting the others is not an option: bash splits completions at blanks and expands
patterns in them, while zsh and fish quote by themselves.
"""

from __future__ import annotations

from typing import Any

import click

from floto.core.errors import FlotoError
from floto.core.visible import is_plain_word
from floto.runtime.cli.target import target
from floto.runtime.connect import USUAL_FILE, default_service, file_of

_MOST = 100


def complete_run(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return workflow ids of an existing file; a key press must neither use the network nor create a file."""
    try:
        return _matching(context.params, incomplete)
    except (FlotoError, click.ClickException, OSError):
        return []


def _matching(params: dict[str, Any], incomplete: str) -> list[str]:
    url = params.get("service") or default_service(USUAL_FILE)
    if file_of(url) is None:
        return []
    with target(url, params.get("domain")) as there:
        found = filter(is_plain_word, there.workflow_ids(_MOST))
        return [workflow_id for workflow_id in found if workflow_id.startswith(incomplete)]
