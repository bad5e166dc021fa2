"""Carry orders out on a ticket in the database: from the command line or from an agent's mail."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailflow.adapters.store import add_event, find_ticket, get_ticket, snapshot
from mailflow.adapters.tables import Correction, Inbound, Ticket
from mailflow.core.acting import Actor, Outcome, act
from mailflow.core.agents import Role
from mailflow.core.commands import Orders
from mailflow.core.decisions import Decision, Notice, Step
from mailflow.desk import Desk
from mailflow.services.apply import apply

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
    outcome = _link(session, ticket, outcome)
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


def _link(session: Session, ticket: Ticket, outcome: Outcome) -> Outcome:
    """Set the link to another ticket; one that is not there refuses the whole order."""
    for reference in outcome.linked:
        other = find_ticket(session, reference)
        if other is None or other.id == ticket.id:
            why = "there is no such ticket" if other is None else "it is this very ticket"
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
        if any(step.kind == "merged" for step in outcome.steps):
            _move_mails(session, ticket, other)
    return outcome


def _move_mails(session: Session, ticket: Ticket, other: Ticket) -> None:
    """The mails of a merged ticket belong to the other one from now on."""
    for mail in session.scalars(select(Inbound).where(Inbound.ticket_id == ticket.id)):
        mail.ticket_id = other.id


def _split(session: Session, ticket: Ticket, now: datetime, actor: Actor) -> None:
    """Give the client's last mail back to intake, as the start of a ticket of its own."""
    mail = session.scalar(
        select(Inbound)
        .where(Inbound.ticket_id == ticket.id, Inbound.sender == ticket.requester)
        .order_by(Inbound.id.desc())
        .limit(1)
    )
    if mail is not None:
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
