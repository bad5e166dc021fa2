"""`mailflow organisations`: who has a contract; many of them at once from a CSV file."""

from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape
from rich.table import Table

from mailflow.adapters.directory import load_organisations
from mailflow.adapters.organisations_csv import COLUMNS, read_rows
from mailflow.adapters.policies import load_policies
from mailflow.cli.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    console,
    errors,
    print_json,
)
from mailflow.config import load_config
from mailflow.core.organisations import Organisation, contract_status
from mailflow.errors import MailflowError

organisations_app = typer.Typer(no_args_is_help=True, help="Who has a contract.")
COLOURS = {"running": "green", "ended": "red", "not_begun": "yellow"}


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.add_typer(organisations_app, name="organisations")


@organisations_app.command("list")
def list_organisations(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """List the organisations, and whether their contracts run today.

    Example: mailflow organisations list
    """
    settings = load_config(config)
    today = datetime.now(ZoneInfo(settings.support.timezone)).date()
    found = load_organisations(settings.files.organisations)
    if as_json:
        for each in found:
            print_json(_json(each) | {"contract": contract_status(each, today).value})
        return
    table = Table(title=f"{len(found)} organisations", title_justify="left")
    for heading in ("Name", "Domains and addresses", "Language", "Contract", "Own terms"):
        table.add_column(heading)
    for each in found:
        status = contract_status(each, today).value
        term = f"{each.contract_start or '…'} to {each.contract_end or '…'}"
        own = [f"P{key}: {value}" for key, value in each.targets.items()]
        own += [f"calendar {each.calendar}"] if each.calendar else []
        table.add_row(
            escape(each.name),
            escape("\n".join((*each.domains, *each.addresses))),
            each.language or "",
            f"[{COLOURS[status]}]{status.replace('_', ' ')}[/]\n{term}",
            escape("\n".join(own)),
        )
    console.print(table)


@organisations_app.command("import", epilog="Columns: " + ", ".join(COLUMNS) + ".")
def import_csv(
    file: Annotated[
        Path, typer.Argument(help="A CSV file in UTF-8; the first line names columns.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change.")] = False,
) -> None:
    """Take organisations from a CSV file into organisations.toml, merged by name.

    A column that the file has not leaves what stands, an empty cell empties it; organisations
    that are not in the file stay. One bad line and nothing is written. The file that stood
    there is kept beside it.

    Example: mailflow organisations import clients.csv --dry-run
    """
    from mailflow.services.import_organisations import merge, write

    settings = load_config(config)
    path = settings.files.organisations
    try:
        rows = read_rows(file)
        standing = load_organisations(path)
        found = merge(file, rows, standing, load_policies(settings.files.rules))
    except MailflowError as error:
        for line in str(error).splitlines():
            errors.print(f"[red]refused[/]  {escape(line)}", soft_wrap=True)
        errors.print("nothing was written", style="red")
        raise typer.Exit(1) from error
    for name in found.added:
        console.print(f"[green]new[/]        {escape(name)}", soft_wrap=True)
    for name, keys in found.changed:
        console.print(f"[yellow]changed[/]    {escape(name)}: {', '.join(keys)}", soft_wrap=True)
    for name in found.unchanged:
        console.print(f"[dim]unchanged[/]  {escape(name)}", soft_wrap=True)
    if dry_run or found.is_empty:
        console.print("nothing was written" + (": dry run" if dry_run else ""))
        return
    backup = write(path, found)
    console.print(
        f"{len(found.organisations)} organisations in {escape(str(path))}", soft_wrap=True
    )
    if backup is not None:
        console.print(f"the file before is {escape(str(backup))}", soft_wrap=True)
    console.print("a running daemon reads them when it is started again")


def _json(each: Organisation) -> dict[str, object]:
    return {
        "name": each.name,
        "domains": each.domains,
        "addresses": each.addresses,
        "language": each.language,
        "contract_start": each.contract_start,
        "contract_end": each.contract_end,
        "calendar": each.calendar,
        "targets": dict(each.targets),
    }
