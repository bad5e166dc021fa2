"""Send the reminders whose moment has come: each once, the most urgent missed one only."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, literal_column, select
from sqlalchemy.orm import Session

from mailflow.adapters.loaded import loaded
from mailflow.adapters.store import add_event
from mailflow.adapters.tables import OutboxMail, Reminder, Ticket
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
BATCH = 50  # of them in one transaction
IS_PENDING = Reminder.status == literal_column("'pending'")  # in words: its index is partial
LATE = timedelta(minutes=15)  # what is later than this was missed: it waits for opening hours


@dataclass(frozen=True, slots=True)
class Due:
    """A track of a ticket on which reminders are due."""

    ticket_id: int
    track: str


def sweep(desk: Desk) -> int:
    """Handle all due reminders; return how many were sent. Safe to run anywhere, any time.

    A ticket that fails is logged and the others go on; the first error is raised at the end.
    """
    now = desk.clock()
    with desk.database.read() as session:
        rows = session.execute(
            select(Reminder.ticket_id, Reminder.track)
            .where(IS_PENDING, Reminder.moment <= now)
            .group_by(Reminder.ticket_id, Reminder.track)
            .order_by(func.min(Reminder.moment))
            .limit(MOST_TICKETS)
        )
        due = [Due(row.ticket_id, row.track) for row in rows]
    sent = 0
    failure: Exception | None = None
    for start in range(0, len(due), BATCH):
        batch = due[start : start + BATCH]
        try:
            sent += _sweep_together(desk, batch, now)
            continue
        except GatewayError:
            raise
        except Exception as error:
            log.warning("sweep.batch_failed", reminders=len(batch), error=str(error))
        for each in batch:
            try:
                sent += _sweep_together(desk, [each], now)
            except GatewayError:
                raise
            except Exception as error:
                log.error(
                    "reminder.failed", ticket=each.ticket_id, track=each.track, exc_info=error
                )
                failure = failure or error
    if failure is not None:
        raise failure
    return sent


def _sweep_together(desk: Desk, due: Sequence[Due], now: datetime) -> int:
    """Send what is due on some tracks, in one transaction; return how many were sent.

    The lock on a ticket is the claim on its reminders. A ticket that another worker has locked is
    left to the next sweep.
    """
    sent: list[Reminder] = []
    ids = {each.ticket_id for each in due}
    with desk.database.begin() as session:
        query = select(Ticket).where(Ticket.id.in_(ids)).with_for_update(skip_locked=True)
        tickets = {ticket.id: ticket for ticket in session.scalars(query)}
        loaded(session).fetch(tickets)
        fetch_reminded(session, tickets)
        for each in due:
            if each.ticket_id in tickets:
                sent += _sweep_track(session, desk, tickets[each.ticket_id], each.track, now)
    for row in sent:
        log.info("reminder.due", ticket=row.ticket_id, track=row.track, stage=row.stage)
    return len(sent)


def fetch_reminded(session: Session, ticket_ids: Collection[int]) -> None:
    """Read which reminders of tickets were owed to whom, for many at once."""
    book = loaded(session)
    book.owed.update({cause_of(row): set() for each in ticket_ids for row in book.reminders(each)})
    query = select(OutboxMail.once).where(
        OutboxMail.ticket_id.in_(ticket_ids), OutboxMail.once.startswith("reminder-")
    )
    for once in session.scalars(query):
        book.owed.setdefault(once.partition("/")[0], set()).add(once)


def cause_of(reminder: Reminder) -> str:
    """Return the cause under which a reminder's mails are owed."""
    return f"reminder-{reminder.id}"


def _sweep_track(
    session: Session, desk: Desk, ticket: Ticket, track: str, now: datetime
) -> list[Reminder]:
    """Settle what is due on one track of a locked ticket; return the reminder that was sent."""
    rows = sorted(
        (
            row
            for row in loaded(session).reminders(ticket.id)
            if row.track == track and row.status == "pending" and row.moment <= now
        ),
        key=lambda row: row.rank,
    )
    if not rows:
        return []  # another worker was here
    if not _is_relevant(ticket, track, rows[-1]):
        _mark(rows, "withdrawn", now)
        return []
    *milder, urgent = rows
    opening = _waits_until(session, desk, ticket, urgent, now)
    if opening is not None:
        for row in rows:
            row.moment = opening
        return []
    if urgent.stage == f"{track}-{LAST}" and milder:
        urgent = milder.pop()  # nothing ends before the last reminder was sent and had its time
    _mark(milder, "superseded", now)
    _mark([urgent], "sent", now)
    skipped_agent = any(row.audience == "agent" for row in milder)
    _send(session, desk, ticket, urgent, now, skipped_agent=skipped_agent)
    return [urgent]


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


def _mark(rows: Sequence[Reminder], status: str, now: datetime) -> None:
    for row in rows:
        row.status, row.done_at = status, now


def _send(
    session: Session,
    desk: Desk,
    ticket: Ticket,
    reminder: Reminder,
    now: datetime,
    *,
    skipped_agent: bool,
) -> None:
    cause = cause_of(reminder)
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
    later = sorted(
        (
            each
            for each in loaded(session).reminders(ticket.id)
            if (each.track, each.deadline) == (reminder.track, reminder.deadline)
            and each.rank > reminder.rank
        ),
        key=lambda each: each.rank,
    )
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
