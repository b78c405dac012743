"""The command ``floto``: one module for each group of commands."""

from __future__ import annotations

import io
import logging
import sys

import click

import floto
from floto import logs
from floto.core.errors import FlotoError, WorkflowError
from floto.core.visible import visible
from floto.runtime.cli.backup import backup_command
from floto.runtime.cli.check import check_command
from floto.runtime.cli.codes import DONE, FAILED, INTERRUPTED, USAGE
from floto.runtime.cli.compare import compare_command
from floto.runtime.cli.fuzz import fuzz_command
from floto.runtime.cli.listing import list_command
from floto.runtime.cli.loops import daemon_command, decider_command, worker_command
from floto.runtime.cli.output import error_text, escape_what_cannot_be_encoded, say
from floto.runtime.cli.pictures import graph_command, timeline_command
from floto.runtime.cli.redrive import redrive_command
from floto.runtime.cli.register import register_group
from floto.runtime.cli.replay import replay_command
from floto.runtime.cli.report import report_command
from floto.runtime.cli.run import run_command
from floto.runtime.cli.schedule import schedule_group, scheduler_command
from floto.runtime.cli.server import server_command
from floto.runtime.cli.show import history_command, show_command
from floto.runtime.cli.signal_cancel import cancel_command, signal_command, terminate_command
from floto.runtime.cli.start import start_command
from floto.runtime.cli.status import status_command
from floto.runtime.cli.ui import ui_command
from floto.runtime.cli.why import why_command

log = logging.getLogger("floto")


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 usage, 124 timed out, 130 interrupted."""
    escape_what_cannot_be_encoded()
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        return cli.main(prog_name="floto", standalone_mode=False) or DONE
    except click.ClickException as error:
        say(_usage(error), err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except FlotoError as error:
        say(f"floto: {error_text(error)}", err=True)
        return FAILED if isinstance(error, WorkflowError) else USAGE
    except Exception as error:
        log.info("unexpected", exc_info=True)
        say(f"floto: {type(error).__name__}: {error_text(error)} (--verbose shows more)", err=True)
        return FAILED
    finally:
        logs.reset()


def _usage(error: click.ClickException) -> str:
    """Return the text that click shows for an error, with its message on one line; help keeps its lines."""
    shown, message = io.StringIO(), error.format_message()
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return message
    error.show(shown)
    return shown.getvalue().rstrip("\n").replace(message, visible(message))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(floto.__version__, prog_name="floto")
def cli() -> None:
    """Run workflows on Amazon SWF, or on the embedded engine in one file."""


for command in (
    *(run_command, check_command, fuzz_command, server_command, ui_command),
    *(replay_command, why_command, compare_command, timeline_command, graph_command, report_command),
    *(register_group, start_command, signal_command, cancel_command, terminate_command),
    redrive_command,
    *(list_command, show_command, status_command, history_command, backup_command),
    *(decider_command, worker_command, daemon_command, scheduler_command, schedule_group),
):
    cli.add_command(command)
