"""Open the database, bring its schema up to date, and hand out transactions."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Executable, event, select
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
)
from sqlalchemy.orm import Session

from mailflow.adapters import tables
from mailflow.errors import ConfigError, GatewayError

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
BUSY_MILLISECONDS = 30_000
IDLE_MILLISECONDS = 12_000  # longer than what we do between two statements, proofs by DNS included


class Database:
    """A database whose schema is the current one."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._reading = engine.execution_options(mailflow_begin="BEGIN")
        self._single = engine.execution_options(mailflow_begin=None)
        self._thread_key: bytes | None = None

    @property
    def is_sqlite(self) -> bool:
        """Whether rows are claimed without SKIP LOCKED."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """One transaction: committed when the block ends, rolled back when it raises.

        Raises GatewayError when the database cannot be reached or is full; nothing was written.
        """
        with self._transaction(self.engine) as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads: it waits for no writer. Raises as `begin`."""
        with self._transaction(self._reading) as session:
            yield session

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Session]:
        try:
            with Session(engine, expire_on_commit=False) as session, session.begin():
                yield session
        except (IntegrityError, DataError, ProgrammingError):  # what we wrote is at fault
            raise
        except DBAPIError as error:
            raise GatewayError(f"the database failed: {error.orig}") from error

    def write(self, *changes: tuple[Executable, Mapping[str, Any]]) -> list[int]:
        """Commit statements, together; return how many rows each changed. Raises as `begin`."""
        engine = self._single if len(changes) == 1 else self.engine
        try:
            with engine.begin() as connection:
                return [connection.execute(*change).rowcount for change in changes]
        except DBAPIError as error:
            raise GatewayError(f"the database failed: {error.orig}") from error

    def thread_key(self) -> bytes:
        """The secret that signs thread tokens: made once, kept with the data."""
        if self._thread_key is None:
            found = self._stored_thread_key()
            if found is None:
                try:
                    with self.begin() as session:
                        found = secrets.token_hex(32)
                        session.add(tables.Setting(name="thread_key", value=found))
                except IntegrityError:  # another process was quicker
                    found = self._stored_thread_key()
            self._thread_key = bytes.fromhex(str(found))
        return self._thread_key

    def _stored_thread_key(self) -> str | None:
        with self.read() as session:
            return session.scalar(
                select(tables.Setting.value).where(tables.Setting.name == "thread_key")
            )

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_database(url: str, *, migrate: bool = True) -> Database:
    """Connect to `url`, run the migrations that are missing, and return the database.

    Raises ConfigError for a URL that cannot be used, GatewayError where the server fails.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
            Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
        is_remote = parsed.get_backend_name() != "sqlite"  # a file's connection does not go away
        engine = sqlalchemy.create_engine(parsed, pool_pre_ping=is_remote)
        if engine.dialect.name == "postgresql":
            event.listen(engine, "connect", _set_up_postgresql)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise ConfigError(
            f"database.url: {error}; expected sqlite:///mailflow.db or "
            "postgresql+psycopg://user@host/name (pip install 'mailflow[postgresql]')"
        ) from error
    except OSError as error:
        raise GatewayError(f"database.url: cannot make the folder of the file: {error}") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    try:
        if migrate:
            upgrade(engine)
    except (DBAPIError, OSError) as error:
        engine.dispose()
        raise GatewayError(f"the database {parsed.render_as_string()} failed: {error}") from error
    database = Database(engine)
    if migrate:
        database.thread_key()  # now: made inside another transaction it would wait for that one
    return database


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Run the migrations up to `revision`. A schema that is up to date costs one query."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        if revision == "head" and current == ScriptDirectory.from_config(config).get_current_head():
            return
        if engine.dialect.name == "postgresql":
            connection.execute(select(sqlalchemy.func.pg_advisory_xact_lock(7_061_993)))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def _set_up_sqlite(connection: object, _record: object) -> None:
    """WAL and FULL: a commit survives a power cut. The driver's own BEGIN is switched off."""
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in (
        f"busy_timeout={BUSY_MILLISECONDS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _set_up_postgresql(connection: object, _record: object) -> None:
    """A worker that is frozen within a transaction does not keep its locks for ever."""
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute(f"SET idle_in_transaction_session_timeout = {IDLE_MILLISECONDS}")
    cursor.close()
    connection.commit()  # type: ignore[attr-defined]


def _begin_immediate(connection: sqlalchemy.Connection) -> None:
    """Take the write lock at once, so that two writers wait instead of failing half-way.

    A statement on its own needs no BEGIN: SQLite commits it as it ends.
    """
    begin = connection.get_execution_options().get("mailflow_begin", "BEGIN IMMEDIATE")
    if begin is not None:
        connection.exec_driver_sql(begin)
