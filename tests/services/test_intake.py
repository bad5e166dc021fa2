"""Mails come in once each, whatever the server and the moment of a failure."""

import mailbox as mailbox_formats
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from mailflow.adapters.imap import STORED_FLAG, ImapMailbox
from mailflow.adapters.store import Arrived, Stored, store_mails
from mailflow.adapters.tables import Inbound, MailboxEntry, OutboxMail, RawMail
from mailflow.desk import Desk
from mailflow.errors import GatewayError, MailflowError
from mailflow.services import intake
from mailflow.services.intake import poll, read_mails, take_in
from tests.factories_desk import DeskFactory, deliver
from tests.factories_mail import make_mail
from tests.servers.boxes import Box, with_crlf

Polling = Callable[..., int]


def count(desk: Desk, table: Any) -> int:
    with desk.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def raws(desk: Desk) -> list[bytes]:
    with desk.database.read() as session:
        return list(session.scalars(select(RawMail.content).order_by(RawMail.inbound_id)))


def poll_once(desk: Desk) -> int:
    with ImapMailbox(desk.config.require_imap(), desk.config.limits.max_mail_bytes) as mailbox:
        return poll(desk, mailbox)


def numbered(number: int) -> bytes:
    return make_mail(f"Mail {number}", f"Number {number}", message_id=f"<n{number}@client.example>")


def test_two_hundred_mails_are_taken_in_once_each(box: Box, desk_factory: DeskFactory) -> None:
    mails = [numbered(number) for number in range(200)]
    box.deliver(*mails)
    desk = desk_factory(imap=box.section())

    assert poll_once(desk) == 200
    assert poll_once(desk) == 0

    assert raws(desk) == [with_crlf(mail) for mail in mails]  # every byte, in order
    assert count(desk, MailboxEntry) == 200
    assert box.uids() == []
    assert len(box.uids(box.processed)) == 200


def test_flagging_leaves_the_mails_where_they_are(box: Box, desk_factory: DeskFactory) -> None:
    box.deliver(numbered(1), numbered(2))
    desk = desk_factory(imap=box.section(after_processing="flag", processed_folder=None))

    assert poll_once(desk) == 2
    assert len(box.uids()) == 2
    if box.kind == "dovecot":  # pymap knows no keywords
        assert all(STORED_FLAG in flags for flags in box.flags().values())

    box.deliver(numbered(3))
    assert poll_once(desk) == 1
    assert poll_once(desk) == 0
    assert count(desk, Inbound) == 3


def test_flags_decide_nothing(box: Box, desk_factory: DeskFactory) -> None:
    """Somebody read the mail in a mail program first: it is taken in all the same, still unread."""
    box.deliver(numbered(1), numbered(2))
    with box.session() as client:
        client.select_folder(box.folder)
        client.add_flags([box_uid := client.search()[0]], [b"\\Seen", b"\\Answered"])
    desk = desk_factory(imap=box.section(after_processing="flag", processed_folder=None))

    assert poll_once(desk) == 2
    flags = box.flags()
    assert {b"\\Seen", b"\\Answered"} <= flags.pop(box_uid)
    assert all(b"\\Seen" not in other for other in flags.values())


@pytest.mark.parametrize("after", ["move", "flag"])
def test_another_uidvalidity_doubles_nothing(
    box: Box, desk_factory: DeskFactory, after: str
) -> None:
    """The folder was made anew and the provider restored the same mails under new UIDs."""
    mails = [numbered(number) for number in range(3)]
    box.deliver(*mails)
    desk = desk_factory(imap=box.section(after_processing=after))
    with ImapMailbox(desk.config.require_imap(), 1_000_000) as mailbox:
        assert poll(desk, mailbox) == 3
        before = mailbox.uidvalidity

    box.recreate(*mails, numbered(99))
    with ImapMailbox(desk.config.require_imap(), 1_000_000) as mailbox:
        assert poll(desk, mailbox) == 4
        assert mailbox.uidvalidity != before

    assert count(desk, Inbound) == 4  # only number 99 is new
    assert count(desk, MailboxEntry) == 7
    assert len(box.uids()) == (0 if after == "move" else 4)


def test_mails_stored_but_not_moved_are_only_moved(box: Box, desk_factory: DeskFactory) -> None:
    """The power failed between the commit and the move."""
    box.deliver(numbered(1), numbered(2))
    desk = desk_factory(imap=box.section())
    with ImapMailbox(desk.config.require_imap(), 1_000_000) as mailbox:
        entry = (mailbox.name, box.folder, mailbox.uidvalidity, mailbox.uids()[0])
        take_in(desk, [Arrived(numbered(1), "imap", entry)])

    assert poll_once(desk) == 1  # the other one
    assert count(desk, Inbound) == 2
    assert count(desk, MailboxEntry) == 2
    assert box.uids() == []
    assert len(box.uids(box.processed)) == 2


@pytest.mark.parametrize("failpoint", ["intake-fetched", "intake-committed", "intake-filed:1"])
def test_a_killed_process_loses_and_doubles_nothing(
    dovecot_box: Box, desk_factory: DeskFactory, failpoint: str
) -> None:
    dovecot_box.deliver(*[numbered(number) for number in range(5)])
    config = desk_factory.config(imap=dovecot_box.section())
    killed = subprocess.run(
        [sys.executable, "-c", _POLL, str(config)],
        env={**os.environ, "MAILFLOW_FAILPOINT": failpoint},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -9, killed.stderr.decode()

    desk = desk_factory(imap=dovecot_box.section())
    poll_once(desk)
    assert raws(desk) == [with_crlf(numbered(number)) for number in range(5)]
    assert dovecot_box.uids() == []
    assert len(dovecot_box.uids("Processed")) == 5


test_a_killed_process_loses_and_doubles_nothing = pytest.mark.dovecot(
    test_a_killed_process_loses_and_doubles_nothing
)

_POLL = """
import sys
from pathlib import Path
from mailflow.adapters.imap import ImapMailbox
from mailflow.config import load_config
from mailflow.desk import open_desk
from mailflow.services.intake import poll

desk = open_desk(load_config(Path(sys.argv[1])))
with ImapMailbox(desk.config.require_imap(), 1_000_000) as mailbox:
    poll(desk, mailbox)
"""


def test_a_mail_delivered_twice_is_stored_once(box: Box, desk_factory: DeskFactory) -> None:
    """To an alias and to the address itself: only what servers added differs."""
    mail = numbered(1)
    box.deliver(mail, b"Received: from mx2.client.example\r\nX-Spam-Score: 0\r\n" + mail)
    desk = desk_factory(imap=box.section())

    assert poll_once(desk) == 2
    assert count(desk, Inbound) == 1
    assert count(desk, MailboxEntry) == 2
    assert box.uids() == []


def test_the_same_message_id_with_other_content_is_another_mail(
    box: Box, desk_factory: DeskFactory
) -> None:
    same = "<same@client.example>"
    box.deliver(make_mail("One", message_id=same), make_mail("Two", message_id=same))
    desk = desk_factory(imap=box.section())

    assert poll_once(desk) == 2
    assert count(desk, Inbound) == 2


def test_an_oversize_mail_is_quarantined_and_stays(box: Box, desk_factory: DeskFactory) -> None:
    box.deliver(numbered(1), make_mail("x" * 30_000, "Too large"), numbered(2))
    desk = desk_factory(imap=box.section(), limits={"max_mail_bytes": 20_000})

    assert poll_once(desk) == 3
    assert poll_once(desk) == 0  # and the next poll neither takes it nor moves it

    (left,) = box.uids()
    with desk.database.read() as session:
        (row,) = session.scalars(select(Inbound).where(Inbound.status == "quarantined"))
        raw = session.get_one(RawMail, row.id).content
        told = session.scalars(select(OutboxMail.kind)).all()
    assert f"UID {left}" in str(row.reason)
    assert b"Subject: Too large" in raw
    assert b"xxxx" not in raw
    assert set(told) == {"agent_problem"}
    assert len(box.uids(box.processed)) == 2


def test_an_oversize_mail_that_was_dealt_with_stays_dealt_with(
    dovecot_box: Box, desk_factory: DeskFactory
) -> None:
    """After a change of UIDVALIDITY the same header comes again."""
    large = make_mail("x" * 30_000, "Too large")
    dovecot_box.deliver(large)
    desk = desk_factory(imap=dovecot_box.section(), limits={"max_mail_bytes": 20_000})
    poll_once(desk)
    with desk.database.begin() as session:
        session.scalars(select(Inbound)).one().status = "dropped"

    dovecot_box.recreate(large)
    assert poll_once(desk) == 1
    with desk.database.read() as session:
        assert session.scalars(select(Inbound.status)).one() == "dropped"


test_an_oversize_mail_that_was_dealt_with_stays_dealt_with = pytest.mark.dovecot(
    test_an_oversize_mail_that_was_dealt_with_stays_dealt_with
)


def test_mails_that_vanish_after_the_search_are_passed_over(
    box: Box, desk_factory: DeskFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent deletes a mail between our SEARCH and our FETCH."""
    box.deliver(*[numbered(number) for number in range(4)])
    desk = desk_factory(imap=box.section())
    search = ImapMailbox.uids

    def search_then_lose(mailbox: ImapMailbox, first: int = 1) -> list[int]:
        found = search(mailbox, first)
        monkeypatch.setattr(ImapMailbox, "uids", search)
        box.remove(found[1], found[2])
        return found

    monkeypatch.setattr(ImapMailbox, "uids", search_then_lose)
    assert poll_once(desk) == 2
    assert raws(desk) == [with_crlf(numbered(0)), with_crlf(numbered(3))]
    assert box.uids() == []


def test_nothing_is_moved_when_the_database_fails(
    box: Box, desk_factory: DeskFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.deliver(numbered(1))
    desk = desk_factory(imap=box.section())

    def full(*_args: object) -> Stored:
        raise GatewayError("database or disk is full")

    monkeypatch.setattr(intake, "store_mails", full)
    with pytest.raises(GatewayError, match="full"):
        poll_once(desk)
    monkeypatch.setattr(intake, "store_mails", store_mails)

    assert len(box.uids()) == 1
    assert poll_once(desk) == 1


def test_two_workers_on_one_mailbox_store_each_mail_once(
    box: Box, desk_factory: DeskFactory
) -> None:
    """Both have searched before either has stored."""
    box.deliver(*[numbered(number) for number in range(3)])
    one, two = desk_factory(imap=box.section()), desk_factory(imap=box.section())
    settings = one.config.require_imap()
    with ImapMailbox(settings, 1_000_000) as first, ImapMailbox(settings, 1_000_000) as second:
        fetched = [next(each.fetch(each.uids())) for each in (first, second)]
        for desk, mailbox, batch in zip((one, two), (first, second), fetched, strict=True):
            entry = (mailbox.name, box.folder, mailbox.uidvalidity)
            take_in(desk, [Arrived(mail.raw, "imap", (*entry, mail.uid)) for mail in batch])
            mailbox.file([mail.uid for mail in batch])

    assert count(one, Inbound) == 3
    assert count(one, MailboxEntry) == 3
    assert len(box.uids(box.processed)) == 3


@pytest.mark.parametrize("size", [1, 3])
def test_take_in_says_what_was_there_already(desk: Desk, size: int) -> None:
    mails = [Arrived(numbered(number), "file") for number in range(size)]
    assert [each.duplicate for each in take_in(desk, mails)] == [False] * size
    assert [each.duplicate for each in take_in(desk, mails)] == [True] * size


def test_bytes_that_are_no_mail_are_kept_too(desk: Desk) -> None:
    deliver(desk, b"", b"\x00\xff\xfe", b"no header at all")
    assert raws(desk) == [b"", b"\x00\xff\xfe", b"no header at all"]


def test_read_mails_takes_files_folders_mbox_and_maildir(tmp_path: Path) -> None:
    one, two, three = numbered(1), numbered(2), numbered(3)
    folder = tmp_path / "mails" / "deeper"
    folder.mkdir(parents=True)
    (tmp_path / "mails" / "a.eml").write_bytes(one)
    (folder / "b.EML").write_bytes(two)
    (folder / "notes.txt").write_text("not a mail")
    assert list(read_mails(tmp_path / "mails" / "a.eml")) == [one]
    assert list(read_mails(tmp_path / "mails")) == [one, two]

    box = mailbox_formats.mbox(tmp_path / "archive.mbox")
    for mail in (one, two, three):
        box.add(mail)
    box.close()
    assert [mail.strip() for mail in read_mails(tmp_path / "archive.mbox")] == [
        mail.strip() for mail in (one, two, three)
    ]

    maildir = mailbox_formats.Maildir(tmp_path / "maildir")
    maildir.add(one)
    maildir.add(two)
    maildir.close()
    assert sorted(read_mails(tmp_path / "maildir")) == sorted([one, two])


def test_read_mails_names_what_it_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(MailflowError, match="missing"):
        list(read_mails(tmp_path / "missing.eml"))
