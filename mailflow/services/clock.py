"""Keep a ticket's due time and its reminders in step with its event log."""

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from mailflow.adapters.loaded import loaded
from mailflow.adapters.policies import from_json, to_json
from mailflow.adapters.tables import Event, Reminder, StoredPolicy, Ticket
from mailflow.core.deadlines import ClockEvent, Deadline, deadline_of
from mailflow.core.policy import SlaPolicy
from mailflow.core.reminders import reminder_moments
from mailflow.core.tickets import State
from mailflow.desk import Desk

_POLICIES: dict[str, SlaPolicy] = {}


def keep_policy(session: Session, policy: SlaPolicy, now: datetime) -> str:
    """Store the policy as it is now, if that version is not there yet; return its version."""
    kept: set[str] = session.info.setdefault("policies", set())
    if policy.version not in kept:
        kept.add(policy.version)
        if session.get(StoredPolicy, policy.version) is None:
            content = json.loads(to_json(policy))
            session.add(StoredPolicy(version=policy.version, content=content, stored_at=now))
    return policy.version


def policy_of(session: Session, desk: Desk, ticket: Ticket) -> SlaPolicy:
    """Return the policy in force when the ticket was registered, else the one of today."""
    version = ticket.policy_version
    if version is None:
        return desk.policy_for(desk.find_organisation_by_name(ticket.organisation))
    if version not in _POLICIES:
        stored = session.get_one(StoredPolicy, version)
        _POLICIES[version] = from_json(json.dumps(stored.content))
    return _POLICIES[version]


def clock_events(events: Sequence[Event]) -> tuple[ClockEvent, ...]:
    """Return what of a ticket's log moves its clock."""
    found: list[ClockEvent] = []
    registered = False
    for event in events:
        if event.kind == "registration_sent":
            registered = True
            found.append(ClockEvent(event.at, "registered", event.data["priority"]))
        elif event.kind == "priority_changed" and registered:  # else the registration knows it
            found.append(ClockEvent(event.at, "priority_changed", event.data["new"]))
        before, after = event.data.get("from"), event.data.get("to")
        if before != after and after is not None:
            kind = _moves(before, after)
            if kind is not None:
                found.append(ClockEvent(event.at, kind))
    return tuple(found)


def _moves(before: str | None, after: str) -> str | None:
    """What a change of state does to the clock. Source: DESIGN, 'A ticket's life'."""
    if after == State.PENDING:
        return "paused"
    if after == State.RESOLVED:
        return "resolved"
    if after in (State.CLOSED, State.EXCLUDED):
        return "closed"
    if after == State.OPEN:
        return {
            State.PENDING.value: "resumed",
            State.RESOLVED.value: "resolution_refused",
            State.CLOSED.value: "reopened",
            State.EXCLUDED.value: "reopened",
        }.get(before or "")
    return None


def deadline(session: Session, desk: Desk, ticket: Ticket, now: datetime) -> Deadline | None:
    """Return the ticket's deadline from its log; None before its registration was accepted.

    Where the clock was put back, the log is ahead of `now`: what it says has happened.
    """
    if ticket.registered_at is None or ticket.priority is None:
        return None
    events = clock_events(loaded(session).events(ticket.id))
    latest = max((each.at for each in events), default=now)
    return deadline_of(events, policy_of(session, desk, ticket), max(now, latest))


def refresh(session: Session, desk: Desk, ticket: Ticket, now: datetime) -> None:
    """Recompute the due time and the reminders; those of an old deadline are withdrawn."""
    found = deadline(session, desk, ticket, now)
    live = ticket.state in (State.OPEN, State.PENDING) and found is not None
    ticket.due_at = found.due_at if live and found is not None else None
    withdraw(session, ticket.id, "deadline", now, except_deadline=ticket.due_at)
    if found is None or ticket.due_at is None or ticket.priority is None:
        return
    book = loaded(session)
    planned = {
        reminder.stage: reminder
        for reminder in book.reminders(ticket.id)
        if reminder.track == "deadline" and reminder.deadline == ticket.due_at
    }
    moments = reminder_moments(
        policy_of(session, desk, ticket), found.priority, found.registered_at, found.pauses
    )
    sent = _sent_stages(session, ticket.id)
    told = max((rank for rank, each in enumerate(moments) if each.stage in sent), default=-1)
    for rank, moment in enumerate(moments):
        old = planned.get(moment.stage)
        is_told = rank <= told and moment.due_moment <= now
        if old is None:
            book.add_reminder(
                Reminder(
                    ticket_id=ticket.id,
                    track="deadline",
                    deadline=ticket.due_at,
                    stage=moment.stage,
                    audience=moment.to.value,
                    rank=rank,
                    moment=moment.due_moment,
                    status="superseded" if is_told else "pending",
                )
            )
        elif old.status == "withdrawn" and not is_told:
            old.status, old.done_at, old.moment = "pending", None, moment.due_moment


def _sent_stages(session: Session, ticket_id: int) -> frozenset[str]:
    """The stages that were sent for earlier deadlines: a short pause does not repeat them.

    A change of priority makes another deadline altogether: what it has missed is told.
    """
    book = loaded(session)
    changes = [each.at for each in book.events(ticket_id) if each.kind == "priority_changed"]
    changed_at = max(changes, default=None)
    return frozenset(
        each.stage
        for each in book.reminders(ticket_id)
        if each.track == "deadline"
        and each.status == "sent"
        and (changed_at is None or (each.done_at is not None and each.done_at >= changed_at))
    )


def withdraw(
    session: Session,
    ticket_id: int,
    track: str,
    now: datetime,
    *,
    except_deadline: datetime | None = None,
) -> None:
    """Withdraw the pending reminders of a track, those for `except_deadline` left alone.

    The caller holds the lock on the ticket.
    """
    for reminder in loaded(session).reminders(ticket_id):
        is_pending = reminder.track == track and reminder.status == "pending"
        if is_pending and reminder.deadline != except_deadline:
            reminder.status, reminder.done_at = "withdrawn", now
