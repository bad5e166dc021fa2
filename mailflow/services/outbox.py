"""Send what we owe. A registration that the server accepted starts its ticket's clock."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mailflow.adapters.outgoing import build
from mailflow.adapters.smtp import SmtpGateway
from mailflow.adapters.store import add_event
from mailflow.adapters.tables import OutboxMail, Ticket
from mailflow.core.decisions import Audience, Notice, NoticeKind
from mailflow.desk import Desk
from mailflow.errors import ConfigError, GatewayError, MailflowError
from mailflow.failpoints import reach
from mailflow.logs import log
from mailflow.services.client_chase import chase_client
from mailflow.services.clock import refresh
from mailflow.services.compose import compose
from mailflow.services.journal import ask_journal
from mailflow.services.owe import owe, tell_agents

BATCH = 20
LEASE = timedelta(seconds=120)
CLAIM_MARGIN = timedelta(seconds=60)  # longer than sending one mail takes
FIRST_RETRY = timedelta(seconds=10)
LONGEST_RETRY = timedelta(minutes=30)
GIVE_UP_AFTER = timedelta(days=5)  # RFC 5321 section 4.5.4.1


class UnmarkedError(GatewayError):
    """The server took the mail, but the database failed before that was noted."""


@dataclass(frozen=True, slots=True)
class Due:
    """A claimed mail, built and ready for the server."""

    id: int
    recipients: tuple[str, ...]
    content: bytes
    claimed_until: datetime


def send_due(desk: Desk, gateway: SmtpGateway) -> int:
    """Send one batch of what is due; return how many were handled.

    Raises GatewayError, or ConfigError where the login cannot be made, when the server cannot be
    used at all; what was claimed is due again after a pause that grows. A mail that the server
    refuses for the moment waits alone.
    """
    now = desk.clock()
    with desk.database.begin() as session:
        ids = _claim(session, desk, now)
    reach("outbox-claimed")
    for position, row_id in enumerate(ids):
        structlog.contextvars.bind_contextvars(outbox=row_id)
        try:
            due = _build(desk, row_id)
            if due is not None:
                _send(desk, gateway, due)
        except (GatewayError, ConfigError) as error:
            if isinstance(error, GatewayError) and error.permanent:
                _fail(desk, row_id, str(error))
                continue
            if gateway.is_open and not isinstance(error, UnmarkedError):
                _retry_later(desk, row_id, error, counts=True)
                continue
            for waiting in ids[position:]:
                _retry_later(desk, waiting, error, counts=waiting == row_id)
            raise
        finally:
            structlog.contextvars.unbind_contextvars("outbox")
    return len(ids)


def _claim(session: Session, desk: Desk, now: datetime) -> list[int]:
    """Claim what is due. A row whose claim ran out may have been sent: the journal is asked, or,
    where there is none, it is sent again under the same Message-ID and marked so.
    """
    rows = session.scalars(
        select(OutboxMail)
        .where(
            or_(
                (OutboxMail.status == "pending") & (OutboxMail.next_attempt_at <= now),
                (OutboxMail.status == "sending") & (OutboxMail.claimed_until <= now),
                (OutboxMail.status == "sending") & (OutboxMail.claimed_until > now + 2 * LEASE),
            )
        )
        .order_by(OutboxMail.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    claimed = []
    for row in rows:
        if row.status == "sending" and desk.config.journal is not None:
            ask_journal(desk.config.journal, row, now)
            continue
        if row.status == "sending":
            row.maybe_duplicate = True
        row.status = "sending"
        row.claimed_by = desk.worker
        row.claimed_until = now + LEASE
        claimed.append(row.id)
    return claimed


def _build(desk: Desk, row_id: int) -> Due | None:
    with desk.database.read() as session:
        row = session.get_one(OutboxMail, row_id)
        if row.status != "sending" or row.claimed_by != desk.worker or row.claimed_until is None:
            return None
        recipients = (row.recipient, *row.cc)
        if desk.config.journal is not None:
            recipients = (*recipients, desk.config.journal.address)
        try:
            content = build(compose(session, desk, row, desk.clock()))
        except (GatewayError, SQLAlchemyError):
            raise
        except MailflowError as error:
            problem = str(error)
        except Exception as error:  # whatever it is, it is this mail's, and the others go on
            problem = f"{type(error).__name__}: {error}"
            log.error("outbox.broken", exc_info=error)
        else:
            return Due(row_id, recipients, content, row.claimed_until)
    _fail(desk, row_id, problem)
    return None


def _send(desk: Desk, gateway: SmtpGateway, due: Due) -> None:
    if desk.clock() > due.claimed_until - CLAIM_MARGIN:
        return  # we were held up for so long that another worker may have taken it over
    reply = gateway.send(desk.config.support.address, due.recipients, due.content)
    try:
        kind = mark_sent(desk, due.id, due.content, desk.clock())
    except GatewayError as error:
        raise UnmarkedError(f"sent, but not noted as sent: {error}", maybe_done=True) from error
    reach("outbox-marked")
    log.info("mail.sent", kind=kind, reply=reply[:80])


def mark_sent(desk: Desk, row_id: int, content: bytes | None, sent_at: datetime) -> str:
    """Note that the server took a mail at `sent_at`, with all that follows; return its kind."""
    with desk.database.begin() as session:
        row = session.get_one(OutboxMail, row_id, with_for_update=True)
        row.status = "sent"
        row.sent_at = sent_at
        row.content = content
        row.claimed_by = row.claimed_until = None
        row.error = None
        row.attempts += 1
        ticket = session.get(Ticket, row.ticket_id, with_for_update=True) if row.ticket_id else None
        if ticket is not None:
            _after_sending(session, desk, row, ticket, sent_at)
    return row.kind


def _after_sending(
    session: Session, desk: Desk, row: OutboxMail, ticket: Ticket, sent_at: datetime
) -> None:
    mail = {"kind": row.kind, "to": row.recipient, "message_id": row.message_id}
    if row.kind != NoticeKind.REGISTRATION or ticket.registered_at is not None:
        add_event(session, ticket, "mail_sent", sent_at, "mailflow", {"mail": mail})
        return
    ticket.registered_at = sent_at
    data = {"priority": ticket.priority, "mail": mail}
    add_event(session, ticket, "registration_sent", sent_at, "mailflow", data)
    refresh(session, desk, ticket, sent_at)
    chase_client(session, desk, ticket, sent_at)
    notice = Notice(NoticeKind.AGENT_NEW, Audience.AGENT)
    owe(
        session, desk, notice, ticket, f"registered-{ticket.id}", sent_at, inbound_id=row.inbound_id
    )


def _retry_later(
    desk: Desk, row_id: int, error: GatewayError | ConfigError, *, counts: bool
) -> None:
    """Put a mail back, its next attempt later each time, with jitter; after days give it up."""
    now = desk.clock()
    with desk.database.begin() as session:
        row = session.get_one(OutboxMail, row_id)
        if row.status != "sending" or row.claimed_by != desk.worker:
            return
        row.status = "pending"
        row.claimed_by = row.claimed_until = None
        row.error = str(error)
        if counts:
            row.attempts += 1
            if isinstance(error, GatewayError) and error.maybe_done:
                if desk.config.journal is not None:
                    ask_journal(desk.config.journal, row, now)
                    return
                row.maybe_duplicate = True
        pause = min(
            FIRST_RETRY * 2 ** min(row.attempts - 1 if row.attempts else 0, 12), LONGEST_RETRY
        )
        row.next_attempt_at = now + pause * random.uniform(0.8, 1.2)  # noqa: S311  (jitter)
        too_old = now - row.created_at > GIVE_UP_AFTER
    log.warning("outbox.retry", error=str(error))
    if too_old:
        _fail(desk, row_id, f"given up after {GIVE_UP_AFTER.days} days: {error}")


def _fail(desk: Desk, row_id: int, error: str) -> None:
    """End a mail that can never be sent, and tell an agent what did not reach whom."""
    now = desk.clock()
    with desk.database.begin() as session:
        row = session.get_one(OutboxMail, row_id)
        row.status = "failed"
        row.error = error
        row.claimed_by = row.claimed_until = None
        ticket = session.get(Ticket, row.ticket_id) if row.ticket_id else None
        reason = f"the mail '{row.kind}' did not reach {row.recipient}: {error}"
        if ticket is not None:
            add_event(session, ticket, "not_sent", now, "mailflow", {"reason": reason})
            if row.kind == NoticeKind.REGISTRATION:
                ticket.undelivered = True
        if not NoticeKind(row.kind).is_for_agents:
            tell_agents(session, desk, reason, f"failed-{row_id}", now, ticket)
    log.error("outbox.failed", error=error)
