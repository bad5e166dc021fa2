"""Choose, for each decision and value, how sure the model must be to need no agent."""

from collections import defaultdict
from collections.abc import Sequence

from mailflow.core.triage import Item
from mailflow.services.evaluate import Answer
from mailflow.services.train_data import OWN

TARGET = 0.985  # right, where no agent is asked
SETTLE_TARGET = 0.96  # right, where the cheap stage decides alone
ASK_TARGET = 0.9  # right, where a client is asked for an item
_NEVER = 1.01
_FEWEST = 12
DECIDED = ("kind", "priority", "exclusion")


def choose_thresholds(unseen: Sequence[Answer]) -> dict[str, float]:
    """Return `decision:value` → least confidence, from answers on unseen mails."""
    by_value: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for one in unseen:
        if one.source == OWN:
            continue
        for decision in DECIDED:
            said = one.said[decision]
            right = said.value == one.truth[decision]
            by_value[f"{decision}:{said.value}"].append((said.confidence, right))
        for item, confidence in one.absent.items():
            by_value[f"ask:{item}"].append((confidence, one.truly_absent[item]))
    chosen = {}
    for key, pairs in sorted(by_value.items()):
        target = ASK_TARGET if key.startswith("ask:") else TARGET
        chosen[key] = round(least_confidence(pairs, target), 4)
    for item in Item:
        chosen.setdefault(f"ask:{item}", 0.9)
    return chosen


def choose_settling(first: Sequence[Answer], further: Sequence[Answer]) -> dict[str, float]:
    """Return how sure the cheap stage must be of all decisions to decide a mail alone.

    Right is a mail of which kind, priority and exclusion are all right. The cheap stage decides
    as many mails as it can, surest first, while 96 % of them are right and the dear stage
    would not have got more of them right.
    """
    pairs = sorted(
        (
            (
                min(early.said[one].confidence for one in DECIDED),
                _all_right(early),
                _all_right(late),
            )
            for early, late in zip(first, further, strict=True)
            if early.source != OWN and early.said["exclusion"].value == "None"
        ),
        key=lambda one: (-one[0], one[1]),
    )
    best = _NEVER
    right = better = 0
    for count, (confidence, early, late) in enumerate(pairs, 1):
        right += early
        better += late
        if count >= _FEWEST and right >= better and right / count >= SETTLE_TARGET:
            best = confidence
    return {"settled": round(best, 4)}


def _all_right(one: Answer) -> bool:
    return all(one.said[decision].value == one.truth[decision] for decision in DECIDED)


def least_confidence(pairs: Sequence[tuple[float, bool]], target: float) -> float:
    """Return the least confidence above which a share `target` was right, else 1.01.

    Fewer than 12 answers say nothing, however right they were.
    """
    best = _NEVER
    wrong = 0
    for count, (confidence, right) in enumerate(sorted(pairs, reverse=True), 1):
        wrong += not right
        if count >= _FEWEST and 1.0 - wrong / count >= target:
            best = confidence
    return best
