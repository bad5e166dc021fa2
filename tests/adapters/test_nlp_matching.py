"""Matching rules in a text: moods, places, spaCy's part, and patterns that are refused."""

import pytest

from mailflow.adapters import spoken
from mailflow.adapters.nlp import RuleMatcher, load_rules
from mailflow.adapters.spoken import SpokenRules
from mailflow.core.rules import Mood, Place, parse_rules
from mailflow.errors import ConfigError


def rule_set(*rules, language="en"):
    document = {"rule": [{"matches": ["x"], **rule} for rule in rules]}
    return parse_rules(document, language, "t.toml")


def matcher(*rules, language="en"):
    return RuleMatcher(rule_set(*rules, language=language), "t.toml")


STUCK = {"id": "stuck", "cue": "blocked", "patterns": [r"\bstuck\b"]}
QUESTION = {"id": "q", "cue": "mood_question", "patterns": [r"\?"]}
SUPPOSED = {"id": "s", "cue": "mood_supposed", "patterns": [r"\bif\b"]}


def found(rules, text, place=Place.BODY):
    return [(h.rule, h.text, h.mood) for h in rules.find_hits(text, place) if h.rule == "stuck"]


@pytest.mark.parametrize(
    "text, moods",
    [
        ("We are stuck.", [Mood.ACTUAL]),
        ("Are we stuck? No.", [Mood.QUESTION]),
        ("Why? We are stuck.", [Mood.ACTUAL]),  # the question is another sentence
        ("If we were stuck, what then?", [Mood.SUPPOSED]),  # a supposition in a question
        ("Unstuck.", []),
    ],
)
def test_moods(text, moods):
    assert [mood for _, _, mood in found(matcher(STUCK, QUESTION, SUPPOSED), text)] == moods


def test_unless_silences_within_its_sentence_only():
    rules = matcher({**STUCK, "unless": r"\bnot\b"})
    assert found(rules, "We are not stuck.") == []
    assert len(found(rules, "It is not good. We are stuck.")) == 1


def test_a_find_over_two_sentences_is_none():
    rules = matcher({**STUCK, "patterns": [r"stuck.{0,9}now"]})
    assert found(rules, "We are stuck. Now what") == []


def test_text_rules_see_the_whole_mail():
    rules = matcher({**STUCK, "part": "text", "patterns": [r"1\.[^\n]*\n2\."], "unless": "menu"})
    assert len(found(rules, "1. open\n2. save")) == 1
    assert found(rules, "menu\n1. open\n2. save") == []


def test_attachment_rules_see_attachments_only():
    rules = matcher({**STUCK, "part": "attachments", "patterns": [r"\.log"]})
    assert len(found(rules, "a.log", Place.ATTACHMENT)) == 1
    assert found(rules, "a.log") == []


def test_case_counts_where_asked():
    rules = matcher({**STUCK, "case": True, "patterns": [r"\b[A-Z]{3}-\d+"]})
    assert len(found(rules, "ERR-12")) == 1
    assert found(rules, "err-12") == []


def test_accents_fall_but_offsets_stay():
    rules = matcher({**STUCK, "patterns": [r"a l'arret"]}, language="fr")
    assert [text for _, text, _ in found(rules, "Tout est à l’arrêt ici")] == ["à l’arrêt"]


def test_an_empty_find_is_none():
    assert found(matcher({**STUCK, "patterns": ["z*"]}), "abc") == []


def test_spacy_matchers():
    rules = matcher(
        {"id": "stuck", "cue": "blocked", "phrases": ["dead end"], "unless": "no dead"},
        {"id": "t", "cue": "repair", "tokens": [[{"LOWER": "fix"}, {"LOWER": "it"}]]},
    )
    hits = rules.find_hits("A dead end. Fix it!", Place.BODY)
    assert [(hit.rule, hit.text) for hit in hits] == [("stuck", "dead end"), ("t", "Fix it")]
    assert rules.find_hits("No dead end", Place.BODY) == ()


def test_spacy_is_not_asked_about_texts_without_the_words():
    rules = SpokenRules(rule_set({"id": "stuck", "cue": "blocked", "phrases": ["dead end"]}))
    assert rules.find("a dead man's end") == []
    assert rules.find("A Dead End") == [("stuck", 2, 10)]


@pytest.mark.parametrize(
    "pattern, text",
    [
        ([{"LOWER": "can"}, {"LOWER": "not"}], "I cannot go"),  # two tokens, written as one
        ([{"IS_DIGIT": True}], "It shows 404 again"),  # no word is needed
        ([{"LOWER": {"REGEX": "^fix"}}], "Fixing it"),
        ([{"LOWER": "please", "OP": "?"}, {"LOWER": "fix"}], "Fix it"),  # need not be there
    ],
)
def test_what_spacy_finds_is_found(pattern, text):
    rules = SpokenRules(rule_set({"id": "t", "cue": "c", "tokens": [pattern]}))
    assert [rule for rule, _, _ in rules.find(text)]


def test_spacys_memory_begins_anew_when_full(monkeypatch):
    monkeypatch.setattr(spoken, "_MOST_WORDS", 1)
    rules = SpokenRules(rule_set({"id": "t", "cue": "c", "phrases": ["dead end"]}))
    first = rules.load()
    assert first.is_full
    assert rules.load() is not first


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "text, count",
    [
        ("All the new invoices are blocked.", 1),  # an adjective between: the parser sees through
        ("All accountants read invoices.", 0),  # the quantified ones are people
    ],
)
def test_heads_ask_the_parser(text, count):
    rules = matcher({**STUCK, "patterns": [r"\ball\b"], "heads": ["invoice"]})
    assert len(found(rules, text)) == count


def test_heads_of_a_language_without_parser_find_nothing():
    rules = matcher({**STUCK, "heads": ["x"]}, language="de")
    assert found(rules, "stuck") == []


@pytest.mark.parametrize("pattern", ["(", "(?=x)", r"(a)\1"])  # broken, look-ahead, reference
def test_bad_pattern_names_file_rule_and_mend(pattern):
    with pytest.raises(ConfigError) as error:
        matcher({**STUCK, "patterns": [pattern]})
    assert "t.toml" in str(error.value)
    assert "'stuck'" in str(error.value)
    assert "mend" in str(error.value)


def test_bad_toml_names_the_file(tmp_path):
    path = tmp_path / "en.toml"
    path.write_text("[[rule]\n")
    with pytest.raises(ConfigError, match=r"en\.toml"):
        load_rules(path)


def test_a_pattern_cannot_run_away():
    rules = matcher({**STUCK, "patterns": [r"(x+x+)+y"]})
    assert found(rules, "x" * 20_000) == []
