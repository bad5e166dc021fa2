"""`mailflow tickets`: look, and act; the client is told what an agent's mail would tell."""

import json
from email import message_from_bytes
from email.policy import default

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from mailflow.adapters.tables import OutboxMail, Ticket
from mailflow.cli import app, tickets
from tests.services.life import (
    CLIENT,
    FakeGateway,
    events,
    mails,
    new_ticket,
    paris,
    registered,
    send_all,
    ticket,
)

runner = CliRunner()
REFERENCE = "MF-2026-000001"


@pytest.fixture
def run(desk, monkeypatch):
    """The command line on the desk of the test, with its clock."""
    monkeypatch.setattr(tickets, "desk_from", lambda config: desk)

    def call(*words, code=0):
        result = runner.invoke(app, ["tickets", *words], env={"COLUMNS": "200"})
        assert result.exit_code == code, (result.output, result.exception)
        return result

    return call


def last_mail(desk, kind):
    with desk.database.read() as session:
        query = select(OutboxMail).where(OutboxMail.kind == kind).order_by(OutboxMail.id.desc())
        return session.scalars(query).first()


def test_set_priority_tells_the_client_old_new_reason_and_deadline(desk, clock, run):
    number = registered(desk, 3)
    clock.advance(hours=1)
    result = run("set-priority", REFERENCE, "2", "--reason", "trois sites touchés")
    assert "P3 → P2" in result.stdout
    assert ticket(desk, number).due_at == paris("2026-03-05 10:00")
    mail = last_mail(desk, "priority_changed")
    assert mail.recipient == CLIENT
    assert (mail.data["old"], mail.data["new"], mail.data["reason"]) == (
        3,
        2,
        "trois sites touchés",
    )
    gateway = FakeGateway()
    send_all(desk, gateway)
    (content,) = (raw for _, raw in gateway.sent if mail.message_id.encode() in raw)
    words = message_from_bytes(content, policy=default).get_body(("plain",)).get_content()
    for told in ("P3", "P2", "trois sites touchés", "5 mars 2026"):
        assert told in words.replace("\xa0", " ")


@pytest.mark.parametrize(
    "words, state, told, event",
    [
        (["ask", "-m", "Quel navigateur ?"], "pending", "request_information", "asked"),
        (["wait", "-m", "Un instant."], "pending", "waiting", "waiting"),
        (["answer", "-m", "Nous cherchons."], "open", "answer", "answered"),
        (["workaround", "-m", "Passez par là."], "resolved", "resolution", "workaround"),
        (["resolve", "-m", "Corrigé."], "resolved", "resolution", "resolved"),
        (["close", "--force", "doublon"], "closed", "closed", "closed"),
        (["validate"], "open", None, "validated"),
        (["assign", "bob"], "open", "agent_new", "assigned"),
    ],
)
def test_each_act_moves_the_ticket_tells_whom_it_concerns_and_is_logged(
    desk, run, words, state, told, event
):
    number = registered(desk, 2)
    before = mails(desk, number)
    run(words[0], REFERENCE, *words[1:])
    assert ticket(desk, number).state == state
    assert [kind for kind, _ in mails(desk, number)[len(before) :]] == ([told] if told else [])
    found = events(desk, number, event)[-1]
    assert found.actor == "operator@localhost"


def test_reopen_goes_on_with_the_same_clock(desk, clock, run):
    number = registered(desk, 2)
    run("close", REFERENCE, "--force", "doublon")
    clock.advance(hours=2)
    run("reopen", REFERENCE)
    assert ticket(desk, number).due_at == paris("2026-03-05 12:00")


@pytest.mark.parametrize(
    "words, code, told",
    [
        (["reopen", REFERENCE], 1, "only a waiting, resolved or closed ticket"),
        (["assign", REFERENCE, "nobody"], 1, "no agent is called"),
        (["set-priority", REFERENCE, "5", "--reason", "x"], 2, "Usage"),
        (["set-priority", REFERENCE, "2"], 2, "reason"),
        (["close", REFERENCE], 2, "force"),
    ],
)
def test_what_is_refused_changes_nothing_and_says_why(desk, run, words, code, told):
    number = registered(desk, 3)
    before = len(events(desk, number))
    result = run(*words, code=code)
    assert told in result.stderr
    assert len(events(desk, number)) == before


def test_an_unknown_reference_is_an_error(desk, run):
    result = runner.invoke(app, ["tickets", "show", "MF-2026-999999"])
    assert result.exit_code == 1
    assert "there is no such ticket" in str(result.exception)


def test_list_and_show(desk, clock, run):
    late, early = registered(desk, 4), registered(desk, 1)
    new_ticket(desk, missing=["steps"])
    found = [json.loads(line) for line in run("list", "--json").stdout.splitlines()]
    assert [each["id"] for each in found] == [early, late, 3]
    assert found[2]["reference"] is None and found[2]["state"] == "incomplete"
    only = run("list", "--json", "--state", "incomplete").stdout.splitlines()
    assert len(only) == 1
    assert REFERENCE in run("list").stdout
    shown = json.loads(run("show", REFERENCE, "--json").stdout)
    assert shown["due_at"] == "2026-03-10T09:00:00+00:00"
    assert "registration_sent" in [each["kind"] for each in shown["events"]]
    assert [each["kind"] for each in shown["sent"]] == ["registration", "agent_new"]
    assert "registration_sent" in run("show", REFERENCE.lower()).stdout


def test_markup_in_a_clients_words_is_shown_as_it_is(desk, run):
    number = registered(desk, 2)
    with desk.database.begin() as session:
        session.get_one(Ticket, number).summary = "[red]x[/] [/nope]"
    assert "[red]x[/] [/nope]" in run("list").stdout
    assert "[red]x[/] [/nope]" in run("show", REFERENCE).stdout
