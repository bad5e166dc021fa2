"""Mails in a ticket's thread: whose they are, what they change, who hears of it."""

from collections.abc import Sequence

import pytest

from mailflow.core.messages import Address
from tests.flows.office import ALICE, CLAIRE, MALLORY, PAUL, TOM, Office, Sent, answer, kinds, write
from tests.flows.words import (
    BARE_FR,
    FULL_EN,
    FULL_FR,
    NO_STEPS_FR,
    STEPS_FR,
    STOPPED_FR,
    TRAINING_EN,
)

FORWARDED = ["agent_reply → alice"]


def in_work(office: Office) -> Sent:
    """Return the registration of the office's one ticket."""
    return office.last("registration")


def test_missing_things_add_up_over_several_mails(office: Office) -> None:
    (asked,) = office.receive(write(CLAIRE, "Panne", BARE_FR))
    assert all(words in asked.text for words in ("fonctionnalité", "étapes", "message d’erreur"))
    (again,) = office.receive(answer(asked, CLAIRE, "C'est dans le module Facturation."))
    assert again.kind == "request_information"
    assert "fonctionnalité" not in again.text.replace("la fonctionnalité", "")
    (third,) = office.receive(answer(again, CLAIRE, "L'erreur est « Erreur 12 »."))
    assert "étapes" in third.text
    assert "message d’erreur" not in third.text
    sent = office.receive(answer(third, CLAIRE, STEPS_FR))
    assert kinds(sent) == ["agent_new → alice", "registration → claire"]
    ticket = office.ticket()
    assert (ticket.reference, ticket.registered_at) == ("MF-2026-000001", office.clock.now)
    notice = sent[1]
    for words in ("Ça ne marche plus", "module Facturation", "Erreur 12", "Pour reproduire"):
        assert words in notice.text  # the agent reads all of it in one mail
    assert {each["Subject"] for each in (asked, again, third)} == {"Re: Panne"}
    assert sent[0]["Subject"] == "Re: Panne [MF-2026-000001]"


def test_after_three_questions_an_agent_reads_on(office: Office) -> None:
    (sent,) = office.receive(write(CLAIRE, "Panne", BARE_FR))
    for _ in range(2):
        (sent,) = office.receive(answer(sent, CLAIRE, "Je ne comprends pas."))
        assert sent.kind == "request_information"
    out = office.receive(answer(sent, CLAIRE, "Je ne comprends toujours pas."))
    assert kinds(out) == ["agent_new → alice", "registration → claire"]
    assert "still missing" in office.ticket().review[-1]


@pytest.mark.parametrize(
    "subject, threaded, same",
    [
        ("Re: Export vide", False, True),  # a program that writes no References
        ("RE : Export vide", False, True),  # as Outlook writes it in French
        ("TR: Export vide", False, True),
        ("Export vide", False, False),  # no Re: a request of its own
        ("Re: Autre chose", False, False),
        ("Autre chose", True, True),  # the thread says it, whatever the subject
    ],
)
def test_answer_to_an_incomplete_ticket(
    office: Office, subject: str, threaded: bool, same: bool
) -> None:
    (asked,) = office.receive(write(CLAIRE, "Export vide", NO_STEPS_FR))
    office.receive(answer(asked, CLAIRE, STEPS_FR, subject=subject, threaded=threaded))
    assert (len(office.tickets()) == 1) == same
    assert (office.ticket(1).state == "open") == same


def test_same_subject_from_a_colleague_is_another_ticket(office: Office) -> None:
    (asked,) = office.receive(write(CLAIRE, "Export vide", NO_STEPS_FR))
    office.receive(answer(asked, PAUL, STEPS_FR, threaded=False))
    assert len(office.tickets()) == 2
    assert office.ticket(1).state == "incomplete"


REWRITTEN: dict[str, tuple[tuple[str, str], ...]] = {
    # Amazon SES and others write Message-IDs of their own: only References keeps our root.
    "only the root in References": (
        ("In-Reply-To", "<0102018e-rewritten@eu-west-1.amazonses.com>"),
        ("References", "<0102018e-rewritten@eu-west-1.amazonses.com> ROOT"),
    ),
    "the client's own mail in References": (
        ("In-Reply-To", "<0102018e-rewritten@eu-west-1.amazonses.com>"),
        ("References", "OPENING <0102018e-rewritten@eu-west-1.amazonses.com>"),
    ),
    "only the reference in the subject": (),
}


@pytest.mark.parametrize("headers", REWRITTEN.values(), ids=REWRITTEN.keys())
def test_thread_holds_where_a_provider_rewrites_message_ids(
    registered: Office, headers: Sequence[tuple[str, str]]
) -> None:
    sent = in_work(registered)
    opening, root = sent.ids("References")
    heads = [(k, v.replace("ROOT", root).replace("OPENING", opening)) for k, v in headers]
    mail = answer(sent, CLAIRE, "J'ajoute un détail.", threaded=False, headers=heads)
    assert kinds(registered.receive(mail)) == FORWARDED
    assert len(registered.tickets()) == 1


def test_answer_reaches_the_agent_in_charge_in_their_thread(registered: Office) -> None:
    notice = registered.last("agent_new")
    mail = answer(
        in_work(registered),
        CLAIRE,
        "Voici le fichier.",
        files=[("a.pdf", "application/pdf", b"%PDF-1")],
    )
    (told,) = registered.receive(mail)
    assert told.recipients == (ALICE.address,)
    assert "> Voici le fichier." in told.text
    assert "Merci de votre message" not in told.text  # the quoted thread is left out
    assert told.files() == {"a.pdf": b"%PDF-1"}
    assert told["In-Reply-To"] == notice["Message-ID"]
    assert told["Subject"] == notice["Subject"] == "[MF-2026-000001] Export impossible"
    agents_ids = {*told.ids("References"), *notice.ids("References")}
    assert not agents_ids & set(in_work(registered).ids("References"))


def test_colleague_answers_once_in_copy(registered: Office) -> None:
    registered.receive(answer(in_work(registered), CLAIRE, "Paul suivra.", cc=PAUL.address))
    assert "received" in registered.event_kinds()
    assert kinds(registered.receive(answer(in_work(registered), PAUL, "Je suis là."))) == FORWARDED
    assert len(registered.tickets()) == 1


@pytest.mark.parametrize("who", [PAUL, MALLORY], ids=["a colleague not in copy", "a stranger"])
def test_answer_of_an_outsider_is_held(registered: Office, who: Address) -> None:
    (told,) = registered.receive(answer(in_work(registered), who, "Où en est-on ?", quote=False))
    assert (told.kind, told.recipients) == ("agent_review", (ALICE.address,))
    held = registered.ticket()
    assert (held.state, held.requester, held.linked_to) == ("held", who.address, None)
    assert registered.ticket(1).state == "open"
    assert who.address not in [a for each in registered.sent for a in each.recipients]


def test_copy_by_an_outsider_joins_nobody(registered: Office) -> None:
    registered.receive(answer(in_work(registered), MALLORY, "Et moi ?", cc=TOM.address))
    registered.receive(answer(in_work(registered), CLAIRE, "Un détail.", cc=MALLORY.address))
    (sent,) = registered.receive(answer(registered.last("agent_reply"), ALICE, "Bonjour Claire."))
    assert sent.recipients == (CLAIRE.address,)


def test_reference_typed_by_an_outsider_opens_a_ticket_of_their_own(registered: Office) -> None:
    mail = write(TOM, "About MF-2026-000001", FULL_EN)
    assert kinds(registered.receive(mail)) == ["agent_new → bob", "registration → tom"]
    assert registered.ticket().reference == "MF-2026-000002"
    assert registered.ticket().linked_to is None
    assert registered.event_kinds(1) == registered.event_kinds(1)[:5]


def test_reference_typed_by_the_client_is_the_ticket(registered: Office) -> None:
    assert kinds(registered.receive(write(CLAIRE, "MF-2026-000001", "Encore ceci."))) == FORWARDED


def test_objection_to_an_exclusion_reaches_an_agent(office: Office) -> None:
    office.receive(write(TOM, "Training", TRAINING_EN))
    (told,) = office.receive(
        answer(office.last("exclusion"), TOM, "This is a fault, not training.")
    )
    assert "conteste l’exclusion" in told.text
    sent = office.receive(answer(told, ALICE, "#inclure"))
    assert kinds(sent) == ["agent_new → alice", "agent_transcript → alice", "registration → tom"]
    ticket = office.ticket()
    assert (ticket.state, ticket.kind, ticket.exclusion) == ("open", "problem", None)
    assert ticket.registered_at == office.clock.now
    new = next(each for each in sent if each.kind == "agent_new")
    assert "training session" in new.text  # the client's words, not the order
    assert "#inclure" not in new.text


YES = {"fr": "Oui, c'est résolu, merci.", "en": "Yes, it works now, thank you."}
NO = {"fr": "Non, le problème est toujours là.", "en": "No, it still does not work."}
HM = {"fr": "Je regarderai demain.", "en": "I will have a look tomorrow."}
CLIENTS = {"fr": (CLAIRE, FULL_FR), "en": (TOM, FULL_EN)}


def resolved(office: Office, language: str) -> Sent:
    """Bring a ticket to a proposed solution; return the mail that proposes it."""
    client, text = CLIENTS[language]
    office.receive(write(client, "Export", text))
    office.receive(answer(office.last("agent_new"), ALICE, "#résoudre\nBonjour,\n\nC'est corrigé."))
    assert office.ticket().state == "resolved"
    return office.last("resolution")


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize(
    "words, state, out",
    [
        (YES, "closed", ["agent_reply → alice", "closed → CLIENT"]),
        (NO, "open", FORWARDED),
        (HM, "resolved", FORWARDED),
    ],
    ids=["confirmed", "refused", "unclear"],
)
def test_answer_to_a_solution(
    office: Office, language: str, words: dict[str, str], state: str, out: Sequence[str]
) -> None:
    proposal = resolved(office, language)
    client = CLIENTS[language][0]
    due = office.ticket().due_at
    sent = office.receive(answer(proposal, client, words[language]))
    name = client.address.partition("@")[0]
    assert kinds(sent) == [each.replace("CLIENT", name) for each in out]
    assert office.ticket().state == state
    if state == "open":
        assert office.ticket().due_at is not None
        assert office.ticket().due_at >= due if due else True


def test_workaround_of_a_p1_ends_its_regime_and_leaves_the_ticket_open(office: Office) -> None:
    office.receive(write(CLAIRE, "Connexion", STOPPED_FR))
    office.receive(
        answer(office.last("agent_new"), ALICE, "#contournement\nUtilisez l'autre site.")
    )
    sent = office.receive(answer(office.last("resolution"), CLAIRE, YES["fr"]))
    assert kinds(sent) == ["agent_reply → alice", "priority_changed → claire"]
    assert (office.ticket().state, office.ticket().priority) == ("open", 3)
    told = next(each for each in sent if each.kind == "agent_reply")
    assert "la demande reste ouverte" in told.text
    assert "la demande est close" not in told.text
    changed = next(each for each in sent if each.kind == "priority_changed")
    assert "Raison : la solution de contournement rétablit le service" in changed.text


@pytest.mark.parametrize(
    "words, days, outcome, count",
    [
        ("Merci beaucoup et bonne journée.", 1, "ignored", 1),
        ("Merci beaucoup et bonne journée.", 60, "ignored", 1),
        ("Non, cela recommence : le problème est revenu.", 1, "reopened", 1),
        (FULL_FR, 60, "registered", 2),
    ],
    ids=["thanks", "late thanks", "within the grace time", "after the grace time"],
)
def test_answer_after_closing(
    office: Office, words: str, days: int, outcome: str, count: int
) -> None:
    office.receive(answer(resolved(office, "fr"), CLAIRE, YES["fr"]))
    assert office.ticket().state == "closed"
    office.later(days=days)
    sent = office.receive(answer(office.last("closed"), CLAIRE, words))
    assert (office.inbound().outcome, len(office.tickets())) == (outcome, count)
    if outcome == "reopened":
        assert kinds(sent) == ["agent_reply → alice", "reopened → claire"]
        assert office.ticket().state == "open"
        assert office.ticket().reference == "MF-2026-000001"
    if count == 2:
        assert (office.ticket().linked_to, office.ticket(1).state) == (1, "closed")
        assert office.ticket().reference == "MF-2026-000002"
    if outcome == "ignored":
        assert sent == []


def test_contact_given_for_a_p1_is_kept_and_shown(office: Office) -> None:
    office.receive(write(CLAIRE, "Connexion", STOPPED_FR))
    (told,) = office.receive(
        answer(
            office.last("registration"), CLAIRE, "Contact technique : Jean Petit, 06 12 34 56 78."
        )
    )
    assert "Jean Petit" in told.text
    contact = office.ticket().contact
    assert contact is not None
    assert contact["name"] == "Jean Petit"
