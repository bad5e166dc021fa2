import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailflow.core.commands import Verb, find_verb, fold, parse_orders


def one(line):
    """The only command of a reply that is nothing but `line`."""
    orders = parse_orders(line)
    assert orders.unknown == ()
    assert orders.answer == ""
    (command,) = orders.commands
    return command


@pytest.mark.parametrize(
    ("line", "level", "reason"),
    [
        ("#priority 2 one site only", "2", "one site only"),
        ("#Priorité: 2 - raison", "2", "raison"),
        ("#PRIORITE : 2, un seul site", "2", "un seul site"),  # French spacing, no accent
        ("# priority p1", "1", ""),  # a space after the sign, as phones write it
        ("#  priority   P3   because  of it", "3", "because  of it"),
        ("＃priority 1", "1", ""),  # a full-width sign
        ("#prio 4.", "4", ""),
        ("#priority2 typing fast", "2", "typing fast"),
        ("#p1 all are down", "1", "all are down"),
        ("#priorty 2 x", "2", "x"),  # a letter lost
        ("#prioirty 2 x", "2", "x"),  # two swapped
        ("#priorité 2 — un seul site", "2", "un seul site"),
        ("\u200b#priority 2 x", "2", "x"),  # invisible characters that programs write
        ("\ufeff #priority 2 x", "2", "x"),
        ("\xa0#priority\xa02 x", "2", "x"),  # no-break spaces
        (unicodedata.normalize("NFD", "#priorité 2 x"), "2", "x"),  # accents apart, as macOS writes
    ],
)
def test_priority(line, level, reason):
    command = one(line)
    assert (command.verb, command.argument, command.reason) == (Verb.PRIORITY, level, reason)


@pytest.mark.parametrize(
    "line", ["#priority", "#priority 5", "#priority 0 x", "#priority high", "#priority ２", "#p12"]
)
def test_no_such_priority(line):
    orders = parse_orders(line)
    assert orders.commands == ()
    assert orders.unknown == ((line, "expected a level from 1 to 4, such as #priority 2 reason"),)


@pytest.mark.parametrize(
    ("word", "verb"),
    [
        ("validate", Verb.VALIDATE),
        ("VALIDER", Verb.VALIDATE),
        ("Validé", Verb.VALIDATE),
        ("demander", Verb.ASK),
        ("attente", Verb.WAIT),
        ("workaround", Verb.WORKAROUND),
        ("contournement", Verb.WORKAROUND),
        ("contournment", Verb.WORKAROUND),  # the usual slip
        ("résoudre", Verb.RESOLVE),
        ("resoudre", Verb.RESOLVE),
        ("Résolu", Verb.RESOLVE),
        ("clore", Verb.CLOSE),
        ("clôturer", Verb.CLOSE),
        ("rouvrir", Verb.REOPEN),
        ("réouvrir", Verb.REOPEN),
        ("re-open", Verb.REOPEN),
        ("work-around", Verb.WORKAROUND),
        ("affecter", Verb.ASSIGN),
        ("assing", Verb.ASSIGN),
        ("note", Verb.NOTE),
        ("notes", Verb.NOTE),
        ("nte", Verb.NOTE),  # what might be a note is one: better kept than shown
        ("ntoe", Verb.NOTE),
        ("exclure", Verb.EXCLUDE),
        ("inclure", Verb.INCLUDE),
        ("exclud", Verb.EXCLUDE),
        ("fusionner", Verb.MERGE),
        ("scinder", Verb.SPLIT),
        ("lier", Verb.LINK),
        ("spam", Verb.SPAM),
        ("indésirable", Verb.SPAM),
        ("autoriser", Verb.ALLOW),
        ("clos", None),  # short words get no guess: 'close' is not to be taken back
        ("hashtag", None),
        ("clude", None),
        ("", None),
        ("clοse", Verb.CLOSE),  # a Greek o is one slip
    ],
)
def test_find_verb(word, verb):
    assert find_verb(word) is verb


def test_each_verb_answers_to_its_own_name():
    for verb in Verb:
        assert find_verb(verb.value) is verb
        assert find_verb(verb.value.upper()) is verb


@pytest.mark.parametrize(
    ("line", "items", "question"),
    [
        ("#ask steps error_message", ("steps", "error_message"), ""),
        ("#demander étapes message", ("steps", "error_message"), ""),
        ("#demander les étapes et le message d'erreur", ("steps", "error_message"), ""),
        ("#ask steps, steps and the feature", ("steps", "feature"), ""),
        ("#ask error message", ("error_message",), ""),  # two words for one item
        ("#ask stpes", ("steps",), ""),  # a slip
        ("#demander la fonctionalité", ("feature",), ""),
        ("#ask steps to reproduce, and the error", ("steps", "error_message"), ""),
        ("#ask", (), ""),  # the question stands below
        ("#ask Which version is it?", (), "Which version is it?"),
        ("#ask What does the message say?", (), "What does the message say?"),  # not an item
        ("#ask steps; which browser is it?", ("steps",), "steps; which browser is it?"),
        ("#ask version", (), "version"),
    ],
)
def test_ask(line, items, question):
    command = one(line)
    assert (command.verb, command.words, command.reason) == (Verb.ASK, items, question)
    assert command.argument == " ".join(items)


@pytest.mark.parametrize(
    ("line", "which", "reason"),
    [
        ("#exclude training", "training", ""),
        ("#exclure formation prévue au contrat 2", "training", "prévue au contrat 2"),
        ("#exclure Paramétrage", "configuration", ""),
        ("#exclude third-party their proxy", "third_party", "their proxy"),
        ("#exclure matériel", "third_party", ""),
        ("#exclude client_modification", "client_modification", ""),
    ],
)
def test_exclude(line, which, reason):
    command = one(line)
    assert (command.verb, command.argument, command.reason) == (Verb.EXCLUDE, which, reason)


@pytest.mark.parametrize(
    ("line", "verb", "argument"),
    [
        ("#assign Marie Dupont", Verb.ASSIGN, "Marie Dupont"),
        ("#merge MF-2026-000123", Verb.MERGE, "MF-2026-000123"),
        ("#merge [MF-2026-000123].", Verb.MERGE, "MF-2026-000123"),
        ("#lier #MF-2026-000123, same cause", Verb.LINK, "MF-2026-000123"),
        ("#allow <paul@client.example>,", Verb.ALLOW, "paul@client.example"),
        ("#close force no answer for weeks", Verb.CLOSE, "force no answer for weeks"),
        ("#resolve", Verb.RESOLVE, ""),
        ("#resolve.", Verb.RESOLVE, ""),  # a full stop is no text for the client
        ("#wait :", Verb.WAIT, ""),
        ("#spam!", Verb.SPAM, ""),
    ],
)
def test_other_arguments(line, verb, argument):
    command = one(line)
    assert (command.verb, command.argument) == (verb, argument)


@pytest.mark.parametrize(
    ("line", "mend"),
    [
        ("#exclude", "expected one of configuration, third_party"),
        ("#exclude because", "expected one of configuration, third_party"),
        ("#assign", "expected a name or reference after #assign"),
        ("#merge  ", "expected a name or reference after #merge"),
        ("#lier", "expected a name or reference after #link"),
        ("#allow", "expected a name or reference after #allow"),
        ("#clos", "did you mean #close?"),
        ("#wiat", "did you mean #wait?"),
        ("#hashtag", "known: #priority"),
        ("#foo-bar baz", "known: #priority"),
        ("#zzzz text", "known: #priority"),
    ],
)
def test_what_cannot_be_read_is_explained_and_changes_nothing(line, mend):
    orders = parse_orders(line)
    assert orders.commands == ()
    assert orders.has_commands
    ((found, explanation),) = orders.unknown
    assert found == line.strip()
    assert mend in explanation


@pytest.mark.parametrize(
    "text",
    [
        "#1 of the list is done",
        "# 1. of the list",
        "#42",
        "##resolve",  # a heading
        "#",
        "# ",
        "#_x",
        "Please see #resolve in the manual",
        "Bonjour #hashtag",
        "-- #note",  # not at the start of the line
        "<#resolve>",
    ],
)
def test_what_merely_looks_like_a_command_is_text(text):
    orders = parse_orders(text)
    assert orders.answer == text.strip()
    assert not orders.has_commands


def test_commands_then_the_answer():
    orders = parse_orders(
        "\n#priority 2 one site\n\n#assign me\n\nHello Ann,\n\n#1 is done.\n\nBye\n"
    )
    assert [command.verb for command in orders.commands] == [Verb.PRIORITY, Verb.ASSIGN]
    assert orders.answer == "Hello Ann,\n\n#1 is done.\n\nBye"
    assert orders.note == ""


def test_an_unknown_command_does_not_hide_the_others():
    orders = parse_orders("#zzzz\n#resolve\nDone.")
    assert [command.verb for command in orders.commands] == [Verb.RESOLVE]
    assert orders.unknown[0][0] == "#zzzz"
    assert orders.answer == "Done."


@pytest.mark.parametrize(
    ("text", "answer", "note"),
    [
        ("#note he is slow", "", "he is slow"),
        ("#note\nhe is slow\n#resolve\nso am I", "", "he is slow\n#resolve\nso am I"),
        ("#noter: il est lent\nsuite", "", "il est lent\nsuite"),
        ("#Note - x", "", "- x"),
        ("#nte he is slow\nreally", "", "he is slow\nreally"),  # misspelt: kept all the same
        ("\u200b#note he is slow", "", "he is slow"),
        ("Hello Ann\n\n#note he is slow\nreally", "Hello Ann", "he is slow\nreally"),  # below
        ("Hello Ann\n  # NOTE: slow", "Hello Ann", "slow"),
        ("Hello Ann\n#note", "Hello Ann", ""),  # an empty one
        ("Hello Ann\n#notables are here", "Hello Ann\n#notables are here", ""),  # another word
    ],
)
def test_notes_never_reach_the_client(text, answer, note):
    orders = parse_orders(text)
    assert (orders.answer, orders.note, orders.commands) == (answer, note, ())


def test_a_command_below_the_text_is_refused_and_kept_from_the_client():
    orders = parse_orders("Hello Ann,\nit works.\n#resolve\nBye\n#nosuch thing")
    assert orders.commands == ()
    assert orders.answer == "Hello Ann,\nit works.\nBye\n#nosuch thing"
    assert orders.unknown == (
        ("#resolve", "commands stand at the top, above the text for the client"),
    )


@pytest.mark.parametrize("text", ["", "  \n\t\n", "\r\n"])
def test_nothing_written(text):
    orders = parse_orders(text)
    assert not orders.has_commands
    assert orders.answer == ""


@pytest.mark.parametrize(
    ("word", "plain"),
    [("Étapes", "etapes"), ("STRASSE", "strasse"), ("straße", "strasse"), ("ﬁn", "fin")],
)
def test_fold(word, plain):
    assert fold(word) == plain


LINES = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.sampled_from(
            ["#note", "#resolve", "#priority 2 x", "#ask steps", "# Note: y", "", "#x"]
        ),
    ),
    max_size=8,
).map("\n".join)


@given(LINES)
def test_no_command_and_no_note_is_ever_in_the_answer(text):
    orders = parse_orders(text)
    again = parse_orders("x\n" + orders.answer)
    assert again.note == ""
    assert again.unknown == ()


@given(LINES, st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=8, max_size=20))
def test_nothing_after_a_note_is_shown(text, secret):
    assume(secret not in text)
    orders = parse_orders(f"{text}\n#note\n{secret}")
    assert secret not in orders.answer
    assert orders.note.endswith(secret)


@given(st.text(st.characters(exclude_characters="#＃"), max_size=200))
def test_text_without_the_sign_is_the_answer(text):
    orders = parse_orders(text)
    assert not orders.has_commands
    assert orders.answer.split() == [*text.split()]
