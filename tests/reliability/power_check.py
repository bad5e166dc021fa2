"""What must be true of a database after a power cut, and once the work was finished on it."""

import itertools
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.default import DefaultDialect

from mailflow.adapters.database import open_database
from mailflow.adapters.tables import Inbound, OutboxMail, Ticket
from mailflow.core.decisions import NoticeKind
from tests.reliability.power_record import Mark, Record, Step
from tests.reliability.power_work import World, message_id

Rows = frozenset[tuple[str, int]]  # of all tables: name and a hash of the row
Facts = dict[str, object]
NONCE = re.compile(r"nonce([0-9]+)")
SETTLED = ("done", "quarantined")


@dataclass
class Findings:
    """What power cuts did, counted. All but `cuts`, `finished` and `repeated` must stay 0."""

    cuts: int = 0
    finished: int = 0  # cuts after which the work was taken up and finished
    repeated: int = 0  # mails sent once more, marked so: accepted, but the cut took the note of it
    damaged: int = 0  # databases that SQLite finds unsound
    rows_lost: int = 0  # rows whose commit had returned
    half_done: int = 0  # databases between two commits
    unfounded: int = 0  # answers that went out without a committed decision
    mails_lost: int = 0
    doubled: int = 0  # mails sent twice without a mark, or under another Message-ID
    different: int = 0  # ends that are not the one of a day without cuts
    stuck: int = 0  # cuts after which the work could not be brought to an end
    examples: list[str] = field(default_factory=list)

    @property
    def bad(self) -> int:
        """How many promises were broken."""
        good = ("cuts", "finished", "repeated", "examples")
        return sum(getattr(self, each.name) for each in fields(self) if each.name not in good)

    def note(self, kind: str, count: int, text: str) -> None:
        """Count `count` cases of `kind`; keep the first few descriptions."""
        if count:
            setattr(self, kind, getattr(self, kind) + count)
            if kind != "repeated" and len(self.examples) < 20:
                self.examples.append(f"{kind}: {text}")


@contextmanager
def noting_commits(record: Record, start: Rows) -> Iterator[None]:
    """Note all rows each time that a commit of SQLAlchemy's has returned with something new."""

    def commit(dialect: SQLiteDialect_pysqlite, connection: Any) -> None:
        DefaultDialect.do_commit(dialect, connection)
        rows = rows_of(connection)
        if rows != latest[0]:
            latest[0] = rows
            record.mark("commit", rows)

    latest = [start]
    SQLiteDialect_pysqlite.do_commit = commit  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        del SQLiteDialect_pysqlite.do_commit


def rows_of(connection: Any) -> Rows:
    """Return all rows of all tables."""
    with closing(connection.cursor()) as cursor:
        tables = cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return frozenset(
            (name, hash(row))
            for (name,) in tables
            for row in cursor.execute(f'SELECT * FROM "{name}"')  # noqa: S608
        )


def check_cut(
    folder: Path,
    before: Sequence[Step],
    after: Sequence[Step],
    start: Rows,
    found: Findings,
    what: str,
) -> Rows:
    """Compare the database in `folder` with what was committed before the cut; return its rows.

    The commit that was under way may be there or not, but as a whole.
    """
    committed = [each.value for each in before if isinstance(each, Mark) and each.kind == "commit"]
    next_one = next((e.value for e in after if isinstance(e, Mark) and e.kind == "commit"), None)
    taken = [each.value for each in before if isinstance(each, Mark) and each.kind == "taken"]
    expected: Any = committed[-1] if committed else start
    place = folder / "mailflow.db"
    if not place.exists():
        found.note("rows_lost", len(expected), f"{what}: the database is gone")
        found.note("unfounded", len(taken), f"{what}: no database")
        return frozenset()
    try:
        with closing(sqlite3.connect(place)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
            orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
            rows = rows_of(connection)
            founded = _founded(connection) if taken else frozenset()
    except sqlite3.DatabaseError as error:
        found.note("damaged", 1, f"{what}: {error}")
        return frozenset()
    found.note("damaged", verdict != "ok" or bool(orphans), f"{what}: {verdict}, {orphans}")
    if rows not in (expected, next_one):
        lost = expected - rows
        tables = dict(Counter(table for table, _ in lost))
        found.note("rows_lost", len(lost), f"{what}: {tables}")
        found.note("half_done", not lost, f"{what}: more than was committed, less than the next")
    unfounded = {message_id(each) for each in taken} - founded
    found.note("unfounded", len(unfounded), f"{what}: {sorted(unfounded)[:2]}")
    return rows


def _founded(connection: sqlite3.Connection) -> frozenset[str]:
    """Return the Message-IDs of mails that the database owes, for mails that it has decided."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if "outbox_mail" not in tables:
        return frozenset()
    rows = connection.execute(
        "SELECT outbox_mail.message_id, inbound.status, outbox_mail.inbound_id FROM outbox_mail "
        "LEFT JOIN inbound ON inbound.id = outbox_mail.inbound_id"
    )
    return frozenset(name for name, status, mail in rows if mail is None or status in SETTLED)


def facts_of(folder: Path) -> Facts:
    """Return what became of each mail, without what depends on the clock.

    That is also which agent has a ticket: the one who was given none for longest.
    """
    database = open_database(f"sqlite:///{folder / 'mailflow.db'}", migrate=False)
    try:
        with database.read() as session:
            inbound = session.scalars(select(Inbound)).all()
            tickets = {row.id: row for row in session.scalars(select(Ticket))}
            outbox = session.scalars(select(OutboxMail)).all()
    finally:
        database.close()
    sent: dict[int | None, list[tuple[str, str, str]]] = {}
    for mail in outbox:
        reader = "an agent" if NoticeKind(mail.kind).is_for_agents else mail.recipient
        sent.setdefault(mail.ticket_id, []).append((mail.kind, reader, mail.status))
    facts: Facts = {"tickets": len(tickets), "without a ticket": sorted(sent.get(None, []))}
    for row in inbound:
        (nonce,) = NONCE.findall(row.subject or "nonce------") or ("------",)
        nonce = nonce if nonce not in facts else f"{nonce} again"
        ticket = tickets.get(row.ticket_id or 0)
        about = None
        if ticket is not None:
            started = ticket.registered_at is not None
            about = (ticket.reference, ticket.state, ticket.priority, started)
        facts[nonce] = (row.status, row.outcome, about, sorted(sent.get(row.ticket_id, [])))
    return facts


def check_end(folder: Path, world: World, expected: Facts, found: Findings, what: str) -> None:
    """Compare the end of the work with the end of a day without cuts.

    A mail may go out once more after each cut, under the same Message-ID and marked so.
    """
    facts = facts_of(folder)
    lost = expected.keys() - facts.keys()
    found.note("mails_lost", len(lost) + len(world.inbox), f"{what}: {sorted(lost)}")
    for nonce, wanted in expected.items():
        if nonce in facts and facts[nonce] != wanted:
            found.note("different", 1, f"{what}: {nonce}: {facts[nonce]} instead of {wanted}")
    more = facts.keys() - expected.keys()
    found.note("doubled", len(more), f"{what}: {sorted(more)}")
    ids = [message_id(each) for each in world.taken]
    spans = itertools.pairwise([0, *world.cuts, len(ids)])
    in_each = [Counter(ids[first:last]) for first, last in spans]  # between two cuts: once
    with closing(sqlite3.connect(folder / "mailflow.db")) as connection:
        known = dict(connection.execute("SELECT message_id, maybe_duplicate FROM outbox_mail"))
        sent = "SELECT message_id FROM outbox_mail WHERE status = 'sent'"
        never = {name for (name,) in connection.execute(sent)}.difference(ids)
    found.note("mails_lost", len(never), f"{what}: marked as sent, never taken: {sorted(never)}")
    strange = set(ids) - known.keys()
    found.note("unfounded", len(strange), f"{what}: nobody owes {sorted(strange)}")
    for name, count in Counter(ids).items():
        if count > 1:
            is_told = known.get(name) == 1 and all(span[name] <= 1 for span in in_each)
            kind = "repeated" if is_told else "doubled"
            found.note(kind, count - 1, f"{what}: {name} was taken {count} times")
