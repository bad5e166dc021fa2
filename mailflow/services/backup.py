"""Copy the database while it is in use, prove that the copy is whole, and put one back."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from mailflow.errors import GatewayError, MailflowError

PAGES_A_STEP = 2000  # between steps, writers get their turn


def back_up(url: str, target: Path) -> int:
    """Write a consistent copy of the database at `url` to `target`; return its size in bytes.

    It is written beside `target` first and verified, then put in its place: an earlier backup is
    never half overwritten. Raises GatewayError when the copy fails or is not whole.
    """
    parsed = make_url(url)
    draft = target.with_name(target.name + ".part")
    draft.unlink(missing_ok=True)
    try:
        if parsed.get_backend_name() == "sqlite":
            _copy_sqlite(Path(str(parsed.database)), draft)
            verify_sqlite(draft)
        else:
            _dump_postgresql(parsed, draft)
        draft.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise GatewayError(f"backup to {target} failed: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return target.stat().st_size


def restore(url: str, source: Path, *, force: bool = False) -> None:
    """Put the backup `source` in the place of the database at `url`; no daemon may be running.

    Raises MailflowError where a database is there already, unless `force`; GatewayError where the
    backup is not whole or the restore fails. The database that was there is kept as `….before`.
    """
    if not source.is_file():
        raise MailflowError(f"{source}: there is no such backup")
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        _restore_postgresql(parsed, source, force=force)
        return
    verify_sqlite(source)
    place = Path(str(parsed.database))
    if place.exists():
        if not force:
            raise MailflowError(f"{place} exists; stop mailflow, then use --force to replace it")
        _fold_in(place)
        for suffix in ("-wal", "-shm"):
            place.with_name(place.name + suffix).unlink(missing_ok=True)
        place.replace(place.with_name(place.name + ".before"))
    try:
        _copy_sqlite(source, place)
    except (OSError, sqlite3.Error) as error:
        raise GatewayError(f"restore of {source} failed: {error}") from error


def verify_sqlite(file: Path) -> None:
    """Raise GatewayError unless `file` is a whole mailflow database."""
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
            broken = connection.execute("PRAGMA foreign_key_check").fetchall()
            connection.execute("SELECT count(*) FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise GatewayError(f"{file} is no whole mailflow database: {error}") from error
    if verdict != "ok" or broken:
        raise GatewayError(f"{file} is damaged: {verdict}; {len(broken)} broken references")


def _copy_sqlite(source: Path, target: Path) -> None:
    if not source.is_file():
        raise GatewayError(f"{source}: there is no such database")
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30)) as reader,
        closing(sqlite3.connect(target)) as writer,
    ):
        reader.backup(writer, pages=PAGES_A_STEP)
    with target.open("rb") as stream:
        os.fsync(stream.fileno())


def _fold_in(place: Path) -> None:
    """Bring what stands in the write-ahead log into the file, so that the copy kept is whole."""
    with closing(sqlite3.connect(place)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _dump_postgresql(url: URL, target: Path) -> None:
    _run_client("pg_dump", url, "--format=custom", f"--file={target}")
    listing = _run_client("pg_restore", None, "--list", str(target))
    if "TABLE DATA public ticket" not in listing:
        raise GatewayError("the dump holds no tickets table; it is not a mailflow database")


def _restore_postgresql(url: URL, source: Path, *, force: bool) -> None:
    options = ["--clean", "--if-exists"] if force else []
    _run_client("pg_restore", url, "--single-transaction", "--no-owner", *options, str(source))


def _run_client(program: str, url: URL | None, *arguments: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise GatewayError(f"{program} is not installed; it comes with PostgreSQL's client package")
    command = [found]
    environment = dict(os.environ)
    if url is not None:
        command += [f"--dbname={url.database}"]
        environment["PGHOST"] = url.host or "localhost"
        environment["PGPORT"] = str(url.port or 5432)
        environment["PGUSER"] = url.username or ""
        if url.password is not None:
            environment["PGPASSWORD"] = str(url.password)
    done = subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise GatewayError(f"{program} failed: {done.stderr.strip()}")
    return done.stdout
