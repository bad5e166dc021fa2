"""A mail that could not be sent: tried again later, or ended with somebody told."""

import random
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from mailflow.adapters.store import add_event
from mailflow.adapters.tables import OutboxMail, Ticket
from mailflow.core.agents import Role
from mailflow.core.decisions import Audience, Notice, NoticeKind
from mailflow.desk import Desk
from mailflow.errors import ConfigError, GatewayError
from mailflow.logs import log
from mailflow.services.journal import ask_journal
from mailflow.services.owe import owe, tell_agents

FIRST_RETRY = timedelta(seconds=10)
LONGEST_AT_FIRST = timedelta(seconds=45)
FIRST_HOUR = timedelta(hours=1)
LONGEST_RETRY = timedelta(minutes=30)
GIVE_UP_AFTER = timedelta(days=5)  # RFC 5321 section 4.5.4.1


def retry_later(
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
        was_repeated = row.maybe_duplicate
        for_agents = NoticeKind(row.kind).is_for_agents  # one notice more does no harm
        in_doubt = counts and isinstance(error, GatewayError) and error.maybe_done
        if counts:
            row.attempts += 1
        if in_doubt and desk.config.journal is not None:
            ask_journal(desk.config.journal, row, now)
            return
        row.maybe_duplicate = row.maybe_duplicate or in_doubt
        pause = _pause(row, now)
        row.next_attempt_at = now + pause * random.uniform(0.8, 1.2)  # noqa: S311  (jitter)
        too_old = now - row.created_at > GIVE_UP_AFTER
    log.warning("outbox.retry", error=str(error))
    if in_doubt and was_repeated and not for_agents:
        fail(desk, row_id, f"offered twice and never confirmed, so not once more: {error}")
    elif too_old:
        fail(desk, row_id, f"given up after {GIVE_UP_AFTER.days} days: {error}")


def _pause(row: OutboxMail, now: datetime) -> timedelta:
    """In the first hour a mail is never left waiting for long; later the pauses grow."""
    longest = LONGEST_RETRY if now - row.created_at > FIRST_HOUR else LONGEST_AT_FIRST
    doublings = min(max(row.attempts - 1, 0), 12)
    return min(FIRST_RETRY * (1 << doublings), longest)


def fail(desk: Desk, row_id: int, error: str) -> None:
    """End a mail that can never be sent, and tell an agent what did not reach whom.

    Nothing is changed where another worker has taken it over.
    """
    now = desk.clock()
    with desk.database.begin() as session:
        row = session.get_one(OutboxMail, row_id, with_for_update=True)
        if row.sent_at is not None or row.claimed_by not in (None, desk.worker):
            return  # we were held up, and another worker has sent it or is at it
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
        elif row.kind != NoticeKind.AGENT_PROBLEM:  # whose own failure would tell of itself forever
            _tell_others(session, desk, row, reason, now, ticket)
    log.error("outbox.failed", error=error)


def _tell_others(
    session: Session, desk: Desk, row: OutboxMail, reason: str, now: datetime, ticket: Ticket | None
) -> None:
    """A notice did not reach its agent: the supervisors are told, else the other agents."""
    others = [each for each in desk.agents if each.address != row.recipient]
    supervisors = [each for each in others if each.role is Role.SUPERVISOR]
    for agent in supervisors or [each for each in others if each.role is not Role.OBSERVER]:
        data = {"reason": reason, "to": agent.address}
        notice = Notice(NoticeKind.AGENT_PROBLEM, Audience.AGENT, data)
        owe(session, desk, notice, ticket, f"failed-{row.id}", now)
