"""The generator of large desks: what it copies, mailflow might have written itself."""

import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mailflow.cli import app
from mailflow.config import load_config
from mailflow.desk import open_desk
from mailflow.services.process import process_due
from tests.factories_desk import MovableClock, deliver

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        import fill

        folder = tmp_path_factory.mktemp("filled")
        for name in ("desk", "again"):
            fill.prepare(folder / name, None, closed=120, still_open=180)
        yield folder


def rows(path, table):
    with sqlite3.connect(path) as database:
        return database.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608


def test_the_rows_agree(folder):
    with sqlite3.connect(folder / "desk" / "mailflow.db") as database:
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        states = dict(database.execute("SELECT state, count(*) FROM ticket GROUP BY state"))
        left = database.execute("SELECT count(*) FROM ticket WHERE requester LIKE '%model%'")
        assert left.fetchone() == (0,)
        owed = database.execute("SELECT DISTINCT status FROM outbox_mail")
        assert owed.fetchall() == [("sent",)]
    assert sum(states.values()) == 300
    assert states["closed"] > 100 and states["open"] > 100 and states["incomplete"] > 5


@pytest.mark.parametrize("table", ["ticket", "inbound", "outbox_mail", "event", "reminder"])
def test_the_same_seed_gives_the_same_rows(folder, table):
    first, second = (rows(folder / name / "mailflow.db", table) for name in ("desk", "again"))
    assert first == second != []


def test_commands_work_on_it(folder):
    config = str(folder / "desk" / "config.toml")
    listed = CliRunner().invoke(app, ["tickets", "list", "-c", config, "--limit", "3"])
    shown = CliRunner().invoke(app, ["tickets", "why", "#300", "-c", config])
    assert "3 tickets" in listed.output
    assert shown.exit_code == 0, shown.output


def test_a_client_s_reply_finds_a_copied_ticket(folder):
    clock = MovableClock()
    desk = open_desk(load_config(folder / "desk" / "config.toml"), clock)
    with sqlite3.connect(folder / "desk" / "mailflow.db") as database:
        number, requester, message_id, now = database.execute(
            "SELECT t.id, t.requester, o.message_id, o.sent_at FROM ticket t "
            "JOIN outbox_mail o ON o.ticket_id = t.id AND o.kind = 'registration' "
            "WHERE t.state = 'open' ORDER BY t.id DESC LIMIT 1"
        ).fetchone()
    clock.now = clock.now.fromisoformat(f"{now}+00:00")
    clock.advance(hours=1)
    head = f"From: {requester}\nIn-Reply-To: {message_id}\nSubject: Re: x\nMessage-ID: <1@x>\n"
    (mail,) = deliver(desk, f"{head}\nEncore une fois.\n".encode())
    assert process_due(desk) == 1
    desk.database.close()
    with sqlite3.connect(folder / "desk" / "mailflow.db") as database:
        found = database.execute("SELECT outcome, ticket_id FROM inbound WHERE id = ?", (mail,))
        assert found.fetchone() == ("forwarded", number)
