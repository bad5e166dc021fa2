"""The client's yes or no to a proposed resolution, read from a plain reply.

Only a clear yes closes a ticket, and closing wrongly is much worse than asking an agent. So a
yes must be said outright, and everything else in the mail must be known to be harmless; a
question, a condition, a negation or a word of trouble leaves the answer unclear.
Source: contract, 'Un Problème sera clos par Esker après validation du Client'.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from mailflow.core.confirmation_phrases import (
    CLOSING,
    DOUBT,
    GREETING,
    HARMLESS,
    NEGATION,
    NO,
    POLITE,
    SUBJECT,
    TROUBLE,
    UNTRIED,
    YES_ANY,
    YES_EN,
    YES_FR,
)

_WORDS_OF_A_SUBJECT = 7
_MARK = "+"  # stands where a yes was; no text holds it once made plain
_WORDS_OF_A_NAME = 4
_WRAPPED_LINE = 50
_LONGEST_TEXT = 20_000
_YES = {"fr": (YES_FR, YES_ANY), "en": (YES_EN, YES_ANY)}
_ANY_LANGUAGE = (YES_FR, YES_EN, YES_ANY)


class Answer(StrEnum):
    """What the client says of a proposed resolution."""

    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A verdict, the client's words that decided it, and the reason an agent reads."""

    verdict: Answer
    evidence_text: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one sentence says. `open_point` names what leaves a yes open, if anything does."""

    text: str
    yes: bool
    no: bool
    untried: bool
    open_point: str


def read_confirmation(new_text: str, language: str) -> Confirmation:
    """Read the reply's new text: without quoted thread; a signature does no harm.

    `language` is 'fr' or 'en'; for another one a yes in either counts. A no, and whatever
    leaves a yes open, counts in both languages.
    """
    if len(new_text) > _LONGEST_TEXT:
        return Confirmation(Answer.UNCLEAR, "", "too long for a plain yes or no")
    patterns = _YES.get(language, _ANY_LANGUAGE)
    readings = [_read(sentence, patterns) for sentence in _sentences(new_text)]
    for each in readings:
        if each.untried:
            return Confirmation(Answer.UNCLEAR, each.text, "the client has yet to try it")
    first_no = next((each for each in readings if each.no), None)
    first_yes = next((each for each in readings if each.yes), None)
    if first_no is not None:
        if first_yes is not None:
            return Confirmation(Answer.UNCLEAR, first_no.text, "says both yes and no")
        return Confirmation(Answer.NO, first_no.text, "says that it is not solved")
    for each in readings:
        if each.open_point:
            return Confirmation(Answer.UNCLEAR, each.text, each.open_point)
    if first_yes is None:
        text = readings[0].text if readings else ""
        return Confirmation(Answer.UNCLEAR, text, "nothing says whether it is solved")
    return Confirmation(Answer.YES, first_yes.text, "says that it is solved")


def _read(sentence: str, yes_patterns: tuple[re.Pattern[str], ...]) -> _Reading:
    plain = _plain(sentence)
    rest, untried = UNTRIED.subn(" ", plain)
    rest, no = NO.subn(" ", _squeezed(rest))
    rest = _squeezed(rest)
    yes = 0
    for pattern in yes_patterns:
        rest, found = pattern.subn(f" {_MARK} ", rest)
        rest, yes = _squeezed(rest), yes + found
    open_point = _open_point(sentence, rest)
    return _Reading(sentence.strip(), bool(yes), bool(no), bool(untried), open_point)


def _open_point(sentence: str, rest: str) -> str:
    """Say what in the sentence, its yes or no taken out, keeps an agent from closing."""
    if "?" in sentence:
        return "asks a question"
    if found := DOUBT.search(rest):
        return f"a yes with a condition or a wish: {found.group().strip()}"
    rest = POLITE.sub(" ", rest)
    if found := NEGATION.search(rest):
        return f"a negation: {found.group().strip()}"
    if found := TROUBLE.search(rest):
        return f"speaks of trouble: {found.group()}"
    before, mark, after = rest.partition(_MARK)
    if not mark and GREETING.match(_plain(sentence)):
        return "" if len(rest.split()) <= _WORDS_OF_A_NAME else "says something else as well"
    if not (_is_harmless(before) or _is_subject(before)) or not _is_harmless(after):
        return "says something else as well"
    return ""


def _is_harmless(text: str) -> bool:
    return all(word in HARMLESS for word in re.findall(r"[^\W_]+(?:'[^\W_]+)?", text))


def _is_subject(text: str) -> bool:
    """Say whether the words before a yes only name what works: 'l'envoi des factures'."""
    text = POLITE.sub(" ", text).strip()
    return bool(SUBJECT.match(text)) and len(text.split()) <= _WORDS_OF_A_SUBJECT


def _sentences(text: str) -> Iterator[str]:
    """Yield sentences. Names below a closing formula, or alone on the last line, are left out."""
    joined: list[str] = []
    for line in (each.strip() for each in text.splitlines()):
        if joined and len(joined[-1]) > _WRAPPED_LINE and line and joined[-1][-1] not in ".!?:;":
            joined[-1] = f"{joined[-1]} {line}"
        elif line:
            joined.append(line)
    closed = False
    for number, line in enumerate(joined):
        last = number > 0 and number == len(joined) - 1
        if (closed or last) and _is_name(line):
            continue
        closed = closed or bool(CLOSING.search(_plain(line)))
        yield from (each for each in re.findall(r"[^.!?;…]+[.!?;…]*", line) if _plain(each))


def _is_name(line: str) -> bool:
    """Say whether a line is nothing but a person's name: capitalised words, no sentence."""
    words = line.strip(" -–—,.").split()
    return (
        0 < len(words) <= _WORDS_OF_A_NAME
        and all(word[0].isupper() and word.replace("-", "").isalpha() for word in words)
        and not _says_something(_plain(line))
    )


def _says_something(plain: str) -> bool:
    patterns = (UNTRIED, NO, *_ANY_LANGUAGE, DOUBT, NEGATION, TROUBLE)
    return any(pattern.search(plain) for pattern in patterns)


def _plain(text: str) -> str:
    """Return `text` in lower case, without accents and punctuation, apostrophes straight."""
    text = text.replace("’", "'").replace("ʼ", "'").replace("`", "'").replace("œ", "oe")
    bare = "".join(
        letter
        for letter in unicodedata.normalize("NFKD", text)
        if not unicodedata.combining(letter)
    )
    words = re.sub(r"[^\w'\-/]+", " ", bare.casefold())
    return _squeezed(re.sub(r"\bt(?:j|jr|jour)s\b", "toujours", words))


def _squeezed(text: str) -> str:
    return " ".join(text.split())
