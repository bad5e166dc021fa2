"""The demonstration plays to its end on real servers and leaves what it promises."""

import io
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import select
from typer.testing import CliRunner

from mailflow.adapters.database import open_database
from mailflow.adapters.tables import Inbound, OutboxMail, Ticket
from mailflow.cli import app
from mailflow.demo.show import run_demo


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The demonstration's folder and what it showed."""
    folder = tmp_path_factory.mktemp("demo")
    console = Console(record=True, width=140, file=io.StringIO())
    run_demo(folder, console)
    return folder, console.export_text()


def test_each_mail_gets_the_decision_that_the_contract_asks_for(played: tuple[Path, str]) -> None:
    database = open_database(f"sqlite:///{played[0] / 'mailflow.db'}")
    with database.read() as session:
        rows = session.execute(
            select(Inbound.subject, Inbound.outcome, Ticket.priority, Ticket.exclusion)
            .outerjoin(Ticket, Ticket.id == Inbound.ticket_id)
            .order_by(Inbound.id)
        ).all()
    database.close()
    found = {
        subject: (outcome, priority, exclusion) for subject, outcome, priority, exclusion in rows
    }
    assert found["Plus personne ne peut se connecter"] == ("registered", 1, None)
    assert found["How do I add a user?"] == ("registered", 4, None)
    assert found["URGENT !!! INADMISSIBLE !!!"] == ("registered", 4, None)
    assert found["Export des factures"][0] == "asked"
    assert found["Re: Export des factures"][0] == "registered"
    assert found["RE: FW: Invoices stuck since Friday"] == ("registered", 2, None)
    assert found["Réponse automatique : Export des factures"] == ("ignored", None, None)
    assert found["Undelivered Mail Returned to Sender"] == ("ignored", None, None)
    assert found["Problem with your service"][0] == "held"
    for subject, exclusion in (
        ("Extra approval level", "configuration"),
        ("Formation des nouveaux arrivants", "training"),
        ("Label printer", "third_party"),
        ("Règles de validation supprimées", "client_modification"),
    ):  # told to the client, or registered for an agent to decide; never something else
        assert found[subject][0] in ("excluded", "registered")
        assert found[subject][2] == exclusion


def test_the_ticket_of_the_story_was_reminded_of_and_closed_by_the_client(
    played: tuple[Path, str],
) -> None:
    database = open_database(f"sqlite:///{played[0] / 'mailflow.db'}")
    with database.read() as session:
        ticket = session.scalars(select(Ticket).where(Ticket.priority == 1)).one()
        kinds = session.scalars(
            select(OutboxMail.kind).where(OutboxMail.ticket_id == ticket.id).order_by(OutboxMail.id)
        ).all()
        unsent = session.scalars(select(OutboxMail).where(OutboxMail.status != "sent")).all()
    database.close()
    assert ticket.state == "closed"
    assert [kind for kind in kinds if kind in ("registration", "agent_reminder", "resolution", "closed")] == [
        "registration", "agent_reminder", "resolution", "closed",
    ]  # fmt: skip
    assert unsent == []


def test_the_sent_mails_lie_in_the_folder(played: tuple[Path, str]) -> None:
    folder, shown = played
    mails = list((folder / "sent").glob("*.eml"))
    assert f"{len(mails)} mails were sent" in shown
    for file in mails:
        mail = message_from_bytes(file.read_bytes(), policy=default)
        assert mail["From"].addresses[0].addr_spec == "support@support.example"
        assert mail["Message-ID"].startswith("<mf.")


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    result = CliRunner().invoke(app, ["demo", "--folder", str(tmp_path)])
    assert result.exit_code == 2
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]
