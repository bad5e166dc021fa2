"""Phrases that are looked for in lower-case text are in lower case, or they would never be found."""

import re

import pytest

from mailflow.core import classify, quotes, signatures

IN_LOWER_CASE = {
    f"{module.__name__}.{name}.{number}": pattern
    for module, names in (
        (
            classify,
            (
                "_ABSENCE", "_ABSENCE_MORE", "_AUTOMATIC", "_NO_ANSWER", "_CHALLENGE_MORE",
                "_CHALLENGE_LINK", "_CHALLENGE_TEXT", "_CHALLENGE_SUBJECT", "_REPORTS",
                "_TALKS_BUSINESS", "_ASKS_OF_US",
            ),
        ),
        (quotes, ("_ENDS_WITH_VERB", "_HAS_VERB")),
        (signatures, ("_TITLE",)),
    )
    for name in names
    for found in (getattr(module, name),)
    for number, pattern in enumerate(found if isinstance(found, tuple) else (found,))
}  # fmt: skip


@pytest.mark.parametrize("name", IN_LOWER_CASE)
def test_a_phrase_for_lower_case_text_has_no_capital(name: str) -> None:
    written = re.sub(r"\\.", "", IN_LOWER_CASE[name].pattern)  # \S and \W are no capitals
    assert written == written.lower()
