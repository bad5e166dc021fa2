"""Plan what is owed in time beside the deadline: reminders to clients, progress prompts."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from mailflow.adapters.loaded import loaded
from mailflow.adapters.tables import Reminder, Ticket
from mailflow.core.reminders import client_reminders, next_progress_prompt
from mailflow.core.tickets import State
from mailflow.desk import Desk
from mailflow.services.clock import deadline, policy_of, withdraw

MISSING, CONFIRMATION, PROGRESS = "missing", "confirmation", "progress"
LAST = "last"  # the stage at which waiting ends: abandoned, or closed where the policy says so


def chase_client(session: Session, desk: Desk, ticket: Ticket, now: datetime) -> None:
    """Bring the ticket's reminders to the client in line with its state. Twice is once."""
    state = State(ticket.state)
    policy = policy_of(session, desk, ticket)
    asked_at = _last_asked(session, ticket) if state is State.INCOMPLETE else None
    resolved_at = ticket.resolved_at if state is State.RESOLVED else None
    for track, chase, start in (
        (MISSING, policy.missing_information, asked_at),
        (CONFIRMATION, policy.confirmation, resolved_at),
    ):
        withdraw(session, ticket.id, track, now, except_deadline=start)
        if start is None or _is_planned(session, ticket, track, start):
            continue
        closes = chase.closes
        if track == CONFIRMATION:  # the policy's word, or the desk's
            closes = closes or desk.config.support.close_without_answer
        plan = client_reminders(policy.calendar, replace(chase, closes=closes), start)
        for number, moment in enumerate(plan.reminders, start=1):
            _plan(session, ticket, track, start, f"{track}-{number}", number, moment)
        if plan.ends_at is not None:
            _plan(session, ticket, track, start, f"{track}-{LAST}", 99, plan.ends_at)
    _plan_progress(session, desk, ticket, state, now)


def _plan_progress(
    session: Session, desk: Desk, ticket: Ticket, state: State, now: datetime
) -> None:
    """P1 without interruption: one prompt ahead, the next one planned when it was sent.

    Source: contract, 'PRIORITE 1 … travaillera sans interruption pendant les heures de bureau'.
    """
    found = deadline(session, desk, ticket, now) if state is State.OPEN else None
    moment = None
    if found is not None:
        policy = policy_of(session, desk, ticket)
        if found.priority in policy.progress_every and _is_prompt_waiting(session, ticket, now):
            return  # the sweep sends it, then the next one is planned
        moment = next_progress_prompt(
            policy, found.priority, found.registered_at, now, found.pauses
        )
    withdraw(session, ticket.id, PROGRESS, now, except_deadline=moment)
    if moment is None:
        return
    if not _revive(session, ticket, moment):
        sent = [
            each
            for each in loaded(session).reminders(ticket.id)
            if each.track == PROGRESS and each.status == "sent"
        ]
        number = 1 + len(sent)
        _plan(session, ticket, PROGRESS, moment, PROGRESS, number, moment)


def _revive(session: Session, ticket: Ticket, moment: datetime) -> bool:
    """Take up a prompt that a pause withdrew without moving it; False where there is none.

    A pause by night moves no opening time: without this the prompts would end there.
    """
    row = next(
        (
            each
            for each in loaded(session).reminders(ticket.id)
            if each.track == PROGRESS and each.deadline == moment
        ),
        None,
    )
    if row is None:
        return False
    if row.status == "withdrawn":
        row.status, row.done_at = "pending", None
    return True


def put_off(
    session: Session,
    desk: Desk,
    ticket: Ticket,
    track: str,
    later: Sequence[Reminder],
    now: datetime,
) -> None:
    """After a reminder that came late, leave the client the usual time before each later one."""
    policy = policy_of(session, desk, ticket)
    chase = policy.missing_information if track == MISSING else policy.confirmation
    for number, row in enumerate(later, start=1):
        row.moment = max(row.moment, policy.calendar.add_working_days(now, chase.every * number))


def _is_prompt_waiting(session: Session, ticket: Ticket, now: datetime) -> bool:
    return any(
        each.track == PROGRESS and each.status == "pending" and each.moment <= now
        for each in loaded(session).reminders(ticket.id)
    )


def _last_asked(session: Session, ticket: Ticket) -> datetime | None:
    asked = [e.at for e in loaded(session).events(ticket.id) if e.kind in ("asked", "revived")]
    return asked[-1] if asked else None


def _is_planned(session: Session, ticket: Ticket, track: str, start: datetime) -> bool:
    return any(
        each.track == track and each.deadline == start
        for each in loaded(session).reminders(ticket.id)
    )


def _plan(
    session: Session,
    ticket: Ticket,
    track: str,
    start: datetime,
    stage: str,
    rank: int,
    moment: datetime,
) -> None:
    loaded(session).add_reminder(
        Reminder(
            ticket_id=ticket.id,
            track=track,
            deadline=start,
            stage=stage,
            audience="agent" if track == PROGRESS else "client",
            rank=rank,
            moment=moment,
            status="pending",
        )
    )
