"""The command ``floto backup``."""

from __future__ import annotations

from pathlib import Path

import click

from floto.core.visible import visible
from floto.runtime.cli.codes import DONE
from floto.runtime.cli.options import service_option
from floto.runtime.cli.output import say
from floto.runtime.cli.target import check_service
from floto.runtime.connect import back_up, file_of


@click.command("backup", short_help="Copy a database that is in use to FILE")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@service_option
def backup_command(file: Path, service: str, *, force: bool) -> int:
    """Copy the database of the service to FILE and check the copy; other processes may use the database.

    A plain copy of the file lacks the commits in its write-ahead log. Payload directories are not copied.
    """
    check_service(service, new=False)
    source = file_of(service)
    if source is None:
        msg = f"service {service!r} is not a file; give --service sqlite:///FILE"
        raise click.UsageError(msg)
    size = back_up(source, file, replace=force)
    say(visible(f"copied {source} to {file}, {size:,} bytes"), err=True)
    return DONE
