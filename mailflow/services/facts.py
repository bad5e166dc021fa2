"""Look up what the core needs to know before it decides about a mail."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailflow.adapters.store import count_automatic_mails, participants_of, snapshot
from mailflow.adapters.tables import Event, Inbound, OutboxMail, Ticket
from mailflow.core.agents import Agent, find_agent
from mailflow.core.decide import Facts
from mailflow.core.followups import FollowUpRules
from mailflow.core.guard import may_send_more
from mailflow.core.messages import InboundMessage, MessageClass
from mailflow.core.organisations import Organisation, find_organisation
from mailflow.core.threads import ThreadRole, bare_subject, find_references, find_tokens
from mailflow.desk import Desk

SAME_SUBJECT_DAYS = 30


@dataclass(frozen=True, slots=True)
class Thread:
    """The ticket that a mail belongs to, by what, and in whose thread."""

    ticket: Ticket
    role: ThreadRole
    reason: str


def gather(
    session: Session, desk: Desk, message: InboundMessage, *, split_off: bool = False
) -> Facts:
    """Return all facts about `message` and its sender, as they stand in this transaction.

    `split_off`: an agent gave it a ticket of its own, whatever thread it is in.
    """
    support = desk.config.support
    now = desk.clock()
    address = message.sender.address if message.sender else ""
    organisation = find_organisation(desk.organisations, address) if address else None
    thread = None if split_off else find_thread(session, desk, message)
    policy = desk.policy_for(organisation)
    return Facts(
        own_addresses=support.own_addresses,
        today=now.astimezone(desk.zone).date(),
        organisation=organisation,
        unknown_sender=support.unknown_sender,
        default_language=support.default_language,
        languages=desk.renderer.languages,
        rules=FollowUpRules(policy.reopening_grace, policy.priority_after_workaround),
        held_notice=support.held_notice,
        ticket=snapshot(session, thread.ticket) if thread else None,
        thread_reason=thread.reason if thread else "no thread of ours",
        outsider=thread is not None and not _belongs(session, thread, address),
        in_agent_thread=thread is not None and thread.role is ThreadRole.AGENT,
        agent=_claimed_agent(desk, message),
        watchers=_watchers(desk, message, organisation),
        bounced=_bounced(session, desk, message),
        in_quota=may_send_more(
            address,
            count_automatic_mails(session, address, now),
            support.max_automatic_mails_per_day,
        ).answer,
    )


def find_thread(session: Session, desk: Desk, message: InboundMessage) -> Thread | None:
    """Find the ticket that a mail answers: by signed id, by a mail we know, by reference.

    The subject alone counts only for a sender who belongs to the ticket: anyone can type a
    reference, and an outsider who does opens a ticket of their own.
    """
    return (
        _by_token(session, desk, message)
        or _by_known_mail(session, message)
        or _by_reference(session, desk, message)
        or _by_subject(session, desk, message)
    )


def _by_token(session: Session, desk: Desk, message: InboundMessage) -> Thread | None:
    ids = (*message.in_reply_to, *reversed(message.references))
    addressed = tuple(each.address for each in (*message.to, *message.cc))
    if message.message_class is MessageClass.BOUNCE and message.bounce is not None:
        ids = (*ids, message.bounce.original_message_id or "")
    for texts, what in ((ids, "it answers a mail of ours"), (addressed, "the reply address")):
        for token in find_tokens(desk.database.thread_key(), texts):
            found = session.get(Ticket, token.ticket_id)
            if found is not None:
                row = merged_into(session, found)
                return Thread(row, token.role, f"{what} in {_name(row)}")
    return None


def _by_known_mail(session: Session, message: InboundMessage) -> Thread | None:
    """A client who goes on from a mail of their own that opened the ticket."""
    ids = (*message.in_reply_to, *message.references)
    if not ids:
        return None
    row = session.scalar(
        select(Ticket)
        .join(Inbound, Inbound.ticket_id == Ticket.id)
        .where(Inbound.message_id.in_(ids))
        .order_by(Inbound.id.desc())
        .limit(1)
    )
    if row is None:
        return None
    row = merged_into(session, row)
    return Thread(row, ThreadRole.CLIENT, f"it goes on from a mail in {_name(row)}")


def _by_reference(session: Session, desk: Desk, message: InboundMessage) -> Thread | None:
    for reference in find_references(message.subject, desk.config.support.reference_prefix):
        row = session.scalar(select(Ticket).where(Ticket.reference == reference))
        if row is not None:
            row = merged_into(session, row)
            thread = Thread(row, ThreadRole.CLIENT, f"the subject names {reference}")
            if message.sender and _belongs(session, thread, message.sender.address):
                return thread
    return None


def merged_into(session: Session, row: Ticket) -> Ticket:
    """Return the ticket that goes on for a merged one; itself where it was not merged."""
    seen = {row.id}
    while row.state == "closed" and row.linked_to is not None and row.linked_to not in seen:
        merged = select(Event.id).where(Event.ticket_id == row.id, Event.kind == "merged").limit(1)
        if session.scalar(merged) is None:
            break
        row = session.get_one(Ticket, row.linked_to)
        seen.add(row.id)
    return row


def _by_subject(session: Session, desk: Desk, message: InboundMessage) -> Thread | None:
    """The answer to a question of ours, from a program that writes no References."""
    prefix = desk.config.support.reference_prefix
    bare = bare_subject(message.subject, prefix)
    if message.sender is None or not bare or bare == message.subject.strip():
        return None
    since = desk.clock() - timedelta(days=SAME_SUBJECT_DAYS)
    rows = session.scalars(
        select(Ticket)
        .where(
            Ticket.requester == message.sender.address,
            Ticket.state.in_(("incomplete", "abandoned")),
            Ticket.created_at > since,
        )
        .order_by(Ticket.id.desc())
    )
    for row in rows:
        if bare_subject(row.subject, prefix).casefold() == bare.casefold():
            return Thread(row, ThreadRole.CLIENT, f"same sender and subject as {_name(row)}")
    return None


def _belongs(session: Session, thread: Thread, address: str) -> bool:
    if thread.role is ThreadRole.AGENT:
        return False  # a client who holds an agent's mail got it from somewhere else
    people = {person.address for person in participants_of(session, thread.ticket.id)}
    return address == thread.ticket.requester or address in people


def _claimed_agent(desk: Desk, message: InboundMessage) -> Agent | None:
    """The agent that From names, be it among others: whose mail this claims to be."""
    found = (find_agent(desk.agents, sender.address) for sender in message.senders)
    return next((agent for agent in found if agent is not None), None)


def _watchers(desk: Desk, message: InboundMessage, home: Organisation | None) -> tuple[str, ...]:
    """Colleagues in To and Cc: only those of the sender's own organisation."""
    if message.sender is None or home is None:
        return ()
    never = desk.config.support.own_addresses | {message.sender.address}
    found = (
        each.address
        for each in (*message.to, *message.cc)
        if each.address not in never and find_organisation(desk.organisations, each.address) is home
    )
    return tuple(dict.fromkeys(found))[:20]


def _bounced(session: Session, desk: Desk, message: InboundMessage) -> str | None:
    if message.message_class is not MessageClass.BOUNCE or message.bounce is None:
        return None
    ids = (message.bounce.original_message_id, *message.in_reply_to, *message.references)
    row = session.scalar(
        select(OutboxMail).where(OutboxMail.message_id.in_([each for each in ids if each]))
    )
    return f"our mail '{row.kind}'" if row else None


def _name(row: Ticket) -> str:
    return row.reference or f"ticket #{row.id}"
