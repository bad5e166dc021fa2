"""Send the reminders whose moment has come: each once, the most urgent missed one only."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, literal_column, select, update
from sqlalchemy.orm import Session

from mailflow.adapters.store import add_event
from mailflow.adapters.tables import Reminder, Ticket
from mailflow.core.decisions import Audience, Notice, NoticeKind, Step
from mailflow.core.reminders import BREACH
from mailflow.core.tickets import Action, State
from mailflow.desk import Desk
from mailflow.errors import GatewayError
from mailflow.logs import log
from mailflow.services.apply import take_step
from mailflow.services.client_chase import (
    CONFIRMATION,
    LAST,
    MISSING,
    PROGRESS,
    chase_client,
    put_off,
)
from mailflow.services.clock import deadline, policy_of, refresh
from mailflow.services.owe import owe
from mailflow.services.silence import hand_over_if_silent

MOST_TICKETS = 500  # in one sweep; the next one goes on with the rest
IS_PENDING = Reminder.status == literal_column("'pending'")  # in words: its index is partial
LATE = timedelta(minutes=15)  # what is later than this was missed: it waits for opening hours


def sweep(desk: Desk) -> int:
    """Handle all due reminders; return how many were sent. Safe to run anywhere, any time.

    A ticket that fails is logged and the others go on; the first error is raised at the end.
    """
    now = desk.clock()
    with desk.database.read() as session:
        due = session.execute(
            select(Reminder.ticket_id, Reminder.track)
            .where(IS_PENDING, Reminder.moment <= now)
            .group_by(Reminder.ticket_id, Reminder.track)
            .order_by(func.min(Reminder.moment))
            .limit(MOST_TICKETS)
        ).all()
    sent = 0
    failure: Exception | None = None
    for ticket_id, track in due:
        try:
            with desk.database.begin() as session:
                sent += _sweep_track(session, desk, ticket_id, track, now)
        except GatewayError:
            raise
        except Exception as error:
            log.error("reminder.failed", ticket=ticket_id, track=track, exc_info=error)
            failure = failure or error
    if failure is not None:
        raise failure
    return sent


def _sweep_track(session: Session, desk: Desk, ticket_id: int, track: str, now: datetime) -> int:
    """Claim what is due on one track of a ticket, by a conditional update, and send one."""
    ticket = session.get_one(Ticket, ticket_id, with_for_update=True)
    rows = session.scalars(
        select(Reminder)
        .where(
            Reminder.ticket_id == ticket_id,
            Reminder.track == track,
            Reminder.status == "pending",
            Reminder.moment <= now,
        )
        .order_by(Reminder.rank)
    ).all()
    if not rows:
        return 0  # another worker was here
    if not _is_relevant(ticket, track, rows[-1]):
        _mark(session, rows, "withdrawn", now)
        return 0
    *milder, urgent = rows
    opening = _waits_until(session, desk, ticket, urgent, now)
    if opening is not None:
        for row in rows:
            row.moment = opening
        return 0
    if urgent.stage == f"{track}-{LAST}" and milder:
        urgent = milder.pop()  # nothing ends before the last reminder was sent and had its time
    _mark(session, milder, "superseded", now)
    if _mark(session, [urgent], "sent", now) == 0:
        return 0
    skipped_agent = any(row.audience == "agent" for row in milder)
    _send(session, desk, ticket, urgent, now, skipped_agent=skipped_agent)
    log.info("reminder.due", ticket=ticket.id, track=track, stage=urgent.stage)
    return 1


def _is_relevant(ticket: Ticket, track: str, reminder: Reminder) -> bool:
    """Whether the ticket still stands as it did when the reminder was planned."""
    state = State(ticket.state)
    if track == "deadline":
        return state is State.OPEN and ticket.due_at == reminder.deadline
    return state is {
        MISSING: State.INCOMPLETE,
        CONFIRMATION: State.RESOLVED,
        PROGRESS: State.OPEN,
    }.get(track)


def _waits_until(
    session: Session, desk: Desk, ticket: Ticket, reminder: Reminder, now: datetime
) -> datetime | None:
    """Return the opening that a missed reminder waits for, or None: it is sent now.

    After an outage that ends at night nobody is written to before the opening, except where the
    policy says so, or where a warning would come after its deadline.
    """
    policy = policy_of(session, desk, ticket)
    calendar = policy.calendar
    if now - reminder.moment < LATE or calendar.is_within_hours(now):
        return None
    opening = calendar.next_open(now)
    if reminder.track == "deadline":
        stages = policy.reminders.get(ticket.priority or 0, ())
        stage = next((each for each in stages if each.name == reminder.stage), None)
        if stage is None or not stage.open_hours_only:
            return None
        if stage.at != BREACH and now < reminder.deadline <= opening:
            return None
    return opening


def _mark(session: Session, rows: Sequence[Reminder], status: str, now: datetime) -> int:
    if not rows:
        return 0
    changed = session.execute(
        update(Reminder)
        .where(Reminder.id.in_([row.id for row in rows]), Reminder.status == "pending")
        .values(status=status, done_at=now)
    )
    return int(changed.rowcount)  # type: ignore[attr-defined]


def _send(
    session: Session,
    desk: Desk,
    ticket: Ticket,
    reminder: Reminder,
    now: datetime,
    *,
    skipped_agent: bool,
) -> None:
    cause = f"reminder-{reminder.id}"
    if reminder.track == "deadline":
        hand_over_if_silent(session, desk, ticket, reminder, now)
        _remind_of_deadline(
            session, desk, ticket, reminder, cause, now, skipped_agent=skipped_agent
        )
    elif reminder.stage == f"{MISSING}-{LAST}":
        take_step(session, desk, ticket, Step("abandoned", Action.ABANDON), now)
        owe(session, desk, Notice(NoticeKind.ABANDONED, Audience.CLIENT), ticket, cause, now)
    elif reminder.stage == f"{CONFIRMATION}-{LAST}":
        why = {"reason": "no answer after the last reminder; the policy closes then"}
        take_step(session, desk, ticket, Step("closed", Action.CLOSE, data=why), now)
        refresh(session, desk, ticket, now)
        owe(session, desk, Notice(NoticeKind.CLOSED, Audience.CLIENT), ticket, cause, now)
    elif reminder.track == PROGRESS:
        data = {"number": reminder.rank}
        add_event(session, ticket, "progress_prompted", now, "mailflow", data)
        notice = Notice(NoticeKind.AGENT_PROMPT, Audience.AGENT, data)
        owe(session, desk, notice, ticket, cause, now)
        chase_client(session, desk, ticket, now)
    else:
        _remind_client(session, desk, ticket, reminder, cause, now)


def _remind_client(
    session: Session, desk: Desk, ticket: Ticket, reminder: Reminder, cause: str, now: datetime
) -> None:
    later = session.scalars(
        select(Reminder)
        .where(
            Reminder.ticket_id == ticket.id,
            Reminder.track == reminder.track,
            Reminder.deadline == reminder.deadline,
            Reminder.rank > reminder.rank,
        )
        .order_by(Reminder.rank)
    ).all()
    if now - reminder.moment >= LATE:
        put_off(session, desk, ticket, reminder.track, later, now)
    end = next((each for each in later if each.stage == f"{reminder.track}-{LAST}"), None)
    data = {
        "number": reminder.rank,
        "last": all(each is end for each in later),
        "missing": list(ticket.asked),
        "closes_on": end.moment.isoformat() if end is not None else None,
    }
    kind = (
        NoticeKind.MISSING_REMINDER
        if reminder.track == MISSING
        else NoticeKind.CONFIRMATION_REMINDER
    )
    add_event(session, ticket, "client_reminded", now, "mailflow", {"stage": reminder.stage})
    owe(session, desk, Notice(kind, Audience.CLIENT, data), ticket, cause, now)


def _remind_of_deadline(
    session: Session,
    desk: Desk,
    ticket: Ticket,
    reminder: Reminder,
    cause: str,
    now: datetime,
    *,
    skipped_agent: bool,
) -> None:
    """Tell who the stage is for; an agent whose own stage was skipped reads the escalation too."""
    found = deadline(session, desk, ticket, now)
    escalates = reminder.audience == "supervisor"
    data = {
        "stage": reminder.stage,
        "due_at": reminder.deadline.isoformat(),
        "left": in_hours(found.left) if found else "",
        "breached": reminder.deadline <= now,
    }
    kind = NoticeKind.AGENT_ESCALATION if escalates else NoticeKind.AGENT_REMINDER
    audience = Audience.SUPERVISOR if escalates else Audience.AGENT
    logged = {**data, "agent": ticket.agent}
    add_event(session, ticket, "escalated" if escalates else "reminded", now, "mailflow", logged)
    owe(session, desk, Notice(kind, audience, data), ticket, cause, now)
    if escalates and skipped_agent:
        owe(session, desk, Notice(kind, Audience.AGENT, data), ticket, cause, now)


def in_hours(duration: timedelta) -> str:
    """Return a duration as hours and minutes, such as '1 h 05' or '-0 h 10'."""
    minutes = round(abs(duration).total_seconds() / 60)
    sign = "-" if duration < timedelta(0) and minutes else ""
    return f"{sign}{minutes // 60} h {minutes % 60:02d}"
