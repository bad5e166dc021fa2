"""The same code on PostgreSQL: schema, claims of several workers, leases, the append-only log."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy
from sqlalchemy import select

from mailflow.adapters.database import Database, open_database
from mailflow.adapters.leases import DURATION, hold, release
from mailflow.adapters.store import Arrived, claim_inbound, next_reference, store_mails
from mailflow.adapters.tables import Event, Inbound, Ticket
from mailflow.errors import GatewayError
from tests.servers.postgresql import MISSING, PostgreSQL, find_postgresql

pytestmark = pytest.mark.postgresql
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    programs = find_postgresql()
    assert programs is not None, MISSING
    with PostgreSQL(programs) as running:
        yield running


@pytest.fixture
def url(server: PostgreSQL) -> str:
    return server.new_database()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = open_database(url)
    yield opened
    opened.close()


def mail(number: int) -> Arrived:
    return Arrived(f"From: a@b.example\nMessage-ID: <{number}@b>\n\n{number}\n".encode(), "file")


def test_workers_that_start_together_make_the_schema_once(url: str) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            open_database(url).close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_mail_is_claimed_by_one_worker_while_another_is_at_it(database: Database) -> None:
    with database.begin() as session:
        for number in range(6):
            store_mails(session, [mail(number)], NOW)
    with database.begin() as first:
        one = claim_inbound(first, "one", NOW, timedelta(minutes=1), 4)
        with database.begin() as second:  # the first has not committed: its rows are skipped
            two = claim_inbound(second, "two", NOW, timedelta(minutes=1), 4)
    assert (len(one), len(two)) == (4, 2)
    assert not set(one) & set(two)


def test_a_claim_that_ran_out_goes_to_another_worker(database: Database) -> None:
    with database.begin() as session:
        store_mails(session, [mail(1)], NOW)
        claim_inbound(session, "dead", NOW, timedelta(minutes=1), 4)
    with database.begin() as session:
        early = claim_inbound(session, "next", NOW + timedelta(seconds=59), timedelta(minutes=1), 4)
        late = claim_inbound(session, "next", NOW + timedelta(seconds=60), timedelta(minutes=1), 4)
        row = session.scalars(select(Inbound)).one()
    assert early == []
    assert late == [row.id]
    assert row.attempts == 2


def test_the_same_mail_twice_is_one_row(database: Database) -> None:
    with database.begin() as session:
        (first,) = store_mails(session, [mail(1)], NOW)
        (again,) = store_mails(session, [mail(1)], NOW)
    assert (first.duplicate, again.duplicate) == (False, True)
    assert first.inbound_id == again.inbound_id


def test_numbers_are_given_once_to_workers_at_the_same_time(database: Database) -> None:
    given: list[str] = []
    lock = threading.Lock()

    def take() -> None:
        for _ in range(10):
            with database.begin() as session:
                reference = next_reference(session, "MF", 2026)
            with lock:
                given.append(reference)

    with database.begin() as session:
        next_reference(session, "MF", 2026)
    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == [f"MF-2026-{number:06d}" for number in range(2, 42)]


def test_a_lease_has_one_holder_and_passes_on(database: Database) -> None:
    assert hold(database, "box", "elsewhere:1:a", NOW)
    assert not hold(database, "box", "elsewhere:2:b", NOW + DURATION / 2)
    assert hold(database, "box", "elsewhere:1:a", NOW + DURATION / 2)  # renewed
    assert not hold(database, "box", "elsewhere:2:b", NOW + DURATION)  # so not free yet
    assert hold(database, "box", "elsewhere:2:b", NOW + 2 * DURATION)  # its holder died
    release(database, "box", "elsewhere:1:a")  # no longer its to give
    assert not hold(database, "box", "elsewhere:1:a", NOW + 2 * DURATION)
    release(database, "box", "elsewhere:2:b")
    assert hold(database, "box", "elsewhere:1:a", NOW + 2 * DURATION)


def test_a_clock_that_was_put_back_does_not_lock_the_mailbox(database: Database) -> None:
    assert hold(database, "box", "elsewhere:1:a", NOW)
    assert hold(database, "box", "elsewhere:2:b", NOW - timedelta(hours=1))


def test_events_can_only_be_added(database: Database) -> None:
    with database.begin() as session:
        ticket = Ticket(
            state="open", subject="s", requester="a@b.example", language="fr", kind="problem",
            review=[], items=[], asked=[], created_at=NOW, changed_at=NOW,
        )  # fmt: skip
        session.add(ticket)
        session.flush()
        session.add(Event(ticket_id=ticket.id, at=NOW, kind="received", actor="a", data={}))
    for statement in ("UPDATE event SET kind = 'x'", "DELETE FROM event"):
        with (
            pytest.raises((GatewayError, sqlalchemy.exc.DBAPIError), match="only ever added"),
            database.begin() as session,
        ):
            session.execute(sqlalchemy.text(statement))


def test_instants_come_back_in_utc(database: Database) -> None:
    paris = NOW.astimezone(ZoneInfo("Europe/Paris"))
    with database.begin() as session:
        store_mails(session, [mail(1)], paris)
    with database.read() as session:
        assert session.scalars(select(Inbound.received_at)).one() == NOW
        assert session.scalars(select(Inbound.received_at)).one().tzinfo == UTC
