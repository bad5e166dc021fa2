"""Rules as data: what is refused, how text is folded and cut."""

import pytest

from mailflow.core.rules import fold, parse_rules, split_sentences
from mailflow.errors import ConfigError

GOOD = {"id": "r1", "cue": "blocked", "patterns": ["stuck"], "matches": ["it is stuck"]}


@pytest.mark.parametrize(
    "entry, told",
    [
        ({**GOOD, "colour": 1}, "colour"),  # a mistyped key must not pass in silence
        ({k: v for k, v in GOOD.items() if k != "cue"}, "'cue' is missing"),
        ({**GOOD, "cue": 3}, "'cue' is missing"),  # not a text
        ({k: v for k, v in GOOD.items() if k != "patterns"}, "nothing to look for"),
        ({k: v for k, v in GOOD.items() if k != "matches"}, "no example"),
        ({**GOOD, "part": "footer"}, "part 'footer'"),
        ({**GOOD, "patterns": ["{people} out"]}, "no list 'people'"),
    ],
)
def test_bad_rule_is_refused_with_file_and_rule(entry, told):
    with pytest.raises(ConfigError) as error:
        parse_rules({"rule": [entry]}, "en", "en.toml")
    assert told in str(error.value)
    assert "en.toml" in str(error.value)


def test_an_id_stands_once():
    with pytest.raises(ConfigError, match="stands twice"):
        parse_rules({"rule": [GOOD, GOOD]}, "en", "en.toml")


def test_lists_are_written_out_one_in_another():
    rules = parse_rules(
        {
            "lists": {"people": "users|{staff}", "staff": "clerks"},
            "rule": [{**GOOD, "patterns": ["all {people}"], "unless": "{staff} only"}],
        },
        "en",
        "en.toml",
    )
    assert rules.rules[0].patterns == ("all (?:users|(?:clerks))",)
    assert rules.rules[0].unless == "(?:clerks) only"


def test_rules_say_what_they_speak_for_and_against():
    rules = parse_rules(
        {"rule": [{**GOOD, "means": {"priority": [1, 2]}, "against": {"kind": "noise"}}]},
        "en",
        "en.toml",
    )
    assert rules.speaking_for("priority", "2") == {"r1"}
    assert rules.speaking_for("priority", "3") == frozenset()
    assert rules.speaking_against("kind", "noise") == {"r1"}


@pytest.mark.parametrize(
    "text, folded",
    [
        ("plain", "plain"),
        ("À l’arrêt", "A l'arret"),  # accents and apostrophe
        ("« oui » – non…", '" oui " - non.'),  # French quotes with their narrow spaces
        ("a\u00a0b", "a b"),  # no-break space
        ("A → B", "A > B"),  # menu path
        ("Ω日", "??"),  # no plain form
        ("œuvre", "ouvre"),  # one for one: offsets count more than spelling
    ],
)
def test_fold_keeps_every_offset(text, folded):
    assert fold(text) == folded
    assert len(folded) == len(text)


@pytest.mark.parametrize(
    "text, sentences",
    [
        ("", []),
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("a line\n\nanother", ["a line", "another"]),
        ("1. Open it. Then save.", ["1. Open it.", "Then save."]),  # a step's number is no end
        ("Dear Mr. Smith, hello. Bye", ["Dear Mr. Smith, hello.", "Bye"]),
        ("from Sophie R. in Lyon", ["from Sophie R. in Lyon"]),  # an initial
        ("one; two", ["one;", "two"]),
        ("  padded  ", ["padded"]),
    ],
)
def test_sentences(text, sentences):
    found = split_sentences(text)
    assert [one.text for one in found] == sentences
    assert all(text[one.start : one.end] == one.text for one in found)
