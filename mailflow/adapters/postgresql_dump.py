"""Dump and restore a PostgreSQL database with the programs that come with PostgreSQL."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import sqlalchemy
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from mailflow.adapters.tables import Base
from mailflow.errors import GatewayError, MailflowError

TABLE = re.compile(r"^\d+; \d+ \d+ TABLE public (\S+) ", re.MULTILINE)
DATA = re.compile(r"^\d+; \d+ \d+ TABLE DATA public (\S+) ", re.MULTILINE)
WHOLE = "CREATE TEMPORARY TABLE restored_whole AS SELECT 1"  # the last words of a restore
USERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND usename = current_user AND pid <> pg_backend_pid()"
)


def dump(url: URL, target: Path) -> None:
    """Write one snapshot of the database to `target`, in PostgreSQL's own format.

    Only its owner can read it. Writers go on meanwhile. Raises GatewayError, OSError.
    """
    target.touch(mode=0o600)
    _run("pg_dump", f"--dbname={_conninfo(url)}", "--format=custom", f"--file={target}", url=url)


def verify(file: Path) -> None:
    """Raise GatewayError unless `file`, read to its end, is a dump of a mailflow database."""
    listing = _run("pg_restore", "--list", str(file), what=str(file))
    if not {"ticket", "alembic_version"} <= set(DATA.findall(listing)):
        raise GatewayError(f"{file} is no dump of a mailflow database: it has no tickets")
    _run("pg_restore", f"--file={os.devnull}", str(file), what=str(file))


def find_tables(url: URL) -> set[str]:
    """Return which of mailflow's tables the database has.

    Raises MailflowError while other sessions of the same user are open: mailflow is running.
    """
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    try:
        with engine.connect() as connection:
            users = connection.exec_driver_sql(USERS).scalar_one()
            found = set(sqlalchemy.inspect(connection).get_table_names(schema="public"))
    except DBAPIError as error:
        raise GatewayError(f"the database failed: {error.orig}") from error
    if users:
        raise MailflowError(
            f"the database is in use by {users} more session(s) of its user; stop mailflow on "
            "every host first"
        )
    return found & {*Base.metadata.tables, "alembic_version"}


def put_in_place(url: URL, source: Path, changes: Iterable[str]) -> None:
    """Replace mailflow's tables by those of the dump `source`, with some SQL run on them.

    One transaction: should it fail or be ended half-way, the database is as it was. Raises
    GatewayError.
    """
    listing = _run("pg_restore", "--list", str(source), what=str(source))
    names = {*TABLE.findall(listing), *Base.metadata.tables, "alembic_version"}
    drop = f"DROP TABLE IF EXISTS {', '.join(sorted(names))} CASCADE"
    command = [_find("psql"), f"--dbname={_conninfo(url)}", "--no-psqlrc", "--quiet"]
    command += ["--output", os.devnull, "--single-transaction", "--set=ON_ERROR_STOP=1"]
    command += ["--command=SET client_min_messages = warning", f"--command={drop}"]
    command += ["--command=DROP FUNCTION IF EXISTS refuse_change() CASCADE", "--file=-"]
    command += ["--command=TABLE restored_whole"]  # not there: the dump broke off, so undo all
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(url),
        encoding="utf-8",
        errors="replace",
    ) as writer:
        assert writer.stdin is not None  # noqa: S101  (it is a pipe)
        reader = subprocess.run(
            [_find("pg_restore"), "--no-owner", "--file=-", str(source)],
            stdout=writer.stdin,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        last = "".join(f"{each};\n" for each in ("SET search_path = public", *changes, WHOLE))
        _, problem = writer.communicate(last if reader.returncode == 0 else "")
    if reader.returncode != 0 or writer.returncode != 0:
        told = problem.strip() if reader.returncode == 0 else f"{reader.stderr}{problem}".strip()
        raise GatewayError(f"the restore of {source} failed, nothing was changed: {told}")


def _run(program: str, *arguments: str, url: URL | None = None, what: str = "") -> str:
    done = subprocess.run(
        [_find(program), *arguments],
        env=_environment(url),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        where = f"{what} is no whole dump: " if what else ""
        raise GatewayError(f"{where}{done.stderr.strip() or f'{program} failed'}")
    return done.stdout


def _find(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise GatewayError(
            f"{program} is not installed; it comes with PostgreSQL's client programs "
            "(Debian: apt-get install postgresql-client)"
        )
    return found


def _conninfo(url: URL) -> str:
    """Return the same server, database and options in libpq's words; the password stays out."""
    from psycopg.conninfo import make_conninfo

    _, options = url.get_dialect()().create_connect_args(url)
    options.pop("password", None)
    return make_conninfo("", **options)


def _environment(url: URL | None) -> dict[str, str]:
    """Other users can read a command line, but not the environment."""
    environment = {**os.environ, "PGCLIENTENCODING": "UTF8"}
    if url is not None and url.password is not None:
        environment["PGPASSWORD"] = str(url.password)
    return environment
