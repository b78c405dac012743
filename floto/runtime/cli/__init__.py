"""The command ``floto``: one module for each group of commands, imported when a command of it is invoked.

Most commands need only their own module, and importing all of them takes longer than most commands do.
"""

from __future__ import annotations

import io
import logging
import sys
from importlib import import_module

import click

import floto
from floto import logs
from floto.core.errors import FlotoError, OutcomeUnknown, WorkflowError
from floto.core.visible import visible
from floto.runtime.cli.codes import DONE, FAILED, INTERRUPTED, USAGE
from floto.runtime.cli.output import (
    drop_unwritten_text,
    error_text,
    escape_what_cannot_be_encoded,
    open_missing_streams,
    say,
)

log = logging.getLogger("floto")


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 usage, 124 timed out, 130 interrupted."""
    open_missing_streams()
    escape_what_cannot_be_encoded()
    code = _exit_code()
    drop_unwritten_text()
    sys.exit(code)


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
        return FAILED if isinstance(error, (WorkflowError, OutcomeUnknown)) else USAGE
    except Exception as error:
        log.info("unexpected", exc_info=True)
        # Only 'floto run' has this level, unless it was called with --verbose.
        more = " (--verbose shows more)" if log.level == logging.WARNING else ""
        say(f"floto: {type(error).__name__}: {error_text(error)}{more}", err=True)
        return FAILED
    finally:
        logs.reset()


def _usage(error: click.ClickException) -> str:
    """Return the text that click shows for an error, with its message on one line; help keeps its lines."""
    shown, message = io.StringIO(), error.format_message()
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return message
    if isinstance(error, click.UsageError) and error.ctx is not None:
        error.ctx.color = True  # else click removes escape sequences from the values in the message
    error.show(shown)
    return shown.getvalue().rstrip("\n").replace(message, visible(message))


#: The module of each command, and the command's name in the module.
_COMMANDS = {
    "backup": ("floto.runtime.cli.backup", "backup_command"),
    "cancel": ("floto.runtime.cli.signal_cancel", "cancel_command"),
    "check": ("floto.runtime.cli.check", "check_command"),
    "compare": ("floto.runtime.cli.compare", "compare_command"),
    "daemon": ("floto.runtime.cli.loops", "daemon_command"),
    "decider": ("floto.runtime.cli.loops", "decider_command"),
    "fuzz": ("floto.runtime.cli.fuzz", "fuzz_command"),
    "graph": ("floto.runtime.cli.pictures", "graph_command"),
    "history": ("floto.runtime.cli.show", "history_command"),
    "list": ("floto.runtime.cli.listing", "list_command"),
    "redrive": ("floto.runtime.cli.redrive", "redrive_command"),
    "register": ("floto.runtime.cli.register", "register_group"),
    "replay": ("floto.runtime.cli.replay", "replay_command"),
    "report": ("floto.runtime.cli.report", "report_command"),
    "run": ("floto.runtime.cli.run", "run_command"),
    "schedule": ("floto.runtime.cli.schedule", "schedule_group"),
    "scheduler": ("floto.runtime.cli.schedule", "scheduler_command"),
    "server": ("floto.runtime.cli.server", "server_command"),
    "show": ("floto.runtime.cli.show", "show_command"),
    "signal": ("floto.runtime.cli.signal_cancel", "signal_command"),
    "start": ("floto.runtime.cli.start", "start_command"),
    "status": ("floto.runtime.cli.status", "status_command"),
    "terminate": ("floto.runtime.cli.signal_cancel", "terminate_command"),
    "timeline": ("floto.runtime.cli.pictures", "timeline_command"),
    "trace": ("floto.runtime.cli.trace", "trace_command"),
    "ui": ("floto.runtime.cli.ui", "ui_command"),
    "why": ("floto.runtime.cli.why", "why_command"),
    "worker": ("floto.runtime.cli.loops", "worker_command"),
}


class _LazyGroup(click.Group):
    """A group that imports the module of a command when the command is looked up."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted({*super().list_commands(ctx), *_COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None if there is none of this name."""
        # click searches ``commands`` for names that are similar to an unknown one, so that needs all of them.
        for name in (cmd_name,) if cmd_name in _COMMANDS else _COMMANDS:
            self._load(name)
        return super().get_command(ctx, cmd_name)

    def _load(self, name: str) -> None:
        if name not in self.commands:
            module, attribute = _COMMANDS[name]
            self.add_command(getattr(import_module(module), attribute), name)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(floto.__version__, prog_name="floto")
def cli() -> None:
    """Run workflows on Amazon SWF, or on the embedded engine in one file."""
