"""The `mailflow` command: every subcommand stands in a module of this package, thin.

A module is imported when its command is called: `mailflow sla` needs neither database nor models.
"""

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from mailflow import __version__
from mailflow.errors import ConfigError, MailflowError

# command → module of this package; the order is that of `mailflow --help`
COMMANDS = {
    "demo": "demo",
    "init": "init",
    "check": "check",
    "run": "run",
    "ingest": "run",
    "tickets": "tickets",
    "quarantine": "quarantine",
    "reconcile": "quarantine",
    "organisations": "organisations",
    "backup": "backup",
    "restore": "backup",
    "parse": "parse",
    "triage": "triage",
    "sla": "sla",
    "train": "triage",
    "evaluate": "triage",
}


class LazyCommands(TyperGroup):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command called `cmd_name`, or None."""
        if cmd_name not in COMMANDS:
            return None
        app = typer.Typer()
        importlib.import_module(f"mailflow.cli.{COMMANDS[cmd_name]}").register(app)
        return typer.main.get_group(app).commands[cmd_name]


app = typer.Typer(
    name="mailflow",
    cls=LazyCommands,
    help="Turn a support mailbox into a ticket desk that keeps its contract.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mailflow {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Turn a support mailbox into a ticket desk that keeps its contract."""


def main() -> None:
    """Run the command line. Exit codes: 0 success, 1 failure of the work, 2 wrong use."""
    try:
        app()
    except ConfigError as error:
        typer.secho(f"mailflow: {error}", err=True, fg=typer.colors.RED)
        sys.exit(2)
    except MailflowError as error:
        typer.secho(f"mailflow: {error}", err=True, fg=typer.colors.RED)
        sys.exit(1)
