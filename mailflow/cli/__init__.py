"""The `mailflow` command: every subcommand stands in a module of this package, thin."""

import sys

import typer

from mailflow import __version__
from mailflow.cli import demo, parse, quarantine, run, sla, tickets, triage, why
from mailflow.errors import ConfigError, MailflowError

app = typer.Typer(
    name="mailflow",
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


for module in (demo, run, parse, triage, sla, tickets, why, quarantine):
    module.register(app)


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
