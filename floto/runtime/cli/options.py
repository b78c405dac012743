"""Options that several commands share."""

from __future__ import annotations

import click

from floto.runtime.connect import SERVICE_VARIABLE

#: Unlike programs, the commands work on a file where nothing is said: trying floto must not need AWS.
service_option = click.option(
    "--service",
    envvar=SERVICE_VARIABLE,
    show_envvar=True,
    default="sqlite:///floto.db",
    show_default=True,
    help="Where runs are recorded: sqlite:///FILE, aws, aws:REGION or http://HOST:PORT.",
)
