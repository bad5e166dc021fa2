"""Take mails in: the raw bytes are committed before anything is done on the server."""

import mailbox as mailbox_formats
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.exc import IntegrityError

from mailflow.adapters.imap import Fetched, ImapMailbox
from mailflow.adapters.store import Arrived, Stored, store_mails
from mailflow.adapters.tables import Inbound, MailboxEntry
from mailflow.desk import Desk
from mailflow.errors import MailflowError
from mailflow.failpoints import reach
from mailflow.logs import log
from mailflow.services.owe import tell_agents

QUESTION_UIDS = 500  # asked about in one statement
OVERSIZE = "imap-header"  # source of a mail that was too large: its header is all we have


def take_in(desk: Desk, mails: Sequence[Arrived]) -> list[Stored]:
    """Store mails in one transaction. When this returns, they are safe on disk."""
    try:
        stored = _store(desk, mails)
    except IntegrityError:  # another worker stored the same mail meanwhile: now it is there
        stored = _store(desk, mails)
    reach("intake-committed")
    for mail, each in zip(mails, stored, strict=True):
        log.info(
            "mail.duplicate" if each.duplicate else "mail.stored",
            mail=each.inbound_id,
            source=mail.source,
            size=len(mail.raw),
        )
    return stored


def _store(desk: Desk, mails: Sequence[Arrived]) -> list[Stored]:
    now = desk.clock()
    with desk.database.begin() as session:
        stored = store_mails(session, mails, now)
        for mail, each in zip(mails, stored, strict=True):
            if mail.refused is not None and not each.duplicate:
                tell_agents(session, desk, mail.refused, f"quarantine-{each.inbound_id}", now)
    return stored


def poll(desk: Desk, mailbox: ImapMailbox) -> int:
    """Take in what is new in the mailbox and file it; return how many mails were stored.

    Crash-safe at every point: a mail that was stored but not filed yet is only filed.
    """
    settings = desk.config.require_imap()
    mailbox.select(settings.folder)
    uids = mailbox.uids(_first_unknown(desk, mailbox))
    known = _known(desk, mailbox, uids)
    if settings.after_processing == "move":
        mailbox.file([uid for uid in uids if known.get(uid, OVERSIZE) != OVERSIZE])
    count = 0
    for batch in mailbox.fetch([uid for uid in uids if uid not in known]):
        reach("intake-fetched")
        arrived = [_arrived(desk, mailbox, mail) for mail in batch]
        take_in(desk, arrived)
        mailbox.file([mail.uid for mail in batch if not mail.oversize])
        reach("intake-filed")
        count += len(batch)
    return count


def _first_unknown(desk: Desk, mailbox: ImapMailbox) -> int:
    """Where to begin: with moved mails the folder is small; with flags, after the last known."""
    if desk.config.require_imap().after_processing == "move":
        return 1
    query = select(func.max(MailboxEntry.uid)).where(_is_of(desk, mailbox))
    with desk.database.read() as session:
        return (session.scalar(query) or 0) + 1


def _known(desk: Desk, mailbox: ImapMailbox, uids: Sequence[int]) -> dict[int, str]:
    """Which of `uids` are in the ledger, and the source under which each mail was stored."""
    query = select(MailboxEntry.uid, Inbound.source).where(_is_of(desk, mailbox))
    query = query.join(Inbound, Inbound.id == MailboxEntry.inbound_id)
    found: dict[int, str] = {}
    with desk.database.read() as session:
        for start in range(0, len(uids), QUESTION_UIDS):
            some = uids[start : start + QUESTION_UIDS]
            rows = session.execute(query.where(MailboxEntry.uid.in_(some)))
            found.update({row.uid: row.source for row in rows})
    return found


def _is_of(desk: Desk, mailbox: ImapMailbox) -> ColumnElement[bool]:
    """The condition for the ledger's entries of the mailbox's folder as it is now."""
    return and_(
        MailboxEntry.mailbox == mailbox.name,
        MailboxEntry.folder == desk.config.require_imap().folder,
        MailboxEntry.uidvalidity == mailbox.uidvalidity,
    )


def _arrived(desk: Desk, mailbox: ImapMailbox, mail: Fetched) -> Arrived:
    folder = desk.config.require_imap().folder
    entry = (mailbox.name, folder, mailbox.uidvalidity, mail.uid)
    if not mail.oversize:
        return Arrived(mail.raw, "imap", entry)
    reason = (
        f"the mail has {mail.size:,} bytes, more than limits.max_mail_bytes; only its header was "
        f"taken, the mail lies in the mailbox ({folder}) as UID {mail.uid}"
    )
    return Arrived(mail.raw, OVERSIZE, entry, refused=reason)


def read_mails(path: Path) -> Iterator[bytes]:
    """Yield the mails of a file, of an mbox, or of all mail files below a folder, in order.

    Raises MailflowError naming a path that cannot be read.
    """
    if path.is_dir():
        if (path / "cur").is_dir() and (path / "new").is_dir():
            with closing(mailbox_formats.Maildir(str(path), create=False)) as maildir:
                for key in sorted(maildir.keys()):
                    yield maildir.get_bytes(key)
            return
        files = (each for each in path.rglob("*") if each.suffix.lower() in (".eml", ".mbox"))
        for file in sorted(files):
            yield from read_mails(file)
        return
    try:
        with path.open("rb") as stream:
            start = stream.read(5)
        if start == b"From ":
            with closing(mailbox_formats.mbox(str(path), create=False)) as box:
                for key in box.keys():  # noqa: SIM118  (a mailbox is no mapping)
                    yield box.get_bytes(key)
        else:
            yield path.read_bytes()
    except OSError as error:
        raise MailflowError(f"{path}: cannot be read: {error.strerror}") from error
