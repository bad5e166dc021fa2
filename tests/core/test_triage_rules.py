"""The shipped rules: each finds its examples and leaves its counter-examples alone."""

import tomllib

import pytest

from mailflow.adapters.nlp import RuleMatcher, load_rules
from mailflow.adapters.triager import find_rule_files
from mailflow.core.rules import Mood, Place

FILES = find_rule_files(None)
MATCHERS = {name: RuleMatcher(load_rules(path)) for name, path in FILES.items()}
RULES = [rule for matcher in MATCHERS.values() for rule in matcher.rules.rules]


def find(rule, text):
    place = Place.ATTACHMENT if rule.part == "attachments" else Place.BODY
    return [hit for hit in MATCHERS[rule.language].find_hits(text, place) if hit.rule == rule.id]


@pytest.mark.filterwarnings("default")  # of the language models' own libraries
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_examples(rule):
    for example in rule.matches:
        hits = find(rule, example)
        assert hits, f"{rule.id} does not find {example!r}"
        assert all(example[hit.start : hit.end] == hit.text for hit in hits)
    for example in rule.misses:
        stated = [hit for hit in find(rule, example) if hit.mood is not Mood.SUPPOSED]
        assert not stated, f"{rule.id} finds {stated[0].text!r} in {example!r}"


def test_every_language_knows_the_same_cues():
    # what one language can tell, the model must be able to hear from the other
    cues = {name: {rule.cue for rule in matcher.rules.rules} for name, matcher in MATCHERS.items()}
    assert cues["fr"] == cues["en"]


def test_every_rule_has_counter_examples_or_is_a_mood():
    assert [rule.id for rule in RULES if not rule.misses] == []


def test_rules_files_are_toml_with_known_tables():
    for path in FILES.values():
        assert set(tomllib.loads(path.read_text("utf-8"))) <= {"lists", "rule", "faint_words"}
