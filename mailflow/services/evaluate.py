"""Measure a model against labelled mails: what it says, how sure, and how often right."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailflow.adapters.models import Model
from mailflow.adapters.triager import as_scores
from mailflow.core.judging import is_settled, judge_probabilities
from mailflow.core.requested import find_requested_priority
from mailflow.core.triage import Item
from mailflow.services.train_data import Example, Prepared

SCORED = ("kind", "priority", "exclusion", "requested", "steps", "error")


@dataclass(frozen=True, slots=True)
class Said:
    """A value and how sure the model is of it."""

    value: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of one labelled mail, and what is true."""

    id: str
    language: str
    source: str
    pair: str | None
    said: Mapping[str, Said]
    truth: Mapping[str, str]
    absent: Mapping[str, float]
    truly_absent: Mapping[str, bool]
    text: str = ""


def truth_of(example: Example) -> dict[str, str]:
    """Return the labels in the words of a triage: the priority of every kind, and so on."""
    labels = example.labels
    kind = labels["kind"]
    priority = labels.get("priority", "4" if kind == "information" else "None")
    truth = {
        "kind": kind,
        "priority": priority,
        "exclusion": labels.get("exclusion", "None"),
        "requested": str(example.requested_priority),
    }
    for name in ("steps", "error", "description", "feature"):
        if name in labels:
            truth[name] = labels[name]
    return truth


def join_answers(prepared: Prepared, answers: Mapping[str, Mapping[str, float]]) -> Answer:
    """Return what is said of a mail, given the model's probabilities."""
    example = prepared.example
    scores = as_scores(answers)
    judged = judge_probabilities(scores)
    requested = find_requested_priority(example.material, prepared.hits)
    said = {name: Said(str(value), confidence) for name, (value, confidence) in judged.items()}
    said["requested"] = Said(str(requested.value), requested.confidence)
    for name in ("steps", "error", "description", "feature"):
        value = max(answers[name], key=lambda key: answers[name][key])
        said[name] = Said(value, answers[name][value])
    absent, truly = {}, {}
    if said["kind"].value == "problem":
        problem = scores.kind["problem"]
        absent = {
            Item.DESCRIPTION.value: problem * (1.0 - scores.items.description),
            Item.FEATURE.value: problem * (1.0 - scores.items.feature),
            Item.STEPS.value: problem * (1.0 - scores.items.steps),
            Item.ERROR_MESSAGE.value: problem * scores.items.error["missing"],
        }
        truly = {
            Item.DESCRIPTION.value: example.labels.get("description") == "no",
            Item.FEATURE.value: example.labels.get("feature") == "no",
            Item.STEPS.value: example.labels.get("steps") == "missing",
            Item.ERROR_MESSAGE.value: example.labels.get("error") == "missing",
        }
    return Answer(
        example.id,
        example.material.language,
        example.source,
        example.pair,
        said,
        truth_of(example),
        absent,
        truly,
        f"{example.material.subject} / {example.material.body}"[:300],
    )


def answers_of_model(model: Model, prepared: Iterable[Prepared]) -> list[Answer]:
    """Ask `model` about each mail, the dear stage only where the cheap one has not settled it."""
    answers = []
    for one in prepared:
        row = model.space.read(one.example.material)
        (said,) = model.ask_first([row], [one.bare])
        if not is_settled(as_scores(said), model.thresholds):
            (said,) = model.ask_further([row], [one.features], [one.meaning], [said])
        answers.append(join_answers(one, said))
    return answers


def interval(right: int, total: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share (Wilson)."""
    if total == 0:
        return 0.0, 1.0
    z = 1.96
    share = right / total
    middle = share + z * z / (2 * total)
    width = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return (middle - width) / scale, (middle + width) / scale


def f1_by_class(pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[float, float, float, int]]:
    """Return precision, recall, F1 and count of each true class, from (truth, said)."""
    hit = Counter(truth for truth, said in pairs if truth == said)
    truths = Counter(truth for truth, _ in pairs)
    saids = Counter(said for _, said in pairs)
    found = {}
    for value in sorted(truths):
        precision = hit[value] / saids[value] if saids[value] else 0.0
        recall = hit[value] / truths[value]
        both = precision + recall
        found[value] = (
            precision,
            recall,
            2 * precision * recall / both if both else 0.0,
            truths[value],
        )
    return found


def pairs_of(answers: Sequence[Answer], decision: str) -> list[tuple[str, str]]:
    """Return (truth, said) of the mails that `decision` concerns.

    Priority counts where the mail has one; the items count on problems.
    """
    return [
        (one.truth[decision], one.said[decision].value)
        for one in answers
        if decision in one.truth and not (decision == "priority" and one.truth[decision] == "None")
    ]


def is_sure(one: Answer, decision: str, thresholds: Mapping[str, float]) -> bool:
    """Say whether no agent need look at this decision."""
    said = one.said[decision]
    return said.confidence >= thresholds.get(f"{decision}:{said.value}", 1.01)


def measure(answers: Sequence[Answer], thresholds: Mapping[str, float]) -> dict[str, Any]:
    """Return the figures of a set: right with interval, macro-F1, coverage and so on."""
    figures: dict[str, Any] = {}
    for decision in SCORED:
        pairs = pairs_of(answers, decision)
        right = sum(truth == said for truth, said in pairs)
        classes = f1_by_class(pairs)
        figures[decision] = {
            "mails": len(pairs),
            "right": round(right / len(pairs), 4) if pairs else 0.0,
            "interval": [round(one, 4) for one in interval(right, len(pairs))],
            "macro_f1": round(sum(one[2] for one in classes.values()) / len(classes), 4)
            if classes
            else 0.0,
        }
        if decision in ("kind", "priority", "exclusion"):
            sure = [one for one in answers if is_sure(one, decision, thresholds)]
            good = sum(one.said[decision].value == one.truth[decision] for one in sure)
            figures[decision]["kept"] = round(len(sure) / len(answers), 4) if answers else 0.0
            figures[decision]["right_where_kept"] = round(good / len(sure), 4) if sure else 0.0
    levels = [
        (int(truth), int(said)) for truth, said in pairs_of(answers, "priority") if said != "None"
    ]
    far = sum(abs(truth - said) >= 2 for truth, said in levels)
    first = [said for truth, said in pairs_of(answers, "priority") if truth == "1"]
    figures["priority"]["two_levels_off"] = round(far / len(levels), 4) if levels else 0.0
    figures["priority"]["p1_recall"] = round(first.count("1") / len(first), 4) if first else 0.0
    return figures
