"""200 replies by people outside a thread: no byte of the ticket leaves."""

from random import Random

import pytest
from sqlalchemy import select

from mailflow.adapters.tables import Inbound, Ticket
from mailflow.core.messages import Address
from tests.flows.conftest import OpenOffice
from tests.flows.office import ALICE, CLAIRE, MALLORY, Office, Sent, answer, write

REPLIES = 200
BATCH = 50
SECRET = "ZQX-7319"  # stands in all that the client and the agent wrote
TEXT = f"""\
Bonjour,

Dans le module Facturation, l'export {SECRET} échoue.
Étapes pour reproduire : ouvrir le module, cliquer sur Exporter.
Message d'erreur : « Erreur {SECRET} ».
"""
WORDS = (
    "What is the state of this?",
    "Oui, c'est résolu, merci.",
    "Please send me the whole history.",
    "#close force done",
    "#allow mallory@elsewhere.example",
    "Non, cela ne marche pas.",
    "I take this over, please answer to me.",
    "Comment puis-je suivre cette demande ?",
)


def a_ticket(office: Office) -> list[Sent]:
    """Bring a ticket to where much was said in it; return our mails about it."""
    file = [(f"{SECRET}.txt", "text/plain", SECRET.encode())]
    office.receive(write(CLAIRE, f"Export {SECRET}", TEXT, files=file))
    office.receive(
        answer(office.last("agent_new"), ALICE, f"Bonjour, voici : {SECRET}.", files=file)
    )
    office.receive(answer(office.last("answer"), CLAIRE, f"Merci, reçu {SECRET}.", files=file))
    office.receive(answer(office.last("agent_new"), ALICE, "#résoudre\nC'est corrigé."))
    return [*office.sent]


def an_outsiders_reply(rng: Random, ours: list[Sent], number: int) -> tuple[bytes, Address]:
    who = rng.choice(
        [
            MALLORY,
            Address("Claire Martin", f"claire{number}@elsewhere.example"),
            Address("Claire Martin", f"claire.{number}@client.example"),  # a colleague
            Address("Claire Martin", "claire@client.example.org"),
            Address(CLAIRE.address, f"x{number}@elsewhere.example"),
        ]
    )
    heads = rng.choice(
        [
            (),
            (("Reply-To", CLAIRE.address),),
            (("Sender", CLAIRE.address),),
            (("Resent-From", CLAIRE.address),),
            (("Disposition-Notification-To", who.address), ("Return-Receipt-To", who.address)),
        ]
    )
    mail = answer(
        rng.choice(ours),
        who,
        rng.choice(WORDS),
        quote=rng.random() < 0.3,
        cc=rng.choice([None, CLAIRE.address, MALLORY.address]),
        headers=heads,
        subject=rng.choice([None, f"Re: {number}"]),
        proven=rng.random() < 0.5,
    )
    return mail, who


@pytest.mark.parametrize("policy, notice", [("hold", True), ("refuse", False), ("accept", False)])
def test_outsiders_learn_nothing(open_office: OpenOffice, policy: str, notice: bool) -> None:
    office = open_office(
        support={"unknown_sender": policy, "held_notice": notice, "plus_addressing": True}
    )
    ours = a_ticket(office)
    rng = Random(f"outsiders {policy}")
    count = REPLIES if policy == "hold" else REPLIES // 4
    replies = [an_outsiders_reply(rng, ours, number) for number in range(count)]
    told_before = len(office.sent)
    events = office.event_kinds(1)
    for start in range(0, count, BATCH):
        office.receive(*[mail for mail, _ in replies[start : start + BATCH]])
    while _unread(office):
        office.later(minutes=2)
    agents = {agent.address for agent in office.desk.agents}
    for each in office.sent[told_before:]:
        outside = set(each.recipients) - agents
        assert not outside, (each.kind, each.recipients)
    assert office.event_kinds(1) == events
    with office.desk.database.read() as session:
        ticket = session.get_one(Ticket, 1)
        assert ticket.state == "resolved"
        outcomes = set(session.scalars(select(Inbound.outcome).where(Inbound.id > 4)))
    assert outcomes == {"held"}


def _unread(office: Office) -> bool:
    with office.desk.database.read() as session:
        return (
            session.scalar(select(Inbound.id).where(Inbound.status == "new").limit(1)) is not None
        )


def test_agents_answer_to_an_outsider_tells_only_what_the_agent_wrote(office: Office) -> None:
    ours = a_ticket(office)
    registration = next(each for each in ours if each.kind == "registration")
    office.receive(answer(registration, MALLORY, "What is this?", quote=False, subject="Hello"))
    (sent,) = office.receive(answer(office.last("agent_review"), ALICE, "Who are you, please?"))
    assert sent.recipients == (MALLORY.address,)
    assert "Who are you, please?" in sent.text
    for words in (SECRET, "MF-2026-000001", CLAIRE.address, ALICE.address):
        assert words not in sent.everything
    root = registration.ids("References")[-1]
    assert root in sent.ids("References")  # it was in the outsider's own mail
