"""The JSON of a triage."""

import json

from mailflow.core.judging import hold_triage
from mailflow.core.triage import Outcome
from mailflow.core.triage_record import as_triage_record
from tests.core.test_triage_judging import ALL, scores, triage


def test_record_has_the_documented_shape():
    record = as_triage_record("a.eml", triage(scores("problem", priority="1"), [ALL]))
    assert set(record) == {
        "file", "language", "kind", "exclusion", "priority", "requested_priority", "fields",
        "missing", "outcome", "review",
    }  # fmt: skip
    assert record["kind"]["value"] == "problem"
    assert record["priority"]["value"] == 1
    assert record["priority"]["evidence"][0] == {
        "source": "all", "text": "Nobody gets in", "start": 0, "end": 14,
    }  # fmt: skip
    assert record["exclusion"]["value"] is None
    assert set(record["fields"]) == {"description", "feature", "steps", "error_message"}
    assert record["fields"]["error_message"]["status"] == "given"
    json.dumps(record)


def test_confidence_is_a_share():
    record = as_triage_record("a.eml", hold_triage("de", Outcome.HOLD, ("x",)))
    assert record["kind"]["confidence"] == 0.0
    assert record["outcome"] == "hold"
    assert record["review"] == {"needed": True, "reasons": ["x"]}
