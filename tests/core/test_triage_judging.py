"""Rules and probabilities joined: values, evidence, doubts, outcome."""

from dataclasses import replace

import pytest

from mailflow.core.completeness import ItemScores
from mailflow.core.judging import (
    Located,
    Scores,
    Words,
    hold_triage,
    is_settled,
    judge,
    judge_probabilities,
    locate,
)
from mailflow.core.rules import Hit, Mood, Place, parse_rules
from mailflow.core.triage import Exclusion, Item, Kind, Outcome
from mailflow.core.triage_features import Material

BODY = "Nobody gets in. The printer is broken. P2 please."
RULES = parse_rules(
    {
        "rule": [
            {
                "id": "all",
                "cue": "scope_all",
                "means": {"priority": 1, "kind": "problem"},
                "patterns": ["nobody"],
                "matches": ["nobody"],
            },
            {
                "id": "device",
                "cue": "device_fault",
                "means": {"exclusion": "third_party"},
                "patterns": ["printer"],
                "matches": ["printer"],
            },
            {
                "id": "cleared",
                "cue": "device_cleared",
                "against": {"exclusion": "third_party"},
                "patterns": ["not the printer"],
                "matches": ["not the printer"],
            },
        ]
    },
    "en",
    "en.toml",
)
LOOSE = {
    f"{decision}:{value}": 0.5
    for decision, values in (
        ("kind", list(Kind)),
        ("priority", [1, 2, 3, 4, None]),
        ("exclusion", [*Exclusion, None]),
    )
    for value in values
}


def scores(kind, priority="2", exclusion="third_party", sure=0.9, steps=0.9, error="given"):
    def shares(values, best):
        rest = (1 - sure) / (len(values) - 1)
        return {value: sure if value == best else rest for value in values}

    return Scores(
        shares(["excluded", "information", "noise", "problem"], kind),
        shares(["1", "2", "3", "4"], priority),
        shares(["client_modification", "configuration", "third_party", "training"], exclusion),
        ItemScores(0.9, 0.9, steps, shares(["given", "missing", "stated_none"], error)),
    )


def hit(rule, cue, words, place=Place.BODY, mood=Mood.ACTUAL):
    start = BODY.index(words)
    return Hit(rule, cue, place, start, start + len(words), words, mood)


ALL = hit("all", "scope_all", "Nobody gets in")
DEVICE = hit("device", "device_fault", "printer is broken")


def triage(said, hits=(), thresholds=LOOSE, text=None, words=None):
    place = Located(Material("en", "subject", BODY), BODY if text is None else text)
    return judge(place, RULES, hits, said, thresholds, Words(words or {}))


@pytest.mark.parametrize(
    "said, hits, outcome, review",
    [
        (scores("noise"), [], Outcome.IGNORE, False),
        (scores("noise", sure=0.45), [], Outcome.HOLD, True),  # doubtful: never dropped
        (scores("excluded"), [DEVICE], Outcome.NOTIFY_EXCLUSION, False),
        (scores("excluded"), [], Outcome.REGISTER, True),  # no words of the client show it
        (scores("excluded", sure=0.6), [DEVICE], Outcome.REGISTER, True),  # not sure enough
        (
            scores("excluded"),
            [DEVICE, hit("cleared", "device_cleared", "printer")],
            Outcome.REGISTER,
            True,
        ),  # the client's words speak against it
        (scores("problem"), [], Outcome.REGISTER, False),
        (scores("problem", steps=0.1), [], Outcome.REQUEST_INFORMATION, False),
        (scores("problem", priority="1"), [ALL], Outcome.REGISTER, False),
        (scores("problem", priority="1"), [], Outcome.REGISTER, True),  # no evidence for P1
        (scores("information"), [], Outcome.REGISTER, False),
    ],
)
def test_outcome(said, hits, outcome, review):
    found = triage(said, hits)
    assert found.outcome is outcome
    assert found.review.needed is review
    assert bool(found.review.reasons) is review


def test_a_supposed_outage_is_no_evidence():
    supposed = hit("all", "scope_all", "Nobody gets in", mood=Mood.SUPPOSED)
    found = triage(scores("problem", priority="1"), [supposed])
    assert found.review.needed
    assert found.priority.evidence == ()


def test_without_thresholds_everything_is_reviewed():
    assert triage(scores("problem"), [], thresholds={}).review.needed


def test_values_hang_together():
    problem = triage(scores("problem", priority="3"), [])
    assert (problem.kind.value, problem.priority.value, problem.exclusion.value) == (
        Kind.PROBLEM,
        3,
        None,
    )
    assert triage(scores("information")).priority.value == 4
    excluded = triage(scores("excluded"), [DEVICE])
    assert excluded.priority.value is None
    assert excluded.exclusion.value is Exclusion.THIRD_PARTY
    assert triage(scores("noise")).priority.value is None


def test_a_question_mistaken_for_a_trifle_keeps_its_priority():
    shares = judge_probabilities(scores("problem", priority="4", sure=0.9))
    assert shares["priority"][1] > 0.81  # what is left to 'information' counts for 4 too


def test_fields_count_on_problems_only():
    assert triage(scores("information", steps=0.9)).fields.steps.present is False
    assert triage(scores("problem", steps=0.9)).fields.steps.present is True


def test_missing_items_are_asked_for_above_their_threshold():
    said = scores("problem", steps=0.3)
    assert triage(said).missing == (Item.STEPS,)
    assert triage(said, thresholds={**LOOSE, "ask:steps": 0.8}).missing == ()


def test_requested_priority_carries_its_words():
    found = triage(scores("problem"), [hit("p", "level_number", "P2")])
    assert found.requested_priority.value == 2
    assert found.requested_priority.evidence[0].text == "P2"


def test_evidence_stands_in_the_whole_text():
    text = "> an old line\n\n" + BODY + "\n-- \nAnn"
    evidence = triage(scores("problem", priority="1"), [ALL], text=text).priority.evidence[0]
    assert text[evidence.start : evidence.end] == evidence.text == "Nobody gets in"


def test_subject_evidence_has_no_offsets():
    found = Hit("all", "scope_all", Place.SUBJECT, 0, 6, "Nobody")
    evidence = triage(scores("problem", priority="1"), [found]).priority.evidence[0]
    assert (evidence.text, evidence.start, evidence.end) == ("Nobody", None, None)


def test_words_of_the_model_are_evidence_too():
    words = {"kind": (("broken", 31, 37), ("subject", None, None))}
    evidence = triage(scores("problem"), words=words).kind.evidence
    assert [(one.source, one.text, one.start) for one in evidence] == [
        ("model", "broken", 31),
        ("model", "subject", None),
    ]


@pytest.mark.parametrize(
    "text, part, start, end, found",
    [
        ("abc def", "def", 0, 3, (4, 7)),  # one piece of the whole
        ("one\n> q\ntwo", "one\ntwo", 4, 7, (8, 11)),  # a quoted line was taken out between
        ("a one b\n> q\ntwo", "one\ntwo", 0, 3, (2, 5)),
        ("xx one yy", "zz one\nmore", 3, 6, (3, 6)),  # the line was changed: the words alone
        ("nothing", "one\ntwo", 0, 3, None),
    ],
)
def test_locate(text, part, start, end, found):
    assert locate(text, part, start, end) == found


def test_what_is_not_read_is_held_or_ignored():
    held = hold_triage("de", Outcome.HOLD, ("the language",))
    assert (held.outcome, held.review.needed, held.kind.confidence) == (Outcome.HOLD, True, 0.0)
    ignored = hold_triage("en", Outcome.IGNORE, ("a list",))
    assert (ignored.outcome, ignored.review.needed) == (Outcome.IGNORE, False)
    assert ignored.kind.value is Kind.NOISE


@pytest.mark.parametrize(
    "said, threshold, settled",
    [
        (scores("problem", sure=0.99), 0.9, True),
        (scores("problem", sure=0.8), 0.9, False),
        (scores("excluded", sure=0.99), 0.5, False),  # never by the cheap stage alone
        (scores("problem", sure=0.99), None, False),
    ],
)
def test_the_cheap_stage_settles_only_what_is_clear(said, threshold, settled):
    thresholds = {} if threshold is None else {"settled": threshold}
    assert is_settled(said, thresholds) is settled


def test_nothing_is_asked_for_where_it_may_be_no_problem():
    strict = {**LOOSE, "ask:steps": 0.85}
    assert triage(scores("problem", sure=0.99, steps=0.1), thresholds=strict).missing == (
        Item.STEPS,
    )
    assert triage(scores("problem", sure=0.6, steps=0.1), thresholds=strict).missing == ()


@pytest.mark.parametrize("share, level", [(0.3, 1), (0.2, 2)])
def test_a_likely_p1_is_proposed(share, level):
    said = replace(
        scores("problem"), priority={"1": share, "2": 1 - share - 0.1, "3": 0.05, "4": 0.05}
    )
    assert judge_probabilities(said)["priority"][0] == level


def test_evidence_is_limited_and_named_once():
    words = {"kind": tuple((f"word{n}", None, None) for n in range(9))}
    again = hit("all", "scope_all", "Nobody gets")  # begins where another one does
    found = triage(scores("problem"), [ALL, again], words=words)
    assert len(found.kind.evidence) == 6
    assert [one.source for one in found.kind.evidence].count("all") == 1
