"""Write mails that we owe into the outbox, in the transaction that decided them."""

import secrets
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailflow.adapters.loaded import loaded
from mailflow.adapters.outgoing import is_sendable
from mailflow.adapters.store import add_event, participants_of
from mailflow.adapters.tables import OutboxMail, Ticket
from mailflow.core.agents import Role, find_agent
from mailflow.core.decisions import Audience, Notice, NoticeKind
from mailflow.core.threads import ThreadRole, make_message_id
from mailflow.desk import Desk
from mailflow.logs import log


def owe(
    session: Session,
    desk: Desk,
    notice: Notice,
    ticket: Ticket | None,
    cause: str,
    now: datetime,
    *,
    inbound_id: int | None = None,
    sender: str | None = None,
) -> int:
    """Put `notice` into the outbox for each of its readers; return how many were new.

    `cause` names what it is owed for ('in-12', 'reminder-7'): the same notice for the same cause
    and reader is written once, whoever tries again. `sender` is the reader where the notice goes
    to somebody without a ticket.
    """
    count = 0
    book = loaded(session)
    for address, cc, language in _readers(session, desk, notice, ticket, sender):
        once = f"{cause}/{notice.kind.value}/{address}"[:200]
        if _is_owed(session, cause, once):
            continue
        if not is_sendable(address):
            if ticket is not None:
                data = {"kind": notice.kind.value, "reason": f"cannot write to {address!r}"}
                add_event(session, ticket, "not_sent", now, "mailflow", data, inbound_id)
            log.warning("outbox.unsendable", kind=notice.kind.value, cause=cause)
            continue
        role = ThreadRole.AGENT if notice.kind.is_for_agents else ThreadRole.CLIENT
        session.add(
            OutboxMail(
                once=once,
                message_id=make_message_id(
                    desk.database.thread_key(),
                    ticket.id if ticket else 0,
                    role,
                    secrets.token_hex(8),
                    desk.config.support.address.rpartition("@")[2],
                ),
                ticket_id=ticket.id if ticket else None,
                inbound_id=inbound_id,
                kind=notice.kind.value,
                recipient=address,
                cc=cc,
                language=language,
                data=dict(notice.data),
                next_attempt_at=now,
                created_at=now,
            )
        )
        count += 1
        if cause in book.owed:
            book.owed[cause].add(once)
        if address in book.quotas and notice.kind is not NoticeKind.ANSWER:
            book.quotas[address] += 1
    return count


def _is_owed(session: Session, cause: str, once: str) -> bool:
    known = loaded(session).owed.get(cause)
    if known is not None:
        return once in known
    return session.scalar(select(OutboxMail.id).where(OutboxMail.once == once)) is not None


def fetch_owed(session: Session, inbound_ids: Collection[int]) -> None:
    """Read what is owed for many mails at once: the causes 'in-…' ask no more after this."""
    owed: dict[str, set[str]] = {f"in-{each}": set() for each in inbound_ids}
    query = select(OutboxMail.once).where(OutboxMail.inbound_id.in_(inbound_ids))
    for once in session.scalars(query):
        owed.get(once.partition("/")[0], set()).add(once)
    loaded(session).owed.update(owed)


def announcement_of(ticket_id: int) -> str:
    """Return the cause under which an agent is told of a registered ticket."""
    return f"registered-{ticket_id}"


def fetch_announced(session: Session, ticket_ids: Collection[int]) -> None:
    """Read which tickets were announced to whom, for many at once."""
    owed: dict[str, set[str]] = {announcement_of(each): set() for each in ticket_ids}
    query = select(OutboxMail.once).where(
        OutboxMail.ticket_id.in_(ticket_ids), OutboxMail.kind == NoticeKind.AGENT_NEW.value
    )
    for once in session.scalars(query) if ticket_ids else ():
        owed.get(once.partition("/")[0], set()).add(once)
    loaded(session).owed.update(owed)


def _readers(
    session: Session, desk: Desk, notice: Notice, ticket: Ticket | None, sender: str | None
) -> list[tuple[str, list[str], str]]:
    """Return (address, copies, language) of each reader."""
    default = desk.config.support.default_language
    if notice.audience is Audience.SENDER:
        language = str(notice.data.get("language", default))
        return [(sender, [], language)] if sender else []
    if notice.audience is Audience.CLIENT:
        if ticket is None or not ticket.requester:
            return []
        people = participants_of(session, ticket.id)
        copies = [p.address for p in people if p.role == "watcher" and is_sendable(p.address)]
        return [(ticket.requester, copies, ticket.language)]
    named = str(notice.data.get("to", ""))
    addresses = [named] if named else agent_addresses(desk, notice.audience, ticket)
    found = [(address, find_agent(desk.agents, address)) for address in addresses]
    return [
        (
            address,
            [],
            agent.language
            if agent and agent.language and agent.language in desk.renderer.languages
            else default,
        )
        for address, agent in found
    ]


def agent_addresses(desk: Desk, audience: Audience, ticket: Ticket | None) -> list[str]:
    """Return who is told: the agent in charge or the supervisor, else all who could act."""
    in_charge = find_agent(desk.agents, ticket.agent) if ticket else None
    if audience is Audience.SUPERVISOR:
        if in_charge is not None and in_charge.supervisor is not None:
            return [in_charge.supervisor]
        supervisors = [a.address for a in desk.agents if a.role is Role.SUPERVISOR]
        if supervisors:
            return supervisors
    if in_charge is not None:
        return [in_charge.address]
    return [agent.address for agent in desk.agents if agent.role is not Role.OBSERVER]


def tell_agents(
    session: Session,
    desk: Desk,
    reason: str,
    cause: str,
    now: datetime,
    ticket: Ticket | None = None,
) -> None:
    """Tell the agents (the one in charge, where there is one) that something needs a human."""
    notice = Notice(NoticeKind.AGENT_PROBLEM, Audience.AGENT, {"reason": reason})
    owe(session, desk, notice, ticket, cause, now)
