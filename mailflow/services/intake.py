"""Take mails in: the raw bytes are committed before anything is done on the server."""

import mailbox as mailbox_formats
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import select, update

from mailflow.adapters.imap import Fetched, ImapMailbox
from mailflow.adapters.store import Arrived, Stored, store_mail
from mailflow.adapters.tables import Inbound, MailboxEntry
from mailflow.desk import Desk
from mailflow.errors import MailflowError
from mailflow.failpoints import reach
from mailflow.logs import log


def take_in(desk: Desk, mails: Sequence[Arrived]) -> list[Stored]:
    """Store mails in one transaction. When this returns, they are safe on disk."""
    with desk.database.begin() as session:
        stored = [store_mail(session, mail, desk.clock()) for mail in mails]
    reach("intake-committed")
    for mail, each in zip(mails, stored, strict=True):
        log.info(
            "mail.duplicate" if each.duplicate else "mail.stored",
            mail=each.inbound_id,
            source=mail.source,
            size=len(mail.raw),
        )
    return stored


def poll(desk: Desk, mailbox: ImapMailbox) -> int:
    """Take in what is new in the mailbox and file it; return how many mails were stored.

    Crash-safe at every point: a mail that was stored but not filed yet is only filed.
    """
    settings = desk.config.require_imap()
    mailbox.select(settings.folder)
    uids = mailbox.uids(_first_unknown(desk, mailbox))
    known = _known_uids(desk, mailbox)
    if settings.after_processing == "move":
        mailbox.file([uid for uid in uids if uid in known])
    count = 0
    for batch in mailbox.fetch([uid for uid in uids if uid not in known]):
        reach("intake-fetched")
        arrived = [_arrived(desk, mailbox, mail) for mail in batch]
        stored = take_in(desk, arrived)
        _quarantine_oversize(desk, batch, stored)
        mailbox.file([mail.uid for mail in batch if not mail.oversize])
        reach("intake-filed")
        count += len(batch)
    return count


def _first_unknown(desk: Desk, mailbox: ImapMailbox) -> int:
    """Where to begin: with moved mails the folder is small; with flags, after the last known."""
    if desk.config.require_imap().after_processing == "move":
        return 1
    known = _known_uids(desk, mailbox)
    return max(known, default=0) + 1


def _known_uids(desk: Desk, mailbox: ImapMailbox) -> frozenset[int]:
    with desk.database.read() as session:
        return frozenset(
            session.scalars(
                select(MailboxEntry.uid).where(
                    MailboxEntry.mailbox == mailbox.name,
                    MailboxEntry.folder == desk.config.require_imap().folder,
                    MailboxEntry.uidvalidity == mailbox.uidvalidity,
                )
            )
        )


def _arrived(desk: Desk, mailbox: ImapMailbox, mail: Fetched) -> Arrived:
    folder = desk.config.require_imap().folder
    return Arrived(mail.raw, "imap", (mailbox.name, folder, mailbox.uidvalidity, mail.uid))


def _quarantine_oversize(desk: Desk, batch: Sequence[Fetched], stored: Sequence[Stored]) -> None:
    for mail, each in zip(batch, stored, strict=True):
        if mail.oversize:
            reason = (
                f"the mail has {mail.size:,} bytes, more than limits.max_mail_bytes; only its "
                f"header was taken, the mail lies in the mailbox as UID {mail.uid}"
            )
            with desk.database.begin() as session:
                session.execute(
                    update(Inbound)
                    .where(Inbound.id == each.inbound_id)
                    .values(status="quarantined", reason=reason)
                )
            log.warning("mail.quarantined", mail=each.inbound_id, reason=reason)


def read_mails(path: Path) -> Iterator[bytes]:
    """Yield the mails of a file, of an mbox, or of all mail files below a folder, in order.

    Raises MailflowError naming a path that cannot be read.
    """
    if path.is_dir():
        if (path / "cur").is_dir() and (path / "new").is_dir():
            maildir = mailbox_formats.Maildir(str(path), create=False)
            for key in sorted(maildir.keys()):
                yield maildir.get_bytes(key)
            return
        for file in sorted(each for each in path.rglob("*") if each.suffix in (".eml", ".mbox")):
            yield from read_mails(file)
        return
    try:
        with path.open("rb") as stream:
            start = stream.read(5)
        if start == b"From ":
            box = mailbox_formats.mbox(str(path), create=False)
            for key in box.keys():  # noqa: SIM118  (a mailbox is no mapping)
                yield box.get_bytes(key)
        else:
            yield path.read_bytes()
    except OSError as error:
        raise MailflowError(f"{path}: cannot be read: {error.strerror}") from error
