"""Claim what is due in the outbox, and tell what a dead worker may have sent."""

from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mailflow.adapters.tables import OutboxMail
from mailflow.desk import Desk
from mailflow.services.journal import ask_journal
from mailflow.services.undelivered import LONGEST_RETRY

BATCH = 20
LEASE = timedelta(seconds=120)
RESTORED = "restore"  # holds what a restored backup had not sent: all of it may have been offered


def claim_due(session: Session, desk: Desk, now: datetime) -> tuple[list[int], list[int]]:
    """Claim what is due: mails to send, and those accepted whose follow-up was not written.

    A row that was offered to the server, and whose claim ran out, may have been sent: the journal
    is asked, or, where there is none, it is sent again under the same Message-ID and marked so.
    """
    waiting = (OutboxMail.status == "pending") & (OutboxMail.next_attempt_at <= now)
    left_behind = or_(
        (OutboxMail.status == "pending")  # the clock was put back, and it was never tried
        & (OutboxMail.next_attempt_at > now)
        & (OutboxMail.next_attempt_at == OutboxMail.created_at),
        (OutboxMail.status == "pending")
        & (OutboxMail.next_attempt_at > now + 1.25 * LONGEST_RETRY),
        (OutboxMail.status == "sending") & (OutboxMail.claimed_until <= now),
        (OutboxMail.status == "sending") & (OutboxMail.claimed_until > now + 2 * LEASE),
    )
    rows: list[OutboxMail] = []
    for which in (left_behind, waiting):  # apart: each reads no more of its index than it takes
        due = (
            select(OutboxMail)
            .where(which)
            .order_by(OutboxMail.next_attempt_at, OutboxMail.id)
            .limit(BATCH - len(rows))
            .with_for_update(skip_locked=True)
        )
        rows += session.scalars(due) if len(rows) < BATCH else ()
    claimed: list[int] = []
    accepted: list[int] = []
    for row in rows:
        is_open = _may_have_been_sent(row)
        if is_open and desk.config.journal is not None:
            ask_journal(desk.config.journal, row, now)
            continue
        row.maybe_duplicate = row.maybe_duplicate or is_open
        (claimed if row.sent_at is None else accepted).append(row.id)
        row.status = "sending"
        row.offered_at = None
        row.claimed_by = desk.worker
        row.claimed_until = now + LEASE
    return claimed, accepted


def _may_have_been_sent(row: OutboxMail) -> bool:
    """Whether a server may have taken it without our knowing: SMTP cannot tell."""
    was_offered = row.offered_at is not None or row.claimed_by == RESTORED
    return row.status == "sending" and row.sent_at is None and was_offered
