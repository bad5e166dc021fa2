"""Training and measuring: labelled mails read, thresholds, promotion, figures."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mailflow.core.triage import Item
from mailflow.errors import ConfigError
from mailflow.services.evaluate import Answer, Said, interval, measure
from mailflow.services.evaluate_report import count_flips, coverage_at
from mailflow.services.thresholds import choose_settling, choose_thresholds, least_confidence
from mailflow.services.train import is_promoted
from mailflow.services.train_data import (
    golden_ids,
    group_neighbours,
    hash_data,
    read_examples,
    shipped_training_files,
)

MAIL = {
    "id": "t-1",
    "language": "en",
    "subject": "Export",
    "body": "The export of the ledger fails with error 500.",
    "attachments": ["a.png"],
    "kind": "problem",
    "priority": 2,
    "requested_priority": None,
    "exclusion": None,
    "description": True,
    "feature": True,
    "steps": "missing",
    "error": "given",
    "spans": {"steps": [], "error": ["error 500"]},
}


def write(tmp_path, *mails):
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(mail) + "\n" for mail in mails), "utf-8")
    return path


def test_labels_count_by_kind(tmp_path):
    mails = [
        MAIL,
        {**MAIL, "id": "t-2", "kind": "excluded", "exclusion": "training", "priority": None},
        {**MAIL, "id": "t-3", "kind": "information", "priority": 4},
    ]
    problem, excluded, question = read_examples([write(tmp_path, *mails)])
    assert problem.labels["priority"] == "2"
    assert problem.labels["description"] == "yes"
    assert excluded.labels == {"kind": "excluded", "exclusion": "training"}
    assert question.labels == {"kind": "information"}


@pytest.mark.parametrize("line", ["{", '{"id": "x"}', "[]"])
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps(MAIL) + "\n\n" + line + "\n")
    with pytest.raises(ConfigError, match="line 3"):
        read_examples([path])


def test_an_id_stands_once(tmp_path):
    with pytest.raises(ConfigError, match="twice"):
        read_examples([write(tmp_path, MAIL, MAIL)])


def test_shipped_mails_hold_their_spans_and_the_golden_set():
    examples = read_examples(shipped_training_files())
    for one in examples:
        for text in [*one.spans.get("steps", ()), *one.spans.get("error", ())]:
            assert text in one.material.body, one.id
    assert golden_ids() <= {one.id for one in examples}


def test_neighbours_and_pairs_share_a_group(tmp_path):
    mails = [
        MAIL,
        {**MAIL, "id": "t-2", "body": MAIL["body"].replace("500", "502")},  # a near copy
        {**MAIL, "id": "t-3", "subject": "Hat", "body": "Wholly other words here", "pair": "p"},
        {**MAIL, "id": "t-4", "subject": "Coat", "body": "Nothing alike between us", "pair": "p"},
        {**MAIL, "id": "t-5", "subject": "Shoe", "body": "Stands quite alone today"},
    ]
    groups = group_neighbours(read_examples([write(tmp_path, *mails)]))
    assert groups[0] == groups[1]
    assert groups[2] == groups[3]
    assert len(set(groups)) == 3


def test_the_data_hash_ignores_order(tmp_path):
    one, other = read_examples([write(tmp_path, MAIL, {**MAIL, "id": "t-2"})])
    assert hash_data([one, other]) == hash_data([other, one])
    assert hash_data([one]) != hash_data([other])


@pytest.mark.parametrize(
    "pairs, target, least",
    [
        ([(0.9, True)] * 20, 0.98, 0.9),
        ([(0.9, True)] * 5, 0.98, 1.01),  # too few to say anything
        ([(0.9, False)] * 20, 0.98, 1.01),
        ([(0.9, True)] * 20 + [(0.5, False)] * 5, 0.98, 0.9),
        ([], 0.98, 1.01),
    ],
)
def test_least_confidence(pairs, target, least):
    assert least_confidence(pairs, target) == least


def answer(number, truth, said, sure, pair=None, source=""):
    priority = Said(said, sure)
    kind = Said("problem", 0.99)
    return Answer(
        f"m-{number}",
        "en",
        source,
        pair,
        {
            "kind": kind,
            "priority": priority,
            "exclusion": Said("None", 0.99),
            "requested": Said("None", 0.9),
        },
        {"kind": "problem", "priority": truth, "exclusion": "None", "requested": "None"},
        {Item.STEPS.value: 0.9},
        {Item.STEPS.value: True},
    )


def test_values_share_a_threshold_where_one_alone_has_too_few_mails():
    answers = [excluded(n, "training", "training", 0.9 + n / 1000) for n in range(8)]
    answers += [excluded(n, "configuration", "configuration", 0.95) for n in range(8, 16)]
    answers += [excluded(16, "None", "training", 0.7), answer(17, "1", "1", 0.8)]
    chosen = choose_thresholds(answers)
    assert chosen["exclusion:training"] == chosen["exclusion:configuration"] == 0.9
    assert chosen["exclusion:third_party"] == 0.9  # never said, but as sure
    assert chosen["exclusion:None"] == 1.01  # an exclusion is dearer, and set apart


def excluded(number, truth, said, sure):
    one = answer(number, "None", "None", 0.5)
    return replace(
        one,
        said={**one.said, "exclusion": Said(said, sure)},
        truth={**one.truth, "exclusion": truth},
    )


def test_thresholds_by_decision():
    answers = [answer(n, "1", "1", 0.95) for n in range(20)]
    answers += [answer(n, "3", "1", 0.6) for n in range(20, 30)]
    answers += [answer(n, "3", "1", 0.99, source="mailflow") for n in range(30, 40)]  # not counted
    chosen = choose_thresholds(answers)
    assert chosen["priority:1"] == 0.95
    assert chosen["ask:steps"] == 0.9
    assert chosen["ask:feature"] == 0.9  # never seen: a careful one


@pytest.mark.parametrize(
    "late, settled",
    [
        ("1", 0.9),  # the dear stage errs as often: the cheap one may decide
        ("3", 0.95),  # the dear stage would be right there
    ],
)
def test_the_cheap_stage_settles_where_the_dear_one_is_no_better(late, settled):
    first = [answer(n, "1", "1", 0.95) for n in range(40)]
    further = list(first)
    first += [answer(40, "3", "1", 0.9), answer(41, "1", "1", 0.9)]
    further += [answer(40, "3", late, 0.9), answer(41, "1", "1", 0.9)]
    assert choose_settling(first, further) == {"settled": settled}
    assert choose_settling([], []) == {"settled": 1.01}


def test_figures():
    answers = [answer(1, "1", "1", 0.9), answer(2, "1", "3", 0.6), answer(3, "2", "2", 0.8)]
    figures = measure(answers, {"priority:1": 0.5, "kind:problem": 0.5, "exclusion:None": 0.5})
    assert figures["priority"]["right"] == pytest.approx(2 / 3, abs=1e-4)
    assert figures["priority"]["p1_recall"] == 0.5
    assert figures["priority"]["two_levels_off"] == pytest.approx(1 / 3, abs=1e-4)
    assert figures["priority"]["kept"] == pytest.approx(1 / 3, abs=1e-4)
    assert figures["kind"]["right_where_kept"] == 1.0
    assert figures["steps"]["mails"] == 0
    assert measure([], {})["kind"]["right"] == 0.0


def test_coverage_is_that_of_the_surest():
    answers = [answer(1, "1", "1", 0.9), answer(2, "1", "3", 0.6)]
    assert coverage_at(answers, "priority", 0.95) == 0.5
    assert coverage_at([], "priority", 0.95) == 0.0


def test_flips_and_invariances():
    flips = count_flips(
        [answer(1, "1", "1", 0.9, "a"), answer(2, "3", "3", 0.9, "a"), answer(3, "2", "2", 0.9)]
    )
    assert (flips["pairs"], flips["flips"], flips["flips_right"]) == (1, 1, 1)
    assert flips["same"] == flips["same_right"] == 3


@pytest.mark.parametrize(
    "right, total, low, high",
    [(0, 0, 0.0, 1.0), (10, 10, 0.72, 1.0), (50, 100, 0.40, 0.60)],
)
def test_interval(right, total, low, high):
    found = interval(right, total)
    assert np.allclose(found, (low, high), atol=0.01)


def figures(right):
    return {name: {"right": right} for name in ("kind", "priority", "exclusion", "steps", "error")}


@pytest.mark.parametrize(
    "new, old, promoted",
    [(0.9, None, True), (0.9, 0.9, True), (0.895, 0.9, True), (0.85, 0.9, False)],
)
def test_a_worse_model_is_not_promoted(new, old, promoted):
    assert is_promoted(figures(new), old and figures(old))[0] is promoted
