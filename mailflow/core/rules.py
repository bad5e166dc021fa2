"""Rules that recognise what a client's words mean, and what they found in one mail.

Rules are data (`rules/triage/<language>.toml`); this module checks and holds them. The
matching itself, which needs RE2 and spaCy, stands in `mailflow.adapters.nlp`.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mailflow.errors import ConfigError

MOOD_PREFIX = "mood_"
_KEYS = frozenset(
    {"id", "cue", "means", "against", "patterns", "phrases", "tokens", "heads", "unless"}
    | {"case", "part", "matches", "misses"}
)
_PARTS = ("sentence", "text", "attachments")


class Place(StrEnum):
    """Where in a mail something was found."""

    SUBJECT = "subject"
    BODY = "body"
    ATTACHMENT = "attachment"


class Mood(StrEnum):
    """How a sentence says what it says: a fact is worth more than a fear."""

    ACTUAL = "actual"
    QUESTION = "question"
    SUPPOSED = "supposed"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A stretch of the analysed text, with its offsets there."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to recognise a cue in one language.

    A rule holds RE2 `patterns` on the folded text (see `fold`), `phrases` for spaCy's
    PhraseMatcher, `tokens` for its Matcher or `heads` for the dependency parse: a word of
    `patterns` that hangs on one of these lemmas. `unless` silences it where it matches in the
    same part. `means` and `against` name the decisions that it speaks for and against.
    """

    id: str
    cue: str
    language: str
    patterns: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    tokens: tuple[tuple[Mapping[str, Any], ...], ...] = ()
    heads: tuple[str, ...] = ()
    unless: str | None = None
    case: bool = False
    part: str = "sentence"
    means: tuple[tuple[str, str], ...] = ()
    against: tuple[tuple[str, str], ...] = ()
    matches: tuple[str, ...] = ()
    misses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule's find. Offsets are those of the analysed text of its place."""

    rule: str
    cue: str
    place: Place
    start: int
    end: int
    text: str
    mood: Mood = Mood.ACTUAL


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of one language, in file order, and its words that prove nothing."""

    language: str
    rules: tuple[Rule, ...]
    faint: frozenset[str] = frozenset()  # words that say nothing by themselves

    def speaking_for(self, decision: str, value: str) -> frozenset[str]:
        """Return the ids of the rules that speak for `value` of `decision`."""
        return frozenset(rule.id for rule in self.rules if (decision, value) in rule.means)

    def speaking_against(self, decision: str, value: str) -> frozenset[str]:
        """Return the ids of the rules that speak against `value` of `decision`."""
        return frozenset(rule.id for rule in self.rules if (decision, value) in rule.against)


_SIGNS = {
    "’": "'", "‘": "'", "ʼ": "'", "«": '"', "»": '"', "“": '"', "”": '"', "„": '"',
    "–": "-", "—": "-", "‑": "-", "→": ">", "›": ">", "…": ".", "•": "*", "·": "*",
    "œ": "o", "Œ": "O", "æ": "a", "ß": "s", "°": "o", "×": "x", "▸": ">", "►": ">",
}  # fmt: skip


_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def _fold_character(found: re.Match[str]) -> str:
    character = found.group()
    if character in _SIGNS:
        return _SIGNS[character]
    if character.isspace():
        return " "
    base = unicodedata.normalize("NFKD", character)[:1]
    return base if base.isascii() else "?"


def fold(text: str) -> str:
    """Return `text` in plain ASCII, character for character, so that offsets stay the same.

    Accents fall, typographic quotes, dashes and arrows become plain ones, what has no plain
    form becomes '?'. Case is kept. Clients type 'a l'arret' as often as 'à l’arrêt'.
    """
    return _NOT_ASCII.sub(_fold_character, text)


_BREAK = re.compile(r"\n+|(?<=[.!?])[\"»”)]*\s+(?=[^\s])|(?<=;)\s+")

# a step's number, an abbreviation or an initial ('Sophie R.') ends no sentence
_NO_END = re.compile(
    r"^(?:[-*•(]?\s?(?:\d{1,2}|[a-zA-Z])[.)])$|\b[A-Z]\.$"
    r"|\b(?i:mr|mme|mrs|ms|dr|art|ref|réf|approx|no|nr|ext|tel|tél)\.$"
)


def split_sentences(text: str) -> tuple[Sentence, ...]:
    """Cut `text` at line ends and closing punctuation. A number like '1.' opens a sentence."""
    return tuple(_pieces(text))


def _pieces(text: str) -> Iterator[Sentence]:
    start = 0
    for found in _BREAK.finditer(text):
        head = text[start : found.start()].strip()
        if "\n" not in found.group() and _NO_END.search(head):
            continue
        yield from _trimmed(text, start, found.start())
        start = found.end()
    yield from _trimmed(text, start, len(text))


def _trimmed(text: str, start: int, end: int) -> Iterator[Sentence]:
    piece = text[start:end]
    stripped = piece.strip()
    if stripped:
        first = start + len(piece) - len(piece.lstrip())
        yield Sentence(first, first + len(stripped), stripped)


def parse_rules(document: Mapping[str, Any], language: str, file: str) -> RuleSet:
    """Check a rules document and return its rules, word lists written out.

    Raises ConfigError naming file, rule and mend.
    """
    lists = document.get("lists", {})
    rules = []
    seen: set[str] = set()
    for number, entry in enumerate(document.get("rule", ()), 1):
        where = f"{file}: rule {entry.get('id', f'number {number}')!r}"
        unknown = sorted(set(entry) - _KEYS)
        if unknown:
            raise ConfigError(
                f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}"
            )
        rule = _parse_rule(entry, language, lists, where)
        if rule.id in seen:
            raise ConfigError(f"{where}: the id stands twice; give each rule its own")
        seen.add(rule.id)
        rules.append(rule)
    faint = frozenset(str(document.get("faint_words", "")).split())
    return RuleSet(language, tuple(rules), faint)


def _parse_rule(
    entry: Mapping[str, Any], language: str, lists: Mapping[str, str], where: str
) -> Rule:
    for key in ("id", "cue"):
        if not isinstance(entry.get(key), str) or not entry[key]:
            raise ConfigError(f"{where}: {key!r} is missing; add a text")
    if not any(entry.get(key) for key in ("patterns", "phrases", "tokens")):
        raise ConfigError(f"{where}: nothing to look for; add patterns, phrases or tokens")
    if not entry.get("matches"):
        raise ConfigError(f"{where}: no example; add at least one sentence under 'matches'")
    part = entry.get("part", "sentence")
    if part not in _PARTS:
        raise ConfigError(f"{where}: part {part!r} is unknown; use one of {', '.join(_PARTS)}")
    unless = entry.get("unless")
    return Rule(
        id=entry["id"],
        cue=entry["cue"],
        language=language,
        patterns=tuple(_write_out(text, lists, where) for text in entry.get("patterns", ())),
        phrases=tuple(entry.get("phrases", ())),
        tokens=tuple(tuple(pattern) for pattern in entry.get("tokens", ())),
        heads=tuple(entry.get("heads", ())),
        unless=None if unless is None else _write_out(unless, lists, where),
        case=bool(entry.get("case", False)),
        part=part,
        means=_decisions(entry.get("means", {})),
        against=_decisions(entry.get("against", {})),
        matches=tuple(entry["matches"]),
        misses=tuple(entry.get("misses", ())),
    )


def _decisions(table: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (decision, str(value))
        for decision, values in table.items()
        for value in (values if isinstance(values, list) else [values])
    )


def _write_out(pattern: str, lists: Mapping[str, str], where: str) -> str:
    """Replace `{name}` by the word list of that name, as one group."""

    def replace(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in lists:
            raise ConfigError(f"{where}: no list {name!r}; add it under [lists]")
        return f"(?:{_write_out(lists[name], lists, where)})"

    return re.sub(r"\{([a-z_]+)\}", replace, pattern)
