"""The morning mail: once per agent and day, and none when there is nothing to say."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from mailflow.adapters.tables import OutboxMail, Ticket
from mailflow.services.digest import MorningDigest, send_digests
from tests.services.life import FakeGateway, new_ticket, paris, registered, say, send_all

ALICE, BOB, SYLVIE = "alice@support.example", "bob@support.example", "sylvie@support.example"


def digests(desk):
    """{reader: {list: [references]}}"""
    with desk.database.read() as session:
        rows = session.scalars(select(OutboxMail).where(OutboxMail.kind == "agent_digest"))
        return {
            row.recipient: {
                name: [each["reference"] for each in row.data[name]]
                for name in ("due", "validation", "waiting")
                if row.data[name]
            }
            for row in rows
        }


def test_each_agent_reads_of_their_own_and_a_supervisor_of_all(desk, clock):
    due = registered(desk, 1)  # Alice
    waiting = registered(desk, 3)  # Bob, by load
    check = registered(desk, 4)  # Alice
    say(desk, waiting, "#wait\nUn instant.")
    with desk.database.begin() as session:
        owners = {each.id: each.agent for each in session.scalars(select(Ticket))}
        session.get_one(Ticket, check).review = ["priority: two readings are close"]
    assert owners == {due: ALICE, waiting: BOB, check: ALICE}
    clock.now = paris("2026-03-04 09:00")
    assert send_digests(desk) == 3
    assert digests(desk) == {
        ALICE: {"due": ["MF-2026-000001"], "validation": ["MF-2026-000003"]},
        BOB: {"waiting": ["MF-2026-000002"]},
        SYLVIE: {
            "due": ["MF-2026-000001"],
            "validation": ["MF-2026-000003"],
            "waiting": ["MF-2026-000002"],
        },
    }
    gateway = FakeGateway()
    send_all(desk, gateway)
    assert {(ALICE,), (BOB,), (SYLVIE,)} <= {readers for readers, _ in gateway.sent}


@pytest.mark.parametrize(
    "now, count",
    [
        ("2026-03-04 08:59", 0),
        ("2026-03-04 09:00", 2),
        ("2026-03-04 10:59", 2),  # the daemon was started late
        ("2026-03-04 11:00", 0),
        ("2026-03-07 09:30", 0),  # Saturday
        ("2026-03-09 09:30", 2),
    ],
)
def test_it_comes_at_the_opening_of_a_working_day(desk, clock, now, count):
    registered(desk, 1)
    clock.now = paris(now)
    assert send_digests(desk) == count


def test_once_per_agent_and_day_whoever_asks(desk, clock):
    registered(desk, 1)
    clock.now = paris("2026-03-04 09:00")
    assert [send_digests(each) for each in (desk, replace(desk, worker="other"))] == [2, 0]
    clock.now = paris("2026-03-05 09:00")
    assert send_digests(desk) == 2


def test_nothing_to_say_is_no_mail(desk, clock):
    clock.now = paris("2026-03-04 09:00")
    assert send_digests(desk) == 0
    registered(desk, 1)  # of today: its agent was told just now
    assert send_digests(desk) == 0


def test_what_is_due_later_alone_is_no_mail(desk, clock):
    registered(desk, 4)
    clock.now = paris("2026-03-04 09:00")
    assert send_digests(desk) == 0


def test_an_incomplete_request_waits_for_the_client(desk, clock):
    new_ticket(desk, missing=["steps"])
    clock.now = paris("2026-03-04 09:00")
    send_digests(desk)
    assert digests(desk)[ALICE] == {"waiting": [None]}


def test_who_does_not_work_today_reads_nothing(desk, clock):
    registered(desk, 1)
    away = tuple(replace(agent, on_duty={4: ()}) for agent in desk.agents)
    clock.now = paris("2026-03-04 09:00")
    assert send_digests(replace(desk, agents=away)) == 0


def test_the_daemon_looks_once_a_day(desk, clock):
    job = MorningDigest(desk)
    clock.now = paris("2026-03-03 09:00")
    assert job() == 0
    registered(desk, 1)
    clock.now = paris("2026-03-03 09:30")
    assert job() == 0
    clock.now = paris("2026-03-04 09:01")
    assert [job(), job()] == [2, 0]
