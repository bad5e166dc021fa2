"""A worker that is held up past its claims (SIGSTOP, a paused machine) does no harm when it wakes.

In each test another worker takes the work over in the midst of something that the first one does.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from mailflow.adapters import child, database, smtp
from mailflow.adapters.child import Child
from mailflow.adapters.database import Database, open_database
from mailflow.adapters.leases import DURATION, hold
from mailflow.adapters.smtp import SmtpGateway
from mailflow.adapters.tables import Event, Inbound, Lease, OutboxMail, Ticket
from mailflow.core.messages import InboundMessage
from mailflow.demo.servers import EmbeddedSmtp
from mailflow.desk import Desk
from mailflow.errors import GatewayError, MessageError
from mailflow.services import journal, reading
from mailflow.services.outbox import send_due
from mailflow.services.outbox_claim import LEASE
from mailflow.services.process import process_due
from mailflow.settings import Journal
from mailflow.workers import worker_name
from tests.factories_desk import DeskFactory, MovableClock, deliver
from tests.factories_mail import make_mail
from tests.servers.postgresql import MISSING, PostgreSQL, find_postgresql
from tests.services.test_outbox import add_mail

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SECONDS = 60.0
FREEZE_SECONDS = 15.0  # then it would be for ever


def another(desk: Desk) -> Desk:
    """A second worker on the same database."""
    return replace(desk, worker=worker_name())


class Once:
    """Calls `act` at the first call only."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act: Callable[[], None] | None = act

    def __call__(self) -> None:
        act, self._act = self._act, None
        if act is not None:
            act()


@pytest.mark.parametrize(
    "error", [MessageError("parsing took more than 20 s"), RuntimeError("woken too late")]
)
def test_an_error_after_the_claim_ran_out_changes_nothing(
    flow_desk_factory: DeskFactory,
    clock: MovableClock,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    desk = flow_desk_factory(clock=clock)
    other = another(desk)
    other.triager = desk.triager
    deliver(desk, make_mail(subject="Export impossible", body="L'export échoue avec l'erreur 500."))

    def take_over() -> None:
        clock.advance(seconds=reading.LEASE.total_seconds() + 1)
        assert process_due(other) == 1

    sleep = Once(take_over)

    def parse(*_arguments: object) -> None:
        sleep()
        raise error

    monkeypatch.setattr(reading, "parse_message", parse)  # a second try is parsed in a child
    process_due(desk)
    clock.advance(hours=2)
    process_due(desk)
    with desk.database.read() as session:
        assert session.scalars(select(Inbound.status)).all() == ["done"]
        assert len(session.scalars(select(Ticket.id)).all()) == 1
        assert "agent_problem" not in session.scalars(select(OutboxMail.kind)).all()


def test_a_flood_that_is_held_back_after_the_claim_ran_out_is_left_alone(
    flow_desk_factory: DeskFactory, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = flow_desk_factory(clock=clock, limits={"max_mails_per_sender_and_minute": 1})
    other = another(desk)
    other.triager = desk.triager
    deliver(desk, *(make_mail(subject=f"Export {each}", body="Échec.") for each in range(2)))
    genuine = reading.parse_message

    def take_over() -> None:
        clock.advance(seconds=reading.LEASE.total_seconds() + 1)
        while process_due(other):
            clock.advance(minutes=2)

    sleep = Once(take_over)

    def parse(*arguments: Any) -> InboundMessage:
        sleep()
        return genuine(*arguments)

    monkeypatch.setattr(reading, "parse_message", parse)
    process_due(desk)
    with desk.database.read() as session:
        assert session.scalars(select(Inbound.status)).all() == ["done", "done"]


def test_a_mail_is_not_sent_when_its_claim_ran_out_before_the_content(
    desk_factory: DeskFactory,
    clock: MovableClock,
    smtp_server: EmbeddedSmtp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = desk_factory(clock=clock, smtp={"port": smtp_server.port})
    other = another(desk)
    number = add_mail(desk)

    def take_over() -> None:
        clock.advance(seconds=LEASE.total_seconds() + 1)
        with SmtpGateway(desk.config.smtp) as gateway:
            assert send_due(other, gateway) == 1

    sleep = Once(take_over)

    def reach(name: str) -> None:
        if name == "smtp-rcpt":
            sleep()

    monkeypatch.setattr(smtp, "reach", reach)
    with SmtpGateway(desk.config.smtp) as gateway, suppress(GatewayError):
        send_due(desk, gateway)
    with desk.database.read() as session:
        message_id = session.get_one(OutboxMail, number).message_id
    copies = [mail for mail in smtp_server.accepted if message_id.encode() in mail.content]
    assert len(copies) == 1


def test_a_refusal_that_comes_after_another_worker_has_sent_ends_nothing(
    desk_factory: DeskFactory, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []
    with EmbeddedSmtp(lambda recipient: "550 no" if recipient in refused else None) as server:
        desk = desk_factory(clock=clock, smtp={"port": server.port})
        other = another(desk)
        number = add_mail(desk)

        def take_over() -> None:
            clock.advance(seconds=LEASE.total_seconds() + 1)
            with SmtpGateway(desk.config.smtp) as gateway:
                assert send_due(other, gateway) == 1
            refused.append("claire@client.example")

        sleep = Once(take_over)
        monkeypatch.setattr(smtp, "reach", lambda name: sleep() if name == "smtp-mail" else None)
        with SmtpGateway(desk.config.smtp) as gateway:
            send_due(desk, gateway)
    with desk.database.read() as session:
        assert session.get_one(OutboxMail, number).status == "sent"
        assert "agent_problem" not in session.scalars(select(OutboxMail.kind)).all()


def test_a_mail_that_two_workers_find_in_the_journal_is_noted_once(
    desk_factory: DeskFactory, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_factory(clock=clock)
    settings = Journal(
        address="journal@support.example",
        host="127.0.0.1",
        username="journal",
        password_env="JOURNAL_PASSWORD",
    )
    desk = replace(desk, config=desk.config.model_copy(update={"journal": settings}))
    other = another(desk)
    number = add_mail(desk)
    with desk.database.begin() as session:
        row = session.get_one(OutboxMail, number)
        journal.ask_journal(settings, row, clock.now - timedelta(hours=1))

    def look_too() -> None:
        journal.settle(other)

    sleep = Once(look_too)

    def find_copies(_journal: Journal, ids: list[str]) -> dict[str, journal.Copy]:
        sleep()  # the other worker looks at the same moment
        return {each: journal.Copy(clock.now, b"copy") for each in ids}

    monkeypatch.setattr(journal, "find_copies", find_copies)
    journal.settle(desk)
    with desk.database.read() as session:
        noted = session.scalars(select(Event.kind).where(Event.kind.endswith("_sent"))).all()
        assert noted == ["registration_sent"]


def test_an_answer_that_lies_ready_is_read_though_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = "from mailflow.adapters.child import serve_requests; serve_requests(lambda each: each)"
    process = Child(code)
    try:
        process.wait_until_ready()
        process.send(b"question")
        assert child.select.select([process._outlet], [], [], SECONDS)[0]
        assert process.receive(-1.0) == b"question"  # we slept while it answered
    finally:
        process.stop()


@pytest.fixture
def databases(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Database, Database]]:
    """Two workers' connections to one PostgreSQL."""
    programs = find_postgresql()
    assert programs is not None, MISSING
    monkeypatch.setattr(database, "FROZEN_SECONDS", 2, raising=False)
    with PostgreSQL(programs) as server:
        url = server.new_database()
        one, two = open_database(url), open_database(url, migrate=False)
        yield one, two
        one.close()
        two.close()


@pytest.mark.postgresql
@pytest.mark.slow
def test_a_worker_that_is_frozen_within_a_transaction_locks_nobody_out_for_ever(
    databases: tuple[Database, Database],
) -> None:
    frozen, other = databases
    assert hold(frozen, "box", "elsewhere:1:a", NOW)
    taken: list[bool] = []

    def take_over() -> None:
        with suppress(GatewayError):
            taken.append(hold(other, "box", "elsewhere:2:b", NOW + 2 * DURATION))

    with suppress(GatewayError), frozen.begin() as session:
        session.get(Lease, "box", with_for_update=True)  # and here it freezes
        thread = threading.Thread(target=take_over)
        thread.start()
        thread.join(FREEZE_SECONDS)
        is_over = not thread.is_alive()
        session.execute(text("SELECT 1"))  # awake again
    thread.join(SECONDS)
    assert is_over
    assert taken == [True]
