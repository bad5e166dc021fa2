"""The report of `mailflow evaluate`, for a person."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mailflow.services.evaluate import SCORED, Answer, f1_by_class, measure, pairs_of

_DECIDED = ("kind", "priority", "exclusion")
_PRECISIONS = (0.95, 0.98, 0.99)
_BINS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.01)


def show_figures(console: Console, figures: Mapping[str, Any]) -> None:
    """Print the figures that `measure` gives."""
    table = Table("decision", "mails", "right", "95 % interval", "macro-F1", "kept", "right, kept")
    for name, found in figures.items():
        low, high = found["interval"]
        table.add_row(
            name,
            str(found["mails"]),
            f"{found['right']:.1%}",
            f"{low:.1%} – {high:.1%}",
            f"{found['macro_f1']:.3f}",
            f"{found['kept']:.1%}" if "kept" in found else "",
            f"{found['right_where_kept']:.1%}" if "kept" in found else "",
        )
    console.print(table)
    priority = figures["priority"]
    console.print(
        f"priority two or more levels off: {priority['two_levels_off']:.1%}; "
        f"P1 recall: {priority['p1_recall']:.1%}"
    )


def show_report(
    console: Console, answers: Sequence[Answer], thresholds: Mapping[str, float], worst: int
) -> None:
    """Print figures, confusion, calibration, coverage, the surest errors and the pairs."""
    show_figures(console, measure(answers, thresholds))
    for language in sorted({one.language for one in answers}):
        some = [one for one in answers if one.language == language]
        console.print(f"[bold]language {language}: {len(some)} mails[/bold]")
        show_figures(console, measure(some, thresholds))
    for decision in SCORED:
        pairs = pairs_of(answers, decision)
        if pairs:
            console.print(_confusion(decision, pairs))
    console.print(_calibration(answers))
    console.print(_coverage(answers))
    console.print(_worst(answers, worst))
    flips = count_flips(answers)
    if flips["pairs"]:
        console.print(
            f"pairs: {flips['pairs']}; flips right {flips['flips_right']} of {flips['flips']}; "
            f"invariances right {flips['same_right']} of {flips['same']}"
        )


def _confusion(decision: str, pairs: Sequence[tuple[str, str]]) -> Table:
    counts = Counter(pairs)
    columns = sorted({said for _, said in pairs} | {truth for truth, _ in pairs})
    classes = f1_by_class(pairs)
    table = Table(
        f"{decision}: true ↓ said →", *columns, "precision", "recall", "F1", title=decision
    )
    for truth in sorted(classes):
        precision, recall, both, _ = classes[truth]
        table.add_row(
            truth,
            *(str(counts[truth, said]) for said in columns),
            f"{precision:.3f}",
            f"{recall:.3f}",
            f"{both:.3f}",
        )
    return table


def _calibration(answers: Sequence[Answer]) -> Table:
    table = Table("confidence", *_DECIDED, title="calibration: share right (mails)")
    for low, high in pairwise(_BINS):
        row = []
        for decision in _DECIDED:
            inside = [one for one in answers if low <= one.said[decision].confidence < high]
            right = sum(one.said[decision].value == one.truth[decision] for one in inside)
            row.append(f"{right / len(inside):.1%} ({len(inside)})" if inside else "—")
        table.add_row(f"{low:.2f} – {min(high, 1.0):.2f}", *row)
    return table


def coverage_at(answers: Sequence[Answer], decision: str, precision: float) -> float:
    """Return the largest share of mails, surest first, that is right to this precision."""
    ordered = sorted(answers, key=lambda one: -one.said[decision].confidence)
    right, best = 0, 0
    for count, one in enumerate(ordered, 1):
        right += one.said[decision].value == one.truth[decision]
        if right / count >= precision:
            best = count
    return best / len(answers) if answers else 0.0


def _coverage(answers: Sequence[Answer]) -> Table:
    heads = [f"{precision:.0%} right" for precision in _PRECISIONS]
    table = Table("decision", *heads, title="coverage: share of mails kept")
    for decision in _DECIDED:
        table.add_row(
            decision, *(f"{coverage_at(answers, decision, one):.1%}" for one in _PRECISIONS)
        )
    return table


def _worst(answers: Sequence[Answer], most: int) -> Table:
    table = Table("mail", "decision", "true", "said", "sure", "begins", title="surest errors")
    wrong = [
        (one.said[decision].confidence, one, decision)
        for one in answers
        for decision in SCORED
        if decision in one.truth and one.said[decision].value != one.truth[decision]
    ]
    for sure, one, decision in sorted(wrong, key=lambda entry: -entry[0])[:most]:
        table.add_row(
            one.id,
            decision,
            one.truth[decision],
            one.said[decision].value,
            f"{sure:.0%}",
            Text(one.text[:70].replace("\n", " ")),
        )
    return table


def count_flips(answers: Sequence[Answer]) -> dict[str, int]:
    """Count, over pairs of mails that share a `pair`, what changed or stayed, and was seen.

    A flip is a decision whose truth differs between the two: right if both are. An invariance
    is one whose truth is the same: right if both were answered alike.
    """
    by_pair: dict[str, list[Answer]] = defaultdict(list)
    for one in answers:
        if one.pair is not None:
            by_pair[one.pair].append(one)
    counts = Counter({"pairs": 0, "flips": 0, "flips_right": 0, "same": 0, "same_right": 0})
    for members in by_pair.values():
        for one, other in combinations(members, 2):
            counts["pairs"] += 1
            for decision in SCORED:
                if decision not in one.truth or decision not in other.truth:
                    continue
                said = one.said[decision].value, other.said[decision].value
                truth = one.truth[decision], other.truth[decision]
                if truth[0] != truth[1]:
                    counts["flips"] += 1
                    counts["flips_right"] += said == truth
                else:
                    counts["same"] += 1
                    counts["same_right"] += said[0] == said[1]
    return dict(counts)
