"""Carry orders out on a ticket in the database: from the command line or from an agent's mail."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailflow.adapters.store import (
    add_event,
    find_ticket,
    get_ticket,
    participants_of,
    snapshot,
)
from mailflow.adapters.tables import Correction, Inbound, Ticket
from mailflow.core.acting import SPLIT_DONE, Actor, Outcome, act
from mailflow.core.agents import Role
from mailflow.core.commands import Orders
from mailflow.core.decisions import Audience, Decision, Notice, NoticeKind, Step
from mailflow.desk import Desk
from mailflow.services.apply import add_watcher, apply
from mailflow.services.facts import merged_into

OPERATOR = Actor("operator", "operator@localhost", Role.SUPERVISOR)


@dataclass(frozen=True, slots=True)
class Transcript:
    """What became of orders, line by line."""

    done: tuple[str, ...]
    refused: tuple[str, ...]


def order(
    session: Session,
    desk: Desk,
    ticket: Ticket,
    orders: Orders,
    actor: Actor,
    cause: str,
    now: datetime,
    *,
    inbound_id: int | None = None,
    more: tuple[Notice, ...] = (),
) -> Transcript:
    """Carry out what can be done of `orders`, in the caller's transaction."""
    outcome = act(orders, snapshot(session, ticket), actor, desk.agents)
    outcome = _link(session, ticket, outcome, now)
    outcome = _check_split(session, ticket, outcome)
    notices = tuple(_with_files(notice, inbound_id) for notice in outcome.notices)
    apply(
        session,
        desk,
        Decision("ordered", "", ticket_id=ticket.id, steps=outcome.steps, notices=notices + more),
        cause,
        now,
        inbound_id=inbound_id,
        actor=actor.address,
    )
    if outcome.splits:
        _split(session, ticket, now, actor)
    if outcome.labels:
        _learn(session, ticket, outcome, orders, actor, now)
    return Transcript(outcome.done, outcome.refused)


def order_by_reference(desk: Desk, reference: str, orders: Orders) -> Transcript:
    """Carry out orders of the operator at a terminal. Raises MailflowError for no such ticket."""
    now = desk.clock()
    with desk.database.begin() as session:
        ticket = get_ticket(session, reference)
        cause = f"cli-{ticket.id}-{now.timestamp():.6f}"
        return order(session, desk, ticket, orders, OPERATOR, cause, now)


def _with_files(notice: Notice, inbound_id: int | None) -> Notice:
    """An agent's answer takes the files of the agent's mail along."""
    if inbound_id is None or "author" not in notice.data:
        return notice
    return replace(notice, data={**notice.data, "attachments_of": inbound_id})


def _link(session: Session, ticket: Ticket, outcome: Outcome, now: datetime) -> Outcome:
    """Set the link to another ticket; one that is not there refuses the whole order."""
    merges = any(step.kind == "merged" for step in outcome.steps)
    for reference in outcome.linked:
        other = find_ticket(session, reference)
        why = _why_not_linked(session, ticket, other, merges)
        if other is None or why:
            steps: tuple[Step, ...] = tuple(
                s for s in outcome.steps if s.kind not in ("merged", "linked")
            )
            return replace(
                outcome,
                steps=steps,
                done=tuple(d for d in outcome.done if reference.lower() not in d.lower()),
                refused=(*outcome.refused, f"{reference}: {why}"),
            )
        ticket.linked_to = other.id
        if merges:
            outcome = _merge(session, ticket, other, outcome, now)
    return outcome


def _why_not_linked(session: Session, ticket: Ticket, other: Ticket | None, merges: bool) -> str:
    if other is None:
        return "there is no such ticket"
    if merged_into(session, other).id == ticket.id:
        return "it is this very ticket"
    if merges and ticket.reference is not None and not _is_same_client(ticket, other):
        return "it is another client's ticket"
    return ""


def _is_same_client(ticket: Ticket, other: Ticket) -> bool:
    """Whether the people of one ticket may read the other."""
    if ticket.organisation is None:
        return ticket.requester == other.requester
    return ticket.organisation == other.organisation


def _merge(
    session: Session, ticket: Ticket, other: Ticket, outcome: Outcome, now: datetime
) -> Outcome:
    """The mails of a merged ticket belong to the other one from now on; its people are told.

    Somebody outside the other ticket's organisation neither joins it nor hears of it.
    """
    for mail in session.scalars(select(Inbound).where(Inbound.ticket_id == ticket.id)):
        mail.ticket_id = other.id
    if not _is_same_client(ticket, other):
        return outcome
    for person in participants_of(session, ticket.id):
        if person.address != other.requester:
            add_watcher(session, other, person.address, now)
    if other.reference is None:
        return outcome
    told = Notice(NoticeKind.CLOSED, Audience.CLIENT, {"merged_into": other.reference})
    return replace(outcome, notices=(*outcome.notices, told))


def _check_split(session: Session, ticket: Ticket, outcome: Outcome) -> Outcome:
    """A ticket keeps the mail that opened it: with no other there is nothing to split."""
    if not outcome.splits or len(_clients_mails(session, ticket)) > 1:
        return outcome
    return replace(
        outcome,
        splits=False,
        steps=tuple(step for step in outcome.steps if step.kind != "split"),
        done=tuple(line for line in outcome.done if line != SPLIT_DONE),
        refused=(*outcome.refused, "#split: the ticket has only one mail of the client"),
    )


def _clients_mails(session: Session, ticket: Ticket) -> Sequence[Inbound]:
    """The mails of the ticket's people, oldest first."""
    people = {person.address for person in participants_of(session, ticket.id)}
    return session.scalars(
        select(Inbound)
        .where(
            Inbound.ticket_id == ticket.id,
            Inbound.sender.in_(people),
            Inbound.message_class == "person",
        )
        .order_by(Inbound.id)
    ).all()


def _split(session: Session, ticket: Ticket, now: datetime, actor: Actor) -> None:
    """Give the client's last mail back to intake, as the start of a ticket of its own."""
    mail = _clients_mails(session, ticket)[-1]
    mail.ticket_id = None
    mail.status, mail.attempts, mail.next_attempt_at = "new", 0, now
    mail.outcome = "split"
    add_event(session, ticket, "mail_split_off", now, actor.address, {"mail": mail.id})


def _learn(
    session: Session, ticket: Ticket, outcome: Outcome, orders: Orders, actor: Actor, now: datetime
) -> None:
    """Keep the corrected labels with the mail that opened the ticket, to train on."""
    first = session.scalar(
        select(Inbound.id).where(Inbound.ticket_id == ticket.id).order_by(Inbound.id).limit(1)
    )
    if first is not None:
        reason = "; ".join(command.reason for command in orders.commands if command.reason)
        session.add(
            Correction(
                inbound_id=first,
                ticket_id=ticket.id,
                labels=dict(outcome.labels),
                agent=actor.address,
                reason=reason,
                at=now,
            )
        )
