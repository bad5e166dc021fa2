"""Questions to the database, and the few writes that several services share."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from mailflow.adapters.loaded import loaded
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

LONGEST_PAUSE = timedelta(minutes=20)  # more than `setbacks.try_again` ever puts a mail off
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


def store_mails(session: Session, mails: Sequence[Arrived], now: datetime) -> list[Stored]:
    """Store each mail once; one that is there already only gets a line in the ledger."""
    identities = [identity_of(mail.raw) for mail in mails]
    query = select(Inbound.identity, Inbound.id).where(Inbound.identity.in_(set(identities)))
    there = {row.identity: row.id for row in session.execute(query)}
    new: dict[str, tuple[Inbound, Arrived]] = {}
    for identity, mail in zip(identities, mails, strict=True):
        if identity not in there and identity not in new:
            row = Inbound(
                identity=identity,
                source=mail.source,
                size=len(mail.raw),
                received_at=now,
                next_attempt_at=now,
                status="quarantined" if mail.refused else "new",
                reason=mail.refused,
            )
            new[identity] = row, mail
    session.add_all(row for row, _ in new.values())
    session.flush()
    session.add_all(RawMail(inbound_id=row.id, content=mail.raw) for row, mail in new.values())
    stored = []
    for identity, mail in zip(identities, mails, strict=True):
        if identity in new:
            row, first = new[identity]
            stored.append(Stored(row.id, duplicate=first is not mail))
        else:
            stored.append(Stored(there[identity], duplicate=True))
    _enter(session, mails, stored, now)
    return stored


def _enter(
    session: Session, mails: Sequence[Arrived], stored: Sequence[Stored], now: datetime
) -> None:
    """Note in the ledger which UIDs hold the mails; a UID that it knows is left alone."""
    entries = {
        mail.entry: each.inbound_id
        for mail, each in zip(mails, stored, strict=True)
        if mail.entry is not None
    }
    boxes = {entry[:3] for entry in entries}
    for mailbox, folder, uidvalidity in boxes:
        uids = [entry[3] for entry in entries if entry[:3] == (mailbox, folder, uidvalidity)]
        known = select(MailboxEntry.uid).where(
            MailboxEntry.mailbox == mailbox,
            MailboxEntry.folder == folder,
            MailboxEntry.uidvalidity == uidvalidity,
            MailboxEntry.uid.in_(uids),
        )
        for uid in session.scalars(known):
            del entries[mailbox, folder, uidvalidity, uid]
    session.add_all(
        MailboxEntry(
            mailbox=mailbox,
            folder=folder,
            uidvalidity=uidvalidity,
            uid=uid,
            inbound_id=inbound_id,
            seen_at=now,
        )
        for (mailbox, folder, uidvalidity, uid), inbound_id in entries.items()
    )


def claim_inbound(
    session: Session, worker: str, now: datetime, lease: timedelta, limit: int
) -> list[int]:
    """Claim up to `limit` mails that are due, oldest first; whoever holds a claim works alone.

    A claim that ran out (its worker died) may be taken by another, and so may one that reaches
    too far into the future: then the clock was put back, as it was where a mail came after now. A
    mail that was tried before is claimed alone: should it end its worker again, it takes no others
    with it.
    """
    waiting = (Inbound.status == "new") & (Inbound.next_attempt_at <= now)
    left_behind = or_(
        (Inbound.status == "new")
        & (Inbound.next_attempt_at > now)
        & (Inbound.next_attempt_at == Inbound.received_at),
        (Inbound.status == "new")  # put off after an error, and then the clock was put back
        & (Inbound.attempts > 0)
        & (Inbound.next_attempt_at > now + LONGEST_PAUSE),
        (Inbound.status == "processing") & (Inbound.claimed_until <= now),
        (Inbound.status == "processing") & (Inbound.claimed_until > now + 2 * lease),
    )
    rows: list[Any] = []
    for which in (left_behind, waiting):  # apart: each reads no more of its index than it takes
        due = (
            select(Inbound.id, Inbound.attempts)
            .where(which)
            .order_by(Inbound.next_attempt_at, Inbound.id)
            .limit(limit - len(rows))
            .with_for_update(skip_locked=True)
        )
        rows += session.execute(due) if len(rows) < limit else ()
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
    loaded(session).add_event(row)
    ticket.changed_at = at
    return row


def events_of(session: Session, ticket_id: int) -> Sequence[Event]:
    """Return the ticket's log, oldest first."""
    return tuple(loaded(session).events(ticket_id))


def participants_of(session: Session, ticket_id: int) -> list[TicketPerson]:
    """Return the people of the client's side, the requester first."""
    rows = loaded(session).people(ticket_id)
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
    counters: dict[int, ReferenceCounter] = session.info.setdefault("counters", {})
    if year not in counters:  # locked from here to the commit
        counter = session.get(ReferenceCounter, year, with_for_update=True)
        if counter is None:
            counter = ReferenceCounter(year=year, last=0)
            session.add(counter)
        counters[year] = counter
    counters[year].last += 1
    return f"{prefix}-{year}-{counters[year].last:06d}"


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
    fetch_quotas(session, (address,), now)
    return loaded(session).quotas[address]


def fetch_quotas(session: Session, addresses: Collection[str], now: datetime) -> None:
    """Count the automatic mails of many addresses at once. `owe` keeps count from here on."""
    known = loaded(session).quotas
    wanted = [each for each in addresses if each not in known]
    if not wanted:
        return
    known.update(dict.fromkeys(wanted, 0))
    counted = session.execute(
        select(OutboxMail.recipient, func.count(OutboxMail.id).label("owed"))
        .where(
            OutboxMail.recipient.in_(wanted),
            OutboxMail.created_at > now - timedelta(hours=24),
            OutboxMail.kind != "answer",
        )
        .group_by(OutboxMail.recipient)
    )
    known.update({row.recipient: row.owed for row in counted})


def loads_of_agents(session: Session) -> tuple[dict[str, int], dict[str, datetime]]:
    """Return for each agent the number of live tickets, and when the last one came."""
    book = loaded(session)
    if book.loads is None:
        counts: dict[str, int] = {}
        latest: dict[str, datetime] = {}
        rows = session.execute(
            select(Ticket.agent, func.count(Ticket.id), func.max(Ticket.created_at))
            .where(Ticket.agent.is_not(None), Ticket.state.in_(LIVE_STATES))
            .group_by(Ticket.state, Ticket.agent)  # the order of the index: nothing is sorted
        )
        for agent, count, last in rows:
            name = str(agent)
            counts[name] = counts.get(name, 0) + count
            latest[name] = max(last, latest.get(name, last))
        book.loads = counts, latest
    return book.loads


def note_load(session: Session, agent: str, at: datetime) -> None:
    """Keep `loads_of_agents` true within this transaction: `agent` got one more ticket."""
    counts, latest = loads_of_agents(session)
    counts[agent] = counts.get(agent, 0) + 1
    latest[agent] = max(at, latest.get(agent, at))
