"""The level that a client asks for."""

import pytest

from mailflow.core.requested import find_requested_priority
from mailflow.core.rules import Hit, Mood, Place
from mailflow.core.triage_features import Material

MAIL = Material("en", "", "")


def hit(text, cue="level_number", place=Place.BODY, mood=Mood.ACTUAL):
    return Hit("en-level", cue, place, 0, len(text), text, mood)


@pytest.mark.parametrize(
    "hits, value, sure",
    [
        ([], None, True),
        ([hit("Priority 2")], 2, True),
        ([hit("priorité élevée", "level_word")], 2, True),  # accents
        ([hit("Priority: low", "level_word")], 4, True),
        ([hit("P1"), hit("P1")], 1, True),  # said twice is said once
        ([hit("P1", place=Place.SUBJECT), hit("Priority 3")], 3, False),  # the body counts
        ([hit("[P3]", place=Place.SUBJECT)], 3, True),
        ([hit("P1", mood=Mood.SUPPOSED)], None, False),  # 'if this were a P1'
        ([hit("priority soon", "level_word")], None, False),  # names no level
        ([hit("blocked", cue="blocked")], None, True),  # another cue
    ],
)
def test_requested(hits, value, sure):
    found = find_requested_priority(MAIL, hits)
    assert found.value == value
    assert (found.confidence > 0.9) is sure
