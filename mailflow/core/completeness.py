"""Which required items a problem report holds, with their text, and which to ask for.

Source: contract, 'Conditions de soumission des Problèmes' (1) to (3); the labelling guide for
what counts as steps and as an error message.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailflow.core.rules import Hit, Mood, Place, Sentence
from mailflow.core.triage import ErrorField, ErrorStatus, Field, Fields, Item, Kind

STEP_CUES = frozenset({"action", "menu_path", "numbered_steps"})
ERROR_CUES = frozenset({"error_quoted", "error_code"})
_QUOTED = re.compile(r"[«“„\"]\s*([^«»“”\"\n]{3,200}?)\s*[»”\"]")
_LISTED = re.compile(r"\s*(?:\(?\w{1,2}[.)]|[-*•–>]|\d+\s*[-:/])\s+\S")


@dataclass(frozen=True, slots=True)
class ItemScores:
    """Calibrated probabilities that items are there; `error` by status."""

    description: float
    feature: float
    steps: float
    error: Mapping[str, float]


def judge_fields(
    scores: ItemScores, body: str, sentences: Sequence[Sentence], hits: Sequence[Hit]
) -> Fields:
    """Say which items are present, and where the mail holds steps and error, their text."""
    status = ErrorStatus(max(scores.error, key=lambda key: scores.error[key]))
    steps = scores.steps >= 0.5
    described = scores.description >= 0.5
    return Fields(
        description=Field(described, _first_telling(sentences) if described else None),
        feature=Field(scores.feature >= 0.5, _feature_text(hits)),
        steps=Field(steps, find_steps_text(body, sentences, hits) if steps else None),
        error_message=ErrorField(status, _error_text(status, body, hits)),
    )


def find_missing(
    kind: Kind,
    fields: Fields,
    scores: ItemScores,
    thresholds: Mapping[str, float],
    problem: float = 1.0,
) -> tuple[Item, ...]:
    """Return the items to ask for, in the contract's order; only problems need any.

    An item counts as missing for the client only where the model is as sure as `thresholds`
    (by item) wants, and that it is a `problem` at all: asking for what was given annoys more
    than an agent's question later.
    """
    if kind is not Kind.PROBLEM:
        return ()
    absent = {
        Item.DESCRIPTION: 1.0 - scores.description if not fields.description.present else 0.0,
        Item.FEATURE: 1.0 - scores.feature if not fields.feature.present else 0.0,
        Item.STEPS: 1.0 - scores.steps if not fields.steps.present else 0.0,
        Item.ERROR_MESSAGE: scores.error.get(ErrorStatus.MISSING, 0.0)
        if fields.error_message.status is ErrorStatus.MISSING
        else 0.0,
    }
    return tuple(
        item
        for item, probability in absent.items()
        if probability > 0 and probability * problem >= thresholds.get(item, 0.5)
    )


def _first_telling(sentences: Sequence[Sentence]) -> str | None:
    """The first sentence longer than a greeting."""
    telling = [one.text for one in sentences if len(one.text.split()) >= 5]
    return telling[0] if telling else (sentences[0].text if sentences else None)


def _feature_text(hits: Sequence[Hit]) -> str | None:
    return next((hit.text for hit in hits if hit.cue == "feature_named"), None)


def find_steps_text(body: str, sentences: Sequence[Sentence], hits: Sequence[Hit]) -> str | None:
    """Return the longest run of sentences that tell what was done, as it stands in `body`."""
    told = [
        any(
            hit.place is Place.BODY and hit.cue in STEP_CUES and one.start <= hit.start < one.end
            for hit in hits
        )
        or _LISTED.match(one.text) is not None
        for one in sentences
    ]
    best: tuple[int, int] | None = None
    start: int | None = None
    for index, flag in enumerate([*told, False]):
        if flag and start is None:
            start = index
        elif not flag and start is not None:
            if best is None or index - start > best[1] - best[0]:
                best = (start, index)
            start = None
    if best is None:
        return None
    return body[sentences[best[0]].start : sentences[best[1] - 1].end]


def _error_text(status: ErrorStatus, body: str, hits: Sequence[Hit]) -> str | None:
    cues = {ErrorStatus.GIVEN: ERROR_CUES, ErrorStatus.STATED_NONE: frozenset({"no_error"})}
    wanted = cues.get(status, frozenset())
    inside = [
        hit
        for hit in hits
        if hit.place is Place.BODY and hit.cue in wanted and hit.mood is not Mood.SUPPOSED
    ]
    if not inside:
        return None
    if status is ErrorStatus.STATED_NONE:
        return inside[0].text
    quoted = [hit for hit in inside if hit.cue == "error_quoted"]
    if quoted:
        found = _QUOTED.search(body, quoted[0].start, quoted[0].end + 1)
        if found is not None:
            return found.group(1)
    return _line_rest(body, inside[0])


def _line_rest(body: str, hit: Hit) -> str:
    """The rest of the line that a code opens: error texts mostly follow their code."""
    end = body.find("\n", hit.start)
    return body[hit.start : len(body) if end < 0 else end].strip().rstrip(".")
