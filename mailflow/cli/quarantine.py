"""`mailflow quarantine` and `mailflow reconcile`: no mail is lost, and one can prove it."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from mailflow.adapters.tables import Inbound, MailboxEntry, RawMail
from mailflow.cli.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    console,
    desk_from,
    print_json,
)
from mailflow.errors import MailflowError
from mailflow.services.intake import OVERSIZE

quarantine_app = typer.Typer(no_args_is_help=True, help="Mails that were set aside for a human.")
MailId = Annotated[int, typer.Argument(help="The number of the mail, from `quarantine list`.")]
QUARANTINED = "quarantined"


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.add_typer(quarantine_app, name="quarantine")
    app.command("reconcile")(reconcile)


@quarantine_app.command("list")
def list_mails(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """List the mails in quarantine with the reason."""
    desk = desk_from(config)
    with desk.database.read() as session:
        rows = session.scalars(
            select(Inbound).where(Inbound.status == QUARANTINED).order_by(Inbound.id)
        ).all()
    if as_json:
        for row in rows:
            print_json(_json(row))
        return
    table = Table(title=f"{len(rows)} mails in quarantine", title_justify="left")
    for heading in ("Mail", "Received", "Bytes", "From", "Reason"):
        table.add_column(heading)
    for row in rows:
        when = f"{row.received_at.astimezone(desk.zone):%Y-%m-%d %H:%M}"
        sender = escape(row.sender or "?")
        table.add_row(str(row.id), when, f"{row.size:,}", sender, escape(row.reason or ""))
    console.print(table)


@quarantine_app.command("show")
def show(mail: MailId, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Print a mail's reason and its source, unsafe characters made harmless."""
    desk = desk_from(config)
    with desk.database.read() as session:
        row = _get(session, mail)
        raw = session.get_one(RawMail, mail).content
    console.print(f"[bold]Mail {row.id}[/], {row.size:,} bytes: {escape(row.reason or '')}\n")
    text = raw[:20_000].decode("utf-8", "backslashreplace")
    console.print(escape("".join(c if c.isprintable() or c in "\n\t" else "·" for c in text)))
    if len(raw) > 20_000:
        console.print(f"… {len(raw) - 20_000:,} more bytes")


@quarantine_app.command("retry")
def retry(mail: MailId, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Process a mail again, as if it had just come; the daemon does it at its next turn."""
    desk = desk_from(config)
    with desk.database.begin() as session:
        row = _get(session, mail)
        if row.source == OVERSIZE:
            _fetch_again(session, row)
            console.print(f"mail {mail} will be fetched again, whole if the limit now allows it")
            return
        row.status = "new"
        row.attempts = 0
        row.next_attempt_at = desk.clock()
        row.reason = None
    console.print(f"mail {mail} will be processed again")


@quarantine_app.command("drop")
def drop(
    mail: MailId,
    reason: Annotated[str, typer.Option("--reason", help="Kept with the mail.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Decide that a mail needs no answer. Its source is kept."""
    desk = desk_from(config)
    with desk.database.begin() as session:
        row = _get(session, mail)
        row.status = "done"
        row.outcome = "dropped"
        row.reason = f"dropped from quarantine: {reason} (was: {row.reason})"
    console.print(f"mail {mail} was dropped: {reason}")


def reconcile(
    config: ConfigOption = DEFAULT_CONFIG,
    repair: Annotated[
        bool, typer.Option("--repair", help="Take in what was missed and file what was left.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare every mail in the mailbox's folders with the ledger; exit 1 if one is unaccounted.

    Example: mailflow reconcile --repair
    """
    from mailflow.services.reconcile import reconcile_mailbox

    desk = desk_from(config)
    report = reconcile_mailbox(desk, repair=repair)
    if as_json:
        print_json(report.as_json())
    else:
        table = Table(title="Mails in the mailbox", title_justify="left")
        table.add_column("Folder")
        table.add_column("What became of it")
        table.add_column("Mails", justify="right")
        for (folder, fate), count in sorted(report.fates.items()):
            table.add_row(escape(folder), escape(fate), str(count))
        console.print(table)
        for line in report.unaccounted:
            console.print(f"[red]unaccounted[/] {escape(line)}")
        for line in report.repaired:
            console.print(f"[green]repaired[/] {escape(line)}")
    if report.unaccounted and not repair:
        raise typer.Exit(1)


def _get(session: Session, mail: int) -> Inbound:
    row = session.get(Inbound, mail)
    if row is None or row.status != QUARANTINED:
        raise MailflowError(f"mail {mail} is not in quarantine; see `mailflow quarantine list`")
    return row


def _fetch_again(session: Session, row: Inbound) -> None:
    """Forget the UID of a mail that was too large, so that the next poll takes it anew."""
    session.execute(delete(MailboxEntry).where(MailboxEntry.inbound_id == row.id))
    row.status = "done"
    row.outcome = "fetched again"


def _json(row: Inbound) -> dict[str, object]:
    return {
        "id": row.id,
        "received_at": row.received_at.isoformat(),
        "size": row.size,
        "from": row.sender,
        "subject": row.subject,
        "reason": row.reason,
        "attempts": row.attempts,
    }
