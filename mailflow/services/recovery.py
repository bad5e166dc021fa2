"""What a worker still knows when the database failed it, given back as soon as it returns.

Without this, claims would run out by themselves, each counted as a death of the daemon over its
mails, and mails that the SMTP server took would be sent again. Only in memory: a worker that
dies leaves what the claims say.
"""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session, defer

from mailflow.adapters.tables import Inbound, OutboxMail
from mailflow.desk import Desk
from mailflow.errors import GatewayError
from mailflow.logs import log
from mailflow.services.journal import ask_journal


@dataclass(frozen=True, slots=True)
class Accepted:
    """A mail that the server took at `at` (None: that is noted), and its bytes."""

    at: datetime | None
    content: bytes | None


@dataclass(slots=True)
class Unfinished:
    """Rows that are claimed by us, and that nothing of ours works on any more."""

    inbound: set[int] = field(default_factory=set)
    accepted: dict[int, Accepted] = field(default_factory=dict)
    doubtful: set[int] = field(default_factory=set)  # offered to the server, its reply unknown
    unoffered: set[int] = field(default_factory=set)


def unfinished(desk: Desk) -> Unfinished:
    """Return what this worker has to give back."""
    found = desk.memory.get("unfinished")
    if not isinstance(found, Unfinished):
        found = desk.memory["unfinished"] = Unfinished()
    return found


def give_back_inbound(session: Session, desk: Desk) -> None:
    """Give mails back that were claimed when the database failed; that was not their fault."""
    ids = unfinished(desk).inbound
    if ids:
        session.execute(
            update(Inbound)
            .where(
                Inbound.id.in_(ids), Inbound.status == "processing",
                Inbound.claimed_by == desk.worker,
            )
            .values(status="new", attempts=Inbound.attempts - 1, claimed_by=None)
        )  # fmt: skip


def take_up_outbox(desk: Desk) -> None:
    """Note what the server took, and give back what it was not offered.

    Raises GatewayError while the database still fails.
    """
    known = unfinished(desk)
    if not (known.accepted or known.doubtful or known.unoffered):
        return
    try:
        _take_up(desk, known)
    except GatewayError:  # full? then without the bytes: that it was sent matters more
        bare = {each: Accepted(one.at, None) for each, one in known.accepted.items()}
        _take_up(desk, Unfinished(set(), bare, known.doubtful, known.unoffered))
    log.info("outbox.recovered", mails=len(known.accepted) + len(known.unoffered))
    known.accepted, known.doubtful, known.unoffered = {}, set(), set()


def _take_up(desk: Desk, known: Unfinished) -> None:
    now = desk.clock()
    ids = {*known.accepted, *known.doubtful, *known.unoffered}
    with desk.database.begin() as session:
        rows = session.scalars(
            select(OutboxMail)
            .where(
                OutboxMail.id.in_(ids), OutboxMail.status == "sending",
                OutboxMail.claimed_by == desk.worker,
            )
            .with_for_update()
            .options(defer(OutboxMail.content))
        ).all()  # fmt: skip
        for row in rows:
            accepted = known.accepted.get(row.id)
            if accepted is not None:
                row.sent_at, row.claimed_until = accepted.at or row.sent_at, now
                if accepted.content is not None:
                    row.content = accepted.content
            elif row.id in known.doubtful and desk.config.journal is not None:
                ask_journal(desk.config.journal, row, now)
            else:
                row.status, row.claimed_by, row.claimed_until = "pending", None, None
                row.next_attempt_at = now
                row.maybe_duplicate = row.maybe_duplicate or row.id in known.doubtful
