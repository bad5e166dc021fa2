"""The short description that a registration carries. Source: contract, 'description sommaire'."""

import re

LONGEST = 120
_GREETING = re.compile(
    r"(?:bonjour|bonsoir|madame|monsieur|mesdames|messieurs|cher|chère|hello|hi|dear|hey|"
    r"good (?:morning|afternoon|evening)|salut|coucou)\b[^.!?]*[.!?]*",
    re.I,
)
_WORDS_OF_A_GREETING = 5  # more of them say something
_EMPTY_SUBJECTS = frozenset(
    {"", "help", "aide", "urgent", "support", "problème", "probleme", "problem", "question"}
)


def summarise(subject: str, text: str) -> str:
    """Return one line of at most 120 characters: the subject, or the first line that says more.

    A subject such as 'URGENT' says nothing, so the text's first line stands in, its greeting
    left out.
    """
    line = " ".join(subject.split())
    if line.strip(" !.?:").lower() in _EMPTY_SUBJECTS:
        lines = (" ".join(each.split()) for each in text.splitlines())
        line = next((each for each in lines if each and not _is_greeting(each)), line)
    return line if len(line) <= LONGEST else line[: LONGEST - 1].rsplit(" ", 1)[0] + "…"


def _is_greeting(line: str) -> bool:
    return bool(_GREETING.fullmatch(line)) and len(line.split()) <= _WORDS_OF_A_GREETING
