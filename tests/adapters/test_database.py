"""The database: its schema, its promises, and what it refuses."""

import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from mailflow.adapters.database import Database, open_database
from mailflow.adapters.store import add_event
from mailflow.adapters.tables import Attachment, Base, Event, Inbound, Setting, Ticket
from mailflow.errors import ConfigError, GatewayError

NOW = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path, migrated_database: Path) -> Iterator[Database]:
    path = tmp_path / "mailflow.db"
    path.write_bytes(migrated_database.read_bytes())
    database = open_database(f"sqlite:///{path}")
    yield database
    database.close()


def make_inbound(**changes: object) -> Inbound:
    values = {
        "identity": "x",
        "source": "file",
        "size": 1,
        "received_at": NOW,
        "next_attempt_at": NOW,
    }
    return Inbound(**{**values, **changes})


def make_ticket() -> Ticket:
    return Ticket(
        state="open",
        subject="s",
        requester="claire@client.example",
        language="fr",
        kind="problem",
        created_at=NOW,
        changed_at=NOW,
    )


def test_an_empty_database_gets_every_table(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/new/folder/mailflow.db")
    try:
        found = set(inspect(database.engine).get_table_names())
    finally:
        database.close()
    assert found == {*Base.metadata.tables, "alembic_version"}


def test_the_migrations_and_the_tables_agree(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, Base.metadata) == []


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/mailflow.db"
    first = open_database(url)
    with first.begin() as session:
        session.add(make_inbound())
    key = first.thread_key()
    second = open_database(url)
    try:
        with second.read() as session:
            assert session.scalars(select(Inbound.identity)).all() == ["x"]
        assert second.thread_key() == key
    finally:
        first.close()
        second.close()


def test_a_commit_survives_a_power_cut_by_its_settings(database: Database) -> None:
    with database.read() as session:
        pragmas = {
            name: session.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }


@pytest.mark.parametrize("statement", ["UPDATE event SET kind = 'x'", "DELETE FROM event"])
def test_the_event_log_can_only_grow(database: Database, statement: str) -> None:
    with database.begin() as session:
        ticket = make_ticket()
        session.add(ticket)
        session.flush()
        add_event(session, ticket, "registered", NOW, "mailflow")
    with pytest.raises((IntegrityError, GatewayError)), database.begin() as session:
        session.execute(text(statement))
    with database.read() as session:
        assert session.scalars(select(Event.kind)).all() == ["registered"]


def test_instants_come_back_aware_and_in_utc(database: Database) -> None:
    paris = timezone(timedelta(hours=1))
    with database.begin() as session:
        session.add(make_inbound(received_at=datetime(2026, 3, 3, 10, 0, tzinfo=paris)))
    with database.read() as session:
        found = session.scalars(select(Inbound)).one()
        assert found.received_at == NOW
        assert found.received_at.tzinfo is UTC
        assert session.scalar(select(Inbound.id).where(Inbound.received_at <= NOW)) == found.id


def test_a_naive_instant_is_refused(database: Database) -> None:
    naive = datetime(2026, 3, 3, 10, 0)
    with pytest.raises(StatementError, match="naive datetime"), database.begin() as session:
        session.add(make_inbound(received_at=naive))
    with pytest.raises(StatementError, match="naive"), database.read() as session:
        session.scalars(select(Inbound).where(Inbound.received_at < naive)).all()


def test_foreign_keys_hold(database: Database) -> None:
    orphan = Attachment(inbound_id=99, sha256="0", filename="x", content_type="x/y", size=1)
    with pytest.raises(IntegrityError), database.begin() as session:
        session.add(orphan)


def test_a_transaction_that_raises_writes_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.begin() as session:
        session.add(make_inbound())
        session.flush()
        raise RuntimeError
    with database.read() as session:
        assert session.scalars(select(Inbound)).all() == []


def test_reading_waits_for_no_writer(database: Database) -> None:
    """A writer in the middle of its transaction: readers see what was there before."""
    with database.begin() as writing:
        writing.add(make_inbound())
        writing.flush()
        with database.read() as reading:
            assert reading.scalars(select(Inbound)).all() == []
    with database.read() as reading:
        assert len(reading.scalars(select(Inbound)).all()) == 1


def test_a_writer_waits_for_a_writer(database: Database) -> None:
    """Two that read, then write: the second sees what the first wrote, instead of failing."""
    is_inside = threading.Event()

    def second() -> None:
        is_inside.set()
        with database.begin() as session:
            setting = session.get_one(Setting, "count")
            setting.value = str(int(setting.value) + 1)

    with database.begin() as session:
        session.add(Setting(name="count", value="1"))
    thread = threading.Thread(target=second)
    with database.begin() as session:
        setting = session.get_one(Setting, "count")
        thread.start()
        is_inside.wait(10)
        setting.value = str(int(setting.value) + 1)
    thread.join(30)
    with database.read() as session:
        assert session.get_one(Setting, "count").value == "3"


def test_the_key_is_there_before_the_first_transaction(database: Database) -> None:
    """Made inside another transaction, it would wait for that one to end."""
    with database.begin():
        assert len(database.thread_key()) == 32


def test_two_processes_agree_on_the_key(tmp_path: Path, migrated_database: Path) -> None:
    path = tmp_path / "mailflow.db"
    path.write_bytes(migrated_database.read_bytes())
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM setting")
    connection.close()
    both = [open_database(f"sqlite:///{path}", migrate=False) for _ in range(2)]
    try:
        assert both[0].thread_key() == both[1].thread_key()
    finally:
        for each in both:
            each.close()


def test_a_full_disk_is_a_gateway_error_and_passes(database: Database) -> None:
    with database.read() as session:
        pages = session.execute(text("PRAGMA page_count")).scalar() or 0

    def limit(most: int) -> None:
        with database.read() as session:
            session.execute(text(f"PRAGMA max_page_count = {most}"))

    limit(pages)
    with pytest.raises(GatewayError, match="full"), database.begin() as session:
        session.add(make_inbound(new_text="x" * 1_000_000))
    limit(1_000_000)
    with database.begin() as session:
        session.add(make_inbound())


@pytest.mark.parametrize(
    "url",
    [
        "not a url",
        "nosuchdatabase://host/name",
        "sqlite+nosuchdriver:///x.db",
        "",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_in_words(url: str) -> None:
    with pytest.raises(ConfigError, match=r"database\.url.*expected sqlite:///mailflow\.db"):
        open_database(url)


def test_a_place_that_cannot_be_written_is_a_gateway_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(GatewayError, match="folder"):
        open_database(f"sqlite:///{tmp_path}/file/mailflow.db")
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(GatewayError, match="failed"):
        open_database(f"sqlite:///{tmp_path}/folder.db")


def test_a_file_that_is_no_database_is_a_gateway_error(tmp_path: Path) -> None:
    path = tmp_path / "mailflow.db"
    path.write_bytes(b"this is no database, " * 100)
    with pytest.raises(GatewayError, match="not a database"):
        open_database(f"sqlite:///{path}")


def test_a_password_in_the_url_is_not_shown() -> None:
    pytest.importorskip("psycopg")
    url = "postgresql+psycopg://user:secret-word@127.0.0.1:1/name"
    with pytest.raises(GatewayError) as raised:
        open_database(url)
    assert "secret-word" not in str(raised.value)


def test_sqlalchemy_keeps_to_one_instant_type() -> None:
    """Every column of an instant goes through the type that refuses naive ones."""
    plain = [
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if type(column.type) is sqlalchemy.DateTime
    ]
    assert plain == []
