"""`mailflow run` and `mailflow ingest`: mails come in."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from mailflow.cli.common import DEFAULT_CONFIG, ConfigOption, console, desk_from, errors
from mailflow.errors import MailflowError

EX_TEMPFAIL = 75  # sysexits.h: the mail server that pipes a mail to us keeps it and tries again


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command("run")(run)
    app.command("ingest")(ingest)


def run(
    config: ConfigOption = DEFAULT_CONFIG,
    once: Annotated[
        bool, typer.Option("--once", help="Handle what is there now, send it, and end.")
    ] = False,
) -> None:
    """Read the mailbox and work until stopped (Ctrl-C or SIGTERM finishes the mail in hand).

    Examples:

      mailflow run -c config.toml

      mailflow run --once          (from cron)
    """
    from mailflow.daemon import Daemon

    desk = desk_from(config)
    desk.triage_apart()
    daemon = Daemon(desk)
    if once:
        count = daemon.run_once()
        console.print(f"{count} mails taken in")
    else:
        daemon.run()


def ingest(
    source: Annotated[str, typer.Argument(help="A mail file, a folder, an mbox, or - for a pipe.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Take mails in without IMAP; `mailflow run` answers them.

    From a pipe (-) it exits 75 when the mail cannot be stored, so that the mail server keeps it.

    Examples:

      mailflow ingest mail.eml

      mailflow ingest archive.mbox

      |mailflow ingest -            (in a .forward or an alias)
    """
    if source == "-":
        _ingest_pipe(config)
        return
    from mailflow.adapters.store import Arrived
    from mailflow.services.intake import read_mails, take_in

    path = Path(source)
    if not path.exists():
        errors.print(f"mailflow: {source}: no such file or folder", style="red")
        raise typer.Exit(2)
    desk = desk_from(config)
    new = duplicates = 0
    mails = list(read_mails(path))
    for raw in track(mails, "Storing", console=errors, disable=len(mails) < 20):
        (stored,) = take_in(desk, [Arrived(raw, "file")])
        new += not stored.duplicate
        duplicates += stored.duplicate
    console.print(f"{new} mails stored, {duplicates} were there already")


def _ingest_pipe(config: Path) -> None:
    """Store one mail from standard input, or exit 75 whatever went wrong: the mail is not lost."""
    try:
        from mailflow.adapters.store import Arrived
        from mailflow.services.intake import take_in

        raw = sys.stdin.buffer.read()
        if not raw.strip():
            errors.print("mailflow: the pipe was empty", style="red")
            raise typer.Exit(2)
        take_in(desk_from(config), [Arrived(raw, "pipe")])
    except typer.Exit:
        raise
    except (MailflowError, OSError) as error:
        errors.print(f"mailflow: the mail was not stored, try again later: {error}", style="red")
        raise typer.Exit(EX_TEMPFAIL) from error
    except Exception as error:
        errors.print(f"mailflow: the mail was not stored: {error!r}", style="red")
        raise typer.Exit(EX_TEMPFAIL) from error
