"""The morning mail: what is due today, what waits for a client, what awaits validation."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.exc import IntegrityError

from mailflow.adapters.tables import OutboxMail, Ticket
from mailflow.core.agents import Agent, Role, find_agent
from mailflow.core.calendar import first_instant
from mailflow.core.decisions import Audience, Json, Notice, NoticeKind
from mailflow.core.tickets import State
from mailflow.desk import Desk
from mailflow.logs import log
from mailflow.services.owe import owe

WINDOW = timedelta(hours=2)  # after the opening; a desk that starts later than that sends none
MOST_LINES = 100  # of one list, the most urgent first
WAITING = (State.PENDING, State.RESOLVED, State.INCOMPLETE)
CHECKED = (State.OPEN, State.PENDING, State.RESOLVED, State.HELD, State.EXCLUDED)

Line = Row[Any]  # the columns of a ticket that a digest needs


class MorningDigest:
    """The daemon's job: looks once a day in each process; the outbox sees to once per agent."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._done_on: date | None = None

    def __call__(self) -> int:
        """Send the digests of today if it is time; return how many."""
        opening = opening_of_today(self._desk, self._desk.clock())
        if opening is None or self._done_on == opening.date():
            return 0
        count = send_digests(self._desk)
        self._done_on = opening.date()
        return count


def opening_of_today(desk: Desk, now: datetime) -> datetime | None:
    """Return today's opening if `now` is within the window after it, else None."""
    calendar = desk.policy_for(None).calendar
    day = calendar.day(now.astimezone(calendar.zone).date())
    if not day.spans or not day.spans[0][0] <= now < day.spans[0][0] + WINDOW:
        return None
    return day.spans[0][0].astimezone(calendar.zone)


def send_digests(desk: Desk) -> int:
    """Owe each agent on duty today their digest, if it is time and there is something in it."""
    now = desk.clock()
    opening = opening_of_today(desk, now)
    if opening is None:
        return 0
    end_of_day = first_instant(
        datetime.combine(opening.date() + timedelta(days=1), time()),
        desk.policy_for(None).calendar.zone,
    )
    agents = [each for each in desk.agents if _gets_one(desk, each, opening)]
    tickets = _live_tickets(desk, opening) if agents else ()
    count = 0
    for agent in agents:
        notice = _digest(desk, agent, tickets, end_of_day)
        if notice is None:
            continue
        try:
            with desk.database.begin() as session:
                count += owe(session, desk, notice, None, _cause(opening), now)
        except IntegrityError:  # another worker was quicker
            continue
    if count:
        log.info("digest.owed", mails=count)
    return count


def _cause(opening: datetime) -> str:
    return f"digest-{opening.date()}"


def _gets_one(desk: Desk, agent: Agent, opening: datetime) -> bool:
    """Whether `agent` works today and has not been sent today's digest yet."""
    if agent.role is Role.OBSERVER or not _works_on(agent, opening):
        return False
    known = f"{_cause(opening)}/{NoticeKind.AGENT_DIGEST.value}/{agent.address}"[:200]
    with desk.database.read() as session:
        query = select(OutboxMail.id).where(OutboxMail.once == known)
        return session.scalar(query) is None


def _works_on(agent: Agent, opening: datetime) -> bool:
    return not agent.on_duty or bool(agent.on_duty.get(opening.weekday()))


def _live_tickets(desk: Desk, opening: datetime) -> Sequence[Line]:
    """Every ticket that a digest could tell of, the most urgent first."""
    states = [state.value for state in {*WAITING, *CHECKED}]
    columns = (
        Ticket.reference,
        Ticket.subject,
        Ticket.priority,
        Ticket.due_at,
        Ticket.state,
        Ticket.agent,
        Ticket.review,
    )
    query = (
        select(*columns)
        .where(Ticket.state.in_(states), Ticket.created_at < opening)
        .order_by(Ticket.due_at.is_(None), Ticket.due_at, Ticket.id)
    )
    with desk.database.read() as session:
        return session.execute(query).all()


def _digest(
    desk: Desk, agent: Agent, tickets: Sequence[Line], end_of_day: datetime
) -> Notice | None:
    """Return what `agent` is to read this morning; None where there is nothing to say."""
    charges = {None, *_charges(desk, agent)}
    own = [each for each in tickets if each.agent in charges]
    lists = {
        "due": [
            each
            for each in own
            if each.state == State.OPEN and each.due_at is not None and each.due_at < end_of_day
        ],
        "validation": [each for each in own if each.review and each.state in CHECKED],
        "waiting": [each for each in own if each.state in WAITING],
    }
    if not any(lists.values()):
        return None
    data: dict[str, Json] = {name: _lines(found) for name, found in lists.items()}
    return Notice(NoticeKind.AGENT_DIGEST, Audience.AGENT, {**data, "to": agent.address})


def _charges(desk: Desk, agent: Agent) -> list[str]:
    """Whose tickets `agent` reads about: their own, and those they answer for as a supervisor."""
    found = [agent.address]
    for each in desk.agents:
        named = find_agent(desk.agents, each.supervisor)
        if named == agent or (named is None and agent.role is Role.SUPERVISOR):
            found.append(each.address)
    return found


def _lines(tickets: Sequence[Line]) -> list[dict[str, Json]]:
    return [
        {
            "reference": each.reference,
            "subject": each.subject,
            "priority": each.priority,
            "due_at": each.due_at.astimezone(UTC).isoformat() if each.due_at else None,
        }
        for each in tickets[:MOST_LINES]
    ]
