"""From every released schema, filled, to today's: no row is lost, and the desk works on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select

from mailflow.adapters.database import Database, open_database, upgrade
from mailflow.adapters.tables import Base, OutboxMail, Ticket
from tests.factories_desk import DeskFactory, MovableClock
from tests.flows.office import CLAIRE, PAUL, Office, Sent, answer, kinds, write
from tests.flows.reader import Reader
from tests.flows.words import FULL_FR
from tests.schema_dumps import DIALECTS, FOLDER, dump, dump_of, load, revisions
from tests.servers.postgresql import MISSING, PostgreSQL, find_postgresql

MAKE = "run `python -m tests.schema_dumps` and add what it writes"
Rows = dict[str, list[dict[str, object]]]
BOTH = [
    "sqlite",
    pytest.param("postgresql", marks=[pytest.mark.postgresql, pytest.mark.slow]),
]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    programs = find_postgresql()
    assert programs is not None, MISSING
    with PostgreSQL(programs) as running:
        yield running


@pytest.fixture(params=BOTH)
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def new_database(
    request: pytest.FixtureRequest, dialect: str, tmp_path: Path
) -> Callable[[str], str]:
    """Make an empty database; return its URL."""
    if dialect == "postgresql":
        server: PostgreSQL = request.getfixturevalue("server")
        return lambda name: server.new_database()
    return lambda name: f"sqlite:///{tmp_path / name}.db"


@pytest.fixture(params=revisions())
def old(
    request: pytest.FixtureRequest, dialect: str, new_database: Callable[[str], str]
) -> Iterator[tuple[str, str]]:
    """A revision, and a filled database as it was then."""
    url = new_database("old")
    load(dump_of(request.param, dialect), url)
    yield request.param, url


def rows(url: str) -> Rows:
    """All rows of all tables, as they are stored."""
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        names = sqlalchemy.inspect(connection).get_table_names()
        found = {
            name: [
                dict(row._mapping)
                for row in connection.exec_driver_sql(f'SELECT * FROM "{name}"')  # noqa: S608
            ]
            for name in names
        }
    engine.dispose()
    return found


def test_every_revision_has_its_dumps() -> None:
    """A schema that was released without one could never be tested again."""
    wanted = {dump_of(revision, dialect).name for revision in revisions() for dialect in DIALECTS}
    assert {each.name for each in FOLDER.iterdir()} == wanted, MAKE


def test_no_row_is_lost(old: tuple[str, str]) -> None:
    revision, url = old
    before = rows(url)
    assert before["alembic_version"] == [{"version_num": revision}], MAKE
    assert [name for name, content in before.items() if not content] == []  # every table is tried
    open_database(url).close()
    after = rows(url)
    assert after.pop("alembic_version") == [{"version_num": revisions()[-1]}]
    del before["alembic_version"]
    for name, content in before.items():
        columns = content[0].keys()
        kept = [{column: row[column] for column in columns} for row in after[name]]
        assert sorted(kept, key=repr) == sorted(content, key=repr), name


def test_the_outcome_is_the_schema_of_today(old: tuple[str, str]) -> None:
    database = open_database(old[1])
    try:
        with database.engine.connect() as connection:
            is_sqlite = connection.dialect.name == "sqlite"  # which stores no types worth comparing
            context = MigrationContext.configure(connection, opts={"compare_type": not is_sqlite})
            assert compare_metadata(context, Base.metadata) == []
    finally:
        database.close()


def test_the_outcome_is_that_of_a_new_database(
    old: tuple[str, str], new_database: Callable[[str], str]
) -> None:
    """Also in what metadata does not tell, such as the trigger that guards events."""
    open_database(old[1]).close()
    new = new_database("new")
    open_database(new).close()
    assert parts_of(dump(old[1], schema_only=True)) == parts_of(dump(new, schema_only=True))


def test_a_released_migration_does_not_change(
    old: tuple[str, str], new_database: Callable[[str], str]
) -> None:
    """Who has run it would never get the change: that takes a new revision."""
    revision, url = old
    again = new_database("again")
    database = open_database(again, migrate=False)
    upgrade(database.engine, revision)
    database.close()
    assert parts_of(dump(again, schema_only=True)) == parts_of(dump(url, schema_only=True)), (
        f"{revision} was changed after its release, or its dump is older: before a release, {MAKE}"
    )


def parts_of(script: str) -> list[str]:
    """The statements of a dump in any order: a table that was changed is listed elsewhere."""
    return sorted(" ".join(each.split()) for each in script.split(";\n"))


def test_upgrading_twice_is_upgrading_once(old: tuple[str, str]) -> None:
    open_database(old[1]).close()
    before = rows(old[1])
    open_database(old[1]).close()
    assert rows(old[1]) == before


def test_the_desk_works_on(old: tuple[str, str], desk_factory: DeskFactory) -> None:
    """Threads are known by their signatures, numbers go on, what was owed is sent, once."""
    _, url = old
    clock = MovableClock()
    clock.advance(days=1)
    desk = desk_factory("desk", clock, database={"url": url})
    desk.triager = Reader()  # type: ignore[assignment]
    office = Office(desk, clock)
    numbers = {each.reference for each in office.tickets() if each.reference}
    registration = sent_before(desk.database)
    owed = office.work()
    assert "registration → paul" in kinds(owed)
    sent = office.receive(answer(registration, CLAIRE, "Et encore une précision."))
    assert kinds(sent) == ["agent_reply → alice"]
    assert office.inbound().ticket_id == 1
    office.receive(write(PAUL, "Tout autre chose", FULL_FR))
    assert office.ticket().reference not in numbers
    assert office.ticket().registered_at == clock.now


def sent_before(database: Database) -> Sent:
    """The first registration that was sent before the upgrade."""
    with database.read() as session:
        row = session.scalars(
            select(OutboxMail).join(Ticket).where(OutboxMail.kind == "registration", Ticket.id == 1)
        ).one()
        assert row.content is not None
        return Sent((row.recipient,), row.content, row.kind)


def test_of_a_claim_from_before_0003_any_mail_may_have_been_offered(
    dialect: str, new_database: Callable[[str], str]
) -> None:
    url = new_database("claimed")
    load(dump_of("0002", dialect), url)
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        statement = "UPDATE outbox_mail SET status = 'sending', sent_at = NULL WHERE id = 1"
        connection.exec_driver_sql(statement)
    engine.dispose()
    database = open_database(url)
    with database.read() as session:
        offered = {
            row.id: row.offered_at is not None for row in session.scalars(select(OutboxMail))
        }
    database.close()
    assert offered == {number: number == 1 for number in offered}
    assert len(offered) > 1
