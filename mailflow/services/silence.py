"""Silence at a reminder: the ticket goes to the next agent on duty before its deadline is lost."""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailflow.adapters.store import add_event, loads_of_agents
from mailflow.adapters.tables import Event, Inbound, Reminder, Ticket
from mailflow.core.agents import Agent, choose_agent, find_agent, is_on_duty
from mailflow.desk import Desk
from mailflow.services.agent_mail import hand_over
from mailflow.services.ticket_actions import OPERATOR

PATIENCE = timedelta(minutes=30)  # between two reminders; sooner than that nobody was silent
SILENT = "agent_silent"


def hand_over_if_silent(
    session: Session, desk: Desk, ticket: Ticket, reminder: Reminder, now: datetime
) -> Agent | None:
    """Hand the ticket over if its agent left an earlier reminder of this deadline unanswered.

    Once for a ticket, and only to someone who is on duty. Any act of the team on the ticket since
    that reminder, or a mail of the agent, is an answer. Return who has the ticket now, or None.
    """
    agent = find_agent(desk.agents, ticket.agent)
    if agent is None or reminder.deadline <= now:
        return None
    asked = session.scalar(
        select(Event)
        .where(Event.ticket_id == ticket.id, Event.kind == "reminded", Event.at <= now - PATIENCE)
        .order_by(Event.id.desc())
        .limit(1)
    )
    if asked is None or asked.data.get("agent") != agent.address:
        return None
    if _has_answered(session, desk, ticket, agent, asked) or _was_handed_over(session, ticket):
        return None
    counts, latest = loads_of_agents(session)
    successor, _ = choose_agent(
        desk.agents, ticket.language, now, counts, latest, not_these=frozenset({agent.address})
    )
    if successor is None or not is_on_duty(successor, now):
        return None
    data = {"agent": agent.address, "stage": asked.data["stage"]}
    add_event(session, ticket, SILENT, now, "mailflow", data)
    why = f"{agent.name} left the reminder '{asked.data['stage']}' unanswered"
    return hand_over(session, desk, ticket, agent, why, now)


def _has_answered(session: Session, desk: Desk, ticket: Ticket, agent: Agent, asked: Event) -> bool:
    team = {each.address for each in desk.agents} | {OPERATOR.address}
    acted = select(func.count(Event.id)).where(
        Event.ticket_id == ticket.id, Event.id > asked.id, Event.actor.in_(team)
    )
    wrote = select(func.count(Inbound.id)).where(
        Inbound.ticket_id == ticket.id,
        Inbound.sender == agent.address,
        Inbound.processed_at >= asked.at,
    )
    return bool(session.scalar(acted) or session.scalar(wrote))


def _was_handed_over(session: Session, ticket: Ticket) -> bool:
    query = select(Event.id).where(Event.ticket_id == ticket.id, Event.kind == SILENT)
    return session.scalar(query.limit(1)) is not None
