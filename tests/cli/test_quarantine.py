"""`mailflow quarantine` and `mailflow reconcile`: what was set aside, and that nothing is lost."""

import json

import pytest
from typer.testing import CliRunner

from mailflow.adapters.store import Arrived
from mailflow.adapters.tables import Inbound, OutboxMail, RawMail
from mailflow.cli import app, quarantine
from mailflow.services import reconcile as reconcile_module
from mailflow.services.intake import take_in

runner = CliRunner()
BAD = b"From: [red]a[/]@client.example\r\nSubject: \x1b[31mboo\xff\r\n\r\nBonjour \x07\r\n"


@pytest.fixture
def run(desk, monkeypatch):
    monkeypatch.setattr(quarantine, "desk_from", lambda config: desk)

    def call(*words, code=0):
        result = runner.invoke(app, [*words], env={"COLUMNS": "200"})
        assert result.exit_code == code, (result.output, result.exception)
        return result

    return call


@pytest.fixture
def mail(desk):
    (stored,) = take_in(desk, [Arrived(BAD, "file", refused="larger than [limits]")])
    return str(stored.inbound_id)


def inbound(desk, mail):
    with desk.database.read() as session:
        return session.get_one(Inbound, int(mail))


def test_list_and_show_make_a_strange_mail_harmless(run, mail):
    (line,) = run("quarantine", "list", "--json").stdout.splitlines()
    found = json.loads(line)
    assert (found["id"], found["reason"]) == (int(mail), "larger than [limits]")
    assert "larger than [limits]" in run("quarantine", "list").stdout
    shown = run("quarantine", "show", mail).stdout
    assert "[red]a[/]@client.example" in shown
    assert "\x1b[31mboo" not in shown and "\x07" not in shown


def test_a_long_source_is_cut(run, desk):
    raw = b"Subject: x\r\n\r\n" + b"a" * 30_000
    (stored,) = take_in(desk, [Arrived(raw, "file", refused="too long")])
    assert "more bytes" in run("quarantine", "show", str(stored.inbound_id)).stdout


def test_retry_gives_it_back_to_processing(run, desk, mail, clock):
    run("quarantine", "retry", mail)
    found = inbound(desk, mail)
    assert (found.status, found.attempts, found.next_attempt_at) == ("new", 0, clock.now)
    assert run("quarantine", "list", "--json").stdout == ""


def test_drop_keeps_the_source_and_the_reason(run, desk, mail):
    run("quarantine", "drop", mail, "--reason", "spam")
    found = inbound(desk, mail)
    assert (found.status, found.outcome) == ("done", "dropped")
    assert "spam" in found.reason and "larger than" in found.reason
    with desk.database.read() as session:
        assert session.get_one(RawMail, int(mail)).content == BAD


@pytest.mark.parametrize("command", ["show", "retry", "drop"])
def test_what_is_not_in_quarantine_is_refused(run, command):
    more = ["--reason", "x"] if command == "drop" else []
    result = runner.invoke(app, ["quarantine", command, "99", *more])
    assert result.exit_code == 1
    assert "mail 99 is not in quarantine" in str(result.exception)


@pytest.mark.parametrize("words, code", [([], 1), (["--repair"], 0)])
def test_reconcile_fails_while_a_mail_is_unaccounted_for(run, monkeypatch, words, code):
    report = reconcile_module.Report()
    report.fates["INBOX", "in a ticket"] = 3
    report.unaccounted.append("INBOX UID 7: not taken in yet")
    if words:
        report.repaired.append("INBOX: 1 mails taken in")
    asked = []

    def fake(desk, *, repair):
        asked.append(repair)
        return report

    monkeypatch.setattr(reconcile_module, "reconcile_mailbox", fake)
    result = run("reconcile", *words, code=code)
    assert "INBOX UID 7" in result.stdout
    assert asked == [bool(words)]
    found = json.loads(run("reconcile", "--json", *words, code=code).stdout)
    assert found["fates"] == [{"folder": "INBOX", "fate": "in a ticket", "mails": 3}]
    assert found["unaccounted"] == ["INBOX UID 7: not taken in yet"]


def test_reconcile_finds_and_takes_in_what_was_never_stored(
    run, desk_factory, pymap_server, monkeypatch
):
    from imapclient import IMAPClient

    from mailflow.demo.servers import PASSWORD, USER

    folder, done = "ReconcileIn", "ReconcileDone"
    desk = desk_factory(
        "reconcile",
        imap={"port": pymap_server.port, "folder": folder, "processed_folder": done},
    )
    monkeypatch.setattr(quarantine, "desk_from", lambda config: desk)
    with IMAPClient("127.0.0.1", pymap_server.port, ssl=False) as client:
        client.login(USER, PASSWORD)
        client.create_folder(folder)
        client.create_folder(done)
        client.append(folder, b"Subject: one\r\n\r\none\r\n")
        client.append(done, b"Subject: two\r\n\r\ntwo\r\n")
    result = run("reconcile", code=1)
    lines = result.stdout.splitlines()
    assert sum(line.startswith("unaccounted") for line in lines) == 2
    with desk.database.read() as session:  # the agents are told, once a day
        told = session.query(OutboxMail).filter_by(kind="agent_problem").count()
    assert told == len([agent for agent in desk.agents if agent.role != "observer"])
    run("reconcile", "--repair")
    assert "unaccounted" not in run("reconcile").stdout
    with desk.database.read() as session:
        assert session.query(Inbound).count() == 2
