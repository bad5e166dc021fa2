"""Prove that each mail in the mailbox has its fate in the ledger, and repair what has not."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from mailflow.adapters.imap import ImapMailbox
from mailflow.adapters.store import Arrived
from mailflow.adapters.tables import Inbound, MailboxEntry
from mailflow.core.identity import identity_of
from mailflow.desk import Desk
from mailflow.logs import log
from mailflow.services.intake import poll, take_in
from mailflow.services.owe import tell_agents


@dataclass
class Report:
    """How many mails of each folder met which fate, and which met none."""

    fates: Counter[tuple[str, str]] = field(default_factory=Counter)
    unaccounted: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return what programs read."""
        return {
            "fates": [
                {"folder": folder, "fate": fate, "mails": count}
                for (folder, fate), count in sorted(self.fates.items())
            ],
            "unaccounted": self.unaccounted,
            "repaired": self.repaired,
        }


def reconcile_mailbox(desk: Desk, *, repair: bool) -> Report:
    """Look at every UID of the watched and the processed folder.

    A mail in the watched folder is known by its UID, one in the processed folder by its content.
    With `repair` the unknown ones are taken in. Raises GatewayError where the server fails.
    """
    settings = desk.config.require_imap()
    report = Report()
    with ImapMailbox(settings, desk.config.limits.max_mail_bytes) as mailbox:
        _watched_folder(desk, mailbox, report)
        if settings.after_processing == "move" and settings.processed_folder:
            _processed_folder(desk, mailbox, settings.processed_folder, report, repair=repair)
        if repair and report.unaccounted:
            count = poll(desk, mailbox)
            report.repaired.append(f"{settings.folder}: {count} mails taken in")
    if report.unaccounted:
        _raise_alarm(desk, report)
    return report


def _raise_alarm(desk: Desk, report: Report) -> None:
    """Tell the operator's log, and the agents once a day, that mails met no fate."""
    count = len(report.unaccounted)
    log.error("reconcile.unaccounted", mails=count, repaired=len(report.repaired))
    now = desk.clock()
    reason = f"{count} mails of the mailbox are not accounted for: {report.unaccounted[0]}"
    with desk.database.begin() as session:
        cause = f"reconcile-{now.astimezone(desk.zone).date()}"
        tell_agents(session, desk, reason, cause, now)


def _watched_folder(desk: Desk, mailbox: ImapMailbox, report: Report) -> None:
    folder = desk.config.require_imap().folder
    mailbox.select(folder, readonly=True)
    with desk.database.read() as session:
        rows = session.execute(
            select(MailboxEntry.uid, Inbound)
            .join(Inbound, Inbound.id == MailboxEntry.inbound_id)
            .where(
                MailboxEntry.mailbox == mailbox.name,
                MailboxEntry.folder == folder,
                MailboxEntry.uidvalidity == mailbox.uidvalidity,
            )
        ).all()
    known = {uid: _fate(inbound) for uid, inbound in rows}
    for uid in mailbox.uids():
        if uid in known:
            report.fates[folder, known[uid]] += 1
        else:
            report.fates[folder, "not in the ledger"] += 1
            report.unaccounted.append(f"{folder} UID {uid}: not taken in yet")


def _processed_folder(
    desk: Desk, mailbox: ImapMailbox, folder: str, report: Report, *, repair: bool
) -> None:
    mailbox.select(folder, readonly=True)
    for batch in mailbox.fetch(mailbox.uids()):
        for mail in batch:
            with desk.database.read() as session:
                row = session.scalar(
                    select(Inbound).where(Inbound.identity == identity_of(mail.raw))
                )
            if row is not None:
                report.fates[folder, _fate(row)] += 1
                continue
            report.fates[folder, "not in the ledger"] += 1
            report.unaccounted.append(f"{folder} UID {mail.uid}: its content was never stored")
            if repair:
                take_in(desk, [Arrived(mail.raw, "reconcile")])
                report.repaired.append(f"{folder} UID {mail.uid}: stored")


def _fate(row: Inbound) -> str:
    if row.status == "quarantined":
        return "quarantined"
    if row.status != "done":
        return "waiting to be processed"
    if row.ticket_id is not None:
        return "in a ticket"
    return f"{row.outcome}: no ticket, reason kept"
