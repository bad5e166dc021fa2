"""A mail in doubt is looked up in the journal: found, missing, or the journal out of reach."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from imapclient import IMAPClient
from sqlalchemy import select

from mailflow.adapters.smtp import SmtpGateway
from mailflow.adapters.tables import OutboxMail, Ticket
from mailflow.demo.servers import PASSWORD, USER, EmbeddedImap, EmbeddedSmtp, free_port
from mailflow.desk import Desk
from mailflow.services.journal import UNSURE, settle
from mailflow.services.outbox import send_due
from mailflow.services.outbox_claim import LEASE
from tests.factories_desk import DeskFactory, MovableClock
from tests.services.test_outbox import add_mail

FOLDER = "Journal"
SETTLE = 30


@pytest.fixture
def desk(
    desk_factory: DeskFactory,
    clock: MovableClock,
    smtp_server: EmbeddedSmtp,
    pymap_server: EmbeddedImap,
) -> Desk:
    return open_desk(desk_factory, clock, smtp_server, pymap_server.port)


@pytest.fixture
def journal(pymap_server: EmbeddedImap) -> Iterator[IMAPClient]:
    with IMAPClient("127.0.0.1", pymap_server.port, ssl=False) as client:
        client.login(USER, PASSWORD)
        if not client.folder_exists(FOLDER):
            client.create_folder(FOLDER)
        yield client


def open_desk(
    desk_factory: DeskFactory, clock: MovableClock, smtp: EmbeddedSmtp, journal_port: int
) -> Desk:
    return desk_factory(
        clock=clock,
        smtp={"port": smtp.port},
        journal={
            "address": "journal@support.example",
            "host": "127.0.0.1",
            "port": journal_port,
            "tls": "none",
            "username": USER,
            "password_file": "password.txt",
            "folder": FOLDER,
            "settle_seconds": SETTLE,
            "patience_seconds": 120,
        },
    )


def row_of(desk: Desk, number: int) -> OutboxMail:
    with desk.database.read() as session:
        return session.scalars(select(OutboxMail).where(OutboxMail.id == number)).one()


def leave_in_doubt(desk: Desk, clock: MovableClock) -> OutboxMail:
    """A worker claimed the registration, and died at some moment around the final dot."""
    number = add_mail(desk)
    with desk.database.begin() as session:
        row = session.get_one(OutboxMail, number)
        row.status, row.claimed_by = "sending", "dead:1:x"
        row.claimed_until = row.offered_at = clock.now
    with SmtpGateway(desk.config.smtp) as gateway:
        assert send_due(desk, gateway) == 0  # nothing is sent while it is in doubt
    assert row_of(desk, number).status == UNSURE
    return row_of(desk, number)


def test_a_mail_whose_copy_is_there_was_sent_when_the_copy_came(
    desk: Desk, clock: MovableClock, journal: IMAPClient, smtp_server: EmbeddedSmtp
) -> None:
    row = leave_in_doubt(desk, clock)
    came = clock.now + timedelta(seconds=2)
    journal.append(FOLDER, f"Message-ID: {row.message_id}\r\n\r\ncopy\r\n".encode(), (), came)
    assert settle(desk) == 0  # the settle time is not over
    clock.advance(seconds=SETTLE)
    assert settle(desk) == 1
    found = row_of(desk, row.id)
    assert (found.status, found.sent_at, found.maybe_duplicate) == ("sent", came, False)
    with desk.database.read() as session:
        assert session.get_one(Ticket, found.ticket_id).registered_at == came
    with SmtpGateway(desk.config.smtp) as gateway:
        while send_due(desk, gateway):
            pass
    sent_to = [address for mail in smtp_server.accepted for address in mail.recipients]
    assert "alice@support.example" in sent_to  # the agent learns of the registration
    assert "claire@client.example" not in sent_to  # the client has it already


def test_a_mail_without_a_copy_is_sent_and_is_no_duplicate(
    desk: Desk, clock: MovableClock, journal: IMAPClient, smtp_server: EmbeddedSmtp
) -> None:
    row = leave_in_doubt(desk, clock)
    clock.advance(seconds=SETTLE)
    assert settle(desk) == 1
    with SmtpGateway(desk.config.smtp) as gateway:
        send_due(desk, gateway)
    found = row_of(desk, row.id)
    assert (found.status, found.maybe_duplicate) == ("sent", False)
    assert smtp_server.accepted[0].recipients == (
        "claire@client.example",
        "journal@support.example",
    )


def test_while_the_journal_is_away_a_mail_waits_then_goes_out_marked(
    desk_factory: DeskFactory, clock: MovableClock, smtp_server: EmbeddedSmtp
) -> None:
    desk = open_desk(desk_factory, clock, smtp_server, free_port())  # nobody listens there
    row = leave_in_doubt(desk, clock)
    clock.advance(seconds=SETTLE)
    assert settle(desk) == 0
    assert row_of(desk, row.id).status == UNSURE
    clock.advance(seconds=120)
    assert settle(desk) == 1
    with SmtpGateway(desk.config.smtp) as gateway:
        send_due(desk, gateway)
    found = row_of(desk, row.id)
    assert (found.status, found.maybe_duplicate) == ("sent", True)


def test_without_a_journal_there_is_nothing_to_settle(
    desk_factory: DeskFactory, clock: MovableClock
) -> None:
    assert settle(desk_factory("plain", clock=clock)) == 0
    assert timedelta(seconds=60) < LEASE  # a claim outlives the sending of one mail
