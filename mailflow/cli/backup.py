"""`mailflow backup` and `mailflow restore`."""

from pathlib import Path
from typing import Annotated

import typer

from mailflow.cli.common import DEFAULT_CONFIG, ConfigOption, console
from mailflow.config import load_config


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command("backup")(backup)
    app.command("restore")(restore)


def backup(
    target: Annotated[Path, typer.Argument(help="The file to write.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Copy the database to a file while the daemon works, and verify the copy.

    An SQLite database becomes an SQLite file, a PostgreSQL one a dump of pg_dump's own format.

    Example: mailflow backup /var/backups/mailflow-$(date +%F).db
    """
    from mailflow.services.backup import back_up

    size = back_up(load_config(config).database.url, target)
    console.print(f"{target}: {size:,} bytes, verified")


def restore(
    source: Annotated[Path, typer.Argument(help="A file that `mailflow backup` wrote.")],
    config: ConfigOption = DEFAULT_CONFIG,
    force: Annotated[bool, typer.Option("--force", help="Replace the database there.")] = False,
) -> None:
    """Put a backup in the place of the database. Stop mailflow first, on every host.

    With --force, what was there is kept, and its name printed. What came in after the backup lies
    in the mailbox's processed folder: `mailflow reconcile --repair` takes it in again. Mails that
    were still to be sent at the time of the backup may have been sent since: they are looked up in
    the journal, or sent and marked as possible duplicates.
    """
    from mailflow.services.backup import restore as put_back

    kept = put_back(load_config(config).database.url, source, force=force)
    console.print(f"{source} is in place; `mailflow reconcile --repair` takes in what came since")
    if kept is not None:
        console.print(f"what was there is kept: {kept}")
