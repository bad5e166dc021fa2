"""Was it sent? The journal mailbox, which gets a copy of each mail, knows what SMTP cannot tell.

A mail whose reply from the server never came (a crash, a broken connection) is `unsure`. After a
settle time, in which its copy would have arrived, it is looked up by its Message-ID: found, it
counts as sent at the moment its copy arrived; not found, it is sent. While the journal cannot be
asked for longer than `patience_seconds`, it is sent again and marked `maybe_duplicate`.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from imapclient import IMAPClient
from sqlalchemy import select

from mailflow.adapters.imap_failures import FAILURES
from mailflow.adapters.tables import OutboxMail
from mailflow.adapters.tls import client_context
from mailflow.desk import Desk
from mailflow.errors import GatewayError
from mailflow.logs import log
from mailflow.settings import Journal

UNSURE = "unsure"
BATCH = 100


@dataclass(frozen=True, slots=True)
class Copy:
    """A mail's copy in the journal: when it arrived, and its bytes."""

    arrived_at: datetime
    content: bytes


def ask_journal(journal: Journal, row: OutboxMail, now: datetime) -> None:
    """Mark a mail as unsure: it is looked up once its copy has had time to arrive."""
    row.status = UNSURE
    row.claimed_by = row.claimed_until = None
    row.next_attempt_at = now + timedelta(seconds=journal.settle_seconds)


def settle(desk: Desk) -> int:
    """Look up the unsure mails whose settle time is over; return how many were settled."""
    journal = desk.config.journal
    if journal is None:
        return 0
    now = desk.clock()
    too_far = now + 2 * timedelta(seconds=journal.settle_seconds)  # the clock was put back
    with desk.database.read() as session:
        rows = session.scalars(
            select(OutboxMail)
            .where(
                OutboxMail.status == UNSURE,
                (OutboxMail.next_attempt_at <= now) | (OutboxMail.next_attempt_at > too_far),
            )
            .order_by(OutboxMail.id)
            .limit(BATCH)
        ).all()
    if not rows:
        return 0
    try:
        copies = find_copies(journal, [row.message_id for row in rows])
    except GatewayError as error:
        log.warning("journal.failed", error=str(error))
        return _wait_or_repeat(desk, journal, rows, now)
    from mailflow.services.outbox import mark_sent  # it asks us, and we tell it the answer

    for row in rows:
        copy = copies.get(row.message_id)
        if copy is not None:
            mark_sent(desk, row.id, copy.content, min(copy.arrived_at, now))
            log.info("journal.found", outbox=row.id)
        else:
            _send_again(desk, row.id, now, maybe_duplicate=False)
            log.info("journal.missing", outbox=row.id)
    return len(rows)


def find_copies(journal: Journal, message_ids: Sequence[str]) -> dict[str, Copy]:
    """Return the copies in the journal by Message-ID. Raises GatewayError where it fails."""
    found: dict[str, Copy] = {}
    try:
        with IMAPClient(
            journal.host,
            journal.port,
            ssl=journal.tls == "tls",
            ssl_context=client_context(journal) if journal.tls == "tls" else None,
            timeout=journal.timeout_seconds,
        ) as client:
            client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # short commands
            if journal.tls == "starttls":
                if not client.has_capability("STARTTLS"):
                    raise GatewayError(f"journal {journal.host}: the server offers no STARTTLS")
                client.starttls(client_context(journal))
            if journal.oauth2_token_command is not None:
                client.oauth2_login(journal.username, journal.secret())
            else:
                client.login(journal.username, journal.secret())
            client.select_folder(journal.folder, readonly=True)
            client.normalise_times = False
            for message_id in message_ids:
                uids = client.search(["HEADER", "Message-ID", message_id])
                if uids:
                    data = client.fetch(uids[:1], ["INTERNALDATE", "BODY.PEEK[]"])[uids[0]]
                    arrived = data[b"INTERNALDATE"].astimezone(UTC)
                    found[message_id] = Copy(arrived, data[b"BODY[]"])
    except FAILURES as error:
        raise GatewayError(f"journal {journal.host}:{journal.port}: {error}") from error
    return found


def _wait_or_repeat(desk: Desk, journal: Journal, rows: Sequence[OutboxMail], now: datetime) -> int:
    """The journal is out of reach: wait for it, but not so long that a client is left alone."""
    repeated = 0
    for row in rows:
        if now - row.created_at > timedelta(seconds=journal.patience_seconds):
            _send_again(desk, row.id, now, maybe_duplicate=True)
            repeated += 1
        else:
            with desk.database.begin() as session:
                ask_journal(journal, session.get_one(OutboxMail, row.id), now)
    return repeated


def _send_again(desk: Desk, row_id: int, now: datetime, *, maybe_duplicate: bool) -> None:
    with desk.database.begin() as session:
        row = session.get_one(OutboxMail, row_id, with_for_update=True)
        if row.status == UNSURE:
            row.status = "pending"
            row.next_attempt_at = now
            row.maybe_duplicate = row.maybe_duplicate or maybe_duplicate
