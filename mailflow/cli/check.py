"""`mailflow check`: what holds, what does not, and how to mend it."""

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mailflow.cli.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    console,
    errors,
    print_json,
)
from mailflow.services.check_rows import Result, Row

MARKS = {
    Result.HOLDS: "[green]✓[/]",
    Result.WARNING: "[yellow]![/]",
    Result.FAILED: "[bold red]✗[/]",
    Result.SKIPPED: "[dim]–[/]",
}
OfflineOption = Annotated[
    bool, typer.Option("--offline", help="Leave out what needs the network: mail servers.")
]


def register(app: typer.Typer) -> None:
    """Add this module's command to `app`."""
    app.command("check")(check)


def check(
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Try everything that the configuration names, and say what to mend.

    Reads no mail, moves none and sends none; it brings the database's schema up to date and
    makes the processed folder where they are missing. Exit code 1 if something does not work;
    warnings leave it at 0.

    Examples:

      mailflow check

      mailflow check -c /etc/mailflow/config.toml --offline

      mailflow check --json | jq 'select(.result == "failed")'
    """
    if not config.is_file():
        errors.print(
            f"mailflow: {config}: no such file; make one with `mailflow init`, or name it with -c",
            style="red",
            markup=False,
            highlight=False,
        )
        raise typer.Exit(2)
    rows = try_everything(config, offline=offline)
    if as_json:
        for row in rows:
            print_json(asdict(row))
    else:
        print_rows(rows)
    if any(row.result is Result.FAILED for row in rows):
        raise typer.Exit(1)


def try_everything(config: Path, *, offline: bool) -> list[Row]:
    """Run the checks, naming on a terminal what is being tried: servers may take their time."""
    from mailflow.services.checks import run_checks

    rows = []
    if not sys.stderr.isatty():
        return list(run_checks(config, datetime.now(UTC), offline=offline))
    with errors.status("Checking …") as status:
        for row in run_checks(config, datetime.now(UTC), offline=offline):
            rows.append(row)
            status.update(f"Checking … (last: {escape(row.check)})")
    return rows


def print_rows(rows: Iterable[Row]) -> None:
    """Print the table, and the sum in one line."""
    rows = list(rows)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column("")
    table.add_column("Check", style="bold", no_wrap=True)
    table.add_column("Found", overflow="fold")
    last = ""
    for row in rows:
        found = escape(row.found)
        if row.mend:
            found += f"\n[cyan]→ {escape(row.mend)}[/]"
        table.add_row(MARKS[row.result], "" if row.check == last else row.check, found)
        last = row.check
    console.print(table, highlight=False)
    count = Counter(row.result for row in rows)
    failed = count[Result.FAILED]
    verdict = f"[bold red]{failed} to mend[/]" if failed else "[green]Nothing to mend[/]"
    warned, untried = count[Result.WARNING], count[Result.SKIPPED]
    verdict += f", {warned} warning{'' if warned == 1 else 's'}"
    verdict += f", {untried} not tried" if untried else ""
    console.print(f"\n{verdict}", highlight=False)
