"""Tickets in the order in which they want attention."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailflow.adapters.tables import Ticket


def most_urgent(session: Session, limit: int, state: str | None = None) -> Sequence[Ticket]:
    """Return at most `limit` tickets: those with the nearest deadline first, then the newest.

    Two questions, each in the order of an index: one for both would sort every ticket there is.
    """
    wanted = select(Ticket) if state is None else select(Ticket).where(Ticket.state == state)
    due = wanted.where(Ticket.due_at.is_not(None)).order_by(Ticket.due_at, Ticket.id.desc())
    found = session.scalars(due.limit(limit)).all()
    if len(found) == limit:
        return found
    others = wanted.where(Ticket.due_at.is_(None)).order_by(Ticket.id.desc())
    return [*found, *session.scalars(others.limit(limit - len(found)))]
