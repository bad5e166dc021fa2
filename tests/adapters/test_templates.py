"""What each mail says, in each language, in each case that its template knows."""

import itertools
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from mailflow.adapters.render import Rendered, Renderer, split_blocks
from mailflow.adapters.sample import NOW, sample_context
from mailflow.core.decisions import NoticeKind
from mailflow.core.organisations import ContractStatus
from mailflow.core.tickets import State
from mailflow.core.triage import Exclusion, Item, Kind

RENDERER = Renderer(None, "Europe/Paris")
LANGUAGES = ("fr", "en")
CLIENT_KINDS = [kind for kind in NoticeKind if not kind.is_for_agents]
REFERENCE = "MF-2026-000123"
DUE = {
    "fr": "mercredi 4 mars 2026 à 10 h 15 (heure de Paris)",
    "en": "Wednesday 4 March 2026 at 10:15 (Paris time)",
}
ITEMS = {
    "fr": {
        "description": "La description du problème : ",
        "feature": "La fonctionnalité concernée : ",
        "steps": "Les étapes pour reproduire le problème : ",
        "error_message": "Le message d’erreur : ",
    },
    "en": {
        "description": "A description of the problem: ",
        "feature": "The feature concerned: ",
        "steps": "The steps to reproduce the problem: ",
        "error_message": "The error message: ",
    },
}


def with_datetimes(value: Any, key: str = "") -> Any:
    """Return sample data with its ISO instants as datetimes, as templates get them."""
    if isinstance(value, dict):
        return {name: with_datetimes(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [with_datetimes(each) for each in value]
    if isinstance(value, str) and key.endswith(("_at", "_on")):
        return datetime.fromisoformat(value)
    return value


def context_of(kind: NoticeKind, **changes: Any) -> dict[str, Any]:
    """Return sample data with `changes`: ticket__priority=1 sets context["ticket"]["priority"]."""
    context: dict[str, Any] = with_datetimes(sample_context(kind))
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = context
        for parent in parents:
            place = place[parent]
        place[last] = value
    return context


def render(kind: NoticeKind, language: str, **changes: Any) -> Rendered:
    return RENDERER.render(kind, language, context_of(kind, **changes))


def words_of(kind: NoticeKind, language: str, **changes: Any) -> str:
    """Return the mail's text with plain spaces, for comparing."""
    text = render(kind, language, **changes).text
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def lines_of(kind: NoticeKind, language: str, **changes: Any) -> list[str]:
    return words_of(kind, language, **changes).splitlines()


# Each case of each template: what differs from the sample.
TICKETS: list[dict[str, Any]] = [
    {},
    {"ticket__reference": None, "ticket__due_at": None, "ticket__registered_at": None},
    {"agent": None, "ticket__organisation": None, "ticket__requester_name": ""},
    {"ticket__review": [], "ticket__requested_priority": None, "ticket__contact": None},
    {"ticket__priority": None, "ticket__requested_priority": None, "ticket__due_at": None},
    {"ticket__priority": 1, "ticket__contact": None},
    {"ticket__priority": 1, "ticket__contact": {"name": None, "telephone": "01 02 03 04 05"}},
    {"ticket__priority": 4, "ticket__kind": "information", "ticket__exclusion": None},
    {"ticket__summary": "", "client_text": "", "findings": [], "mail_subject": ""},
    {"ticket__summary": "", "ticket__subject": "", "ticket__workaround": True},
    {"support__quotation_address": None},
    *({"ticket__state": state.value} for state in State),
    *({"ticket__kind": kind.value} for kind in Kind),
    *({"ticket__exclusion": exclusion.value} for exclusion in Exclusion),
]
DATA: dict[NoticeKind, list[dict[str, Any]]] = {
    NoticeKind.REQUEST_INFORMATION: [
        {"missing": ["steps"]},
        {"missing": ["steps"], "again": True},
        {"missing": [], "question": "Quelle version ?"},
        {"missing": ["steps"], "again": False, "question": "Quelle version ?"},
    ],
    NoticeKind.REFUSED: [
        {"contract": status.value, "language": "fr"}
        for status in ContractStatus
        if status is not ContractStatus.RUNNING
    ],
    NoticeKind.PRIORITY_CHANGED: [
        {"old": None, "new": 1, "reason": ""},
        {"old": 1, "new": 4, "reason": "un seul poste"},
        {"new": 2},
    ],
    NoticeKind.RESOLUTION: [
        {"text": "Bonjour Claire,\n\nC’est réparé.", "workaround": True},
        {"text": "", "workaround": False},
        {},
    ],
    NoticeKind.CLOSED: [{}, {"confirmed": True}, {"confirmed": False, "reason": "doublon"}],
    NoticeKind.PROGRESS: [{}, {"text": "Bonsoir,\n\nNous testons."}],
    NoticeKind.WAITING: [{}, {"text": ""}, {"text": "Bonjour,\n\nQuelle version ?"}],
    NoticeKind.MISSING_REMINDER: [
        {"missing": ["steps", "feature"], "number": 2, "last": True},
        {"missing": [], "number": 1, "last": False},
        {"missing": ["steps"], "number": 2, "last": True, "closes_on": NOW + timedelta(days=3)},
    ],
    NoticeKind.CONFIRMATION_REMINDER: [
        {"number": 2, "last": True, "closes_on": None},
        {"number": 2, "last": True, "closes_on": NOW + timedelta(days=3)},
    ],
    NoticeKind.AGENT_REPLY: [
        {},
        {"objection": True},
        {"to": "anne@support.example", "answer_by": "Anne Leroy"},
        {"contact": {"name": "Paul Durand", "telephone": "06 12 34 56 78"}},
        *({"confirmation": {"verdict": v, "words": "", "reason": "r"}} for v in ("yes", "no")),
        {"confirmation": {"verdict": "unclear", "words": "oui mais", "reason": "r"}},
    ],
    NoticeKind.AGENT_REVIEW: [{"reason": "excluded"}, {"reason": "a: b"}, {"reason": ""}],
    NoticeKind.AGENT_REMINDER: [
        {"stage": stage, "due_at": due, "left": "1 h 00"}
        for stage in ("half", "soon", "an operator’s own")
        for due in (NOW, None)
    ],
    NoticeKind.AGENT_ESCALATION: [
        {"stage": stage, "due_at": due, "left": "-0 h 10"}
        for stage in ("escalation", "breach", "an operator’s own")
        for due in (NOW, None)
    ]
    + [{"stage": "mine", "due_at": NOW, "left": "", "breached": True}],
    NoticeKind.AGENT_TRANSCRIPT: [
        {"done": [], "refused": [], "notes": []},
        {"done": ["a"], "refused": ["b"], "notes": ["c"]},
    ],
    NoticeKind.AGENT_DIGEST: [
        {"due": [], "waiting": [], "validation": []},
        {
            "due": [{"reference": None, "subject": "", "priority": None, "due_at": None}],
            "waiting": [{"reference": "R", "subject": "S", "priority": 1, "due_at": NOW}],
            "validation": [],
        },
    ],
}
NO_TICKET = (NoticeKind.REFUSED, NoticeKind.AGENT_PROBLEM, NoticeKind.AGENT_DIGEST)


def cases() -> Iterator[tuple[NoticeKind, dict[str, Any]]]:
    for kind in NoticeKind:
        for changes in TICKETS:
            if kind is NoticeKind.REGISTRATION and "ticket__reference" in changes:
                continue  # it is what gives the reference
            yield kind, changes
        for data in DATA.get(kind, []):
            yield kind, {"data": data}
            yield kind, {"data": data, "ticket__reference": None}
            yield kind, {"data": data, "ticket__priority": 1, "agent": None}
    for kind in NO_TICKET:
        yield kind, {"ticket": None, "agent": None}
        yield kind, {"ticket": None, "agent": None, "mail_subject": "", "client_text": ""}


CASES = list(cases())


# --- every mail -----------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", NoticeKind)
def test_every_case_renders_well(kind: NoticeKind, language: str) -> None:
    for each, changes in CASES:
        if each is not kind:
            continue
        rendered = render(kind, language, **changes)
        text = rendered.text
        assert rendered.subject, changes
        assert "\n" not in rendered.subject
        assert not re.search(r"\{[{%#]|[%#}]\}", text), changes
        assert not re.search(r"\bNone\b|\bUndefined\b|\bTrue\b|\bFalse\b", text), changes
        assert not re.search(r"datetime|Z\b|T\d\d:", text), changes
        assert not re.search(r"(?m)[ \t]$", text), changes
        assert not re.search(r"\n\n\n|^\n|[^\n]\Z|\n\n\Z", text), changes
        assert not re.search(r"(?m)^[ \t]+\S|\S  +\S", text), changes
        assert "!" not in text, changes
        assert "  " not in rendered.subject


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", [k for k in NoticeKind if k is not NoticeKind.AGENT_DIGEST])
def test_mails_keep_the_subject_of_their_thread(kind: NoticeKind, language: str) -> None:
    subject = render(kind, language, thread_subject="Re: x {{ y }} [MF-1]").subject
    assert subject == "Re: x {{ y }} [MF-1]"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", NoticeKind)
def test_lists_tables_and_quotes_stand_apart(kind: NoticeKind, language: str) -> None:
    """Each list item, table line and quoted line is in a block of its form: HTML shows it so."""
    for each, changes in CASES:
        if each is not kind:
            continue
        for block in split_blocks(render(kind, language, **changes).text):
            if block.form == "paragraph":
                assert not any(line.startswith(("- ", ">")) for line in block.lines), changes
            if block.form == "table":
                assert len(block.lines) >= 2
                assert not any(label.endswith(("\u00a0", "\u202f")) for label, _ in block.lines)


# --- the languages --------------------------------------------------------------------------


# What clients, agents and operators write in the sample data, typed as people type.
TYPED = (
    "a: b",
    "priority: two readings are close",
    "Quelle version ?",
    "Pouvez-vous nous envoyer le fichier ?",
    "75 %",
)


def own_words(kind: NoticeKind, language: str, changes: dict[str, Any]) -> str:
    """Return the text without quotes and what others typed: only what the template says."""
    text = render(kind, language, **changes).text
    text = "\n".join(line for line in text.splitlines() if not line.startswith(">"))
    for typed in TYPED:
        text = text.replace(typed, "…")
    return text


@pytest.mark.parametrize("kind", NoticeKind)
def test_french_is_set_as_french_sets_it(kind: NoticeKind) -> None:
    for each, changes in CASES:
        if each is not kind:
            continue
        text = own_words(kind, "fr", changes)
        assert "'" not in text, changes
        assert '"' not in text, changes
        assert not re.search(r"«(?!\u00a0)|(?<!\u00a0)»", text), changes
        assert not re.search(r"[ ][;!?%»:](?!\w)", text), changes
        assert not re.search(r"\w[;!?%](?=\s|$)|\w:(?=\s|$)", text), changes


@pytest.mark.parametrize("kind", NoticeKind)
def test_english_is_set_as_english_sets_it(kind: NoticeKind) -> None:
    for each, changes in CASES:
        if each is not kind:
            continue
        text = own_words(kind, "en", changes)
        assert "'" not in text, changes
        assert '"' not in text, changes
        assert not re.search(r"[«»\u00a0\u202f]", text), changes
        assert not re.search(r" [;:!?]", text), changes


@pytest.mark.parametrize("kind", NoticeKind)
def test_nothing_is_ever_guaranteed(kind: NoticeKind) -> None:
    for (each, changes), language in itertools.product(CASES, LANGUAGES):
        if each is kind:
            text = render(kind, language, **changes).text.lower()
            assert not re.search(r"garanti|guarant|we promise|nous nous engageons", text)


def test_both_languages_have_the_same_words() -> None:
    """Whatever French can name, English can: only `reasons` and manners of writing differ."""
    french, english = RENDERER.words("fr"), RENDERER.words("en")
    assert set(french) == set(english)
    for table in set(french) - {"reasons", "formats", "greetings"}:
        assert set(french[table]) == set(english[table]), table
    for number in Exclusion:
        assert set(french["exclusions"][number]) == {"name", "number", "clause"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_cover_what_the_core_can_say(language: str) -> None:
    words = RENDERER.words(language)
    assert set(words["items"]) == set(words["items_help"]) == {item.value for item in Item}
    assert set(words["states"]) == {state.value for state in State}
    assert set(words["kinds"]) == {kind.value for kind in Kind}
    assert set(words["priorities"]) == set(words["targets"]) == {"1", "2", "3", "4"}
    assert set(words["contract"]) == {s.value for s in ContractStatus} - {"running"}
    numbers = {name: each["number"] for name, each in words["exclusions"].items()}
    assert numbers == {
        "configuration": 1,
        "third_party": 2,
        "training": 3,
        "client_modification": 4,
    }


# --- registration ---------------------------------------------------------------------------


def test_registration_tells_all_that_the_contract_asks_in_french() -> None:
    lines = lines_of(NoticeKind.REGISTRATION, "fr", ticket__review=[], ticket__requested_priority=2)
    assert lines == [
        "Bonjour,",
        "",
        f"Merci de votre message. Votre demande est enregistrée sous le numéro {REFERENCE}.",
        "",
        f"Référence : {REFERENCE}",
        "Demandeur : Claire Martin, claire.martin@client.example",
        "Interlocuteur en charge : Anne Leroy",
        "Enregistrée le : lundi 2 mars 2026 à 10 h 15 (heure de Paris)",
        "Résumé : L’export des factures échoue depuis ce matin",
        "Priorité : P2 – fonctionnement dégradé",
        "Délai visé : 48 heures (jours ouvrés)",
        "Échéance visée : mercredi 4 mars 2026 à 10 h 15 (heure de Paris)",
        "",
        "Cette échéance est un objectif, que nous ferons nos meilleurs efforts pour tenir. "
        "Pour ajouter une précision, répondez simplement à ce message.",
        "",
        "Cordialement,",
        "Support",
    ]


def test_registration_tells_all_that_the_contract_asks_in_english() -> None:
    lines = lines_of(NoticeKind.REGISTRATION, "en", ticket__review=[], ticket__requested_priority=2)
    assert lines == [
        "Hello,",
        "",
        f"Thank you for your message. Your request is registered under the number {REFERENCE}.",
        "",
        f"Reference: {REFERENCE}",
        "Requested by: Claire Martin, claire.martin@client.example",
        "In charge: Anne Leroy",
        "Registered on: Monday 2 March 2026 at 10:15 (Paris time)",
        "Summary: L’export des factures échoue depuis ce matin",
        "Priority: P2 – degraded operation",
        "Target: 48 hours (working days)",
        "Target date: Wednesday 4 March 2026 at 10:15 (Paris time)",
        "",
        "This date is a target, which we will make our best efforts to meet. "
        "To add anything, just reply to this message.",
        "",
        "Kind regards,",
        "Support",
    ]


@pytest.mark.parametrize(
    ("language", "priority", "target"),
    [
        ("fr", 1, "Délai visé : 4 heures ouvrées"),
        ("fr", 3, "Délai visé : 72 heures (jours ouvrés)"),
        ("fr", 4, "Délai visé : 1 semaine"),
        ("en", 1, "Target: 4 working hours"),
        ("en", 3, "Target: 72 hours (working days)"),
        ("en", 4, "Target: 1 week"),
    ],
)
def test_registration_names_the_target(language: str, priority: int, target: str) -> None:
    assert target in lines_of(NoticeKind.REGISTRATION, language, ticket__priority=priority)


@pytest.mark.parametrize(
    ("language", "team"), [("fr", "l’équipe support"), ("en", "the support team")]
)
def test_registration_without_an_agent_names_the_team(language: str, team: str) -> None:
    assert team in words_of(NoticeKind.REGISTRATION, language, agent=None)


@pytest.mark.parametrize(
    ("language", "wished", "proposed"),
    [
        ("fr", "souhaité le niveau P1 – impact critique", "(proposée, un agent la validera)"),
        ("en", "asked for the level P1 – critical impact", "(proposed, an agent will validate it)"),
    ],
)
@pytest.mark.parametrize("requested", [None, 1, 2])
@pytest.mark.parametrize("review", [[], ["the priority is not sure: P2 (61%)"]])
def test_registration_says_what_is_subject_to_validation(
    language: str, wished: str, proposed: str, requested: int | None, review: list[str]
) -> None:
    changes = {"ticket__requested_priority": requested, "ticket__review": review}
    text = words_of(NoticeKind.REGISTRATION, language, **changes)
    assert (wished in text) == (requested == 1)
    assert (proposed in text) == bool(review)
    assert "not sure" not in text  # our doubts are for agents


@pytest.mark.parametrize(
    ("language", "contact", "without_pause"),
    [
        ("fr", "le nom et le téléphone", "sans interruption pendant les heures de bureau"),
        ("en", "the name and telephone number", "without interruption during office hours"),
    ],
)
def test_only_a_p1_works_without_interruption_and_asks_for_a_contact(
    language: str, contact: str, without_pause: str
) -> None:
    for priority in (1, 2, 3, 4):
        changes = {"ticket__priority": priority, "ticket__contact": None}
        text = words_of(NoticeKind.REGISTRATION, language, **changes)
        assert (contact in text) == (without_pause in text) == (priority == 1)
    known = words_of(NoticeKind.REGISTRATION, language, ticket__priority=1)
    assert contact not in known
    assert "Paul Durand, 06 12 34 56 78" in known


@pytest.mark.parametrize(("language", "word"), [("fr", "Votre question"), ("en", "Your question")])
def test_a_question_is_registered_as_a_question(language: str, word: str) -> None:
    changes = {"ticket__kind": "information", "ticket__priority": 4}
    assert word in words_of(NoticeKind.REGISTRATION, language, **changes)
    assert word not in words_of(NoticeKind.REGISTRATION, language)


# --- missing information --------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", [NoticeKind.REQUEST_INFORMATION, NoticeKind.MISSING_REMINDER])
def test_exactly_what_is_missing_is_asked_for(kind: NoticeKind, language: str) -> None:
    names = [item.value for item in Item]
    for count in range(1, len(names) + 1):
        for missing in itertools.combinations(names, count):
            lines = lines_of(kind, language, data={"missing": list(missing)})
            bullets = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
            assert len(bullets) == count
            for name, bullet in zip(missing, bullets, strict=True):
                assert bullet.startswith(ITEMS[language][name])
                assert len(bullet) > len(ITEMS[language][name]) + 10  # says what to send
            text = "\n".join(lines)
            for name in set(names) - set(missing):
                assert ITEMS[language][name] not in text


@pytest.mark.parametrize(
    ("language", "thanks", "first"),
    [
        ("fr", "Merci pour ce que vous nous avez déjà envoyé.", "Pour enregistrer votre demande"),
        ("en", "Thank you for what you have sent so far.", "To register your request"),
    ],
)
def test_a_second_request_acknowledges_the_answer(language: str, thanks: str, first: str) -> None:
    changes = {"ticket__reference": None}
    once = words_of(
        NoticeKind.REQUEST_INFORMATION, language, data={"missing": ["steps"]}, **changes
    )
    again = words_of(
        NoticeKind.REQUEST_INFORMATION,
        language,
        data={"missing": ["steps"], "again": True},
        **changes,
    )
    assert thanks in again
    assert thanks not in once
    assert first in once


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_agents_question_stands_alone_or_beside_the_items(language: str) -> None:
    question = "Depuis quel poste ?\nEt quelle version ?"
    data = {"missing": [], "question": question}
    alone = words_of(NoticeKind.REQUEST_INFORMATION, language, data=data)
    assert question in alone
    assert "\n- " not in alone
    data = {"missing": ["steps"], "question": question}
    both = words_of(NoticeKind.REQUEST_INFORMATION, language, data=data)
    assert question in both
    assert ITEMS[language]["steps"] in both


@pytest.mark.parametrize(
    ("language", "paused", "starts"),
    [
        ("fr", "est suspendu jusqu’à votre réponse", "nous vous enverrons un numéro"),
        ("en", "is paused until you answer", "we will send you a ticket number"),
    ],
)
def test_a_request_says_what_the_clock_does(language: str, paused: str, starts: str) -> None:
    registered = words_of(NoticeKind.REQUEST_INFORMATION, language)
    changes = {"ticket__reference": None}
    unregistered = words_of(NoticeKind.REQUEST_INFORMATION, language, **changes)
    assert paused in registered
    assert starts not in registered
    assert starts in unregistered
    assert paused not in unregistered


@pytest.mark.parametrize(
    ("language", "last"), [("fr", "dernier rappel"), ("en", "our last reminder")]
)
@pytest.mark.parametrize("kind", [NoticeKind.MISSING_REMINDER, NoticeKind.CONFIRMATION_REMINDER])
def test_the_last_reminder_says_so(kind: NoticeKind, language: str, last: str) -> None:
    assert last not in words_of(kind, language)
    assert last in words_of(kind, language, data__last=True)


# --- exclusion and mails without a ticket ---------------------------------------------------


@pytest.mark.parametrize(
    ("exclusion", "french", "english"),
    [
        ("configuration", "point 1) n’inclut pas : les paramétrages", "item 1) does not include: configuration"),
        ("third_party", "point 2) n’inclut pas : toute intervention associée aux matériels", "item 2) does not include: any work on third-party"),
        ("training", "point 3) n’inclut pas : la formation", "item 3) does not include: training"),
        ("client_modification", "point 4) n’inclut pas : toute intervention due à une modification", "item 4) does not include: any work due to a modification"),
    ],
)  # fmt: skip
def test_exclusion_names_the_clause(exclusion: str, french: str, english: str) -> None:
    changes = {"ticket__exclusion": exclusion}
    assert french in words_of(NoticeKind.EXCLUSION, "fr", **changes)
    assert english in words_of(NoticeKind.EXCLUSION, "en", **changes)


@pytest.mark.parametrize(
    ("language", "word", "objection"),
    [
        ("fr", "répondez à ce message avec le mot « devis »", "un agent la relira"),
        ("en", "reply to this message with the word “quote”", "an agent will read it again"),
    ],
)
def test_exclusion_says_how_to_get_a_quotation_and_how_to_object(
    language: str, word: str, objection: str
) -> None:
    text = words_of(NoticeKind.EXCLUSION, language)
    assert "commerce@support.example" in text
    assert word not in text
    assert objection in text
    text = words_of(NoticeKind.EXCLUSION, language, support__quotation_address=None)
    assert word in text
    assert objection in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", [NoticeKind.HELD, NoticeKind.REFUSED, NoticeKind.UNREADABLE])
def test_strangers_learn_nothing_of_a_ticket(kind: NoticeKind, language: str) -> None:
    rendered = render(kind, language, thread_subject="Re: x")
    for secret in (REFERENCE, "L’export", "Claire", "Client SA", "Anne Leroy", "Durand", "2026"):
        assert secret not in rendered.text
        assert secret not in rendered.html


@pytest.mark.parametrize(
    ("language", "status", "reason"),
    [
        ("fr", "unknown", "nous ne trouvons pas de contrat"),
        ("fr", "ended", "est arrivé à son terme"),
        ("fr", "not_begun", "n’a pas encore commencé"),
        ("en", "unknown", "we find no support contract"),
        ("en", "ended", "has ended"),
        ("en", "not_begun", "has not begun yet"),
    ],
)
def test_a_refusal_says_why(language: str, status: str, reason: str) -> None:
    data = {"contract": status, "language": language}
    assert reason in words_of(NoticeKind.REFUSED, language, data=data, ticket=None)


# --- the rest of the client's thread --------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_answer_is_the_agents_own_words(language: str) -> None:
    lines = lines_of(NoticeKind.ANSWER, language)
    assert lines == ["Bonjour,", "", "Voici la réponse.", "", "Anne Leroy", "Support"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "kind",
    [
        NoticeKind.PRIORITY_CHANGED,
        NoticeKind.RESOLUTION,
        NoticeKind.CLOSED,
        NoticeKind.REOPENED,
        NoticeKind.WAITING,
        NoticeKind.PROGRESS,
        NoticeKind.CONFIRMATION_REMINDER,
        NoticeKind.ABANDONED,
    ],
)
def test_mails_about_a_ticket_name_it(kind: NoticeKind, language: str) -> None:
    assert REFERENCE in words_of(kind, language)


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "fr",
            [
                "Ancienne priorité : P3 – instabilité",
                "Nouvelle priorité : P2 – fonctionnement dégradé",
                "Délai visé : 48 heures (jours ouvrés)",
                f"Nouvelle échéance visée : {DUE['fr']}",
                "Raison : plusieurs sites touchés",
            ],
        ),
        (
            "en",
            [
                "Previous priority: P3 – instability",
                "New priority: P2 – degraded operation",
                "Target: 48 hours (working days)",
                f"New target date: {DUE['en']}",
                "Reason: plusieurs sites touchés",
            ],
        ),
    ],
)
def test_a_changed_priority_is_told_with_reason_and_deadline(
    language: str, expected: list[str]
) -> None:
    lines = lines_of(NoticeKind.PRIORITY_CHANGED, language)
    assert [line for line in lines if line in expected] == expected


@pytest.mark.parametrize(
    ("language", "question", "workaround"),
    [
        ("fr", "Confirmez-vous que c’est résolu ?", "solution de contournement"),
        ("en", "Can you confirm that it is solved?", "workaround"),
    ],
)
def test_a_resolution_asks_for_a_yes_or_no(language: str, question: str, workaround: str) -> None:
    solved = words_of(NoticeKind.RESOLUTION, language)
    assert "Nous avons corrigé l’export." in solved
    assert question in solved
    assert workaround not in solved
    around = words_of(NoticeKind.RESOLUTION, language, data__workaround=True)
    assert workaround in around
    assert question in words_of(NoticeKind.CONFIRMATION_REMINDER, language)


@pytest.mark.parametrize(
    ("text", "greetings"),
    [
        ("C’est réparé.", 1),
        ("Bonjour Claire,\n\nC’est réparé.", 1),
        ("  bonsoir,\n\nC’est réparé.", 1),
        ("Hello Claire,\n\nIt works.", 1),
        ("Chère Claire,\n\nC’est réparé.", 1),
    ],
)
@pytest.mark.parametrize("kind", [NoticeKind.RESOLUTION, NoticeKind.WAITING, NoticeKind.PROGRESS])
def test_nobody_is_greeted_twice(kind: NoticeKind, text: str, greetings: int) -> None:
    mail = words_of(kind, "fr", data__text=text)
    assert text.strip() in mail
    assert len(re.findall(r"(?i)bonjour|bonsoir|hello|chère", mail)) == greetings


@pytest.mark.parametrize(
    ("language", "closes", "stays"),
    [
        ("fr", "sera close le jeudi 5 mars 2026", "reste ouverte jusqu’à votre réponse"),
        ("en", "will be closed on Thursday 5 March 2026", "stays open until you answer"),
    ],
)
def test_a_reminder_threatens_a_closing_only_where_there_is_one(
    language: str, closes: str, stays: str
) -> None:
    text = words_of(NoticeKind.CONFIRMATION_REMINDER, language)
    assert stays in text
    assert closes not in text
    data = {"number": 2, "last": True, "closes_on": NOW + timedelta(days=3)}
    text = words_of(NoticeKind.CONFIRMATION_REMINDER, language, data=data)
    assert closes in text
    assert stays not in text


@pytest.mark.parametrize(
    ("language", "aside"),
    [
        ("fr", "sans réponse avant le jeudi 5 mars 2026, nous mettrons votre demande de côté"),
        ("en", "without an answer before Thursday 5 March 2026, we will set your request aside"),
    ],
)
def test_a_request_is_set_aside_only_where_it_will_be(language: str, aside: str) -> None:
    data = {"missing": ["steps"], "number": 2, "last": True, "closes_on": None}
    assert aside not in words_of(NoticeKind.MISSING_REMINDER, language, data=data)
    data = {**data, "closes_on": NOW + timedelta(days=3)}
    assert aside in words_of(NoticeKind.MISSING_REMINDER, language, data=data)


@pytest.mark.parametrize(
    ("language", "thanks"), [("fr", "Merci de votre confirmation"), ("en", "Thank you for your")]
)
def test_a_forced_closing_thanks_for_no_confirmation(language: str, thanks: str) -> None:
    assert thanks in words_of(NoticeKind.CLOSED, language, data={"confirmed": True})
    assert thanks not in words_of(NoticeKind.CLOSED, language, data={})
    data = {"confirmed": False, "reason": "doublon de MF-2026-000100"}
    text = words_of(NoticeKind.CLOSED, language, data=data)
    assert thanks not in text
    assert "doublon de MF-2026-000100" in text


# --- agents ---------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_agents_notice_has_the_deadline_first_and_all_that_is_needed(language: str) -> None:
    text = words_of(NoticeKind.AGENT_NEW, language)
    assert DUE[language] in text.splitlines()[0]
    for fact in (
        REFERENCE,
        "Client SA",
        "Claire Martin, claire.martin@client.example",
        "Paul Durand, 06 12 34 56 78",
        "Anne Leroy",
        "L’export des factures échoue depuis ce matin",
        "two readings are close",
        "\n> Bonjour,\n> L’export échoue.\n> <b>1 < 2 & 3</b>\n",
    ):
        assert fact in text
    assert re.search(r"- Priorit[yé] ?: P2 – .* \(91 ?%\) [«“] ?l’export échoue ?[»”]", text)


@pytest.mark.parametrize(
    ("name", "value", "french", "english"),
    [
        ("kind", "information", "Nature : demande d’information", "Kind: question"),
        ("exclusion", "third_party", "Exclusion : matériel ou logiciel tiers", "Exclusion: third-party hardware or software"),
        ("requested_priority", "1", "Priorité souhaitée : P1 – impact critique", "Requested priority: P1 – critical impact"),
        ("requested_priority", None, "Priorité souhaitée : aucune", "Requested priority: none"),
        ("priority", 3, "Priorité : P3 – instabilité", "Priority: P3 – instability"),
        ("exclusion", None, "Exclusion : aucune", "Exclusion: none"),
        ("colour", "red", "colour : red", "colour: red"),
    ],
)  # fmt: skip
def test_findings_are_told_in_words(name: str, value: Any, french: str, english: str) -> None:
    findings = [{"name": name, "value": value, "confidence": 0.505, "words": ["a\n b", "x" * 500]}]
    for language, start, quotes in (("fr", french, "« a b »"), ("en", english, "“a b”")):
        lines = lines_of(NoticeKind.AGENT_NEW, language, findings=findings)
        found = next(line for line in lines if line.startswith(f"- {start} ("))
        assert quotes in found
        assert len(found) < 250


COMMANDS = {
    "fr": ["#valider", "#priorité 2", "#demander étapes message", "#attente", "#contournement",
           "#résoudre", "#exclure formation", "#affecter", "#note"],
    "en": ["#validate", "#priority 2", "#ask steps error_message", "#wait", "#workaround",
           "#resolve", "#exclude training", "#assign", "#note"],
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_agents_notice_explains_the_commands(language: str) -> None:
    text = words_of(NoticeKind.AGENT_NEW, language)
    for command in COMMANDS[language]:
        assert command in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", [kind for kind in NoticeKind if kind.is_for_agents])
def test_no_line_of_a_notice_can_be_taken_for_a_command(kind: NoticeKind, language: str) -> None:
    """An agent's mail program may quote our mail without marks: it must not then do anything."""
    for each, changes in CASES:
        if each is kind:
            text = render(kind, language, **changes).text
            assert not any(line.lstrip().startswith("#") for line in text.splitlines())


@pytest.mark.parametrize(
    ("state", "reference", "expected", "absent"),
    [
        ("held", None, "#valider", "#inclure"),
        ("excluded", None, "#inclure", "#exclure"),
        ("open", REFERENCE, "#valider", "#inclure"),
    ],
)
def test_a_review_offers_what_the_state_allows(
    state: str, reference: str | None, expected: str, absent: str
) -> None:
    changes = {"ticket__state": state, "ticket__reference": reference}
    text = words_of(NoticeKind.AGENT_REVIEW, "fr", **changes)
    assert expected in text
    assert absent not in text


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("excluded", "demande jugée hors contrat ; le client en est averti"),
        ("the priority is not sure: P2 (61%)", "priorité incertaine : P2 (61%)"),
        ("close: the client has not confirmed", "clore : le client n’a pas confirmé"),
        (
            "#clore: cannot close a ticket that is closed: its state does not allow that",
            "#clore : cannot close a ticket that is closed : son état ne le permet pas",
        ),
        ("the client says “a\nb: c”", "the client says “a b : c”"),
        ("x: " * 3000 + "x", "x : " * 3000 + "x"),
        ("something new", "something new"),
        ("something new: 3", "something new : 3"),
    ],
)
def test_reasons_are_told_in_french_where_known(reason: str, expected: str) -> None:
    text = words_of(NoticeKind.AGENT_REVIEW, "fr", data__reason=reason)
    assert f"Une décision est attendue de vous : {expected}.\n" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_reminder_has_deadline_time_left_and_contact(language: str) -> None:
    for kind in (NoticeKind.AGENT_REMINDER, NoticeKind.AGENT_ESCALATION):
        text = words_of(kind, language, data__stage="soon", data__left="1 h 00")
        assert "14 h 15" in text or "14:15" in text
        assert "1 h 00" in text
        assert "06 12 34 56 78" in text


@pytest.mark.parametrize(
    ("language", "late"), [("fr", "Retard : 0 h 10"), ("en", "Late by: 0 h 10")]
)
def test_a_breach_is_told_as_a_delay(language: str, late: str) -> None:
    assert late in lines_of(NoticeKind.AGENT_ESCALATION, language)
    data = {"stage": "mine", "due_at": NOW, "left": "-0 h 10", "breached": True}
    assert late in lines_of(NoticeKind.AGENT_ESCALATION, language, data=data)
    assert late not in lines_of(NoticeKind.AGENT_ESCALATION, language, data__stage="soon")


@pytest.mark.parametrize(
    ("verdict", "french"),
    [
        ("yes", "une confirmation : la demande est close."),
        ("no", "un refus : la demande est rouverte."),
        ("unclear", "une réponse ambiguë : rien n’a changé, à vous de décider."),
    ],
)
def test_the_agent_reads_what_an_answer_was_taken_for(verdict: str, french: str) -> None:
    said = {"verdict": verdict, "words": "oui mais", "reason": "a condition"}
    text = words_of(NoticeKind.AGENT_REPLY, "fr", data={"confirmation": said})
    assert f"Elle a été prise pour {french} Ses mots : « oui mais »." in text
    assert ("#clore" in text) == (verdict == "unclear")


@pytest.mark.parametrize(
    ("language", "client", "colleague"),
    [
        ("fr", "Réponse du client :", "Anne Leroy a répondu au client :"),
        ("en", "The client’s answer:", "Anne Leroy answered the client:"),
    ],
)
def test_a_colleagues_answer_is_not_taken_for_the_clients(
    language: str, client: str, colleague: str
) -> None:
    data = {"to": "paul@support.example", "answer_by": "Anne Leroy"}
    lines = lines_of(NoticeKind.AGENT_REPLY, language, data=data)
    assert lines[0] == colleague
    assert client not in lines
    assert lines_of(NoticeKind.AGENT_REPLY, language)[0] == client


@pytest.mark.parametrize(
    ("language", "done", "refused", "nothing"),
    [
        ("fr", "priorité : P3 → P2", "clore : le client n’a pas confirmé", "Rien n’a été changé."),
        ("en", "priority: P3 → P2", "close: the client has not confirmed", "Nothing was changed."),
    ],
)
def test_a_transcript_tells_done_refused_and_the_ticket(
    language: str, done: str, refused: str, nothing: str
) -> None:
    lines = lines_of(NoticeKind.AGENT_TRANSCRIPT, language)
    assert f"- {done}" in lines
    assert f"- {refused}" in lines
    assert nothing not in lines
    assert any(REFERENCE in line for line in lines)
    data = {"done": [], "refused": ["a"], "notes": []}
    assert nothing in lines_of(NoticeKind.AGENT_TRANSCRIPT, language, data=data)


@pytest.mark.parametrize(
    ("language", "subject", "due", "waiting"),
    [
        (
            "fr",
            "Support : lundi 2 mars 2026",
            "- MF-2026-000123, P2, lundi 2 mars 2026, 14 h 15 : Export",
            "En attente du client",
        ),
        (
            "en",
            "Support: Monday 2 March 2026",
            "- MF-2026-000123, P2, Monday 2 March 2026, 14:15: Export",
            "Waiting for the client",
        ),
    ],
)
def test_a_digest_has_the_day_and_only_the_lists_that_hold_something(
    language: str, subject: str, due: str, waiting: str
) -> None:
    rendered = render(NoticeKind.AGENT_DIGEST, language, ticket=None, agent=None)
    assert rendered.subject.replace("\u00a0", " ") == subject
    text = words_of(NoticeKind.AGENT_DIGEST, language, ticket=None, agent=None)
    assert due in text.splitlines()
    assert waiting not in text
    entry = {"reference": "R", "subject": "S", "priority": 1, "due_at": None}
    assert waiting in words_of(NoticeKind.AGENT_DIGEST, language, data__waiting=[entry])


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_problem_without_a_ticket_points_to_the_quarantine(language: str) -> None:
    text = words_of(NoticeKind.AGENT_PROBLEM, language, ticket=None, agent=None)
    assert "mailflow quarantine list" in text
    assert "mailflow quarantine list" not in words_of(NoticeKind.AGENT_PROBLEM, language)
