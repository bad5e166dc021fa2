"""No statement of the daemon's daily work reads a large table from end to end."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from mailflow.adapters.store import Arrived
from mailflow.adapters.tables import Reminder, Ticket
from mailflow.adapters.urgency import most_urgent
from mailflow.daemon import Daemon
from mailflow.services.digest import send_digests
from mailflow.services.intake import poll, take_in
from mailflow.services.process import process_due
from mailflow.services.sweep import sweep
from tests.factories_desk import deliver
from tests.services.life import FakeGateway, paris, registered, say, send_all
from tests.statements import LARGE_TABLES, Recorder


@pytest.fixture
def recorder(flow_desk_factory, clock):
    """Listens to a desk with a few tickets: without statistics SQLite plans as for millions."""
    desk = flow_desk_factory(clock=clock)
    for priority in (1, 2, 3):
        registered(desk, priority)
    recorder = Recorder(desk.database.engine)
    recorder.is_on = True
    recorder.desk = desk
    return recorder


def mail(number: int, subject: str, text: str, *headers: str) -> bytes:
    head = [
        "From: Claire <claire@client.example>",
        "To: support@support.example",
        f"Subject: {subject}",
        f"Message-ID: <{number}@client.example>",
        *headers,
    ]
    return "\n".join((*head, "", text, "")).encode()


def plans(recorder: Recorder) -> list[tuple[str, str]]:
    return [(each.short, plan) for each, plan in recorder.scans(LARGE_TABLES)]


def test_mails_are_handled_by_index(recorder):
    desk = recorder.desk
    with desk.database.read() as session:
        reference = session.get_one(Ticket, 1).reference
    deliver(
        desk,
        mail(1, "Export", "L'export échoue : Erreur 500. Pour voir : cliquer sur Exporter."),
        mail(2, f"Re: L’export échoue [{reference}]", "Toujours pas."),
        mail(3, "Re: L’export échoue", "Et maintenant ?"),
        mail(4, "Re: Export", "Encore.", "In-Reply-To: <1@client.example>"),
    )
    take_in(desk, [Arrived(mail(5, "Export", "Rien."), "imap", ("box", "INBOX", 1, 7))])
    while process_due(desk):
        pass
    send_all(desk, FakeGateway())
    say(desk, 1, "#priority 3 une raison")
    assert plans(recorder) == []


def test_time_passes_by_index(recorder, clock):
    desk = recorder.desk
    clock.advance(hours=2)
    while sweep(desk):
        clock.advance(minutes=50)
    clock.now = paris("2026-03-04 09:05")
    assert send_digests(desk)
    Daemon(desk)._recover()
    assert plans(recorder) == []


def test_the_most_urgent_tickets_are_found_by_index(recorder):
    say(recorder.desk, 2, "#close force fini")
    say(recorder.desk, 1, "#close force fini")
    with recorder.desk.database.read() as session:
        assert [each.id for each in most_urgent(session, 9)] == [3, 2, 1]  # the due, the newest
        assert [each.id for each in most_urgent(session, 1)] == [3]
        assert [each.id for each in most_urgent(session, 9, "closed")] == [2, 1]
        assert [each.id for each in most_urgent(session, 9, "open")] == [3]
    assert plans(recorder) == []


def test_a_scan_is_seen(recorder):
    with recorder.desk.database.read() as session:
        late = Reminder.done_at < recorder.desk.clock() - timedelta(days=1)
        session.execute(select(Reminder.id).where(late)).all()
    ((text, plan),) = plans(recorder)
    assert "reminder.done_at" in text and "SCAN reminder" in plan


class MailboxWith:
    """A folder with these UIDs and nothing to fetch."""

    name, uidvalidity = "box", 1

    def __init__(self, *uids):
        self._uids = list(uids)
        self.filed = []

    def select(self, folder):
        pass

    def uids(self, first):
        return [uid for uid in self._uids if uid >= first]

    def fetch(self, uids):
        return []

    def file(self, uids):
        self.filed += uids


@pytest.mark.parametrize("way", ["move", "flag"])
def test_a_poll_asks_about_the_mails_that_lie_there_only(desk_factory, way):
    desk = desk_factory(imap={"after_processing": way})
    arrived = [
        Arrived(mail(uid, "s", "t"), "imap", ("box", "INBOX", 1, uid)) for uid in range(1, 60)
    ]
    take_in(desk, arrived)
    recorder = Recorder(desk.database.engine)
    recorder.is_on = True
    mailbox = MailboxWith(7, 9, 60)
    poll(desk, mailbox)
    assert mailbox.filed == ([7, 9] if way == "move" else [])
    asked = [each.text for each in recorder.statements.values() if "mailbox_entry" in each.text]
    assert asked and all("uid IN" in text or "max(" in text for text in asked)
