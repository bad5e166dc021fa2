"""A first mail in; rows and mails out."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from mailflow.core.messages import Address
from tests.flows.conftest import OpenOffice
from tests.flows.machines import absence, bounce
from tests.flows.office import (
    ALICE,
    CLAIRE,
    MALLORY,
    PAUL,
    SUPPORT,
    TOM,
    Office,
    addresses,
    kinds,
    write,
)
from tests.flows.words import (
    BARE_FR,
    FULL_EN,
    FULL_FR,
    GERMAN,
    NO_STEPS_FR,
    QUESTION_EN,
    QUESTION_FR,
    STOPPED_EN,
    STOPPED_FR,
    TRAINING_EN,
)

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20_000)


@dataclass(frozen=True)
class Case:
    """A mail, and what is to come of it."""

    text: str
    state: str
    priority: int | None
    out: Sequence[str]
    sender: Address = CLAIRE
    outcome: str = "registered"


CASES = {
    "a complete P1 in French": Case(
        STOPPED_FR, "open", 1, ["agent_new → alice", "registration → claire"]
    ),
    "a complete P1 in English": Case(
        STOPPED_EN, "open", 1, ["agent_new → alice", "registration → tom"], TOM
    ),
    "a complete report in French": Case(
        FULL_FR, "open", 2, ["agent_new → alice", "registration → claire"]
    ),
    "a complete report in English": Case(
        FULL_EN, "open", 2, ["agent_new → alice", "registration → tom"], TOM
    ),
    "a question needs nothing but itself": Case(
        QUESTION_FR, "open", 4, ["agent_new → alice", "registration → claire"]
    ),
    "a question in English": Case(
        QUESTION_EN, "open", 4, ["agent_new → alice", "registration → tom"], TOM
    ),
    "without steps it is not registered": Case(
        NO_STEPS_FR, "incomplete", 2, ["request_information → claire"], outcome="asked"
    ),
    "with nothing but a complaint": Case(
        BARE_FR, "incomplete", 2, ["request_information → claire"], outcome="asked"
    ),
    "an exclusion is told to the client and to an agent": Case(
        TRAINING_EN,
        "excluded",
        None,
        ["agent_review → alice", "exclusion → tom"],
        TOM,
        "excluded",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_request_of_a_client(office: Office, case: Case) -> None:
    sent = office.receive(write(case.sender, "Besoin d'aide", case.text))
    ticket = office.ticket()
    assert (ticket.state, ticket.priority, kinds(sent)) == (case.state, case.priority, case.out)
    assert office.inbound().outcome == case.outcome
    assert (ticket.reference is not None) == (case.state == "open")
    assert (ticket.registered_at, ticket.due_at is not None) == (
        (office.clock.now, True) if case.state == "open" else (None, False)
    )
    to_client = next(each for each in sent if not each.kind.startswith("agent_"))
    assert to_client["Auto-Submitted"] == "auto-replied"
    assert addresses(to_client, "From") == [SUPPORT.address]
    assert addresses(to_client, "Reply-To") == [SUPPORT.address]
    greeting = "Bonjour" if case.sender is CLAIRE else "Hello"
    assert to_client.text.startswith(greeting)


def test_only_what_is_missing_is_asked_for(office: Office) -> None:
    (asked,) = office.receive(write(CLAIRE, "Export vide", NO_STEPS_FR))
    assert "Les étapes pour reproduire" in asked.text
    assert "Le message d’erreur" not in asked.text
    assert "La fonctionnalité" not in asked.text


def test_registration_says_what_the_contract_asks_for(office: Office) -> None:
    registration, _ = office.receive(write(CLAIRE, "Export impossible", FULL_FR))
    for words in (
        "MF-2026-000001",  # the number
        "Claire Martin, claire@client.example",  # who reports
        "Alice Agent",  # who receives
        "mardi 3 mars 2026 à 10 h 01 (heure de Paris)",  # date and time
        "Export impossible",  # the summary
        "P2",  # the priority
        "jeudi 5 mars 2026 à 10 h 01",  # 48 h of working days
    ):
        assert words in registration.text
    assert ALICE.address not in registration.everything


def test_files_of_the_client_reach_the_agent(office: Office) -> None:
    mail = write(
        CLAIRE,
        "Export impossible",
        FULL_FR,
        files=[("écran.png", "image/png", PNG), ("journal.txt", "text/plain", b"line 1\n")],
    )
    registration, notice = office.receive(mail)
    assert sorted(notice.files()) == ["journal.txt", "écran.png"]
    assert notice.files()["écran.png"] == PNG
    assert registration.files() == {}


@pytest.mark.parametrize(
    "policy, state, out",
    [
        ("hold", "held", ["agent_review → alice"]),
        ("refuse", None, ["refused → mallory"]),
        ("accept", "open", ["agent_new → alice", "registration → mallory"]),
    ],
)
def test_unknown_sender(
    open_office: OpenOffice, policy: str, state: str | None, out: Sequence[str]
) -> None:
    office = open_office(support={"unknown_sender": policy})
    sent = office.receive(write(MALLORY, "Export impossible", FULL_FR))
    assert kinds(sent) == out
    assert [ticket.state for ticket in office.tickets()] == ([state] if state else [])


def test_held_sender_may_be_told_so(open_office: OpenOffice) -> None:
    office = open_office(support={"held_notice": True})
    sent = office.receive(write(MALLORY, "Export impossible", FULL_FR))
    assert kinds(sent) == ["agent_review → alice", "held → mallory"]


ENDED = """\
[[organisation]]
name = "Client SA"
domains = ["client.example"]
contract_start = 2020-01-01
contract_end = 2026-02-28
"""
NOT_BEGUN = ENDED.replace("2020-01-01", "2026-04-01").replace("2026-02-28", "2027-02-28")


@pytest.mark.parametrize(
    "contract, policy, out, words",
    [
        (ENDED, "hold", ["agent_review → alice"], "has ended"),
        (ENDED, "refuse", ["refused → claire"], "arrivé à son terme"),
        (NOT_BEGUN, "refuse", ["refused → claire"], "n’a pas encore commencé"),
    ],
)
def test_contract_that_does_not_run(
    open_office: OpenOffice, contract: str, policy: str, out: Sequence[str], words: str
) -> None:
    office = open_office(organisations=contract, support={"unknown_sender": policy})
    (sent,) = office.receive(write(CLAIRE, "Export impossible", FULL_FR))
    assert kinds([sent]) == out
    assert words in sent.text or words in (office.inbound().reason or "")
    assert all(ticket.reference is None for ticket in office.tickets())


MACHINES: dict[str, tuple[tuple[str, str], ...]] = {
    "an absence message": (("Auto-Submitted", "auto-replied"),),
    "a list": (("List-Id", "<news.client.example>"), ("Precedence", "list")),
    "bulk": (("Precedence", "bulk"),),
    "an automaton": (("Auto-Submitted", "auto-generated"),),
    "a challenge or a robot without a way back": (("Return-Path", "<>"),),
}


@pytest.mark.parametrize("headers", MACHINES.values(), ids=MACHINES.keys())
def test_machine_gets_no_answer(office: Office, headers: Sequence[tuple[str, str]]) -> None:
    assert office.receive(write(CLAIRE, "Export impossible", FULL_FR, headers=headers)) == []
    assert office.tickets() == []
    assert (office.inbound().outcome, bool(office.inbound().reason)) == ("ignored", True)


def test_own_mail_gets_no_answer(office: Office) -> None:
    (asked,) = office.receive(write(CLAIRE, "Export vide", NO_STEPS_FR))
    assert office.receive(asked.content) == []
    assert office.inbound().outcome == "ignored"
    assert office.receive(write(SUPPORT, "Export impossible", FULL_FR)) == []
    assert len(office.tickets()) == 1


def test_duplicate_is_answered_once(office: Office) -> None:
    mail = write(CLAIRE, "Export impossible", FULL_FR)
    assert len(office.receive(mail)) == 2
    assert office.receive(mail) == []
    other = mail.replace(b"500", b"501")  # the same Message-ID over other content
    assert len(office.receive(other)) == 2
    assert len(office.tickets()) == 2


def test_same_mail_twice_in_one_batch_is_answered_once(office: Office) -> None:
    mail = write(CLAIRE, "Export impossible", FULL_FR)
    assert len(office.receive(mail, mail)) == 2


def test_encrypted_mail_is_held_and_the_sender_told_once(office: Office) -> None:
    head = write(CLAIRE, "Export impossible", "x").decode().split("\r\n\r\n")[0]
    kept = [line for line in head.split("\r\n") if not line.startswith(("Content-", "MIME"))]
    mail = "\r\n".join(
        [
            *kept,
            "MIME-Version: 1.0",
            'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"',
            "Content-Transfer-Encoding: base64",
            "",
            "MIIB",
        ]
    ).encode()
    assert kinds(office.receive(mail)) == ["agent_review → alice", "unreadable → claire"]
    assert office.ticket().state == "held"


def test_daily_cap_ends_a_loop_and_an_agent_is_told(open_office: OpenOffice) -> None:
    office = open_office(support={"max_automatic_mails_per_day": 3})
    out = [
        kinds(office.receive(write(CLAIRE, f"Export {n}", NO_STEPS_FR)))[0].partition(" ")[0]
        for n in range(5)
    ]
    assert out == ["request_information"] * 3 + ["agent_review"] * 2
    office.clock.advance(hours=25)
    assert kinds(office.receive(write(CLAIRE, "Export 6", NO_STEPS_FR))) == [
        "request_information → claire"
    ]


@pytest.mark.parametrize(
    "wished, greeting",
    [("", "Bonjour"), ('language = "en"\n', "Hello")],
    ids=["the desk's default language", "the organisation's language"],
)
def test_another_language_is_answered_in_the_default_one(
    open_office: OpenOffice, wished: str, greeting: str
) -> None:
    office = open_office(
        organisations='[[organisation]]\nname = "Client SA"\ndomains = ["client.example"]\n'
        f"contract_start = 2020-01-01\n{wished}"
    )
    sent = office.receive(write(CLAIRE, "Export geht nicht", GERMAN))
    registration = next(each for each in sent if each.kind == "registration")
    assert registration.text.startswith(greeting)


def test_colleague_in_copy_reads_along_and_outsiders_do_not(office: Office) -> None:
    copies = f"{PAUL.name} <{PAUL.address}>, Mallory <{MALLORY.address}>"
    registration, _ = office.receive(write(CLAIRE, "Export impossible", FULL_FR, cc=copies))
    assert registration.recipients == (CLAIRE.address, PAUL.address)
    assert addresses(registration, "To") == [CLAIRE.address]
    assert addresses(registration, "Cc") == [PAUL.address]


def test_bounce_of_our_registration_reaches_the_agent(office: Office) -> None:
    registration, _ = office.receive(write(TOM, "Export impossible", FULL_EN))
    (told,) = office.receive(bounce(registration, TOM.address))
    assert (told.kind, told.recipients) == ("agent_problem", (ALICE.address,))
    assert TOM.address in told.text
    assert office.ticket().undelivered
    assert "bounced" in office.event_kinds()
    assert "550" not in told.text  # the report is not shown as the client's words


@pytest.mark.parametrize("what", ["delay", "foreign"])
def test_bounce_that_says_nothing_of_ours_changes_nothing(office: Office, what: str) -> None:
    registration, _ = office.receive(write(TOM, "Export impossible", FULL_EN))
    report = bounce(registration, TOM.address, permanent=what == "foreign")
    if what == "foreign":
        report = report.replace((registration["Message-ID"] or "").encode(), b"<x@y.example>")
    assert office.receive(report) == []
    assert not office.ticket().undelivered


def test_absence_message_to_our_registration_changes_nothing(office: Office) -> None:
    registration, _ = office.receive(write(CLAIRE, "Export impossible", FULL_FR))
    assert office.receive(absence(registration, CLAIRE)) == []
    assert (office.ticket().state, len(office.tickets())) == ("open", 1)


def test_hostile_subject_and_name_stay_on_their_lines(office: Office) -> None:
    sender = Address("Eve =?utf-8?q?Bcc=3A_x=40evil=2Eexample?=", CLAIRE.address)
    subject = "=?utf-8?q?A=0D=0ABcc:_victim@elsewhere.example?= {{ 7*7 }} <b>x</b>"
    mail = write(CLAIRE, "SUBJECT", FULL_FR).replace(b"SUBJECT", subject.encode())
    mail = mail.replace(b"Claire Martin <", sender.name.encode() + b" <")
    for each in office.receive(mail):
        assert each["Bcc"] is None
        assert len(each.recipients) == 1
        assert "49" not in (each["Subject"] or "")
        assert "<b>x</b>" not in each.html
