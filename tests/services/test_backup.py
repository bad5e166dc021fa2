"""A backup is whole, taken while others write, and comes back as it was."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mailflow.adapters.database import Database, open_database
from mailflow.adapters.tables import Setting
from mailflow.errors import GatewayError, MailflowError
from mailflow.services.backup import back_up, restore, verify_sqlite


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'desk.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = open_database(url)
    yield opened
    opened.close()


def write(database: Database, name: str) -> None:
    with database.begin() as session:
        session.add(Setting(name=name, value="x"))


def names(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT name FROM setting WHERE name != 'thread_key'")
        return {name for (name,) in found}


def test_a_backup_holds_what_was_committed_and_not_what_was_not(
    database: Database, url: str, tmp_path: Path
) -> None:
    write(database, "committed")
    with database.begin() as session:
        session.add(Setting(name="open", value="x"))
        session.flush()
        back_up(url, tmp_path / "copy.db")
    assert names(tmp_path / "copy.db") == {"committed"}


def test_a_restore_brings_the_old_state_back_and_keeps_the_newer_one(
    database: Database, url: str, tmp_path: Path
) -> None:
    write(database, "before")
    back_up(url, tmp_path / "copy.db")
    write(database, "after")
    database.close()
    with pytest.raises(MailflowError, match="--force"):
        restore(url, tmp_path / "copy.db")
    restore(url, tmp_path / "copy.db", force=True)
    assert names(tmp_path / "desk.db") == {"before"}
    assert names(tmp_path / "desk.db.before") == {"before", "after"}


def test_a_failed_backup_leaves_the_earlier_one_alone(
    database: Database, url: str, tmp_path: Path
) -> None:
    write(database, "first")
    target = tmp_path / "copy.db"
    back_up(url, target)
    with pytest.raises(GatewayError, match="no such database"):
        back_up(f"sqlite:///{tmp_path / 'missing.db'}", target)
    assert names(target) == {"first"}
    assert not list(tmp_path.glob("*.part"))


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
    assert not (tmp_path / "desk.db").exists()


def test_a_page_that_was_damaged_is_seen(database: Database, url: str, tmp_path: Path) -> None:
    for number in range(400):
        write(database, f"row {number:04d}")
    back_up(url, tmp_path / "copy.db")
    content = bytearray((tmp_path / "copy.db").read_bytes())
    place = content.index(b"row 0200")
    content[place - 200 : place + 200] = b"\0" * 400
    (tmp_path / "copy.db").write_bytes(content)
    with pytest.raises(GatewayError):
        verify_sqlite(tmp_path / "copy.db")
