"""Copy an SQLite database that is in use, prove that a copy is whole, put one in its place."""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from mailflow.errors import GatewayError, MailflowError

SIDE_FILES = ("-wal", "-shm")


def copy(source: Path, target: Path) -> None:
    """Write what is committed in `source` to `target`, a plain file without a log beside it.

    All is read in one transaction: writers go on meanwhile, and none of what they write is in the
    copy. Raises sqlite3.Error or OSError; GatewayError where there is no `source`.
    """
    if not source.is_file():
        raise GatewayError(f"{source}: there is no such database")
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as reader,
        closing(sqlite3.connect(target)) as writer,
    ):
        reader.execute("PRAGMA busy_timeout=30000")
        reader.backup(writer)  # in one go: between steps, a writer would make it begin again
        writer.execute("PRAGMA journal_mode=DELETE")
    _sync(target)


def verify(file: Path) -> None:
    """Raise GatewayError unless `file` is a whole mailflow database."""
    try:
        place = f"{file.absolute().as_uri()}?mode=ro&immutable=1"  # it may lie where none can write
        with closing(sqlite3.connect(place, uri=True)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
            broken = connection.execute("PRAGMA foreign_key_check").fetchall()
            connection.execute("SELECT count(*) FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise GatewayError(f"{file} is no whole mailflow database: {error}") from error
    if verdict != "ok" or broken:
        raise GatewayError(f"{file} is damaged: {verdict}; {len(broken)} broken references")


def put_in_place(source: Path, place: Path, changes: Iterable[str]) -> Path | None:
    """Put a copy of `source`, with some SQL run on it, where the database `place` is.

    What was there is kept, and its name returned: `….before`, or with a number where that is
    taken. Whenever the machine stops, `place` is the old database or the new one (on filesystems
    without hard links it may be missing), never a part of one. Raises MailflowError while
    somebody has `place` open, sqlite3.Error, OSError.
    """
    draft = place.with_name(place.name + ".restoring")
    draft.unlink(missing_ok=True)
    try:
        copy(source, draft)
        with closing(sqlite3.connect(draft)) as connection, connection:
            for each in changes:
                connection.execute(each)
        _sync(draft)
        kept = _set_aside(place) if place.exists() else None
        for suffix in SIDE_FILES:  # of a database that is gone: they must not meet another one
            place.with_name(place.name + suffix).unlink(missing_ok=True)
        draft.rename(place)
        _sync(place.parent)
    finally:
        draft.unlink(missing_ok=True)
    return kept


def _set_aside(place: Path) -> Path:
    """Give the database a second name; what stands in its log goes with it. Returns the name."""
    is_sound = _fold_in(place)
    number, kept = 1, place.with_name(place.name + ".before")
    while kept.exists():
        number += 1
        kept = place.with_name(f"{place.name}.before-{number}")
    log = place.with_name(place.name + "-wal")
    if log.exists() and not is_sound:
        log.rename(kept.with_name(kept.name + "-wal"))
    try:
        kept.hardlink_to(place)
    except OSError:  # no hard links here
        place.rename(kept)
    return kept


def _fold_in(place: Path) -> bool:
    """Bring what stands in the log into the file; False where the database is too damaged.

    Raises MailflowError while somebody has it open.
    """
    try:
        with closing(sqlite3.connect(place, timeout=1)) as connection:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:  # the low byte: which kind of it
            raise MailflowError(f"{place} is in use; stop mailflow first") from error
        return False
    return True


def _sync(path: Path) -> None:
    """Make what was written to a file, or the names in a folder, last."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
