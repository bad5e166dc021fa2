"""Which items a report holds, where, and which to ask for."""

import pytest

from mailflow.core.completeness import ItemScores, find_missing, find_steps_text, judge_fields
from mailflow.core.rules import Hit, Mood, Place, split_sentences
from mailflow.core.triage import ErrorStatus, Item, Kind


def scores(description=0.9, feature=0.9, steps=0.9, error="given"):
    shares = {"given": 0.1, "stated_none": 0.1, "missing": 0.1}
    return ItemScores(description, feature, steps, {**shares, error: 0.8})


def hit(cue, body, words, place=Place.BODY, mood=Mood.ACTUAL):
    start = body.index(words)
    return Hit(f"en-{cue}", cue, place, start, start + len(words), words, mood)


def judge(body, found, said):
    return judge_fields(said, body, split_sentences(body), found)


def test_error_text_is_what_stands_in_quotes():
    body = 'It shows "Cannot save (E-12)" and stops.'
    fields = judge(body, [hit("error_quoted", body, 'shows "Cannot save (E-12)"')], scores())
    assert fields.error_message.text == "Cannot save (E-12)"


def test_error_text_follows_its_code():
    body = "On saving:\nHTTP 500 Internal error.\nBye"
    fields = judge(body, [hit("error_code", body, "HTTP 500")], scores())
    assert fields.error_message.text == "HTTP 500 Internal error"


def test_error_code_on_the_last_line():
    body = "then E-12 no disk"
    assert judge(body, [hit("error_code", body, "E-12")], scores()).error_message.text == (
        "E-12 no disk"
    )


@pytest.mark.parametrize(
    "status, found, text",
    [
        ("stated_none", [("no_error", "no message")], "no message"),
        ("stated_none", [], None),  # the model alone says so: no words to show
        ("missing", [("error_quoted", "no message")], None),  # nothing given, nothing shown
        ("given", [("error_quoted", "no message")], "no message at all"),  # no quotes: the line
    ],
)
def test_error_by_status(status, found, text):
    body = "no message at all"
    hits = [hit(cue, body, words) for cue, words in found]
    fields = judge(body, hits, scores(error=status))
    assert fields.error_message.status is ErrorStatus(status)
    assert fields.error_message.text == text


def test_a_supposed_error_is_none():
    body = 'If it said "no"'
    found = [hit("error_quoted", body, 'said "no"', mood=Mood.SUPPOSED)]
    assert judge(body, found, scores()).error_message.text is None


def test_steps_are_the_longest_run_of_sentences_that_tell_them():
    body = "Hello. I click Save. It is blue. I open it. Then I press on. It hangs."
    found = [
        hit("action", body, "click Save"),
        hit("action", body, "open it"),
        hit("action", body, "press on"),
    ]
    assert find_steps_text(body, split_sentences(body), found) == "I open it. Then I press on."


def test_numbered_lines_are_steps_without_a_hit():
    body = "Steps:\n1. Open\n2. Save\nIt hangs"
    assert find_steps_text(body, split_sentences(body), []) == "1. Open\n2. Save"


def test_a_shorter_run_after_a_longer_one_is_left():
    body = "1. Open\n2. Save\nbreak\n3. Wait"
    assert find_steps_text(body, split_sentences(body), []) == "1. Open\n2. Save"


def test_steps_given_in_words_that_no_rule_knows_have_no_text():
    fields = judge("It broke.", [], scores())
    assert fields.steps.present
    assert fields.steps.text is None


@pytest.mark.parametrize(
    "body, text",
    [
        ("Hi. The export stops after ten lines. Bye.", "The export stops after ten lines."),
        ("Broken", "Broken"),  # nothing longer
        ("", None),
    ],
)
def test_description_is_the_first_telling_sentence(body, text):
    assert judge(body, [], scores()).description.text == text


def test_absent_items_have_no_text():
    fields = judge("The export stops.", [], scores(description=0.1, feature=0.2, steps=0.1))
    assert (fields.description.present, fields.description.text) == (False, None)
    assert (fields.feature.present, fields.steps.present) == (False, False)


def test_the_feature_is_named_by_its_rule():
    body = "The export stops."
    assert judge(body, [hit("feature_named", body, "export")], scores()).feature.text == "export"


@pytest.mark.parametrize(
    "kind, said, thresholds, missing",
    [
        (Kind.PROBLEM, scores(), {}, ()),  # all there
        (Kind.PROBLEM, scores(steps=0.2), {}, (Item.STEPS,)),
        (Kind.PROBLEM, scores(steps=0.4), {"steps": 0.7}, ()),  # not sure enough to annoy
        (
            Kind.PROBLEM,
            scores(description=0.1, feature=0.1, steps=0.1, error="missing"),
            {},
            (Item.DESCRIPTION, Item.FEATURE, Item.STEPS, Item.ERROR_MESSAGE),  # in order
        ),
        (Kind.INFORMATION, scores(steps=0.0), {}, ()),  # a question needs only the question
        (Kind.PROBLEM, scores(error="stated_none"), {}, ()),  # 'no message' satisfies
    ],
)
def test_missing(kind, said, thresholds, missing):
    fields = judge("x", [], said)
    assert find_missing(kind, fields, said, thresholds) == missing
