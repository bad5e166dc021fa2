"""A small filled database of each released schema, as SQL, to test migrations from.

    python -m tests.schema_dumps        after each new revision, before it is released

writes tests/data/schemas/REVISION.sqlite.sql and REVISION.postgresql.sql for the newest revision.
Dumps of older revisions are never made again: they are what an operator has.
"""

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import sqlalchemy
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url

from mailflow.adapters.database import MIGRATIONS
from mailflow.adapters.leases import hold
from mailflow.adapters.render import Renderer
from mailflow.adapters.store import Arrived
from mailflow.config import load_config
from mailflow.desk import open_desk
from mailflow.services.intake import take_in
from mailflow.services.process import process_due
from tests.factories_desk import MovableClock, write_config
from tests.flows.office import ALICE, CLAIRE, PAUL, Office, answer, write
from tests.flows.reader import Reader
from tests.flows.words import FULL_FR
from tests.servers.postgresql import MISSING, PostgreSQL, find_postgresql

FOLDER = Path(__file__).parent / "data" / "schemas"
DIALECTS = ("sqlite", "postgresql")


def revisions() -> list[str]:
    """Return all revisions, the oldest first."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return [each.revision for each in ScriptDirectory.from_config(config).walk_revisions()][::-1]


def dump_of(revision: str, dialect: str) -> Path:
    """Return where the dump lies."""
    return FOLDER / f"{revision}.{dialect}.sql"


def load(dump: Path, url: str) -> None:
    """Run a dump in the empty database at `url`."""
    script = dump.read_text("utf-8")
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(parsed.database))) as connection:
            connection.executescript(script)
        return
    engine = sqlalchemy.create_engine(parsed, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.connection.cursor().execute(script)  # as it stands: no parameters, many commands
    engine.dispose()


def dump(url: str, *, schema_only: bool = False) -> str:
    """Return the database as SQL."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(parsed.database))) as connection:
            lines = connection.iterdump()
            wanted = [x for x in lines if not (schema_only and x.startswith("INSERT"))]
        return "\n".join(wanted) + "\n"
    options = ["--schema-only"] if schema_only else ["--inserts"]
    done = subprocess.run(
        ["pg_dump", f"--dbname={parsed.set(drivername='postgresql')}", "--no-owner", *options],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PGCLIENTENCODING": "UTF8"},
    )
    lines = done.stdout.splitlines()
    return "\n".join(x for x in lines if not x.startswith(("\\", "--"))) + "\n"


def fill(url: str, folder: Path) -> None:
    """Let a desk work until every table has rows."""
    clock = MovableClock()
    path = write_config(folder, {"database": {"url": url}, "logging": {"level": "error"}})
    desk = open_desk(load_config(path), clock)
    desk.triager = Reader()  # type: ignore[assignment]
    desk.renderer = Renderer(None, "Europe/Paris")
    desk.worker = "host:1:abc"
    office = Office(desk, clock)
    entry = ("support@imap.example:993", "INBOX", 1)
    take_in(desk, [Arrived(write(CLAIRE, "Export impossible", FULL_FR), "imap", (*entry, 7))])
    office.work()
    registration = office.last("registration")
    file = ("écran.png", "image/png", bytes(range(256)))
    office.receive(answer(registration, CLAIRE, "Voici l'écran.", files=[file]))
    office.receive(answer(office.last("agent_new"), ALICE, "#P1 toute la société est bloquée"))
    office.receive(write(PAUL, "Formation", "Bonjour, quand aura lieu la formation ? Paul"))
    office.receive(write(PAUL, "Le module de facturation", "Le module de facturation va mal."))
    office.later(hours=5)  # reminders
    take_in(desk, [Arrived(b"Subject: broken\n\nx", "file", refused="larger than allowed")])
    take_in(desk, [Arrived(write(PAUL, "Encore", FULL_FR), "imap", (*entry, 8))])
    process_due(desk)  # its mails are still to be sent
    take_in(desk, [Arrived(write(PAUL, "À faire", FULL_FR), "imap", (*entry, 9))])
    hold(desk.database, "support@imap.example:993/INBOX", "host:1:abc", clock.now)
    desk.database.close()


def main() -> int:
    """Write the dumps of the newest revision."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "").parse_args()
    newest = revisions()[-1]
    FOLDER.mkdir(parents=True, exist_ok=True)

    def make(dialect: str, new_database: Callable[[], str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            url = new_database()
            fill(url, Path(folder))
            dump_of(newest, dialect).write_text(dump(url), "utf-8")
        print(dump_of(newest, dialect))

    with tempfile.TemporaryDirectory() as folder:
        make("sqlite", lambda: f"sqlite:///{folder}/mailflow.db")
    programs = find_postgresql()
    if programs is None:
        print(MISSING)
        return 1
    with PostgreSQL(programs) as server:
        make("postgresql", server.new_database)
    return 0


if __name__ == "__main__":
    sys.exit(main())
