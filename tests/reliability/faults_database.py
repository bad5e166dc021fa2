"""Faults of the database and its disk."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import event

from tests.reliability.faults_bench import Bench
from tests.reliability.faults_postgresql import FaultyPostgreSQL
from tests.reliability.faults_table import (
    Act,
    Fault,
    first,
    gives_nothing_up,
    has_struck,
    heal,
    smtp,
    spoil,
    tells_the_truth,
)
from tests.reliability.faults_wire import Call

BETWEEN = b"DATA\r\n"  # once this has passed the server takes the mail, and we want to note it
LOCK = """\
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def keeps_mails(bench: Bench) -> list[str]:
    """What cannot be stored stays in the mailbox."""
    count = len(bench.box.uids())
    return [] if count else ["the mailbox was emptied"]


def _server(bench: Bench) -> FaultyPostgreSQL:
    assert bench.postgresql is not None
    return bench.postgresql


def _stop(bench: Bench) -> None:
    bench.undo.callback(_server(bench).start)
    _server(bench).stop()
    bench.strikes += 1


def _end_sessions(bench: Bench) -> None:
    _server(bench).end_sessions()
    bench.strikes += 1


def at_statement(start: str, what: Act, times: int = 1) -> Act:
    """Do `what` the first `times` that the daemon is about to execute a statement."""

    def begin(bench: Bench) -> None:
        left = iter(range(times))

        def before(_connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
            if statement.startswith(start) and next(left, None) is not None:
                what(bench)

        engine = bench.desk.database.engine
        event.listen(engine, "before_cursor_execute", before)
        bench.undo.callback(event.remove, engine, "before_cursor_execute", before)

    return begin


def at_content(what: Act) -> Act:
    """Do `what` once a mail is on its way: what follows is the window before our note of it."""

    def begin(bench: Bench) -> None:
        spoil(smtp, first(1, partial(Call, BETWEEN, partial(what, bench))), cut=True)(bench)

    return begin


def _file(bench: Bench) -> Path:
    return Path(str(bench.desk.database.engine.url.database))


def _be_impatient(bench: Bench) -> None:
    """Let no statement wait for a lock, where the time is not real."""
    if bench.is_live:
        return
    on_checkout(bench, "PRAGMA busy_timeout = 1")
    bench.undo.callback(on_checkout, bench, "PRAGMA busy_timeout = 30000")


def on_checkout(bench: Bench, statement: str) -> None:
    """Execute `statement` on each connection that the daemon takes from the pool, from now on."""

    def execute(connection: sqlite3.Connection, *_others: Any) -> None:
        connection.execute(statement)

    event.listen(bench.desk.database.engine, "checkout", execute)


def _lock(bench: Bench) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", LOCK, str(_file(bench))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    bench.undo.callback(holder.communicate)
    bench.strikes += 1


def _fill_disk(bench: Bench) -> None:
    ballast = _file(bench).parent / "ballast"
    bench.undo.callback(ballast.unlink)
    with ballast.open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(b"x" * 4096):
            pass
    bench.strikes += 1


def _limit_pages(bench: Bench) -> None:
    """The file may not grow any more."""
    with sqlite3.connect(_file(bench)) as raw:
        (pages,) = raw.execute("PRAGMA page_count").fetchone()
    raw.close()
    on_checkout(bench, f"PRAGMA max_page_count = {pages}")
    bench.undo.callback(on_checkout, bench, "PRAGMA max_page_count = 1073741823")
    bench.strikes += 1


def _after(one: Act, other: Act) -> Act:
    def begin(bench: Bench) -> None:
        one(bench)
        other(bench)

    return begin


def _database(name: str, begin: Act, **more: Any) -> Fault:
    holds: tuple[Callable[[Bench], list[str]], ...] = (
        has_struck,
        gives_nothing_up,
        tells_the_truth,
    )
    return Fault(name, begin, heal, **{"holds": holds, **more})


_postgresql = partial(_database, setting="postgresql")
_STATEMENTS = (
    "INSERT INTO inbound",
    "INSERT INTO ticket",
    "INSERT INTO outbox_mail",
    "UPDATE outbox",
)
LOCKED = _after(_be_impatient, _lock)

FAULTS = (
    _postgresql("PostgreSQL stopped", _stop, holds=(has_struck, keeps_mails)),
    _postgresql(
        "PostgreSQL stopped before a note of acceptance",
        at_content(_stop),
        holds=(has_struck,),
        repeats=1,
    ),
    *(
        _postgresql(f"PostgreSQL session ended at {start}", at_statement(start, _end_sessions))
        for start in _STATEMENTS
    ),
    _postgresql(
        "PostgreSQL session ended at every INSERT INTO ticket for ten minutes",
        at_statement("INSERT INTO ticket", _end_sessions, times=1000),
        lasts=600,
    ),
    _postgresql(
        "PostgreSQL session ended before a note of acceptance", at_content(_end_sessions), repeats=1
    ),
    _database("SQLite locked", LOCKED, holds=(has_struck, keeps_mails, gives_nothing_up)),
    _database(
        "SQLite locked before a note of acceptance",
        _after(_be_impatient, at_content(_lock)),
        repeats=1,
    ),
    _database(
        "disk full",
        _fill_disk,
        setting="small disk",
        holds=(has_struck, keeps_mails, gives_nothing_up),
    ),
    _database(
        "disk full before a note of acceptance",
        at_content(_fill_disk),
        setting="small disk",
        repeats=1,
    ),
    _database("database may not grow", _limit_pages, repeats=2),
    _database(
        "database may not grow for ten minutes",
        _limit_pages,
        repeats=2,
        lasts=600,
    ),
)
