"""Modules that need packages of an extra, imported when a command needs them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click


def module_of_extra(name: str, package: str) -> Any:
    """Return a module. Raises ``UsageError``, which says what to install, if its package is missing.

    Args:
        name: The module, whose folder says what to install.
        package: The package that the extra installs.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise click.UsageError(str(error)) from None
