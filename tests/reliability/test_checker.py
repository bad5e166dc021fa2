"""The harness's checker finds what is lost, doubled or different; each case is one such wrong."""

import shutil
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy
from sqlalchemy import insert, select, update

from mailflow.adapters.tables import Event, Inbound, OutboxMail, Ticket
from mailflow.daemon import Daemon
from tests.reliability.checker import Findings, check
from tests.reliability.mails import kind_of, make_mails
from tests.reliability.stage import Round, Servers

MAILS = make_mails(2)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def servers(triager) -> Iterator[Servers]:
    with Servers(triager) as running:
        yield running


@pytest.fixture
def desk(servers: Servers) -> Round:
    """A desk that has handled two mails."""
    fresh = servers.new_round()
    fresh.deliver(MAILS)
    opened = fresh.desk()
    Daemon(opened).run_once()
    opened.database.close()
    return fresh


def write(desk: Round, statement: sqlalchemy.Executable) -> None:
    engine = sqlalchemy.create_engine(desk.url)
    with engine.begin() as connection:
        connection.execute(statement)
    engine.dispose()


def copy_row(desk: Round, table: type, **changes: object) -> None:
    """Add a row like the table's first one."""
    with desk.engine() as connection:
        row = connection.execute(select(table.__table__).order_by(table.id)).mappings().first()
        values = {**row, **changes}
    del values["id"]
    write(desk, insert(table).values(**values))


def first_sent(desk: Round) -> tuple[str, int]:
    with desk.engine() as connection:
        query = select(OutboxMail.message_id, OutboxMail.id).order_by(OutboxMail.id)
        return tuple(connection.execute(query).first())


def in_sink(desk: Round, message_id: str):
    return next(f for f in desk.sink.glob("*.eml") if message_id.encode() in f.read_bytes())


def nothing(desk: Round) -> None:
    pass


def lose_from_processed(desk: Round) -> None:
    with desk.session() as client:
        client.select_folder("Processed")
        client.delete_messages(client.search()[:1], silent=True)
        client.expunge()


def leave_in_mailbox(desk: Round) -> None:
    desk.deliver(MAILS[:1])


def lose_from_database(desk: Round) -> None:
    write(desk, update(Inbound).where(Inbound.id == 1).values(subject="no nonce"))


def lose_from_sink(desk: Round) -> None:
    in_sink(desk, first_sent(desk)[0]).unlink()


def double_ticket(desk: Round) -> None:
    copy_row(desk, Ticket, reference="MF-2026-999999")


def take_twice(desk: Round) -> None:
    file = in_sink(desk, first_sent(desk)[0])
    for name in (file, file.with_suffix(".to")):
        shutil.copy(name, name.with_name("99" + name.suffix))


def take_twice_and_mark(desk: Round) -> None:
    take_twice(desk)
    number = first_sent(desk)[1]
    write(desk, update(OutboxMail).where(OutboxMail.id == number).values(maybe_duplicate=True))


def take_under_another_id(desk: Round) -> None:
    """The same mail again, under an id of its own, as if it were owed twice."""
    take_twice(desk)
    message_id = first_sent(desk)[0]
    copy = desk.sink / "99.eml"
    copy.write_bytes(copy.read_bytes().replace(message_id.encode(), b"<other@support.example>"))
    copy_row(desk, OutboxMail, once="again", message_id="<other@support.example>")


def note_twice(desk: Round) -> None:
    with desk.engine() as connection:
        query = select(Event.__table__).where(Event.kind == "registration_sent")
        row = dict(connection.execute(query).mappings().first())
    del row["id"]
    write(desk, insert(Event).values(**row))


def end_otherwise(desk: Round) -> None:
    write(desk, update(Ticket).where(Ticket.id == 1).values(priority=4))


def quarantine(desk: Round) -> None:
    write(desk, update(Inbound).where(Inbound.id == 1).values(status="quarantined"))


@pytest.mark.parametrize(
    "harm, where",
    [
        (nothing, None),
        (lose_from_processed, "lost"),
        (leave_in_mailbox, "lost"),
        (lose_from_database, "lost"),
        (lose_from_sink, "lost"),
        (double_ticket, "doubled_tickets"),
        (take_twice, "doubled_mails"),
        (take_twice_and_mark, "repeated"),
        (take_under_another_id, "different"),
        (note_twice, "noted_twice"),
        (end_otherwise, "different"),
        (quarantine, "different"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_the_checker_finds(
    servers: Servers, desk: Round, harm: Callable[[Round], None], where: str | None
) -> None:
    expected = {kind_of(nonce): fate for nonce, fate in check(desk, MAILS).fates.items()}
    harm(desk)
    found = check(desk, MAILS, expected)
    wrong = {name for name in vars(Findings()) if isinstance(getattr(found, name), list)}
    seen = {name for name in wrong if getattr(found, name)}
    assert seen >= ({where} if where else set())
    assert found.is_clean(window=False) == (where is None)
    assert found.is_clean(window=True) == (where in (None, "repeated"))
