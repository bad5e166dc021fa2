"""Questions to the database, and the few writes that several services share."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from mailflow.adapters.tables import (
    Event,
    Inbound,
    MailboxEntry,
    OutboxMail,
    RawMail,
    ReferenceCounter,
    Ticket,
    TicketPerson,
)
from mailflow.core import tickets as core
from mailflow.core.identity import identity_of
from mailflow.errors import MailflowError

LIVE_STATES = ("incomplete", "open", "pending", "resolved", "held")


@dataclass(frozen=True, slots=True)
class Arrived:
    """A mail as it was fetched. `entry` is (mailbox, folder, uidvalidity, uid) from IMAP.

    `refused`: why it goes to quarantine at once, unprocessed.
    """

    raw: bytes
    source: str
    entry: tuple[str, str, int, int] | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a mail was stored. `duplicate`: it was there already."""

    inbound_id: int
    duplicate: bool


def store_mail(session: Session, arrived: Arrived, now: datetime) -> Stored:
    """Store a mail once; the same mail again only gets a line in the ledger."""
    identity = identity_of(arrived.raw)
    inbound_id = session.scalar(select(Inbound.id).where(Inbound.identity == identity))
    duplicate = inbound_id is not None
    if inbound_id is None:
        row = Inbound(
            identity=identity,
            source=arrived.source,
            size=len(arrived.raw),
            received_at=now,
            next_attempt_at=now,
            status="quarantined" if arrived.refused else "new",
            reason=arrived.refused,
        )
        session.add(row)
        session.flush()
        session.add(RawMail(inbound_id=row.id, content=arrived.raw))
        inbound_id = row.id
    if arrived.entry is not None:
        mailbox, folder, uidvalidity, uid = arrived.entry
        known = select(MailboxEntry.id).where(
            MailboxEntry.mailbox == mailbox,
            MailboxEntry.folder == folder,
            MailboxEntry.uidvalidity == uidvalidity,
            MailboxEntry.uid == uid,
        )
        if session.scalar(known) is None:
            session.add(
                MailboxEntry(
                    mailbox=mailbox,
                    folder=folder,
                    uidvalidity=uidvalidity,
                    uid=uid,
                    inbound_id=inbound_id,
                    seen_at=now,
                )
            )
    return Stored(inbound_id, duplicate)


def claim_inbound(
    session: Session, worker: str, now: datetime, lease: timedelta, limit: int
) -> list[int]:
    """Claim up to `limit` mails that are due, oldest first; whoever holds a claim works alone.

    A claim that ran out (its worker died) may be taken by another, and so may one that reaches
    too far into the future: then the clock was put back. A mail that was tried before
    is claimed alone: should it end its worker again, it takes no others with it.
    """
    due = (
        select(Inbound.id, Inbound.attempts)
        .where(
            or_(
                (Inbound.status == "new") & (Inbound.next_attempt_at <= now),
                (Inbound.status == "processing") & (Inbound.claimed_until <= now),
                (Inbound.status == "processing") & (Inbound.claimed_until > now + 2 * lease),
            )
        )
        .order_by(Inbound.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = session.execute(due).all()
    fresh = [row.id for row in takewhile(lambda row: row.attempts == 0, rows)]
    ids = fresh or [row.id for row in rows[:1]]
    if ids:
        session.execute(
            update(Inbound)
            .where(Inbound.id.in_(ids))
            .values(
                status="processing",
                claimed_by=worker,
                claimed_until=now + lease,
                attempts=Inbound.attempts + 1,
            )
        )
    return ids


def add_event(
    session: Session,
    ticket: Ticket,
    kind: str,
    at: datetime,
    actor: str,
    data: dict[str, Any] | None = None,
    inbound_id: int | None = None,
) -> Event:
    """Append an event to the ticket's log."""
    row = Event(
        ticket_id=ticket.id, at=at, kind=kind, actor=actor, data=data or {}, inbound_id=inbound_id
    )
    session.add(row)
    ticket.changed_at = at
    return row


def events_of(session: Session, ticket_id: int) -> Sequence[Event]:
    """Return the ticket's log, oldest first."""
    return session.scalars(
        select(Event).where(Event.ticket_id == ticket_id).order_by(Event.id)
    ).all()


def participants_of(session: Session, ticket_id: int) -> list[TicketPerson]:
    """Return the people of the client's side, the requester first."""
    rows = session.scalars(select(TicketPerson).where(TicketPerson.ticket_id == ticket_id))
    return sorted(rows, key=lambda person: (person.role != "requester", person.address))


def snapshot(session: Session, row: Ticket) -> core.Ticket:
    """Return the ticket as the core sees it."""
    people = frozenset(person.address for person in participants_of(session, row.id))
    return core.Ticket(
        id=row.id,
        state=core.State(row.state),
        reference=row.reference,
        subject=row.subject,
        requester=row.requester,
        participants=people | {row.requester},
        language=row.language,
        priority=row.priority,
        items=frozenset(row.items),
        asked=tuple(row.asked),
        times_asked=row.times_asked,
        kind=row.kind,
        organisation=row.organisation,
        agent=row.agent,
        registered_at=row.registered_at,
        closed_at=row.closed_at,
        workaround=row.workaround,
        undelivered=row.undelivered,
        wants_contact=row.priority == 1 and row.contact is None,
        text=row.text,
    )


def next_reference(session: Session, prefix: str, year: int) -> str:
    """Return the next ticket number of `year`, such as MF-2026-000123. Never gives one twice."""
    counter = session.get(ReferenceCounter, year, with_for_update=True)
    if counter is None:
        counter = ReferenceCounter(year=year, last=0)
        session.add(counter)
    counter.last += 1
    session.flush()
    return f"{prefix}-{year}-{counter.last:06d}"


def find_ticket(session: Session, reference: str) -> Ticket | None:
    """Return the ticket with this reference (any case), or with this number as its id."""
    row = session.scalar(select(Ticket).where(Ticket.reference == reference.strip().upper()))
    if row is None and reference.strip().lstrip("#").isdecimal():
        row = session.get(Ticket, int(reference.strip().lstrip("#")))
    return row


def get_ticket(session: Session, reference: str) -> Ticket:
    """Return the ticket. Raises MailflowError where there is none."""
    row = find_ticket(session, reference)
    if row is None:
        raise MailflowError(f"{reference}: there is no such ticket; see `mailflow tickets list`")
    return row


def count_automatic_mails(session: Session, address: str, now: datetime) -> int:
    """Count the mails that `address` was owed in the last 24 hours, agents' answers left out."""
    since = now - timedelta(hours=24)
    return (
        session.scalar(
            select(func.count(OutboxMail.id)).where(
                OutboxMail.recipient == address,
                OutboxMail.created_at > since,
                OutboxMail.kind != "answer",
            )
        )
        or 0
    )


def loads_of_agents(session: Session) -> tuple[dict[str, int], dict[str, datetime]]:
    """Return for each agent the number of live tickets, and when the last one came."""
    counts: dict[str, int] = {}
    latest: dict[str, datetime] = {}
    rows = session.execute(
        select(Ticket.agent, func.count(Ticket.id), func.max(Ticket.created_at))
        .where(Ticket.agent.is_not(None), Ticket.state.in_(LIVE_STATES))
        .group_by(Ticket.agent)
    )
    for agent, count, last in rows:
        counts[str(agent)], latest[str(agent)] = count, last
    return counts, latest
