"""What we owe is sent once, its clock starts at the server's yes, and a failure is told."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from mailflow.adapters.smtp import SmtpGateway
from mailflow.adapters.store import events_of
from mailflow.adapters.tables import OutboxMail, Ticket, TicketPerson
from mailflow.core.decisions import Audience, Notice, NoticeKind
from mailflow.demo.servers import EmbeddedSmtp
from mailflow.desk import Desk
from mailflow.errors import ConfigError, GatewayError
from mailflow.services import outbox
from mailflow.services.clock import keep_policy
from mailflow.services.outbox import send_due
from mailflow.services.outbox_claim import BATCH, LEASE
from mailflow.services.owe import owe
from mailflow.services.undelivered import GIVE_UP_AFTER
from tests.factories_desk import START, DeskFactory, MovableClock
from tests.servers.scripted import DROP, ScriptedSmtp

CLIENT = "claire@client.example"
ALICE = "alice@support.example"


def add_ticket(desk: Desk, requester: str = CLIENT, **changes: Any) -> int:
    """A P2 ticket that is registered but for its mail."""
    now = desk.clock()
    with desk.database.begin() as session:
        values: dict[str, Any] = {
            "state": "open",
            "subject": "Export impossible",
            "summary": "Export impossible",
            "requester": requester,
            "requester_name": "Claire Martin",
            "language": "fr",
            "organisation": "Client SA",
            "kind": "problem",
            "priority": 2,
            "agent": ALICE,
            "text": "Le bouton ne répond pas.",
            "created_at": now,
            "changed_at": now,
            "policy_version": keep_policy(session, desk.policy_for(None), now),
        }
        ticket = Ticket(**{**values, **changes})
        session.add(ticket)
        session.flush()
        ticket.reference = f"MF-2026-{ticket.id:06d}"
        session.add(
            TicketPerson(ticket_id=ticket.id, address=requester, role="requester", added_at=now)
        )
        return ticket.id


def add_mail(
    desk: Desk,
    kind: NoticeKind = NoticeKind.REGISTRATION,
    ticket_id: int | None = None,
    cause: str = "test",
    **data: Any,
) -> int:
    """Owe the client of a (new) ticket a mail; return its number in the outbox."""
    found = add_ticket(desk) if ticket_id is None else ticket_id
    with desk.database.begin() as session:
        ticket = session.get_one(Ticket, found)
        audience = Audience.AGENT if kind.is_for_agents else Audience.CLIENT
        owe(session, desk, Notice(kind, audience, data), ticket, f"{cause}-{found}", desk.clock())
        return session.scalars(select(OutboxMail.id).order_by(OutboxMail.id.desc())).first() or 0


def row(desk: Desk, number: int) -> OutboxMail:
    with desk.database.read() as session:
        return session.get_one(OutboxMail, number)


def ticket_of(desk: Desk, number: int) -> Ticket:
    with desk.database.read() as session:
        return session.get_one(Ticket, session.get_one(OutboxMail, number).ticket_id)


def kinds(desk: Desk, number: int) -> list[str]:
    with desk.database.read() as session:
        found = session.get_one(OutboxMail, number).ticket_id
        return [event.kind for event in events_of(session, found or 0)]


def parsed(content: bytes) -> Message:
    return message_from_bytes(content)


Sending = Callable[[Desk], int]


@pytest.fixture
def send() -> Iterator[Sending]:
    """Send one batch over a gateway of its own for each call."""

    def batch(desk: Desk) -> int:
        with SmtpGateway(desk.config.smtp) as gateway:
            return send_due(desk, gateway)

    yield batch


@pytest.fixture
def posting(desk_factory: DeskFactory, clock: MovableClock, smtp_server: EmbeddedSmtp) -> Desk:
    """A desk whose SMTP server takes everything."""
    return desk_factory(clock=clock, smtp={"port": smtp_server.port})


def test_the_clock_starts_when_the_server_has_accepted(
    posting: Desk, clock: MovableClock, smtp_server: EmbeddedSmtp, send: Sending
) -> None:
    number = add_mail(posting)
    assert ticket_of(posting, number).registered_at is None
    accepted_at = clock.advance(minutes=5)

    assert send(posting) == 1

    ticket = ticket_of(posting, number)
    assert ticket.registered_at == accepted_at
    assert ticket.due_at is not None
    assert "registration_sent" in kinds(posting, number)
    sent = row(posting, number)
    (mail,) = smtp_server.accepted
    assert (sent.status, sent.sent_at, sent.attempts) == ("sent", accepted_at, 1)
    assert sent.content == mail.content
    assert parsed(mail.content)["Message-ID"] == sent.message_id
    assert mail.recipients == (CLIENT,)

    assert send(posting) == 1  # the notice to the agent, owed by the first one
    assert smtp_server.accepted[1].recipients == (ALICE,)
    assert send(posting) == 0


def test_a_later_registration_mail_does_not_start_the_clock_again(
    posting: Desk, clock: MovableClock, send: Sending
) -> None:
    number = add_mail(posting)
    send(posting)
    again = add_mail(posting, ticket_id=row(posting, number).ticket_id, cause="again")
    clock.advance(hours=1)
    send(posting)
    assert row(posting, again).status == "sent"
    assert ticket_of(posting, number).registered_at == START


@pytest.mark.parametrize(
    "answers",
    [
        {"RCPT": "450 greylisted"},
        {".": "451 later"},
        {"MAIL": DROP},
        {"greeting": "421 busy"},
        {"MAIL": "550 sender refused"},
    ],
)
def test_no_mail_accepted_no_clock(
    desk_factory: DeskFactory,
    clock: MovableClock,
    send: Sending,
    answers: dict[str, str | list[str]],
) -> None:
    with ScriptedSmtp(answers) as server:
        desk = desk_factory(clock=clock, smtp={"port": server.port})
        number = add_mail(desk)
        pauses = []
        for _ in range(4):
            with suppress(GatewayError):
                assert send(desk) == 1
            waiting = row(desk, number)
            pauses.append(waiting.next_attempt_at - clock.now)
            clock.now = waiting.next_attempt_at - timedelta(milliseconds=1)
            assert send(desk) == 0  # not before its time
            clock.now = waiting.next_attempt_at

    assert (waiting.status, waiting.attempts, waiting.claimed_by) == ("pending", 4, None)
    assert not waiting.maybe_duplicate
    assert waiting.error
    assert pauses[0] < pauses[1] < pauses[3]
    assert timedelta(seconds=5) <= pauses[0]
    assert pauses[3] < timedelta(seconds=60)  # the server's return is seen within a minute
    ticket = ticket_of(desk, number)
    assert (ticket.registered_at, ticket.due_at) == (None, None)


def test_a_mail_that_is_never_confirmed_is_offered_twice_and_somebody_is_told(
    desk_factory: DeskFactory, clock: MovableClock, send: Sending
) -> None:
    with ScriptedSmtp({".": DROP}) as server:
        desk = desk_factory(clock=clock, smtp={"port": server.port})
        number = add_mail(desk)
        for _ in range(3):
            with suppress(GatewayError):
                send(desk)
            clock.advance(minutes=1)
        offered = [mail for mail in server.mails if CLIENT in str(parsed(mail)["To"])]
    ended = row(desk, number)
    assert (ended.status, ended.maybe_duplicate) == ("failed", True)
    assert "offered twice" in str(ended.error)
    assert len(offered) == 2
    assert len({parsed(mail)["Message-ID"] for mail in offered}) == 1
    assert ticket_of(desk, number).undelivered
    with desk.database.read() as session:
        told = session.scalars(select(OutboxMail).where(OutboxMail.kind == "agent_problem")).all()
    assert told


def test_pauses_grow_after_the_first_hour(
    desk_factory: DeskFactory, clock: MovableClock, send: Sending
) -> None:
    with ScriptedSmtp({"RCPT": "450 greylisted"}) as server:
        desk = desk_factory(clock=clock, smtp={"port": server.port})
        number = add_mail(desk)
        begin = clock.now
        while clock.now < begin + timedelta(hours=6):
            assert send(desk) == 1
            clock.now = row(desk, number).next_attempt_at
        send(desk)
        pause = row(desk, number).next_attempt_at - clock.now
    assert timedelta(minutes=20) < pause < timedelta(minutes=40)


def test_a_retry_is_the_same_mail(desk_factory: DeskFactory, clock: MovableClock) -> None:
    with ScriptedSmtp({".": ["451 later", "250 OK"]}) as server:
        desk = desk_factory(clock=clock, smtp={"port": server.port})
        number = add_mail(desk)
        with SmtpGateway(desk.config.smtp) as gateway:
            send_due(desk, gateway)
            clock.advance(minutes=1)
            send_due(desk, gateway)
    ids = [parsed(mail)["Message-ID"] for mail in server.mails]
    assert ids[:2] == [row(desk, number).message_id] * 2
    assert row(desk, number).status == "sent"


def test_a_recipient_that_must_wait_holds_up_nobody(
    desk_factory: DeskFactory, clock: MovableClock, send: Sending
) -> None:
    """Their server greylists; the others' mails go out in the same batch."""
    with ScriptedSmtp({"RCPT slow@client.example": "450 greylisted"}) as server:
        desk = desk_factory(clock=clock, smtp={"port": server.port})
        slow = add_mail(desk, ticket_id=add_ticket(desk, "slow@client.example"))
        others = [add_mail(desk) for _ in range(3)]
        assert send(desk) == 4
    assert row(desk, slow).status == "pending"
    assert [row(desk, number).status for number in others] == ["sent"] * 3


def test_when_the_server_is_gone_nothing_counts_against_the_mails_behind(
    desk_factory: DeskFactory, clock: MovableClock, send: Sending
) -> None:
    with ScriptedSmtp({"greeting": "421 busy"}) as server:
        desk = desk_factory(clock=clock, smtp={"port": server.port})
        first, second = add_mail(desk), add_mail(desk)
        with pytest.raises(GatewayError):
            send(desk)
    assert [row(desk, number).status for number in (first, second)] == ["pending", "pending"]
    assert [row(desk, number).attempts for number in (first, second)] == [1, 0]


def test_a_login_that_cannot_be_made_leaves_the_mails_waiting(
    desk_factory: DeskFactory, clock: MovableClock, send: Sending
) -> None:
    """The token command failed: for a moment, it may be."""
    with ScriptedSmtp({"EHLO": "250-mx.example\n250 AUTH XOAUTH2"}) as server:
        smtp = {"port": server.port, "username": "support", "oauth2_token_command": "exit 1"}
        desk = desk_factory(clock=clock, smtp=smtp)
        number = add_mail(desk)
        with pytest.raises(ConfigError):
            send(desk)
    waiting = row(desk, number)
    assert (waiting.status, waiting.claimed_by) == ("pending", None)


def test_a_mail_that_can_never_be_sent_is_told_to_an_agent(
    desk_factory: DeskFactory, clock: MovableClock, send: Sending
) -> None:
    with ScriptedSmtp({f"RCPT {CLIENT}": "550 5.1.1 no such user"}) as server:
        desk = desk_factory(clock=clock, smtp={"port": server.port})
        number = add_mail(desk)
        assert send(desk) == 1
        failed = row(desk, number)
        assert (failed.status, failed.claimed_by) == ("failed", None)
        assert "550 5.1.1 no such user" in str(failed.error)
        ticket = ticket_of(desk, number)
        assert ticket.undelivered
        assert ticket.registered_at is None
        assert "not_sent" in kinds(desk, number)

        assert send(desk) == 1
        (mail,) = server.mails
        assert parsed(mail)["To"] == f"Alice Agent <{ALICE}>"
        assert b"550" in parsed(mail).get_payload(0).get_payload(decode=True)  # type: ignore[union-attr, arg-type, operator]
        clock.advance(days=1)
        assert send(desk) == 0


def test_an_agents_mail_that_is_refused_is_tried_for_days_and_told_to_nobody(
    desk_factory: DeskFactory, clock: MovableClock, send: Sending
) -> None:
    """Agents' addresses are ours to mend. Told of itself it would owe the next mail, for ever."""
    with ScriptedSmtp({"RCPT": "550 no such user"}) as server:
        desk = desk_factory(clock=clock, smtp={"port": server.port})
        number = add_mail(desk, NoticeKind.AGENT_PROBLEM, reason="x")
        assert send(desk) == 1
        assert send(desk) == 0
        assert row(desk, number).status == "pending"
        clock.now += GIVE_UP_AFTER + timedelta(minutes=1)
        assert send(desk) == 1
        assert send(desk) == 0
    assert row(desk, number).status == "failed"


def test_a_notice_that_never_reached_its_agent_is_told_to_the_others(
    desk_factory: DeskFactory, clock: MovableClock, send: Sending
) -> None:
    with ScriptedSmtp({f"RCPT {ALICE}": "550 no such user"}) as server:
        desk = desk_factory(clock=clock, smtp={"port": server.port})
        number = add_mail(desk, NoticeKind.AGENT_NEW)
        with desk.database.begin() as session:
            session.get_one(OutboxMail, number).recipient = ALICE
        send(desk)
        clock.now += GIVE_UP_AFTER + timedelta(minutes=1)
        send(desk)
    assert row(desk, number).status == "failed"
    with desk.database.read() as session:
        told = session.scalars(
            select(OutboxMail.recipient).where(OutboxMail.kind == "agent_problem")
        ).all()
    assert told == ["sylvie@support.example"]  # the supervisor


def test_after_days_of_trying_a_mail_is_given_up(
    desk_factory: DeskFactory, clock: MovableClock, send: Sending
) -> None:
    with ScriptedSmtp({f"RCPT {CLIENT}": "450 mailbox full"}) as server:
        desk = desk_factory(clock=clock, smtp={"port": server.port})
        number = add_mail(desk)
        send(desk)
        clock.now += GIVE_UP_AFTER + timedelta(minutes=1)
        send(desk)
        assert row(desk, number).status == "failed"
        assert "given up after 5 days" in str(row(desk, number).error)
        send(desk)
        assert len(server.mails) == 1  # to the agent


def test_a_claim_that_ran_out_is_sent_again_and_marked(
    posting: Desk, desk_factory: DeskFactory, clock: MovableClock, send: Sending
) -> None:
    """Its worker died, before or after the server took the mail: nobody knows."""
    number, behind_it = add_mail(posting), add_mail(posting)
    with posting.database.begin() as session:
        for each in (number, behind_it):
            claimed = session.get_one(OutboxMail, each)
            claimed.status, claimed.claimed_by = "sending", "dead:1:x"
            claimed.claimed_until = clock.now + LEASE
        session.get_one(OutboxMail, number).offered_at = clock.now
    assert send(posting) == 0  # another worker has them

    clock.now += LEASE
    assert send(posting) == 2
    sent = row(posting, number)
    assert (sent.status, sent.maybe_duplicate) == ("sent", True)
    assert ticket_of(posting, number).registered_at == clock.now
    never_offered = row(posting, behind_it)
    assert (never_offered.status, never_offered.maybe_duplicate) == ("sent", False)


def test_of_a_batch_only_the_mail_at_the_server_is_in_doubt_when_its_worker_dies(
    posting: Desk, clock: MovableClock, send: Sending
) -> None:
    numbers = [add_mail(posting) for _ in range(4)]

    class Dying(SmtpGateway):
        taken = 0

        def send(self, *given: Any, **named: Any) -> str | None:
            if self.taken == 2:
                raise KeyboardInterrupt
            self.taken += 1
            return super().send(*given, **named)

    with Dying(posting.config.smtp) as gateway, suppress(KeyboardInterrupt):
        send_due(posting, gateway)
    posting.memory.clear()
    clock.now += LEASE
    send(posting)
    rows = [row(posting, number) for number in numbers]
    assert [each.status for each in rows] == ["sent"] * 4
    assert [each.maybe_duplicate for each in rows] == [False, False, True, False]


def test_a_claim_lost_in_the_meantime_is_not_sent(
    posting: Desk, smtp_server: EmbeddedSmtp, monkeypatch: pytest.MonkeyPatch, send: Sending
) -> None:
    number = add_mail(posting)

    def other_worker(_name: str) -> None:
        with posting.database.begin() as session:
            session.get_one(OutboxMail, number).claimed_by = "other:2:y"

    monkeypatch.setattr(outbox, "reach", other_worker)
    send(posting)
    assert smtp_server.accepted == []
    assert row(posting, number).claimed_by == "other:2:y"


def test_sent_but_not_noted_is_noted_as_soon_as_that_can_be(
    posting: Desk, clock: MovableClock, smtp_server: EmbeddedSmtp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was full just when the server had said yes."""
    first, second = add_mail(posting), add_mail(posting)
    real = outbox._note_accepted

    def fail(*_arguments: object) -> bool:
        monkeypatch.setattr(outbox, "_note_accepted", real)
        raise GatewayError("database or disk is full")

    monkeypatch.setattr(outbox, "_note_accepted", fail)
    with SmtpGateway(posting.config.smtp) as gateway:
        with pytest.raises(GatewayError, match="not noted as sent"):
            send_due(posting, gateway)
        accepted_at = clock()
        clock.advance(minutes=1)
        send_due(posting, gateway)
        send_due(posting, gateway)
    clients = [each for each in smtp_server.accepted if CLIENT in each.recipients]
    assert len(clients) == 2
    assert row(posting, first).sent_at == accepted_at
    assert not row(posting, first).maybe_duplicate
    assert not row(posting, second).maybe_duplicate
    assert [row(posting, number).status for number in (first, second)] == ["sent", "sent"]


def test_what_was_accepted_before_a_death_is_finished_and_not_sent_again(
    posting: Desk, clock: MovableClock, smtp_server: EmbeddedSmtp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The acceptance is committed for each mail, what follows from it for the batch."""
    number = add_mail(posting)
    accepted_at = clock()

    def die(*_arguments: object) -> None:
        raise GatewayError("the worker ended here")

    with SmtpGateway(posting.config.smtp) as gateway:
        monkeypatch.setattr(outbox, "_finish_all", die)
        with pytest.raises(GatewayError, match="ended here"):
            send_due(posting, gateway)
        monkeypatch.undo()
        assert row(posting, number).status == "sending"
        assert ticket_of(posting, number).registered_at is None
        clock.advance(minutes=3)
        assert send_due(posting, gateway) == 1
    assert len(smtp_server.accepted) == 1
    sent = row(posting, number)
    assert (sent.status, sent.sent_at, sent.maybe_duplicate) == ("sent", accepted_at, False)
    assert ticket_of(posting, number).registered_at == accepted_at


def test_where_the_batch_cannot_be_finished_each_mail_is(
    posting: Desk, monkeypatch: pytest.MonkeyPatch, send: Sending
) -> None:
    numbers = [add_mail(posting), add_mail(posting)]
    real = outbox._finish_all

    def alone_only(desk: Desk, ids: Sequence[int]) -> None:
        if len(ids) > 1:
            raise RuntimeError("a mistake of ours")
        real(desk, ids)

    monkeypatch.setattr(outbox, "_finish_all", alone_only)
    assert send(posting) == 2
    assert [row(posting, each).status for each in numbers] == ["sent", "sent"]


def test_a_broken_template_fails_its_mail_only(
    desk_factory: DeskFactory,
    clock: MovableClock,
    smtp_server: EmbeddedSmtp,
    tmp_path: Path,
    send: Sending,
) -> None:
    folder = tmp_path / "desk" / "templates" / "fr"
    folder.mkdir(parents=True)
    (folder / "registration.txt").write_text("{{ no_such_word }}\n", "utf-8")
    desk = desk_factory(
        clock=clock, smtp={"port": smtp_server.port}, files={"templates": "templates"}
    )
    broken = add_mail(desk)
    whole = add_mail(desk, NoticeKind.CLOSED)
    assert send(desk) == 2
    assert row(desk, broken).status == "failed"
    assert "no_such_word" in str(row(desk, broken).error)
    assert row(desk, whole).status == "sent"
    assert ticket_of(desk, broken).registered_at is None


def test_a_mail_that_cannot_be_made_fails_alone(
    posting: Desk, monkeypatch: pytest.MonkeyPatch, send: Sending
) -> None:
    """Whatever the mistake is: an error of ours must not stop every mail behind it."""
    broken, whole = add_mail(posting), add_mail(posting)
    real = outbox.compose

    def sometimes(session: Any, desk: Desk, mail: OutboxMail, *more: Any) -> Any:
        if mail.id == broken:
            raise KeyError("a mistake of ours")
        return real(session, desk, mail, *more)

    monkeypatch.setattr(outbox, "compose", sometimes)
    assert send(posting) == 2
    assert row(posting, broken).status == "failed"
    assert "KeyError" in str(row(posting, broken).error)
    assert row(posting, whole).status == "sent"


def test_watchers_and_the_journal_get_a_copy(
    desk_factory: DeskFactory, clock: MovableClock, smtp_server: EmbeddedSmtp, send: Sending
) -> None:
    journal = {
        "address": "journal@support.example",
        "host": "127.0.0.1",
        "tls": "none",
        "username": "journal",
        "password_file": "password.txt",
    }
    desk = desk_factory(clock=clock, smtp={"port": smtp_server.port}, journal=journal)
    ticket = add_ticket(desk)
    with desk.database.begin() as session:
        session.add(
            TicketPerson(
                ticket_id=ticket,
                address="paul@client.example",
                role="watcher",
                added_at=clock.now,
            )
        )
    add_mail(desk, ticket_id=ticket)
    send(desk)
    (mail,) = smtp_server.accepted
    assert mail.recipients == (CLIENT, "paul@client.example", "journal@support.example")
    assert "journal" not in str(parsed(mail.content).items())


def test_the_same_notice_for_the_same_cause_is_owed_once(posting: Desk) -> None:
    ticket = add_ticket(posting)
    assert add_mail(posting, ticket_id=ticket) == add_mail(posting, ticket_id=ticket)


def test_a_batch_is_not_endless(posting: Desk, smtp_server: EmbeddedSmtp, send: Sending) -> None:
    ticket = add_ticket(posting)
    for number in range(BATCH + 5):
        add_mail(posting, NoticeKind.CLOSED, ticket_id=ticket, cause=f"cause{number}")
    assert send(posting) == BATCH
    assert send(posting) == 5
    assert len(smtp_server.accepted) == BATCH + 5


def test_where_it_cannot_be_noted_that_a_mail_is_offered_it_is_not_and_loses_no_attempt(
    posting: Desk, smtp_server: EmbeddedSmtp, monkeypatch: pytest.MonkeyPatch, send: Sending
) -> None:
    number = add_mail(posting)

    def fail(*_changes: object) -> list[int]:
        monkeypatch.undo()
        raise GatewayError("the database failed: disk full")

    monkeypatch.setattr(posting.database, "write", fail)
    with SmtpGateway(posting.config.smtp) as gateway:
        with pytest.raises(GatewayError, match="disk full"):
            send_due(posting, gateway)
        assert smtp_server.accepted == []
        while send_due(posting, gateway):
            pass
    sent = row(posting, number)
    assert (sent.status, sent.attempts, sent.maybe_duplicate) == ("sent", 1, False)
    assert sum(CLIENT in each.recipients for each in smtp_server.accepted) == 1
