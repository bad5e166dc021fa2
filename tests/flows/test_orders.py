"""What agents order by mail, with which rights, and what they are told."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select

from mailflow.adapters.tables import Correction
from mailflow.core.messages import Address
from tests.flows.conftest import OpenOffice
from tests.flows.machines import absence
from tests.flows.office import (
    ALICE,
    BOB,
    CLAIRE,
    MALLORY,
    OSCAR,
    PAUL,
    SYLVIE,
    TOM,
    Office,
    Sent,
    answer,
    kinds,
    passed,
    write,
)
from tests.flows.words import FULL_EN, FULL_FR, OTHER_FR, STOPPED_FR

AGENTS = """\
[[agent]]
name = "Alice Agent"
address = "alice@support.example"
languages = ["fr", "en"]
supervisor = "sylvie@support.example"

[[agent]]
name = "Bob Agent"
address = "bob@support.example"
languages = ["en"]

[[agent]]
name = "Sylvie Supervisor"
address = "sylvie@support.example"
languages = ["fr"]
role = "supervisor"

[[agent]]
name = "Oscar Observer"
address = "oscar@support.example"
languages = ["en"]
role = "observer"
"""


def orders(office: Office, text: str, who: Address = ALICE) -> list[Sent]:
    """Let an agent answer the first notice of the ticket; return what went out."""
    return office.receive(answer(office.last("agent_new"), who, text))


def transcript(sent: Sequence[Sent]) -> str:
    return next(each.text for each in sent if each.kind == "agent_transcript")


def corrections(office: Office) -> list[tuple[dict[str, object], str, str]]:
    with office.desk.database.read() as session:
        rows = session.scalars(select(Correction).order_by(Correction.id)).all()
    return [(row.labels, row.agent, row.reason) for row in rows]


@pytest.mark.parametrize(
    "text, state, out",
    [
        ("#priorité 3 un seul poste", "open", ["priority_changed → claire"]),
        ("#priority 3 one seat only", "open", ["priority_changed → claire"]),
        ("#valider", "open", []),
        ("#demander étapes message", "pending", ["request_information → claire"]),
        ("#ask\nQuelle version avez-vous ?", "pending", ["request_information → claire"]),
        ("#attente\nNous attendons votre fichier.", "pending", ["waiting → claire"]),
        ("#contournement\nPassez par le menu.", "resolved", ["resolution → claire"]),
        ("#résoudre\nC'est corrigé.", "resolved", ["resolution → claire"]),
        ("#clore forcer doublon avéré", "closed", ["closed → claire"]),
        ("#exclure formation", "excluded", ["exclusion → claire"]),
        ("#affecter Bob", "open", ["agent_new → bob"]),
        ("#note vu avec l'équipe", "open", []),
        ("#spam", "closed", []),
        ("#allow ext@elsewhere.example", "open", []),
    ],
)
def test_order(registered: Office, text: str, state: str, out: Sequence[str]) -> None:
    sent = orders(registered, text)
    assert kinds(sent) == sorted([*out, "agent_transcript → alice"])
    assert registered.ticket().state == state
    assert "Refusé" not in transcript(sent)


def test_unknown_orders_change_nothing_and_are_explained(registered: Office) -> None:
    text = transcript(orders(registered, "#danser\n#priorité 9\n#clore\n#affecter Zoé"))
    assert "Rien n’a été changé." in text
    for line in ("#danser", "#priorité 9", "#clore", "#affecter Zoé"):
        assert f"- {line}" in text
    assert "client n’a pas confirmé" in text
    assert registered.ticket().state == "open"


def test_orders_and_text_are_both_done(registered: Office) -> None:
    sent = orders(registered, "#priorité 3 un seul poste\nBonjour Claire,\n\nNous regardons.")
    assert kinds(sent) == [
        "agent_transcript → alice",
        "answer → claire",
        "priority_changed → claire",
    ]
    reply = next(each for each in sent if each.kind == "answer")
    assert "Nous regardons." in reply.text
    assert "#" not in reply.text
    assert "un seul poste" not in reply.text


def test_a_genuine_order_that_is_sent_again_is_a_replay(registered: Office) -> None:
    notice = registered.last("agent_new")
    same = {"message_id": "<once@support.example>"}
    registered.receive(answer(notice, ALICE, "#priority 3 one desk only", **same))
    assert registered.ticket().priority == 3
    registered.receive(answer(notice, ALICE, "#priority 2 all desks", message_id="<two@s.example>"))
    assert registered.ticket().priority == 2
    registered.receive(answer(notice, ALICE, "#priority 3 one desk only", quote=False, **same))
    assert registered.ticket().priority == 2
    assert "replay" in (registered.inbound().reason or "")


def test_note_stays_inside(registered: Office) -> None:
    sent = orders(registered, "Bonjour,\n\nNous cherchons.\n\n#note le client est agaçant\nencore")
    reply = next(each for each in sent if each.kind == "answer")
    assert "Nous cherchons." in reply.text
    for words in ("agaçant", "encore", "#note"):
        assert words not in reply.everything
    notes = [event.data["text"] for event in registered.events() if event.kind == "note"]
    assert notes == ["le client est agaçant\nencore"]


def test_files_of_an_agent_go_along(registered: Office) -> None:
    mail = answer(
        registered.last("agent_new"),
        ALICE,
        "#résoudre\nVoici le guide.",
        files=[("guide.pdf", "application/pdf", b"%PDF-1.4")],
    )
    registered.receive(mail)
    assert registered.last("resolution").files() == {"guide.pdf": b"%PDF-1.4"}


def test_colleagues_see_each_others_answers(registered: Office) -> None:
    orders(registered, "#affecter Bob")
    sent = registered.receive(answer(registered.last("agent_new", BOB), BOB, "Hello Claire."))
    assert kinds(sent) == ["agent_reply → alice", "answer → claire"]
    told = next(each for each in sent if each.kind == "agent_reply")
    assert "Bob Agent a répondu au client" in told.text
    assert "> Hello Claire." in told.text


def test_assignment_shows_the_clients_words_to_the_next_agent(registered: Office) -> None:
    sent = orders(registered, "#affecter Bob\n#note il est en congé")
    new = next(each for each in sent if each.kind == "agent_new")
    assert "module Facturation" in new.text
    assert "#affecter" not in new.text
    assert "en congé" not in new.text


@pytest.mark.parametrize("text", ["#clore forcer vu", "#note x", "Bonjour.", "#affecter Oscar"])
def test_observer_may_not_act(open_office: OpenOffice, text: str) -> None:
    office = open_office(agents=AGENTS)
    office.receive(write(CLAIRE, "Export impossible", FULL_FR))
    before = office.event_kinds()
    sent = orders(office, text, OSCAR)
    assert kinds(sent) == ["agent_transcript → oscar"]
    assert "observers may read, not act" in transcript(sent)
    assert office.event_kinds()[: len(before)] == before
    assert set(office.event_kinds()[len(before) :]) <= {"mail_sent"}


def test_supervisor_may_act(registered: Office) -> None:
    sent = orders(registered, "#affecter moi\nBonjour Claire, je reprends.", SYLVIE)
    assert registered.ticket().agent == SYLVIE.address
    assert (
        registered.last("answer")["From"]
        == '"Sylvie Supervisor (Support)" <support@support.example>'
    )
    assert "agent_transcript → sylvie" in kinds(sent)


def test_merged_ticket_goes_on_in_the_other(registered: Office) -> None:
    office = registered
    office.receive(write(PAUL, "Même panne", FULL_FR))
    notice = office.last("agent_new")
    sent = office.receive(answer(notice, BOB, "#fusionner MF-2026-000001"))
    assert kinds(sent) == ["agent_transcript → bob", "closed → paul"]
    assert "MF-2026-000001" in office.last("closed").text
    assert (office.ticket(2).state, office.ticket(2).linked_to) == ("closed", 1)
    later = office.receive(answer(office.last("closed"), PAUL, "Encore ce matin."))
    assert kinds(later) == ["agent_reply → alice"]
    assert office.ticket(2).state == "closed"
    (reply,) = office.receive(answer(office.last("agent_reply"), ALICE, "Merci."))
    assert set(reply.recipients) == {CLAIRE.address, PAUL.address}


def test_merge_over_the_border_of_organisations_is_refused(open_office: OpenOffice) -> None:
    office = open_office(support={"unknown_sender": "accept"})
    office.receive(write(CLAIRE, "Export impossible", FULL_FR))
    office.receive(write(MALLORY, "Export impossible", FULL_FR))
    sent = office.receive(answer(office.last("agent_new"), BOB, "#merge MF-2026-000001"))
    assert kinds(sent) == ["agent_transcript → bob"]
    assert "another client's ticket" in transcript(sent)
    assert office.ticket(2).state == "open"


@pytest.mark.parametrize("verb", ["#merge", "#link"])
@pytest.mark.parametrize("reference", ["MF-2026-000001", "MF-2026-999999"])
def test_link_to_nothing_is_refused(registered: Office, verb: str, reference: str) -> None:
    sent = orders(registered, f"{verb} {reference}")
    assert "Rien n’a été changé" in transcript(sent)
    assert registered.ticket().state == "open"


def test_linked_tickets_both_live(registered: Office) -> None:
    registered.receive(write(TOM, "Export", FULL_EN))
    registered.receive(answer(registered.last("agent_new"), BOB, "#link MF-2026-000001"))
    assert [(t.state, t.linked_to) for t in registered.tickets()] == [("open", None), ("open", 1)]


def test_split_mail_gets_a_ticket_of_its_own(registered: Office) -> None:
    office = registered
    office.receive(answer(office.last("registration"), CLAIRE, OTHER_FR))
    sent = office.receive(answer(office.last("agent_reply"), ALICE, "#scinder"))
    assert kinds(sent) == ["agent_new → bob", "agent_transcript → alice", "registration → claire"]
    new = office.ticket()
    assert (new.id, new.reference, new.state) == (2, "MF-2026-000002", "open")
    assert "module Stocks" in new.text
    assert office.ticket(1).state == "open"


def test_ticket_with_one_mail_cannot_be_split(registered: Office) -> None:
    sent = orders(registered, "#split")
    assert kinds(sent) == ["agent_transcript → alice"]
    assert len(registered.tickets()) == 1


def test_allowed_outsider_reads_along_and_may_answer(registered: Office) -> None:
    orders(registered, f"#autoriser {MALLORY.address}")
    (sent,) = registered.receive(answer(registered.last("agent_new"), ALICE, "Bonjour à tous."))
    assert set(sent.recipients) == {CLAIRE.address, MALLORY.address}
    assert kinds(registered.receive(answer(sent, MALLORY, "Bien reçu."))) == ["agent_reply → alice"]


def test_held_sender_is_registered_when_an_agent_says_so(office: Office) -> None:
    office.receive(write(MALLORY, "Export impossible", FULL_FR))
    sent = office.receive(answer(office.last("agent_review"), ALICE, "#valider\n#note vu"))
    assert kinds(sent) == [
        "agent_new → alice",
        "agent_transcript → alice",
        "registration → mallory",
    ]
    assert office.ticket().registered_at == office.clock.now
    new = next(each for each in sent if each.kind == "agent_new")
    assert "module Facturation" in new.text
    assert "#valider" not in new.text.partition("Répondez à ce mail")[0].replace("(#valider", "")


def test_corrections_are_kept_to_learn_from(registered: Office) -> None:
    orders(registered, "#priorité 3 un seul poste")
    orders(registered, "#exclure formation simple question")
    assert corrections(registered) == [
        ({"priority": 3}, ALICE.address, "un seul poste"),
        ({"kind": "excluded", "exclusion": "training"}, ALICE.address, "simple question"),
    ]


@pytest.mark.parametrize(
    "sender, text, who",
    [(CLAIRE, FULL_FR, "alice"), (TOM, FULL_EN, "alice")],
    ids=["French", "English"],
)
def test_first_ticket_goes_to_who_speaks_the_language(
    open_office: OpenOffice, sender: Address, text: str, who: str
) -> None:
    office = open_office(agents=AGENTS)
    office.receive(write(sender, "Export", text))
    assert office.ticket().agent == f"{who}@support.example"


def test_load_decides_between_those_who_speak_it(open_office: OpenOffice) -> None:
    office = open_office(agents=AGENTS)
    for number in range(4):
        office.receive(write(TOM, f"Export {number}", FULL_EN))
    assert [ticket.agent for ticket in office.tickets()] == [
        ALICE.address,
        BOB.address,
        ALICE.address,
        BOB.address,
    ]


def test_absent_agent_hands_over_once_and_nobody_plays_ping_pong(registered: Office) -> None:
    notice = registered.last("agent_new")
    (new,) = registered.receive(absence(notice, ALICE, passed(ALICE)))
    assert (new.kind, new.recipients) == ("agent_new", (BOB.address,))
    assert registered.ticket().agent == BOB.address


def test_absence_in_an_agents_name_needs_proof_too(registered: Office) -> None:
    registered.receive(absence(registered.last("agent_new"), ALICE))
    assert registered.ticket().agent == ALICE.address


def test_answer_to_a_progress_prompt_is_a_progress_notice(office: Office) -> None:
    office.receive(write(CLAIRE, "Connexion", STOPPED_FR))
    for _ in range(4):
        if any(each.kind == "agent_prompt" for each in office.later(minutes=30)):
            break
    prompt = office.last("agent_prompt")
    due = office.ticket().due_at
    mail = answer(
        prompt, ALICE, "Nous avons trouvé la cause.", files=[("a.txt", "text/plain", b"x\n")]
    )
    (sent,) = office.receive(mail)
    assert (sent.kind, sent.recipients) == ("progress", (CLAIRE.address,))
    assert "Nous avons trouvé la cause." in sent.text
    assert sent["From"] == '"Alice Agent (Support)" <support@support.example>'
    assert sent["Auto-Submitted"] is None
    assert list(sent.files()) == ["a.txt"]
    assert (office.ticket().state, office.ticket().due_at) == ("open", due)


def test_observers_answer_to_a_prompt_goes_nowhere(open_office: OpenOffice) -> None:
    office = open_office(agents=AGENTS)
    office.receive(write(CLAIRE, "Connexion", STOPPED_FR))
    for _ in range(4):
        if any(each.kind == "agent_prompt" for each in office.later(minutes=30)):
            break
    sent = office.receive(answer(office.last("agent_prompt"), OSCAR, "All is well."))
    assert kinds(sent) == ["agent_transcript → oscar"]
