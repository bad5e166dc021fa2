"""Copy the database while it is in use, prove that the copy is whole, and put one back."""

import sqlite3
from pathlib import Path

from sqlalchemy.engine import make_url

from mailflow.adapters import postgresql_dump, sqlite_copy
from mailflow.errors import GatewayError, MailflowError

# What was still to be sent may have been sent since: as after a crash, the journal is asked, or
# the mail goes out under its old Message-ID and is marked as a possible duplicate.
IN_DOUBT = (
    "UPDATE outbox_mail SET status = 'sending', claimed_by = 'restore', "  # outbox_claim.RESTORED
    "claimed_until = '1970-01-01 00:00:00' WHERE status IN ('pending', 'sending') "
    "AND sent_at IS NULL"
)


def back_up(url: str, target: Path) -> int:
    """Write a consistent copy of the database at `url` to `target`; return its size in bytes.

    It is written beside `target` first and verified, then put in its place: an earlier backup is
    never half overwritten. Only its owner can read it. Raises GatewayError when the copy fails or
    is not whole.
    """
    parsed = make_url(url)
    draft = target.with_name(target.name + ".part")
    try:
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600, exist_ok=False)
        if parsed.get_backend_name() == "sqlite":
            sqlite_copy.copy(Path(str(parsed.database)), draft)
            sqlite_copy.verify(draft)
        else:
            postgresql_dump.dump(parsed, draft)
            postgresql_dump.verify(draft)
        draft.replace(target)
        return target.stat().st_size
    except (OSError, sqlite3.Error) as error:
        raise GatewayError(f"backup to {target} failed: {error}") from error
    finally:
        draft.unlink(missing_ok=True)


def restore(url: str, source: Path, *, force: bool = False) -> Path | None:
    """Put the backup `source` in the place of the database at `url`; no daemon may be running.

    Returns where the database that was there is kept, None if there was none: on SQLite beside
    it as `….before`, on PostgreSQL as a dump beside `source`. Raises MailflowError where a
    database is there already, unless `force`, or is in use; GatewayError where the backup is not
    whole or the restore fails.
    """
    if not source.is_file():
        raise MailflowError(f"{source}: there is no such backup")
    parsed = make_url(url)
    try:
        if parsed.get_backend_name() != "sqlite":
            return _restore_postgresql(url, source, force=force)
        sqlite_copy.verify(source)
        place = Path(str(parsed.database))
        if place.exists() and not force:
            raise MailflowError(f"{place} exists; stop mailflow, then use --force to replace it")
        return sqlite_copy.put_in_place(source, place, [IN_DOUBT])
    except (OSError, sqlite3.Error) as error:
        raise GatewayError(f"restore of {source} failed: {error}") from error


def _restore_postgresql(url: str, source: Path, *, force: bool) -> Path | None:
    parsed = make_url(url)
    postgresql_dump.verify(source)
    found = postgresql_dump.find_tables(parsed)
    kept = None
    if found:
        if not force:
            raise MailflowError(
                f"the database {parsed.database} holds tickets already; stop mailflow, then use "
                "--force to replace them"
            )
        kept = _free_name(source.with_name(f"{parsed.database}.before"))
        postgresql_dump.dump(parsed, kept)
    postgresql_dump.put_in_place(parsed, source, [IN_DOUBT])
    return kept


def _free_name(path: Path) -> Path:
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
