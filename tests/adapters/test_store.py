"""Questions to the database that several services share."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from mailflow.adapters.store import (
    Arrived,
    add_event,
    claim_inbound,
    count_automatic_mails,
    events_of,
    find_ticket,
    loads_of_agents,
    next_reference,
    participants_of,
    snapshot,
    store_mails,
)
from mailflow.adapters.tables import (
    Inbound,
    MailboxEntry,
    OutboxMail,
    RawMail,
    Ticket,
    TicketPerson,
)
from mailflow.desk import Desk
from tests.factories_desk import MovableClock, deliver
from tests.factories_mail import make_mail

LEASE = timedelta(seconds=60)
ENTRY = ("support@host:993", "INBOX", 7, 1)


def claim(desk: Desk, worker: str = "me", limit: int = 20) -> list[int]:
    with desk.database.begin() as session:
        return claim_inbound(session, worker, desk.clock(), LEASE, limit)


def add_ticket(desk: Desk, **changes: object) -> int:
    now = desk.clock()
    values = {
        "state": "open",
        "subject": "s",
        "requester": "claire@client.example",
        "language": "fr",
        "kind": "problem",
        "created_at": now,
        "changed_at": now,
    }
    with desk.database.begin() as session:
        ticket = Ticket(**{**values, **changes})
        session.add(ticket)
        session.flush()
        return ticket.id


def test_a_mail_is_stored_once_with_every_byte(desk: Desk) -> None:
    raw = b"Subject: \xff\x00\r\n\r\nbody\r\n"
    with desk.database.begin() as session:
        (first,) = store_mails(session, [Arrived(raw, "imap", ENTRY)], desk.clock())
        (again,) = store_mails(session, [Arrived(raw, "imap", ENTRY)], desk.clock())
        (moved,) = store_mails(session, [Arrived(raw, "imap", (*ENTRY[:3], 2))], desk.clock())
    assert [each.duplicate for each in (first, again, moved)] == [False, True, True]
    assert first.inbound_id == again.inbound_id == moved.inbound_id
    with desk.database.read() as session:
        assert session.scalars(select(RawMail.content)).all() == [raw]
        assert session.scalars(select(MailboxEntry.uid)).all() == [1, 2]


def test_a_refused_mail_is_never_claimed(desk: Desk) -> None:
    with desk.database.begin() as session:
        store_mails(session, [Arrived(b"x", "imap", refused="too large")], desk.clock())
    assert claim(desk) == []
    with desk.database.read() as session:
        row = session.scalars(select(Inbound)).one()
    assert (row.status, row.reason) == ("quarantined", "too large")


def test_mails_are_claimed_oldest_first_and_once(desk: Desk) -> None:
    ids = list(deliver(desk, *[make_mail() for _ in range(5)]))
    assert claim(desk, "one", limit=3) == ids[:3]
    assert claim(desk, "two") == ids[3:]
    assert claim(desk, "three") == []


def test_a_claim_that_ran_out_is_taken_over_one_mail_at_a_time(
    desk: Desk, clock: MovableClock
) -> None:
    """One of the three ended its worker: the others must not fall with it again."""
    ids = list(deliver(desk, *[make_mail() for _ in range(3)]))
    assert claim(desk, "one") == ids
    clock.advance(seconds=59)
    assert claim(desk, "two") == []
    clock.advance(seconds=1)
    assert [claim(desk, "two") for _ in range(4)] == [ids[:1], ids[1:2], ids[2:], []]
    with desk.database.read() as session:
        assert session.scalars(select(Inbound.attempts)).all() == [2, 2, 2]


def test_fresh_mails_are_not_mixed_with_those_tried_before(desk: Desk, clock: MovableClock) -> None:
    old = list(deliver(desk, make_mail()))
    claim(desk, "dead")
    clock.now += LEASE
    fresh = list(deliver(desk, make_mail(), make_mail()))
    assert [claim(desk), claim(desk)] == [old, fresh]


def test_a_mail_put_off_waits_for_its_time(desk: Desk, clock: MovableClock) -> None:
    (number,) = deliver(desk, make_mail())
    with desk.database.begin() as session:
        session.get_one(Inbound, number).next_attempt_at = clock.now + timedelta(minutes=1)
    assert claim(desk) == []
    clock.advance(minutes=1)
    assert claim(desk) == [number]


def test_references_count_up_in_each_year(desk: Desk) -> None:
    given = []
    for year in (2026, 2026, 2027, 2026):
        with desk.database.begin() as session:
            given.append(next_reference(session, "MF", year))
    assert given == ["MF-2026-000001", "MF-2026-000002", "MF-2027-000001", "MF-2026-000003"]


@pytest.mark.parametrize("name", ["MF-2026-000007", " mf-2026-000007 ", "1", "#1"])
def test_a_ticket_is_found_by_reference_or_number(desk: Desk, name: str) -> None:
    number = add_ticket(desk, reference="MF-2026-000007")
    with desk.database.read() as session:
        found = find_ticket(session, name)
        assert found is not None
        assert found.id == number


@pytest.mark.parametrize("name", ["MF-2026-000008", "2", "", "#", "²", "x' OR 1=1"])
def test_what_names_no_ticket_finds_none(desk: Desk, name: str) -> None:
    add_ticket(desk, reference="MF-2026-000007")
    with desk.database.read() as session:
        assert find_ticket(session, name) is None


def test_events_come_in_order_and_touch_the_ticket(desk: Desk, clock: MovableClock) -> None:
    number = add_ticket(desk)
    later = clock.advance(hours=1)
    with desk.database.begin() as session:
        ticket = session.get_one(Ticket, number)
        add_event(session, ticket, "one", later, "mailflow", {"a": 1})
        add_event(session, ticket, "two", later, "mailflow")
    with desk.database.read() as session:
        assert [event.kind for event in events_of(session, number)] == ["one", "two"]
        assert session.get_one(Ticket, number).changed_at == later


def test_the_requester_comes_first_and_belongs_to_the_ticket(
    desk: Desk, clock: MovableClock
) -> None:
    number = add_ticket(desk)
    with desk.database.begin() as session:
        for address, role in (("a@client.example", "watcher"), ("z@client.example", "requester")):
            person = TicketPerson(ticket_id=number, address=address, role=role, added_at=clock.now)
            session.add(person)
    with desk.database.read() as session:
        people = [person.address for person in participants_of(session, number)]
        seen = snapshot(session, session.get_one(Ticket, number))
    assert people == ["z@client.example", "a@client.example"]
    assert seen.participants == {"z@client.example", "a@client.example", "claire@client.example"}


def test_the_daily_cap_counts_automatic_mails_of_a_day(desk: Desk, clock: MovableClock) -> None:
    def owed(number: int, kind: str) -> OutboxMail:
        return OutboxMail(
            once=f"{number}",
            message_id=f"<{number}@support.example>",
            kind=kind,
            recipient="claire@client.example",
            language="fr",
            next_attempt_at=clock.now,
            created_at=clock.now,
        )

    with desk.database.begin() as session:
        session.add_all([owed(1, "registration"), owed(2, "answer")])
    clock.advance(hours=24)
    with desk.database.begin() as session:
        session.add(owed(3, "closed"))
    with desk.database.read() as session:
        assert count_automatic_mails(session, "claire@client.example", clock.now) == 1
        assert count_automatic_mails(session, "paul@client.example", clock.now) == 0


def test_the_load_of_agents_counts_live_tickets(desk: Desk, clock: MovableClock) -> None:
    for state in ("open", "pending", "closed"):
        add_ticket(desk, state=state, agent="alice@support.example")
    add_ticket(desk)
    with desk.database.read() as session:
        counts, latest = loads_of_agents(session)
    assert counts == {"alice@support.example": 2}
    assert latest == {"alice@support.example": clock.now}
