import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailflow.core.summary import LONGEST, summarise


@pytest.mark.parametrize(
    ("subject", "text", "summary"),
    [
        ("The export fails", "Hello", "The export fails"),
        ("  The \t export\n fails ", "", "The export fails"),  # one line, single spaces
        ("URGENT", "The export fails", "The export fails"),
        ("Urgent !!!", "The export fails", "The export fails"),
        ("Problème", "Bonjour,\n\nL'export échoue.", "L'export échoue."),
        ("PROBLÈME :", "Bonjour !\nL'export échoue.", "L'export échoue."),
        ("", "Good morning everyone,\nThe export fails", "The export fails"),
        ("", "Madame, Monsieur,\nL'export échoue", "L'export échoue"),
        ("aide", "Bonjour à toute l'équipe,\nL'export échoue", "L'export échoue"),
        (
            "help",
            "Hello, the export of all invoices fails",
            "Hello, the export of all invoices fails",
        ),
        ("help", "Hi. The export fails", "Hi. The export fails"),  # more than a greeting
        ("question", "Highlight is lost", "Highlight is lost"),  # 'Hi' is a word, not a beginning
        ("URGENT", "Bonjour,\n\n", "URGENT"),  # nothing says more
        ("", "", ""),
        ("urgent printer", "x", "urgent printer"),  # a subject that says something
    ],
)
def test_summarise(subject, text, summary):
    assert summarise(subject, text) == summary


@pytest.mark.parametrize(
    ("line", "summary"),
    [
        ("a" * 120, "a" * 120),  # exactly as long as may be
        ("a" * 121, "a" * 119 + "…"),  # no space to cut at
        ("word " * 30, "word " * 22 + "word…"),  # cut between words
    ],
)
def test_long_lines_are_cut(line, summary):
    assert summarise(line, "") == summary


@given(st.text(max_size=400), st.text(max_size=400))
def test_always_one_line_of_bounded_length(subject, text):
    summary = summarise(subject, text)
    assert len(summary) <= LONGEST
    assert summary == " ".join(summary.split())
