"""Read the priority level that a client asks for. Source: contract, 'niveau de priorité souhaité'.

A bare 'URGENT' is no level; 'priorité 2', 'P1' and 'Priority: high' are.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailflow.core.rules import Hit, Mood, Place, fold
from mailflow.core.triage_features import Material

_LEVEL_CUES = ("level_number", "level_word")
_WORDS = {
    "critique": 1, "critical": 1, "bloquante": 1, "bloquant": 1, "blocking": 1, "blocker": 1,
    "maximale": 1, "un": 1, "one": 1,
    "haut": 2, "haute": 2, "elevee": 2, "eleve": 2, "high": 2, "deux": 2, "two": 2,
    "moyen": 3, "moyenne": 3, "normale": 3, "medium": 3, "normal": 3, "trois": 3, "three": 3,
    "bas": 4, "basse": 4, "faible": 4, "low": 4, "minor": 4, "mineure": 4, "quatre": 4, "four": 4,
}  # fmt: skip
_LEVEL = re.compile(r"[1-4](?!\d)|" + "|".join(rf"\b{word}\b" for word in _WORDS))


@dataclass(frozen=True, slots=True)
class Requested:
    """The level asked for, how sure, and the finds that say so."""

    value: int | None
    confidence: float
    hits: tuple[Hit, ...] = ()


def find_requested_priority(material: Material, hits: Sequence[Hit]) -> Requested:
    """Return the stated level; the body's word counts before the subject's.

    Two different levels make it unsure; the last one named is taken.
    """
    named = [(hit, _level(hit.text)) for hit in hits if hit.cue in _LEVEL_CUES]
    stated = [(hit, level) for hit, level in named if level and hit.mood is not Mood.SUPPOSED]
    if not stated:
        return Requested(None, 0.97 if not named else 0.7)
    body = [pair for pair in stated if pair[0].place is Place.BODY] or stated
    level = body[-1][1]
    same = all(other == level for _, other in stated)
    agreeing = tuple(hit for hit, other in stated if other == level)
    return Requested(level, 0.97 if same else 0.7, agreeing)


def _level(text: str) -> int | None:
    found = _LEVEL.search(fold(text).lower())
    if found is None:
        return None
    word = found.group()
    return int(word) if word.isdigit() else _WORDS[word]
