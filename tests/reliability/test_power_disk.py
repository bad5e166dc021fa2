"""The instruments of the power cuts: what is recorded is what SQLite did, and a cut takes the rest."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.reliability.power_disk import SECTOR, Disk
from tests.reliability.power_record import (
    Create,
    Delete,
    Mark,
    Record,
    Step,
    Sync,
    SyncFolder,
    Truncate,
    Write,
    recording,
)


def disk(*steps: Step, start: dict[str, bytes] | None = None) -> Disk:
    """A disk after some steps; the file 'a' has the number 0."""
    made = Disk(Record({"a": b"old"} if start is None else start))
    for step in steps:
        made.take(step)
    return made


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        ((Write(0, 0, b"new"),), {"a": b"old"}),  # never synced
        ((Write(0, 0, b"new"), Sync(0)), {"a": b"new"}),
        ((Write(0, 0, b"new"), Sync(0), Write(0, 3, b"er")), {"a": b"new"}),  # after the sync
        ((Write(0, 5, b"new"), Sync(0)), {"a": b"old\0\0new"}),  # a gap reads as zeros
        ((Truncate(0, 1),), {"a": b"old"}),
        ((Truncate(0, 1), Sync(0)), {"a": b"o"}),
        ((Create("b", 1), Write(1, 0, b"x"), Sync(1)), {"a": b"old"}),  # its name was not synced
        ((Create("b", 1), Write(1, 0, b"x"), Sync(1), SyncFolder()), {"a": b"old", "b": b"x"}),
        ((Create("b", 1), Write(1, 0, b"x"), SyncFolder()), {"a": b"old", "b": b""}),
        ((Delete("a"),), {"a": b"old"}),  # it comes back
        ((Delete("a"), SyncFolder()), {}),
        ((Delete("a"), Create("a", 1), Sync(1)), {"a": b"old"}),  # another file of the same name
        ((Delete("a"), Create("a", 1), SyncFolder()), {"a": b""}),
    ],
)
def test_a_cut_takes_what_was_not_synced(steps: tuple[Step, ...], left: dict[str, bytes]) -> None:
    assert disk(*steps).without_unsynced() == left


def test_a_cut_may_leave_any_part_of_what_was_not_synced() -> None:
    """Writes come through each for itself; one of them is torn between two sectors."""
    old, new = b"o" * SECTOR * 3, b"n" * SECTOR * 3
    cut = disk(Write(0, 0, b"1"), Write(1, 0, new), start={"a": b"0", "b": old})
    chance = random.Random(1)
    seen = [cut.with_some_unsynced(chance) for _ in range(200)]
    assert {each["a"] for each in seen} == {b"0", b"1"}
    patterns = {
        "".join(chr(each["b"][start]) for start in range(0, SECTOR * 3, SECTOR)) for each in seen
    }
    assert patterns == {"noo", "ono", "oon", "nno", "non", "onn"}  # never none, never all
    for each in seen:
        sectors = [each["b"][start : start + SECTOR] for start in range(0, SECTOR * 3, SECTOR)]
        assert all(sector in (b"o" * SECTOR, b"n" * SECTOR) for sector in sectors)


def test_sectors_are_those_of_the_disk_and_not_of_the_write() -> None:
    """The first 512 bytes of a write that begins in the middle of a sector lie in two sectors."""
    cut = disk(Write(0, SECTOR - 1, b"n" * 2), start={"a": b"o" * (SECTOR + 1)})
    chance = random.Random(1)
    seen = {cut.with_some_unsynced(chance)["a"][-2:] for _ in range(50)}
    assert seen == {b"no", b"on"}


def test_what_was_synced_stays_whatever_else_comes_through() -> None:
    cut = disk(Write(0, 0, b"new"), Sync(0), Write(0, 0, b"X" * SECTOR * 2))
    chance = random.Random(1)
    assert all(cut.with_some_unsynced(chance)["a"][:3] in (b"new", b"XXX") for _ in range(50))


def test_the_record_is_what_sqlite_did(tmp_path: Path) -> None:
    """Played again, with everything taken as synced, it gives the same files byte for byte."""
    place = tmp_path / "x.db"
    with recording(tmp_path) as record, closing(sqlite3.connect(place)) as first:
        first.execute("PRAGMA journal_mode=WAL")
        first.execute("PRAGMA wal_autocheckpoint=20")  # the log is begun again on the way
        first.execute("CREATE TABLE t (a)")
        with closing(sqlite3.connect(place)) as second:  # another connection on the same file
            for number in range(60):
                with first if number % 2 else second as connection:
                    connection.execute("INSERT INTO t VALUES (?)", (str(number) * 3000,))
        record.mark("before the end")
        files = {each.name: each.read_bytes() for each in tmp_path.glob("x.db*")}
        del files["x.db-shm"]  # no part of the database: made anew from the log
    at = record.steps.index(Mark("before the end"))
    replayed = Disk(record)
    for step in record.steps[:at]:
        replayed.take(step)
    for number in range(10):
        replayed.take(Sync(number))
    replayed.take(SyncFolder())
    assert replayed.without_unsynced() == files
    assert any(isinstance(each, Write) and each.number == 0 for each in record.steps[:at])


def test_nothing_is_recorded_elsewhere_or_later(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    with recording(tmp_path / "inside") as record:
        with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
            connection.execute("CREATE TABLE t (a)")
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("CREATE TABLE t (a)")
    with closing(sqlite3.connect(tmp_path / "inside" / "x.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
    assert record.steps == []


def test_without_syncs_nothing_counts_as_synced(tmp_path: Path) -> None:
    with recording(tmp_path) as record, closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("CREATE TABLE t (a)")
    assert any(isinstance(each, Write) for each in record.steps)
    assert not any(isinstance(each, Sync | SyncFolder) for each in record.steps)
