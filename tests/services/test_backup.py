"""A backup of an SQLite database is whole, taken while others write, and comes back as it was."""

import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailflow.adapters.database import Database, open_database
from mailflow.adapters.sqlite_copy import verify
from mailflow.adapters.tables import OutboxMail, Setting
from mailflow.errors import GatewayError, MailflowError
from mailflow.services.backup import back_up, restore
from mailflow.services.outbox_claim import RESTORED

NOW = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'desk.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = open_database(url)
    yield opened
    opened.close()


def write(database: Database, *names: str, value: str = "x") -> None:
    with database.begin() as session:
        session.add_all([Setting(name=name, value=value) for name in names])


def names(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT name FROM setting WHERE name != 'thread_key'")
        return {name for (name,) in found}


def files(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def test_a_backup_holds_what_was_committed_and_not_what_was_not(
    database: Database, url: str, tmp_path: Path
) -> None:
    write(database, "committed")
    with database.begin() as session:
        session.add(Setting(name="open", value="x"))
        session.flush()
        back_up(url, tmp_path / "copy.db")
    assert names(tmp_path / "copy.db") == {"committed"}


def test_writers_do_not_make_a_backup_begin_again(
    database: Database, url: str, tmp_path: Path
) -> None:
    """Copied in steps, a database that changes between any two of them is never done."""
    write(database, *(f"page {number}" for number in range(100)), value="x" * 200_000)  # 20 MB
    is_done = threading.Event()
    count, most = 0, 20_000

    def keep_writing() -> None:
        nonlocal count
        with closing(sqlite3.connect(tmp_path / "desk.db", isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=OFF")  # faster than mailflow ever writes
            while not is_done.is_set() and count < most:
                connection.execute("INSERT INTO setting VALUES (?, 'x')", (f"meanwhile {count}",))
                count += 1

    thread = threading.Thread(target=keep_writing)
    thread.start()
    back_up(url, tmp_path / "copy.db")
    is_done.set()
    thread.join(30)
    assert count < most, "the backup was done only after the last write"
    meanwhile = {each for each in names(tmp_path / "copy.db") if each.startswith("meanwhile")}
    assert meanwhile == {f"meanwhile {number}" for number in range(len(meanwhile))}


def test_a_backup_is_one_file_that_only_its_owner_reads(
    database: Database, url: str, tmp_path: Path
) -> None:
    (tmp_path / "backups").mkdir()
    back_up(url, tmp_path / "backups" / "copy.db")
    assert files(tmp_path / "backups") == {"copy.db"}
    assert stat.S_IMODE((tmp_path / "backups" / "copy.db").stat().st_mode) == 0o600


def test_a_restore_brings_the_old_state_back_and_keeps_the_newer_one(
    database: Database, url: str, tmp_path: Path
) -> None:
    write(database, "before")
    back_up(url, tmp_path / "copy.db")
    write(database, "after")
    database.close()
    with pytest.raises(MailflowError, match="--force"):
        restore(url, tmp_path / "copy.db")
    assert restore(url, tmp_path / "copy.db", force=True) == tmp_path / "desk.db.before"
    assert names(tmp_path / "desk.db") == {"before"}
    assert names(tmp_path / "desk.db.before") == {"before", "after"}
    assert names(tmp_path / "copy.db") == {"before"}


def test_a_restore_works_without_hard_links(
    database: Database, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError("this filesystem has none")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    back_up(url, tmp_path / "copy.db")
    write(database, "after")
    database.close()
    restore(url, tmp_path / "copy.db", force=True)
    assert names(tmp_path / "desk.db") == set()
    assert names(tmp_path / "desk.db.before") == {"after"}


def test_a_second_restore_keeps_what_the_first_one_kept(
    database: Database, url: str, tmp_path: Path
) -> None:
    """The wrong backup was taken first: the newest state must not be lost by that."""
    back_up(url, tmp_path / "wrong.db")
    write(database, "newest")
    database.close()
    restore(url, tmp_path / "wrong.db", force=True)
    assert restore(url, tmp_path / "wrong.db", force=True) == tmp_path / "desk.db.before-2"
    assert names(tmp_path / "desk.db.before") == {"newest"}


def test_a_restore_into_nothing_leaves_one_file(
    database: Database, url: str, tmp_path: Path
) -> None:
    write(database, "one")
    back_up(url, tmp_path / "copy.db")
    (tmp_path / "new").mkdir()
    assert restore(f"sqlite:///{tmp_path / 'new' / 'desk.db'}", tmp_path / "copy.db") is None
    assert files(tmp_path / "new") == {"desk.db"}
    assert names(tmp_path / "new" / "desk.db") == {"one"}


def test_the_log_of_a_database_that_is_gone_does_not_meet_the_restored_one(
    database: Database, url: str, tmp_path: Path
) -> None:
    write(database, "one")
    back_up(url, tmp_path / "copy.db")
    write(database, "later")
    log = (tmp_path / "desk.db-wal").read_bytes()
    database.close()
    (tmp_path / "desk.db").unlink()
    (tmp_path / "desk.db-wal").write_bytes(log)
    restore(url, tmp_path / "copy.db")
    assert names(tmp_path / "desk.db") == {"one"}


def test_a_database_in_use_is_not_replaced(database: Database, url: str, tmp_path: Path) -> None:
    write(database, "one")
    back_up(url, tmp_path / "copy.db")
    write(database, "two")
    with pytest.raises(MailflowError, match="in use; stop mailflow"):
        restore(url, tmp_path / "copy.db", force=True)
    assert names(tmp_path / "desk.db") == {"one", "two"}
    assert not [each for each in files(tmp_path) if "restoring" in each or "before" in each]


def test_a_damaged_database_is_replaced_and_kept_with_its_log(
    database: Database, url: str, tmp_path: Path
) -> None:
    """That is what backups are for."""
    write(database, "one")
    back_up(url, tmp_path / "copy.db")
    database.engine.dispose()  # the log goes into the file, and the next one begins
    write(database, "two")
    log = (tmp_path / "desk.db-wal").read_bytes()
    database.close()
    (tmp_path / "desk.db").write_bytes(b"\xff" * 8192)
    (tmp_path / "desk.db-wal").write_bytes(log)
    kept = restore(url, tmp_path / "copy.db", force=True)
    assert names(tmp_path / "desk.db") == {"one"}
    assert kept is not None
    assert kept.read_bytes() == b"\xff" * 8192
    assert kept.with_name(kept.name + "-wal").read_bytes() == log


def test_what_was_still_to_be_sent_is_in_doubt_after_a_restore(
    database: Database, url: str, tmp_path: Path
) -> None:
    """It may have gone out after the backup: the outbox treats it as it does after a crash."""
    with database.begin() as session:
        for number, status in enumerate(("pending", "sending", "sent", "failed")):
            session.add(
                OutboxMail(
                    once=status, message_id=f"<{number}>", kind="answer", language="fr",
                    recipient="a@b.example", status=status, next_attempt_at=NOW, created_at=NOW,
                    sent_at=NOW if status == "sent" else None,
                )
            )  # fmt: skip
    back_up(url, tmp_path / "copy.db")
    database.close()
    restore(url, tmp_path / "copy.db", force=True)
    again = open_database(url)
    with again.read() as session:
        rows = session.query(OutboxMail).order_by(OutboxMail.id).all()
    again.close()
    assert [each.status for each in rows] == ["sending", "sending", "sent", "failed"]
    assert all(each.claimed_until is not None and each.claimed_until < NOW for each in rows[:2])
    assert {each.claimed_by for each in rows[:2]} == {RESTORED}


def test_a_failed_backup_leaves_the_earlier_one_alone(
    database: Database, url: str, tmp_path: Path
) -> None:
    write(database, "first")
    target = tmp_path / "copy.db"
    back_up(url, target)
    with pytest.raises(GatewayError, match="no such database"):
        back_up(f"sqlite:///{tmp_path / 'missing.db'}", target)
    assert names(target) == {"first"}
    assert not [each for each in files(tmp_path) if ".part" in each]


def test_a_place_that_cannot_be_written_is_named(database: Database, url: str) -> None:
    with pytest.raises(GatewayError, match="/proc/copy"):
        back_up(url, Path("/proc/copy.db"))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "no whole"),  # an empty file: the copy was cut off at once
        (b"SQLite format 3\0" + b"\xff" * 5000, "database"),  # the right start, then rubbish
        (b"something else", "database"),  # not a database at all
    ],
)
def test_what_is_not_whole_is_never_restored(
    tmp_path: Path, url: str, content: bytes, word: str
) -> None:
    bad = tmp_path / "bad.db"
    bad.write_bytes(content)
    with pytest.raises(GatewayError, match=word):
        restore(url, bad)
    assert files(tmp_path) == {"bad.db"}


def test_a_page_that_was_damaged_is_seen(database: Database, url: str, tmp_path: Path) -> None:
    write(database, *(f"row {number:04d}" for number in range(400)))
    back_up(url, tmp_path / "copy.db")
    content = bytearray((tmp_path / "copy.db").read_bytes())
    place = content.index(b"row 0200")
    content[place - 200 : place + 200] = b"\0" * 400
    (tmp_path / "copy.db").write_bytes(content)
    with pytest.raises(GatewayError):
        verify(tmp_path / "copy.db")
