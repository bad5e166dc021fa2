"""Tickets that live through their states at a desk: no mails to parse, no server to connect to."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from mailflow.adapters.store import events_of
from mailflow.adapters.tables import Event, OutboxMail, Reminder, Ticket
from mailflow.core.acting import Actor
from mailflow.core.agents import Role
from mailflow.core.commands import parse_orders
from mailflow.core.decisions import Audience, Decision, NewTicket, Notice, NoticeKind, Step
from mailflow.core.tickets import Action, State
from mailflow.desk import Desk
from mailflow.services.apply import apply
from mailflow.services.outbox import send_due
from mailflow.services.ticket_actions import Transcript, order

ALICE = Actor("Alice Agent", "alice@support.example", Role.AGENT)
CLIENT = "claire@client.example"


class FakeGateway:
    """An SMTP server that takes everything and remembers to whom."""

    is_open = True

    def __init__(self) -> None:
        self.sent: list[tuple[tuple[str, ...], bytes]] = []

    def send(
        self, sender: str, recipients: Sequence[str], content: bytes, may_send: object = None
    ) -> str:
        self.sent.append((tuple(recipients), content))
        return "250 taken"

    def close(self) -> None:
        pass


def new_ticket(desk: Desk, priority: int | None = 2, *, missing: Sequence[str] = ()) -> int:
    """Write a ticket as intake would: registered, or incomplete where something is `missing`."""
    registered = not missing
    new = NewTicket(
        state=State.OPEN if registered else State.INCOMPLETE,
        registered=registered,
        subject="L’export échoue",
        requester=CLIENT,
        requester_name="Claire",
        watchers=(),
        language="fr",
        organisation="Client SA",
        kind="problem",
        exclusion=None,
        priority=priority,
        requested_priority=priority,
        review=(),
        items=(),
        asked=tuple(missing),
        text="L’export des factures échoue.",
    )
    if registered:
        steps, notice = (), Notice(NoticeKind.REGISTRATION, Audience.CLIENT)
    else:
        steps = (Step("asked", data={"items": list(missing)}),)
        notice = Notice(NoticeKind.REQUEST_INFORMATION, Audience.CLIENT, {"missing": list(missing)})
    now = desk.clock()
    with desk.database.begin() as session:
        count = len(session.scalars(select(Ticket.id)).all())
        decision = Decision("registered", "", new_ticket=new, steps=steps, notices=(notice,))
        ticket = apply(session, desk, decision, f"in-new-{count}", now, actor=CLIENT)
        assert ticket is not None
        return ticket.id


def registered(desk: Desk, priority: int = 2) -> int:
    """A ticket whose registration was accepted just now."""
    number = new_ticket(desk, priority)
    send_all(desk)
    return number


def send_all(desk: Desk, gateway: Any = None) -> None:
    """Send all that is owed."""
    gateway = gateway or FakeGateway()
    while send_due(desk, gateway):
        pass


def say(desk: Desk, number: int, text: str, actor: Actor = ALICE) -> Transcript:
    """An agent's mail with commands."""
    now = desk.clock()
    with desk.database.begin() as session:
        ticket = session.get_one(Ticket, number)
        cause = f"test-{number}-{now.timestamp()}"
        return order(session, desk, ticket, parse_orders(text), actor, cause, now)


def step(desk: Desk, number: int, kind: str, action: Action | None = None, **more: Any) -> None:
    """Something that a client's mail does to the ticket."""
    notices = more.pop("notices", ())
    now = desk.clock()
    with desk.database.begin() as session:
        decision = Decision(
            kind, "", ticket_id=number, steps=(Step(kind, action, **more),), notices=notices
        )
        apply(session, desk, decision, f"test-{number}-{now.timestamp()}", now, actor=CLIENT)


def ticket(desk: Desk, number: int) -> Ticket:
    with desk.database.read() as session:
        return session.get_one(Ticket, number)


def events(desk: Desk, number: int, *kinds: str) -> list[Event]:
    with desk.database.read() as session:
        return [each for each in events_of(session, number) if not kinds or each.kind in kinds]


def reminders(desk: Desk, number: int, track: str = "deadline", **where: Any) -> list[Reminder]:
    with desk.database.read() as session:
        query = select(Reminder).where(Reminder.ticket_id == number, Reminder.track == track)
        return list(
            session.scalars(query.filter_by(**where).order_by(Reminder.deadline, Reminder.rank))
        )


def stages(desk: Desk, number: int, status: str, track: str = "deadline") -> list[str]:
    return [each.stage for each in reminders(desk, number, track, status=status)]


def mails(desk: Desk, number: int, *kinds: str) -> list[tuple[str, str]]:
    """(kind, recipient) of the mails owed for a ticket."""
    with desk.database.read() as session:
        rows = session.scalars(
            select(OutboxMail).where(OutboxMail.ticket_id == number).order_by(OutboxMail.id)
        )
        return [(each.kind, each.recipient) for each in rows if not kinds or each.kind in kinds]


def paris(text: str) -> datetime:
    """An instant in Paris winter time, such as '2026-03-03 10:00'."""
    return datetime.fromisoformat(f"{text}+01:00")
