"""A triage as the JSON that other programs read."""

from typing import Any

from mailflow.core.triage import Evidence, Field, Judged, Triage


def as_triage_record(file: str, triage: Triage) -> dict[str, Any]:
    """Return the object that `mailflow triage --json` writes for a file.

    Offsets are those of the mail's `text`; both null for subject and attachments.
    """
    fields = triage.fields
    return {
        "file": file,
        "language": triage.language,
        "kind": _judged(triage.kind),
        "exclusion": _judged(triage.exclusion),
        "priority": _judged(triage.priority),
        "requested_priority": _judged(triage.requested_priority),
        "fields": {
            "description": _field(fields.description),
            "feature": _field(fields.feature),
            "steps": _field(fields.steps),
            "error_message": {
                "status": fields.error_message.status.value,
                "text": fields.error_message.text,
            },
        },
        "missing": [item.value for item in triage.missing],
        "outcome": triage.outcome.value,
        "review": {"needed": triage.review.needed, "reasons": list(triage.review.reasons)},
    }


def _judged(judged: Judged[Any]) -> dict[str, Any]:
    value = judged.value
    return {
        "value": getattr(value, "value", value),
        "confidence": round(min(max(judged.confidence, 0.0), 1.0), 4),
        "evidence": [_evidence(one) for one in judged.evidence],
    }


def _evidence(one: Evidence) -> dict[str, Any]:
    return {"source": one.source, "text": one.text, "start": one.start, "end": one.end}


def _field(field: Field) -> dict[str, Any]:
    return {"present": field.present, "text": field.text}
