"""Fill a database with tickets by the million, as mailflow itself would have written them.

    python benchmarks/fill.py FOLDER [--tickets 1000000] [--open 10000] [--seed 1] [--url URL]

Some hundred tickets are played through at a real desk (`stories.py`). Their rows are then copied
with new ids, clients, Message-IDs, references and dates, all indexes in place. The same seed gives
the same clients, ids and Message-IDs. FOLDER gets a configuration beside the database, so that
every command works on it:

    mailflow tickets list -c FOLDER/config.toml
"""

import argparse
import functools
import itertools
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Protocol

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models import COPIED, NUMBERED, Copy, DatedModel, Ids, Model, Row, Rows
from stories import play, write_desk

from mailflow.adapters import tables
from mailflow.adapters.database import Database, open_database
from mailflow.core.threads import ThreadRole, make_message_id
from mailflow.logs import set_up_logs
from mailflow.settings import Logging

ORGANISATIONS = 2000
PEOPLE = 20  # in each of them
WEEKS = range(-150, 4)  # of the closed tickets, counted from that of their models
CHUNK = 4000  # tickets in one transaction
CACHE_KIB = 2_000_000  # of SQLite while it fills


class Filler:
    """Makes copies: who writes, when, and under which ids."""

    def __init__(self, models: Sequence[Model], seed: int, key: bytes) -> None:
        self._models = sorted(models, key=lambda each: each.part.start)
        self._dice = random.Random(seed)
        self._key = key
        self._ids: Ids = dict.fromkeys(NUMBERED, 1)
        self.references: Counter[int] = Counter()
        self.made: Counter[str] = Counter()

    def tickets(self, closed: int, still_open: int) -> Iterator[Rows]:
        """Yield the rows of all tickets in chunks, the oldest first."""
        done = [model for model in self._models if model.part.is_closed]
        live = [model for model in self._models if not model.part.is_closed]
        plan = itertools.chain(
            _spread([(model, week) for week in WEEKS for model in done], closed),
            _spread([(model, 0) for model in live], still_open),
        )
        rows: Rows = {name: [] for name in COPIED}
        for number, dated in enumerate(plan, start=1):
            dated.copy(self._new_copy(dated), rows)
            if number % CHUNK == 0:
                yield rows
                rows = {name: [] for name in COPIED}
        yield rows

    def _new_copy(self, dated: DatedModel) -> Copy:
        """Number a copy and give it its words, in the order of `Model.words`."""
        model, dice = dated.model, self._dice
        company = int(ORGANISATIONS * dice.random() ** 2)  # some write a lot, most do not
        person = dice.randrange(PEOPLE)
        reference = ""
        if model.reference is not None:
            self.references[dated.year] += 1
            reference = f"MF-{dated.year}-{self.references[dated.year]:06d}"
        domain = f"company{company}.example"
        words = [f"person{person}@{domain}", f"Person {person}", f"Company {company}", reference]
        words += [f"{dice.getrandbits(256):064x}" for _ in model.rows["inbound"]]
        words += [f"<{dice.getrandbits(96):024x}@{domain}>" for _ in model.rows["inbound"]]
        words += [self._sign(kind) for kind in model.values("outbox_mail", "kind")]
        copy = Copy(dict(self._ids), words)
        for name, rows in model.rows.items():
            self.made[name] += len(rows)
            if name in self._ids:
                self._ids[name] += len(rows)
        self.made[model.state] += 1
        return copy

    def _sign(self, kind: str) -> str:
        role = ThreadRole.AGENT if kind.startswith("agent_") else ThreadRole.CLIENT
        nonce = f"{self._dice.getrandbits(64):016x}"
        return make_message_id(self._key, self._ids["ticket"], role, nonce, "support.example")


def _spread(places: Sequence[tuple[Model, int]], count: int) -> Iterator[DatedModel]:
    """Share `count` copies out among models and weeks, by the weight of their stories."""
    total = sum(model.part.story.weight for model, _ in places)
    passed = done = 0
    for model, week in places:
        passed += model.part.story.weight
        copies = count * passed // total - done
        done += copies
        if copies:
            yield from itertools.repeat(model.dated(timedelta(weeks=week)), copies)


class Writer(Protocol):
    """Puts many rows into a table at once."""

    def write(self, name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert rows in a transaction of their own."""

    def close(self) -> None:
        """Leave the database as a daemon would find it."""


class SqliteWriter:
    """Inserts into a SQLite file, without waiting for the disk: what breaks is filled anew."""

    def __init__(self, database: Database) -> None:
        self._connection = sqlite3.connect(str(database.engine.url.database), isolation_level=None)
        self._connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._connection.execute("PRAGMA synchronous = OFF")

    def write(self, name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert rows in a transaction of their own."""
        marks = ", ".join("?" * len(columns))
        names = ", ".join(f'"{each}"' for each in columns)
        query = f"INSERT INTO {name} ({names}) VALUES ({marks})"  # noqa: S608
        self._connection.execute("BEGIN")
        self._connection.executemany(query, rows)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Put everything into the one file."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()


class PostgresqlWriter:
    """Inserts by COPY. The foreign keys, which agree, are not looked at: that needs a superuser."""

    def __init__(self, database: Database) -> None:
        self._connection = database.engine.raw_connection()
        self._cursor = self._connection.cursor()
        self._cursor.execute("SET TIME ZONE 'UTC'")
        self._cursor.execute("SET session_replication_role = replica")

    def write(self, name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert rows in a transaction of their own."""
        names = ", ".join(f'"{each}"' for each in columns)
        with self._cursor.copy(f"COPY {name} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        self._connection.commit()

    def close(self) -> None:
        """Let new rows get new ids, and gather what autovacuum would gather in time."""
        for name in NUMBERED:
            sequence = f"pg_get_serial_sequence('{name}', 'id')"
            query = f"SELECT setval({sequence}, (SELECT max(id) FROM {name}))"  # noqa: S608
            self._cursor.execute(query)
        self._cursor.execute("ANALYZE")
        self._connection.commit()
        self._connection.close()


def organisations() -> str:
    """Return the clients' organisations as TOML."""
    return "".join(
        f'[[organisation]]\nname = "Company {number}"\ndomains = ["company{number}.example"]\n'
        f"contract_start = 2020-01-01\n\n"
        for number in range(ORGANISATIONS)
    )


@functools.cache
def play_once() -> tuple[tuple[Model, ...], tuple[Row, ...]]:
    """Play the tickets at a desk of their own; return them, and the policies they keep to."""
    with tempfile.TemporaryDirectory() as folder:
        desk, parts = play(Path(folder))
        desk.database.close()
        with closing(sqlite3.connect(str(desk.database.engine.url.database))) as played:
            models = [Model(played, part, tables.Base.metadata) for part in parts]
            policies = played.execute("SELECT version, content, stored_at FROM sla_policy")
            return tuple(models), tuple(list(row) for row in policies)


def prepare(
    folder: Path, url: str | None, *, closed: int, still_open: int, seed: int = 1
) -> Counter[str]:
    """Fill the desk in `folder` unless it is there; return the rows made, by table and state.

    Without `url` its database is a SQLite file in `folder`. Raises RuntimeError where the database
    at `url` holds tickets already.
    """
    if (folder / "config.toml").exists():
        return Counter()
    models, policies = play_once()
    begin = time.perf_counter()
    url = url or f"sqlite:///{folder.resolve() / 'mailflow.db'}"
    database = open_database(url)
    key = random.Random(seed).randbytes(32)
    with database.begin() as session:
        if session.query(tables.Ticket.id).first() is not None:
            raise RuntimeError(f"{url} holds tickets already")
        session.query(tables.Setting).filter_by(name="thread_key").update({"value": key.hex()})
    writer: Writer = (SqliteWriter if database.is_sqlite else PostgresqlWriter)(database)
    writer.write("sla_policy", ("version", "content", "stored_at"), policies)
    filler = Filler(models, seed, key)
    columns = {name: tables.Base.metadata.tables[name].columns.keys() for name in COPIED}
    for rows in filler.tickets(closed, still_open):
        for name in COPIED:
            writer.write(name, columns[name], rows[name])
    counters = [list(each) for each in filler.references.items()]
    writer.write("reference_counter", ("year", "last"), counters)
    writer.close()
    database.close()
    write_desk(folder, url, organisations())
    seconds = time.perf_counter() - begin
    messages = filler.made["inbound"] + filler.made["outbox_mail"]
    print(f"filled: {filler.made['ticket']:,} tickets, {messages:,} messages, {seconds:.0f} s")
    return filler.made


def main() -> None:
    parser = argparse.ArgumentParser(description="fill a database with tickets")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tickets", type=int, default=1_000_000)
    parser.add_argument("--open", type=int, default=10_000, help="how many of them are open")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--url", help="the database; by default a SQLite file in FOLDER")
    given = parser.parse_args()
    set_up_logs(Logging(level="error"))
    made = prepare(
        given.folder,
        given.url,
        closed=given.tickets - given.open,
        still_open=given.open,
        seed=given.seed,
    )
    print(", ".join(f"{name} {count:,}" for name, count in made.items()))


if __name__ == "__main__":
    main()
