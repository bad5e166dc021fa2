"""Silence at a reminder: the ticket goes to the next agent on duty before its deadline is lost."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailflow.adapters.store import add_event, events_of, loads_of_agents
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
    events = events_of(session, ticket.id)
    asked = _last_asked(events, now)
    if asked is None or asked.data.get("agent") != agent.address:
        return None
    if any(event.kind == SILENT for event in events):
        return None
    since = events[events.index(asked) + 1 :]
    if _has_acted(desk, since) or _has_written(session, ticket, agent, asked.at):
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


def _last_asked(events: Sequence[Event], now: datetime) -> Event | None:
    """The last reminder that its agent has had the time to answer."""
    asked = (each for each in events if each.kind == "reminded" and each.at <= now - PATIENCE)
    return next(reversed(list(asked)), None)


def _has_acted(desk: Desk, events: Sequence[Event]) -> bool:
    team = {each.address for each in desk.agents} | {OPERATOR.address}
    return any(event.actor in team for event in events)


def _has_written(session: Session, ticket: Ticket, agent: Agent, since: datetime) -> bool:
    wrote = select(Inbound.id).where(
        Inbound.ticket_id == ticket.id,
        Inbound.sender == agent.address,
        Inbound.processed_at >= since,
    )
    with session.no_autoflush:  # nothing that waits to be written is a mail
        return session.scalar(wrote.limit(1)) is not None
