"""Carry a decision out: ticket, events and outbox rows, all in the caller's transaction."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session, make_transient_to_detached

from mailflow.adapters.loaded import loaded
from mailflow.adapters.store import add_event, loads_of_agents, next_reference, note_load
from mailflow.adapters.tables import Ticket, TicketPerson
from mailflow.core.agents import choose_agent, find_agent
from mailflow.core.decisions import Decision, NewTicket, Step
from mailflow.core.summary import summarise
from mailflow.core.threads import bare_subject
from mailflow.core.tickets import Action, State, next_state
from mailflow.desk import Desk
from mailflow.services.client_chase import chase_client
from mailflow.services.clock import keep_policy, refresh
from mailflow.services.owe import owe

MOVES_CLOCK = frozenset(State) - {State.INCOMPLETE, State.HELD, State.ABANDONED}
REGISTERING = frozenset({Action.REGISTER, Action.INCLUDE})


def apply(
    session: Session,
    desk: Desk,
    decision: Decision,
    cause: str,
    now: datetime,
    *,
    inbound_id: int | None = None,
    sender: str = "",
    actor: str = "mailflow",
    new_text: str = "",
) -> Ticket | None:
    """Write all that `decision` says; return its ticket, or None where it has none.

    Raises StateError when a step is not allowed in the ticket's state: nothing is written then.
    """
    ticket: Ticket | None = None
    if decision.new_ticket is not None:
        ticket = _create(session, desk, decision.new_ticket, now)
    elif decision.ticket_id is not None:
        ticket = session.get_one(Ticket, decision.ticket_id, with_for_update=True)
        if new_text and ticket.state in (State.INCOMPLETE, State.ABANDONED):
            ticket.text = f"{ticket.text}\n\n{new_text}".strip()
    if ticket is not None:
        for step in decision.steps:
            take_step(session, desk, ticket, step, now, actor=actor, inbound_id=inbound_id)
        if decision.new_ticket is not None:
            _assign(session, desk, ticket, decision.new_ticket.agent, now)
        if State(ticket.state) in MOVES_CLOCK:
            refresh(session, desk, ticket, now)
        chase_client(session, desk, ticket, now)
    for notice in decision.notices:
        owe(session, desk, notice, ticket, cause, now, inbound_id=inbound_id, sender=sender)
    return ticket


def take_step(
    session: Session,
    desk: Desk,
    ticket: Ticket,
    step: Step,
    now: datetime,
    *,
    actor: str = "mailflow",
    inbound_id: int | None = None,
) -> None:
    """Change the ticket as `step` says and append its event.

    Raises StateError when the ticket's state does not allow the step's action.
    """
    data = {key: _plain(value) for key, value in step.data.items()}
    if step.action is not None:
        before = State(ticket.state)
        after = next_state(before, step.action)
        data.update({"from": before.value, "to": after.value})
        ticket.state = after.value
        _stamp(ticket, step.action, after, now)
        if step.action in REGISTERING and ticket.reference is None:
            _register(session, desk, ticket, now)
    for column, value in step.changes.items():
        setattr(ticket, column, value)
    for address in step.data.get("watchers", ()):
        add_watcher(session, ticket, address, now)
    if step.kind == "asked":
        ticket.times_asked += 1
    add_event(session, ticket, step.kind, now, actor, data, inbound_id)


def add_watcher(session: Session, ticket: Ticket, address: str, now: datetime) -> None:
    """Let `address` read the client's thread of the ticket. Twice is once."""
    book = loaded(session)
    if all(person.address != address for person in book.people(ticket.id)):
        book.add_person(
            TicketPerson(ticket_id=ticket.id, address=address, role="watcher", added_at=now)
        )


def _stamp(ticket: Ticket, action: Action, after: State, now: datetime) -> None:
    if after is State.RESOLVED and action in (Action.RESOLVE, Action.WORKAROUND):
        ticket.resolved_at = now
        ticket.workaround = action is Action.WORKAROUND
    elif after is State.CLOSED and action is not Action.CLIENT_REPLIED:
        ticket.closed_at = now
    elif after is State.OPEN:
        ticket.resolved_at = None
        ticket.closed_at = None


def _create(session: Session, desk: Desk, new: NewTicket, now: datetime) -> Ticket:
    prefix = desk.config.support.reference_prefix
    values = {
        "state": new.state.value,
        "subject": new.subject,
        "summary": summarise(bare_subject(new.subject, prefix), new.text),
        "requester": new.requester,
        "requester_name": new.requester_name,
        "language": new.language,
        "organisation": new.organisation,
        "kind": new.kind,
        "exclusion": new.exclusion,
        "priority": new.priority,
        "proposed_priority": new.priority,
        "requested_priority": new.requested_priority,
        "review": list(new.review),
        "items": list(new.items),
        "asked": list(new.asked),
        "text": new.text,
        "linked_to": new.linked_to,
        "created_at": now,
        "changed_at": now,
    }
    ticket = _insert(session, values)
    book = loaded(session)
    book.note_new(ticket.id)
    if new.requester:
        book.add_person(
            TicketPerson(ticket_id=ticket.id, address=new.requester, role="requester", added_at=now)
        )
    for address in new.watchers:
        add_watcher(session, ticket, address, now)
    if new.registered:
        _register(session, desk, ticket, now)
    return ticket


_INSERT = insert(Ticket.__table__)  # type: ignore[arg-type]
_DEFAULTS = {
    column.key: column.default for column in Ticket.__table__.columns if not column.primary_key
}


def _insert(session: Session, values: Mapping[str, Any]) -> Ticket:
    """Write a ticket at once, for its number; what else is pending waits for its own time."""
    result = session.connection().execute(_INSERT, dict(values))
    (number,) = result.inserted_primary_key or (None,)
    defaults = {
        name: default.arg(None) if default.is_callable else default.arg
        for name, default in _DEFAULTS.items()
        if default is not None
    }
    empty = dict.fromkeys(_DEFAULTS)
    ticket = Ticket(id=number, **{**empty, **defaults, **values})
    make_transient_to_detached(ticket)
    session.add(ticket)
    return ticket


def _register(session: Session, desk: Desk, ticket: Ticket, now: datetime) -> None:
    """Give the ticket its number and the policy that holds for it from now on."""
    year = now.astimezone(desk.zone).year
    ticket.reference = next_reference(session, desk.config.support.reference_prefix, year)
    ticket.priority = ticket.priority or 3
    policy = desk.policy_for(desk.find_organisation_by_name(ticket.organisation))
    ticket.policy_version = keep_policy(session, policy, now)


def _assign(session: Session, desk: Desk, ticket: Ticket, known: str | None, now: datetime) -> None:
    counts, latest = loads_of_agents(session)
    agent, reason = find_agent(desk.agents, known), "has the ticket whose thread this came in"
    if agent is None:
        skills = frozenset({ticket.kind, ticket.exclusion or "", f"P{ticket.priority}"})
        agent, reason = choose_agent(desk.agents, ticket.language, now, counts, latest, skills)
    if agent is not None:
        ticket.agent = agent.address
        note_load(session, agent.address, now)
        data = {"agent": agent.address, "name": agent.name, "reason": reason}
        add_event(session, ticket, "assigned", now, "mailflow", data)


def _plain(value: Any) -> Any:
    """Return what JSON can hold: triage results become tables."""
    if is_dataclass(value):  # `dataclasses.asdict` would copy each leaf as well
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value
