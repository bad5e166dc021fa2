"""The same on PostgreSQL: dumped while others write, read to its end, and a desk that works on."""

import random
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import select
from sqlalchemy.engine import make_url

from mailflow.adapters import postgresql_dump
from mailflow.adapters.database import Database, open_database
from mailflow.adapters.tables import Base, Inbound, OutboxMail, RawMail, Setting
from mailflow.errors import GatewayError, MailflowError
from mailflow.services.backup import back_up, restore
from mailflow.services.outbox import send_due
from tests.factories_desk import DeskFactory, MovableClock
from tests.flows.office import CLAIRE, Office, answer, kinds, write
from tests.flows.reader import Reader
from tests.flows.words import FULL_FR
from tests.servers.postgresql import MISSING, PostgreSQL, find_postgresql
from tests.services.life import FakeGateway

pytestmark = pytest.mark.postgresql
NOW = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)
Rows = dict[str, list[tuple[object, ...]]]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    programs = find_postgresql()
    assert programs is not None, MISSING
    with PostgreSQL(programs) as running:
        yield running


@pytest.fixture
def url(server: PostgreSQL) -> str:
    return server.new_database()


@pytest.fixture
def open_it() -> Iterator[Callable[[str], Database]]:
    opened: list[Database] = []

    def open_one(url: str) -> Database:
        opened.append(open_database(url))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def open_office(desk_factory: DeskFactory) -> Callable[..., Office]:
    def open_one(name: str, url: str, clock: MovableClock | None = None) -> Office:
        clock = clock or MovableClock()
        desk = desk_factory(name, clock, database={"url": url})
        desk.triager = Reader()  # type: ignore[assignment]
        return Office(desk, clock)

    return open_one


def note(database: Database, name: str) -> None:
    with database.begin() as session:
        session.add(Setting(name=name, value="x"))


def notes(url: str) -> set[str]:
    return {str(name) for name, _ in rows(url)["setting"] if name != "thread_key"}


def store(database: Database, *names: str) -> list[int]:
    """Store mails as intake does, two rows for each in one transaction; return their numbers."""
    with database.begin() as session:
        mails = [
            Inbound(identity=name, source="file", size=9, received_at=NOW, next_attempt_at=NOW)
            for name in names
        ]
        session.add_all(mails)
        session.flush()
        numbers = [mail.id for mail in mails]
        contents = (random.Random(number).randbytes(1000) for number in numbers)
        session.add_all(
            RawMail(inbound_id=number, content=content)
            for number, content in zip(numbers, contents, strict=True)
        )
        return numbers


def rows(url: str) -> Rows:
    """All rows of all tables, sorted."""
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        found = {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in Base.metadata.sorted_tables
        }
    engine.dispose()
    return found


def test_what_comes_back_is_what_was_there(
    url: str, server: PostgreSQL, open_office: Callable[..., Office], tmp_path: Path
) -> None:
    """And the desk works on: threads are known by their signatures, numbers go on."""
    office = open_office("first", url)
    sent = office.receive(write(CLAIRE, "Export impossible", FULL_FR))
    registration = next(each for each in sent if each.kind == "registration")
    size = back_up(url, tmp_path / "desk.dump")
    assert size == (tmp_path / "desk.dump").stat().st_size
    assert stat.S_IMODE((tmp_path / "desk.dump").stat().st_mode) == 0o600

    elsewhere = server.new_database()
    assert restore(elsewhere, tmp_path / "desk.dump") is None
    assert rows(elsewhere) == rows(url)
    second = open_office("second", elsewhere, office.clock)
    sent = second.receive(answer(registration, CLAIRE, "Une précision : seulement en février."))
    assert kinds(sent) == ["agent_reply → alice"]
    assert second.inbound().ticket_id == 1
    second.receive(write(CLAIRE, "Autre chose", FULL_FR))
    assert second.ticket().reference == "MF-2026-000002"


def test_events_can_still_only_be_added(
    url: str, server: PostgreSQL, open_office: Callable[..., Office], tmp_path: Path
) -> None:
    open_office("first", url).receive(write(CLAIRE, "Export impossible", FULL_FR))
    back_up(url, tmp_path / "desk.dump")
    elsewhere = server.new_database()
    restore(elsewhere, tmp_path / "desk.dump")
    engine = sqlalchemy.create_engine(elsewhere)
    with pytest.raises(sqlalchemy.exc.DBAPIError, match="only ever added"), engine.begin() as c:
        c.exec_driver_sql("UPDATE event SET kind = 'x'")
    engine.dispose()


def test_a_backup_is_one_snapshot_while_others_write(
    url: str, server: PostgreSQL, open_it: Callable[[str], Database], tmp_path: Path
) -> None:
    database = open_it(url)
    is_done, is_under_way = threading.Event(), threading.Event()
    stored: list[int] = []

    def keep_writing() -> None:
        while not is_done.is_set():
            stored.extend(store(database, f"mail {len(stored)}"))
            if len(stored) > 20:
                is_under_way.set()

    thread = threading.Thread(target=keep_writing)
    thread.start()
    assert is_under_way.wait(30)
    before = len(stored)
    back_up(url, tmp_path / "desk.dump")
    after = len(stored)
    is_done.set()
    thread.join(30)
    assert after > before, "nobody wrote meanwhile"

    elsewhere = server.new_database()
    restore(elsewhere, tmp_path / "desk.dump")
    found, source = rows(elsewhere), rows(url)
    count = len(found["inbound"])
    assert before <= count <= after + 1
    mails = {row[0] for row in found["inbound"]}
    assert mails == set(stored[:count])  # the first ones, without a gap
    assert {row[0] for row in found["raw_mail"]} == mails  # what is one commit came as a whole
    for table in ("inbound", "raw_mail"):
        assert found[table] == [row for row in source[table] if row[0] in mails]


def test_a_database_that_holds_tickets_is_replaced_on_demand_and_kept(
    url: str, server: PostgreSQL, open_it: Callable[[str], Database], tmp_path: Path
) -> None:
    database = open_it(url)
    note(database, "before")
    back_up(url, tmp_path / "desk.dump")
    note(database, "after")
    database.close()
    with pytest.raises(MailflowError, match="--force"):
        restore(url, tmp_path / "desk.dump")
    assert notes(url) == {"before", "after"}
    kept = restore(url, tmp_path / "desk.dump", force=True)
    assert notes(url) == {"before"}
    assert kept == tmp_path / f"{make_url(url).database}.before"
    elsewhere = server.new_database()
    restore(elsewhere, kept)
    assert notes(elsewhere) == {"before", "after"}
    again = restore(url, tmp_path / "desk.dump", force=True)
    assert again == tmp_path / f"{make_url(url).database}.before-2"


def test_a_database_in_use_is_not_replaced(
    url: str, open_it: Callable[[str], Database], tmp_path: Path
) -> None:
    database = open_it(url)
    note(database, "one")
    back_up(url, tmp_path / "desk.dump")
    with pytest.raises(MailflowError, match="in use by 1 more session"):
        restore(url, tmp_path / "desk.dump", force=True)
    assert notes(url) == {"one"}


def test_what_was_still_to_be_sent_goes_out_marked(
    url: str, server: PostgreSQL, open_office: Callable[..., Office], tmp_path: Path
) -> None:
    """Since the backup it may have been sent: its reader must be able to tell the repeat."""
    office = open_office("first", url)
    office.receive(write(CLAIRE, "Export impossible", FULL_FR))
    with office.desk.database.begin() as session:
        session.execute(
            sqlalchemy.update(OutboxMail)
            .where(OutboxMail.kind == "registration")
            .values(status="pending", sent_at=None)
        )
    back_up(url, tmp_path / "desk.dump")
    elsewhere = server.new_database()
    restore(elsewhere, tmp_path / "desk.dump")
    second = open_office("second", elsewhere, office.clock)
    gateway = FakeGateway()
    while send_due(second.desk, gateway):  # type: ignore[arg-type]
        pass
    assert len(gateway.sent) == 1
    with second.desk.database.read() as session:
        found = select(OutboxMail.kind, OutboxMail.maybe_duplicate, OutboxMail.status)
        states = {row.kind: (row.maybe_duplicate, row.status) for row in session.execute(found)}
    assert states == {"registration": (True, "sent"), "agent_new": (False, "sent")}


def damaged(content: bytes, how: str) -> bytes:
    middle = len(content) * 3 // 4  # among the mails: its table of contents stands before them
    return {
        "cut off": content[:middle],
        "changed": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "empty": b"",
        "something else": b"SQLite format 3\0",
    }[how]


@pytest.fixture
def whole_dump(url: str, open_it: Callable[[str], Database], tmp_path: Path) -> Path:
    """A dump with a few hundred rows; its database is closed."""
    database = open_it(url)
    store(database, *(f"mail {number}" for number in range(300)))
    back_up(url, tmp_path / "desk.dump")
    database.close()
    return tmp_path / "desk.dump"


@pytest.mark.parametrize("how", ["cut off", "changed", "empty", "something else"])
def test_a_damaged_backup_is_refused(server: PostgreSQL, whole_dump: Path, how: str) -> None:
    """Also where its table of contents is whole: all of it is read before anything is done."""
    bad = whole_dump.with_name("bad.dump")
    bad.write_bytes(damaged(whole_dump.read_bytes(), how))
    elsewhere = server.new_database()
    with pytest.raises(GatewayError, match=r"bad\.dump is no whole dump"):
        restore(elsewhere, bad)
    assert postgresql_dump.find_tables(make_url(elsewhere)) == set()


def test_a_restore_that_breaks_off_changes_nothing(url: str, whole_dump: Path) -> None:
    """As when the disk fails between the check and the restore, or a statement does."""
    bad = whole_dump.with_name("bad.dump")
    bad.write_bytes(damaged(whole_dump.read_bytes(), "changed"))
    before = rows(url)
    for source, changes in ((bad, []), (whole_dump, ["SELECT 1/0"])):
        with pytest.raises(GatewayError, match="nothing was changed"):
            postgresql_dump.put_in_place(make_url(url), source, changes)
        assert rows(url) == before
    postgresql_dump.put_in_place(make_url(url), whole_dump, [])
    assert rows(url) == before


def test_a_reader_that_is_ended_between_two_statements_changes_nothing(
    url: str, whole_dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came through until then is sound SQL: only the missing end tells."""
    before = rows(url)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "pg_restore").write_text(
        f'#!/bin/sh\n[ "$1" = --list ] && exec {shutil.which("pg_restore")} "$@"\n'
        'echo "CREATE TABLE public.ticket (id integer);"; kill -9 $$\n'
    )
    (programs / "pg_restore").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    with pytest.raises(GatewayError, match="nothing was changed"):
        postgresql_dump.put_in_place(make_url(url), whole_dump, [])
    assert rows(url) == before


def test_a_dump_of_something_else_is_refused(server: PostgreSQL, url: str, tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE ticket_office (id integer)")
    engine.dispose()
    with pytest.raises(GatewayError, match="no dump of a mailflow database"):
        back_up(url, tmp_path / "desk.dump")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_down_is_told(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match="connection to server"):
        back_up("postgresql+psycopg://mailflow@127.0.0.1:1/desk", tmp_path / "desk.dump")
    assert list(tmp_path.iterdir()) == []


def test_programs_that_are_missing_are_named(
    url: str, whole_dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(GatewayError, match=r"pg_dump is not installed.*postgresql-client"):
        back_up(url, tmp_path / "other.dump")
    with pytest.raises(GatewayError, match="pg_restore is not installed"):
        restore(url, whole_dump, force=True)
    assert not (tmp_path / "other.dump").exists()


def test_a_password_and_options_reach_the_server_but_no_command_line(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_it: Callable[[str], Database]
) -> None:
    """Other users of the machine can read command lines."""
    open_it(url)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "pg_dump").write_text(
        f'#!/bin/sh\necho "$@ / $PGPASSWORD" > {tmp_path}/asked; echo no >&2; exit 1\n'
    )
    (programs / "pg_dump").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    secret = make_url(url).set(password="top secret", query={"sslmode": "disable"})
    with pytest.raises(GatewayError, match="no"):
        back_up(secret.render_as_string(hide_password=False), tmp_path / "desk.dump")
    command, _, password = (tmp_path / "asked").read_text().strip().partition(" / ")
    assert password == "top secret"
    assert "secret" not in command
    assert "sslmode=disable" in command
    assert f"port={secret.port}" in command


def test_ids_go_on_after_the_last_one(
    server: PostgreSQL, whole_dump: Path, open_it: Callable[[str], Database]
) -> None:
    elsewhere = server.new_database()
    restore(elsewhere, whole_dump)
    (new,) = store(open_it(elsewhere), "new")
    assert new > max(int(str(row[0])) for row in rows(elsewhere)["inbound"] if row[0] != new)
