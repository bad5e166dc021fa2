"""Join the rules' evidence and the model's probabilities into one triage.

Late joining: the model never sees a threshold and a rule never sees a probability. A rule
supports a decision with the client's own words, or speaks against it; where the two do not
agree, or neither is sure, an agent is asked, and the client loses nothing by it.
Source: contract, 'Niveaux de Priorité' and 'Exclusions'.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailflow.core.completeness import ItemScores, find_missing, judge_fields
from mailflow.core.requested import find_requested_priority
from mailflow.core.rules import Hit, Mood, Place, RuleSet, split_sentences
from mailflow.core.triage import (
    ErrorField,
    ErrorStatus,
    Evidence,
    Exclusion,
    Field,
    Fields,
    Item,
    Judged,
    Kind,
    Outcome,
    Review,
    Triage,
)
from mailflow.core.triage_features import Material

_MODEL = "model"
_MOST_EVIDENCE = 6  # of a decision; rules come before words
_MAYBE_FIRST = 0.25  # of this share a P1 is proposed: to miss one costs more than to ask
NO_FIELDS = Fields(Field(False), Field(False), Field(False), ErrorField(ErrorStatus.MISSING))


@dataclass(frozen=True, slots=True)
class Scores:
    """Calibrated probabilities by value; `priority` and the items are those of a problem."""

    kind: Mapping[str, float]
    priority: Mapping[str, float]
    exclusion: Mapping[str, float]
    items: ItemScores


@dataclass(frozen=True, slots=True)
class Words:
    """Words that moved the model, with their place in the body (None: subject)."""

    by_decision: Mapping[str, tuple[tuple[str, int | None, int | None], ...]]


@dataclass(frozen=True, slots=True)
class Located:
    """A mail's body as analysed, and where it stands in the whole text."""

    material: Material
    text: str

    def evidence(self, source: str, start: int, end: int) -> Evidence:
        """Return the evidence at these offsets of the body, offsets moved to the whole text."""
        words = self.material.body[start:end]
        found = locate(self.text, self.material.body, start, end)
        return Evidence(source, words, *(found or (None, None)))


def locate(text: str, part: str, start: int, end: int) -> tuple[int, int] | None:
    """Return where `part[start:end]` stands in `text`, or None.

    `part` is what is left of `text` without quoted lines and signature, so it is one piece of
    it, or several: then its line is looked for, and last the words themselves.
    """
    words = part[start:end]
    whole = text.find(part)
    if whole >= 0:
        return whole + start, whole + end
    line_start = part.rfind("\n", 0, start) + 1
    line_end = part.find("\n", end)
    line = part[line_start : len(part) if line_end < 0 else line_end]
    at = text.find(line)
    if at >= 0:
        return at + start - line_start, at + end - line_start
    at = text.find(words)
    return (at, at + len(words)) if at >= 0 else None


def judge(
    place: Located,
    rules: RuleSet,
    hits: Sequence[Hit],
    scores: Scores,
    thresholds: Mapping[str, float],
    words: Words,
) -> Triage:
    """Return the triage of a person's mail in a language that the rules and model know."""
    context = _Context(place, rules, hits, thresholds, words)
    judged = judge_probabilities(scores)
    said, sure = judged["kind"]
    kind = Judged(Kind(str(said)), sure, context.evidence("kind", said))
    which, sure = judged["exclusion"]
    exclusion = Judged(
        None if which is None else Exclusion(str(which)), sure, context.evidence("exclusion", which)
    )
    level, sure = judged["priority"]
    priority = Judged(
        None if level is None else int(level), sure, context.evidence("priority", level)
    )
    requested = find_requested_priority(place.material, hits)
    fields = judge_fields(
        scores.items, place.material.body, split_sentences(place.material.body), hits
    )
    if kind.value is not Kind.PROBLEM:
        fields = NO_FIELDS
    problem = scores.kind.get(Kind.PROBLEM, 0.0)
    asked = _ask_thresholds(thresholds)
    missing = find_missing(kind.value, fields, scores.items, asked, problem)
    reasons = _doubts(context, kind, exclusion, priority)
    outcome = _choose_outcome(kind, exclusion, missing, reasons)
    return Triage(
        language=place.material.language,
        kind=kind,
        exclusion=exclusion,
        priority=priority,
        requested_priority=Judged(
            requested.value,
            requested.confidence,
            tuple(_as_evidence(place, hit) for hit in requested.hits),
        ),
        fields=fields,
        missing=missing,
        outcome=outcome,
        review=Review(bool(reasons), reasons),
    )


@dataclass(frozen=True, slots=True)
class _Context:
    place: Located
    rules: RuleSet
    hits: Sequence[Hit]
    thresholds: Mapping[str, float]
    words: Words

    def threshold(self, decision: str, value: object) -> float:
        return self.thresholds.get(f"{decision}:{value}", 1.01)

    def evidence(self, decision: str, value: object) -> tuple[Evidence, ...]:
        """The rules' finds for a value, then the words that moved the model."""
        speaking = self.rules.speaking_for(decision, str(value))
        found = {
            (hit.place, hit.start): hit
            for hit in reversed(self.hits)
            if hit.rule in speaking and hit.mood is not Mood.SUPPOSED
        }
        told = list(reversed(found.values()))
        evidence = [_as_evidence(self.place, hit) for hit in told[:_MOST_EVIDENCE]]
        for word, start, end in self.words.by_decision.get(decision, ()):
            if start is None or end is None:
                evidence.append(Evidence(_MODEL, word))
            else:
                evidence.append(self.place.evidence(_MODEL, start, end))
        return tuple(evidence[:_MOST_EVIDENCE])

    def has_rule_evidence(self, decision: str, value: object) -> bool:
        speaking = self.rules.speaking_for(decision, str(value))
        return any(hit.rule in speaking and hit.mood is Mood.ACTUAL for hit in self.hits)

    def objections(self, decision: str, value: object) -> tuple[Hit, ...]:
        speaking = self.rules.speaking_against(decision, str(value))
        return tuple(hit for hit in self.hits if hit.rule in speaking and hit.mood is Mood.ACTUAL)


def _as_evidence(place: Located, hit: Hit) -> Evidence:
    if hit.place is not Place.BODY:
        return Evidence(hit.rule, hit.text)
    return place.evidence(hit.rule, hit.start, hit.end)


def judge_probabilities(scores: Scores) -> dict[str, tuple[str | int | None, float]]:
    """Return the value and confidence of kind, exclusion and priority, which hang together.

    A priority is as sure as 'problem' and its level are; a question is always level 4. A P1
    that is only likely is proposed all the same, and then its low confidence asks for an agent.
    """
    kind = _likeliest(scores.kind)
    excluded = scores.kind.get(Kind.EXCLUDED, 0.0)
    problem = scores.kind.get(Kind.PROBLEM, 0.0)
    information = scores.kind.get(Kind.INFORMATION, 0.0)
    exclusion: tuple[str | None, float] = (None, 1.0 - excluded)
    if kind == Kind.EXCLUDED:
        which = _likeliest(scores.exclusion)
        exclusion = (which, excluded * scores.exclusion[which])
    priority: tuple[int | None, float] = (None, 1.0 - problem - information)
    if kind == Kind.INFORMATION:
        priority = (4, information + problem * scores.priority["4"])
    elif kind == Kind.PROBLEM:
        level = "1" if scores.priority["1"] >= _MAYBE_FIRST else _likeliest(scores.priority)
        also = information if level == "4" else 0.0
        priority = (int(level), problem * scores.priority[level] + also)
    return {"kind": (kind, scores.kind[kind]), "exclusion": exclusion, "priority": priority}


def is_settled(scores: Scores, thresholds: Mapping[str, float]) -> bool:
    """Say whether the cheap stage may decide alone: sure of everything, and no exclusion."""
    judged = judge_probabilities(scores)
    if judged["exclusion"][0] is not None:
        return False
    least = min(confidence for _, confidence in judged.values())
    return least >= thresholds.get("settled", 1.01)


def _likeliest(shares: Mapping[str, float]) -> str:
    return max(shares, key=lambda key: shares[key])


def _ask_thresholds(thresholds: Mapping[str, float]) -> dict[str, float]:
    return {item: thresholds.get(f"ask:{item}", 0.5) for item in Item}


def _doubts(
    context: _Context,
    kind: Judged[Kind],
    exclusion: Judged[Exclusion | None],
    priority: Judged[int | None],
) -> tuple[str, ...]:
    """Why an agent should look, in words that an agent understands; empty: no need."""
    reasons = []
    if kind.confidence < context.threshold("kind", kind.value.value):
        reasons.append(f"the kind is not sure: {kind.value.value} ({kind.confidence:.0%})")
    if exclusion.value is not None:
        reasons += _exclusion_doubts(context, exclusion.value, exclusion.confidence)
    if priority.value is not None:
        reasons += _priority_doubts(context, priority.value, priority.confidence)
    return tuple(reasons)


def _exclusion_doubts(context: _Context, value: Exclusion, confidence: float) -> list[str]:
    reasons = []
    if confidence < context.threshold("exclusion", value.value):
        reasons.append(f"the exclusion is not sure: {value.value} ({confidence:.0%})")
    if not context.has_rule_evidence("exclusion", value.value):
        reasons.append(f"no words of the client show the exclusion {value.value}")
    against = context.objections("exclusion", value.value)
    if against:
        reasons.append(f"the client says “{against[0].text}”, which speaks against the exclusion")
    return reasons


def _priority_doubts(context: _Context, value: int, confidence: float) -> list[str]:
    reasons = []
    if confidence < context.threshold("priority", value):
        reasons.append(f"the priority is not sure: P{value} ({confidence:.0%})")
    if value == 1 and not context.has_rule_evidence("priority", 1):
        reasons.append("no words of the client say that all users are stopped")
    return reasons


def _choose_outcome(
    kind: Judged[Kind],
    exclusion: Judged[Exclusion | None],
    missing: tuple[Item, ...],
    reasons: tuple[str, ...],
) -> Outcome:
    """Doubt never costs the client: what is not surely noise or excluded is registered."""
    if kind.value is Kind.NOISE:
        return Outcome.IGNORE if not reasons else Outcome.HOLD
    if exclusion.value is not None:
        return Outcome.NOTIFY_EXCLUSION if not reasons else Outcome.REGISTER
    if missing:
        return Outcome.REQUEST_INFORMATION
    return Outcome.REGISTER


def hold_triage(language: str, outcome: Outcome, reasons: tuple[str, ...]) -> Triage:
    """Return the triage of a mail that is not read: a machine's, or in an unknown language."""
    kind = Kind.NOISE if outcome is Outcome.IGNORE else Kind.INFORMATION
    confidence = 1.0 if outcome is Outcome.IGNORE else 0.0
    return Triage(
        language=language,
        kind=Judged(kind, confidence),
        exclusion=Judged(None, confidence),
        priority=Judged(None, confidence),
        requested_priority=Judged(None, confidence),
        fields=NO_FIELDS,
        missing=(),
        outcome=outcome,
        review=Review(outcome is not Outcome.IGNORE, reasons),
    )
