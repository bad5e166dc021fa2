"""Send what we owe. A registration that the server accepted starts its ticket's clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import zip_longest
from typing import Any

import structlog
from sqlalchemy import Executable, bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, defer

from mailflow.adapters.loaded import loaded
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
from mailflow.services.compose import Surroundings, compose
from mailflow.services.outbox_claim import claim_due
from mailflow.services.owe import announcement_of, fetch_announced, owe
from mailflow.services.recovery import Accepted, take_up_outbox, unfinished
from mailflow.services.undelivered import fail, retry_later

CLAIM_MARGIN = timedelta(seconds=60)  # longer than sending one mail takes


class UnmarkedError(GatewayError):
    """The server took the mail, but the database failed before that was noted."""


@dataclass(frozen=True, slots=True)
class Due:
    """A claimed mail, built and ready for the server. `problem`: why it can never be sent."""

    id: int
    kind: str
    recipients: tuple[str, ...]
    content: bytes
    claimed_until: datetime
    problem: str | None = None


@dataclass(slots=True)
class Progress:
    """How far a batch has come."""

    waiting: dict[int, None]  # what is not dealt with yet, in order
    accepted: list[int]
    offered: int | None = None  # noted as offered, and not dealt with yet


def send_due(desk: Desk, gateway: SmtpGateway) -> int:
    """Send one batch of what is due; return how many were handled.

    Each acceptance is committed before the next mail is offered, and in the same commit that
    the next one is about to be: should we die, that one alone is in doubt. What follows from
    it (the clock, the news for the agent) is written for the batch, and by whoever comes next
    where we end before that. Raises GatewayError, or ConfigError where the login cannot be made,
    when the server cannot be used at all; what was claimed is due again after a pause that
    grows. A mail that the server refuses for the moment waits alone.
    """
    take_up_outbox(desk)
    now = desk.clock()
    with desk.database.begin() as session:
        claimed, accepted = claim_due(session, desk, now)
    handled = len(claimed) + len(accepted)
    reach("outbox-claimed")
    progress = Progress(dict.fromkeys(claimed), accepted)
    try:
        built = _build_all(desk, claimed)
        for due, following in zip_longest(built, built[1:]):
            structlog.contextvars.bind_contextvars(outbox=due.id)
            _deal_with(desk, gateway, due, following, progress)
            progress.waiting.pop(due.id, None)
    finally:
        structlog.contextvars.unbind_contextvars("outbox")
        unfinished(desk).unoffered.update(progress.waiting)
        _follow_up(desk, accepted)
    return handled


def _deal_with(
    desk: Desk, gateway: SmtpGateway, due: Due, following: Due | None, progress: Progress
) -> None:
    """Send one mail, or write why not. Raises where the server, or the database, is out of use."""
    if due.problem is not None:
        fail(desk, due.id, due.problem)
        return
    if not _is_ours(desk, due):
        return
    if progress.offered != due.id:
        if desk.database.write(_offering(desk, due)) != [1]:
            return
        reach("outbox-offered")
    progress.offered = None
    try:
        if _send(desk, gateway, due, following, progress):
            progress.accepted.append(due.id)
    except UnmarkedError:
        progress.waiting.pop(due.id, None)
        raise
    except (GatewayError, ConfigError) as error:
        if isinstance(error, GatewayError) and error.permanent:
            if NoticeKind(due.kind).is_for_agents:  # their addresses are ours: somebody mends it
                retry_later(desk, due.id, error, counts=True)
            else:
                fail(desk, due.id, str(error))
            return
        if isinstance(error, GatewayError) and error.maybe_done:
            unfinished(desk).doubtful.add(due.id)
        if gateway.is_open:
            retry_later(desk, due.id, error, counts=True)
            unfinished(desk).doubtful.discard(due.id)
            return
        for row_id in list(progress.waiting):
            retry_later(desk, row_id, error, counts=row_id == due.id)
            del progress.waiting[row_id]
            unfinished(desk).doubtful.discard(row_id)
        raise


def _build_all(desk: Desk, ids: Sequence[int]) -> list[Due]:
    """Write the claimed mails, all in one reading of the database."""
    if not ids:
        return []
    with desk.database.read() as session:
        rows = session.scalars(
            select(OutboxMail).where(OutboxMail.id.in_(ids)).order_by(OutboxMail.id)
        ).all()
        context = Surroundings.of(session, rows)
        return [
            _build(session, desk, row, context)
            for row in rows
            if row.status == "sending" and row.claimed_by == desk.worker
        ]


def _build(session: Session, desk: Desk, row: OutboxMail, surroundings: Surroundings) -> Due:
    recipients = (row.recipient, *row.cc)
    if desk.config.journal is not None:
        recipients = (*recipients, desk.config.journal.address)
    content, problem = b"", None
    try:
        content = build(compose(session, desk, row, desk.clock(), surroundings))
    except (GatewayError, SQLAlchemyError):
        raise
    except MailflowError as error:
        problem = str(error)
    except Exception as error:  # whatever it is, it is this mail's, and the others go on
        problem = f"{type(error).__name__}: {error}"
        log.error("outbox.broken", outbox=row.id, exc_info=error)
    until = row.claimed_until or desk.clock()
    return Due(row.id, row.kind, recipients, content, until, problem)


def _is_ours(desk: Desk, due: Due) -> bool:
    """Whether no other worker can have taken it over while we were held up."""
    return desk.clock() <= due.claimed_until - CLAIM_MARGIN


def _send(
    desk: Desk, gateway: SmtpGateway, due: Due, following: Due | None, progress: Progress
) -> bool:
    sender, is_ours = desk.config.support.address, partial(_is_ours, desk, due)
    reply = gateway.send(sender, due.recipients, due.content, is_ours)
    if reply is None:
        return False
    sent_at = desk.clock()
    following = following if following is not None and following.problem is None else None
    try:
        noted, offered = _note_accepted(desk, due, sent_at, following)
    except GatewayError as error:
        unfinished(desk).accepted[due.id] = Accepted(sent_at, due.content)
        raise UnmarkedError(f"sent, but not noted as sent: {error}", maybe_done=True) from error
    reach("outbox-marked")
    log.info("mail.sent", kind=due.kind, reply=reply[:80])
    if offered and following is not None:
        progress.offered = following.id
    return noted


_CHANGE = update(OutboxMail.__table__).where(  # type: ignore[arg-type]
    OutboxMail.id == bindparam("row"), OutboxMail.status == "sending"
)
_ACCEPTED = _CHANGE.values(sent_at=bindparam("at"), content=bindparam("bytes"))
_OFFERED = _CHANGE.where(OutboxMail.claimed_by == bindparam("worker")).values(
    offered_at=bindparam("at")
)


def _offering(desk: Desk, due: Due) -> tuple[Executable, dict[str, Any]]:
    return _OFFERED, {"row": due.id, "worker": desk.worker, "at": desk.clock()}


def _note_accepted(
    desk: Desk, due: Due, sent_at: datetime, following: Due | None
) -> tuple[bool, bool]:
    """Commit that the server took a mail, which is never sent again, and that one follows.

    Return whether each of the two was still ours.
    """
    taken = _ACCEPTED, {"row": due.id, "at": sent_at, "bytes": due.content}
    if following is None:
        return desk.database.write(taken) == [1], False
    noted, offered = desk.database.write(taken, _offering(desk, following))
    return noted == 1, offered == 1


def _follow_up(desk: Desk, ids: Sequence[int]) -> None:
    """Write what follows from the server's acceptance: together, or else each on its own."""
    if not ids:
        return
    try:
        _finish_all(desk, ids)
    except GatewayError:
        for each in ids:
            unfinished(desk).accepted.setdefault(each, Accepted(None, None))
        raise
    except Exception as error:
        log.warning("outbox.batch_failed", mails=len(ids), error=str(error))
        for row_id in ids:
            _finish_all(desk, (row_id,))


def mark_sent(desk: Desk, row_id: int, content: bytes | None, sent_at: datetime) -> None:
    """Note that the server took a mail at `sent_at`, with all that follows."""
    with desk.database.begin() as session:
        row = session.get_one(OutboxMail, row_id, with_for_update=True)
        if row.status == "sent":
            return  # another worker was quicker
        row.sent_at, row.content = sent_at, content
        _finish(session, desk, [row])


def _finish_all(desk: Desk, ids: Sequence[int]) -> None:
    with desk.database.begin() as session:
        query = (
            select(OutboxMail)
            .where(OutboxMail.id.in_(ids), OutboxMail.status == "sending")
            .order_by(OutboxMail.id)
            .with_for_update()
            .options(defer(OutboxMail.content))
        )
        _finish(session, desk, session.scalars(query).all())


def _finish(session: Session, desk: Desk, rows: Sequence[OutboxMail]) -> None:
    """Write what follows for accepted mails; their tickets are locked in one order."""
    wanted = {row.ticket_id for row in rows} - {None}
    query = select(Ticket).where(Ticket.id.in_(wanted)).order_by(Ticket.id).with_for_update()
    tickets = {ticket.id: ticket for ticket in session.scalars(query)}
    starting = [each.id for each in tickets.values() if each.registered_at is None]
    loaded(session).fetch(starting)
    fetch_announced(session, starting)
    for row in rows:
        row.status = "sent"
        row.claimed_by = row.claimed_until = None
        row.error = None
        row.attempts += 1
        if row.ticket_id is not None and row.sent_at is not None:
            _after_sending(session, desk, row, tickets[row.ticket_id], row.sent_at)


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
        session,
        desk,
        notice,
        ticket,
        announcement_of(ticket.id),
        sent_at,
        inbound_id=row.inbound_id,
    )
