"""Find the rules' cues in a text: RE2 and spaCy's matchers, and the parser where a cue fires.

RE2 keeps an operator's pattern from ever running away. The statistical pipeline is loaded only
when a rule with `heads` has found its word, and then parses that one sentence.
"""

import tomllib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import re2

from mailflow.adapters.parsers import PARSERS, load_parser
from mailflow.adapters.spoken import SpokenRules
from mailflow.core.rules import (
    MOOD_PREFIX,
    Hit,
    Mood,
    Place,
    Rule,
    RuleSet,
    Sentence,
    fold,
    parse_rules,
    split_sentences,
)
from mailflow.errors import ConfigError

_MAX_TEXT = 20_000  # characters read; a longer mail is judged by its beginning
_PATTERN_MEMORY = 512 * 1024  # bytes: RE2 notes what it has seen, in up to 8 MB a pattern otherwise
_SPECIFIC = (Mood.SUPPOSED, Mood.QUESTION)


def load_rules(path: Path) -> RuleSet:
    """Read the rules file of a language, named after it: `fr.toml`. Raises ConfigError."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}; mend the line named") from error
    return parse_rules(document, path.stem, str(path))


class RuleMatcher:
    """The rules of one language, compiled."""

    def __init__(self, rules: RuleSet, file: str = "rules") -> None:
        self.rules = rules
        written = [rule for rule in rules.rules if rule.patterns]
        self._lower = _Sieve([rule for rule in written if not rule.case], file)
        self._plain = _Sieve([rule for rule in written if rule.case], file)
        self._unless = {
            rule.id: _compile(rule, rule.unless, file) for rule in rules.rules if rule.unless
        }
        self._spoken = SpokenRules(rules)

    @property
    def parsing_rules(self) -> frozenset[str]:
        """The ids of the rules that need the parser."""
        return frozenset(rule.id for rule in self.rules.rules if rule.heads)

    def load_spoken(self) -> None:
        """Load what is otherwise loaded when a rule with phrases or tokens may stand in a text."""
        self._spoken.load()

    def wants_parser(self, text: str) -> bool:
        """Say whether a rule that needs the parser finds its word in `text`."""
        return any(rule.heads for rule, _, _ in self._sift(fold(text[:_MAX_TEXT])))

    def find_hits(self, text: str, place: Place, parse: bool = True) -> tuple[Hit, ...]:
        """Return what the rules find in `text`, in order, with the mood of its sentence.

        Without `parse`, the rules that need the parser stay silent.
        """
        text = text[:_MAX_TEXT]
        sentences = split_sentences(text)
        found = list(self._raw_hits(fold(text), sentences, place, parse))
        moods = _moods(found, sentences)
        hits = [
            Hit(rule.id, rule.cue, place, start, end, text[start:end], _mood_at(moods, start))
            for rule, start, end in found
        ]
        hits.sort(key=lambda hit: (hit.start, hit.end, hit.rule))
        return tuple(hits)

    def _raw_hits(
        self, folded: str, sentences: Sequence[Sentence], place: Place, parse: bool
    ) -> Iterator[tuple[Rule, int, int]]:
        for rule, pattern, source in self._sift(folded):
            if (rule.part == "attachments") != (place is Place.ATTACHMENT):
                continue
            if rule.heads and not parse:
                continue
            for match in pattern.finditer(source):
                start, end = match.span()
                if self._stands(rule, source, sentences, start, end):
                    yield rule, start, end
        if place is not Place.ATTACHMENT:
            for identity, start, end in self._spoken.find(folded):
                rule = self._spoken.by_id[identity]
                if self._stands(rule, folded.lower().encode(), sentences, start, end):
                    yield rule, start, end

    def _sift(self, folded: str) -> Iterator[tuple[Rule, Any, bytes]]:
        """Return the rules whose patterns stand in a text, with the pattern and what it reads."""
        plain = folded.encode("ascii")  # a character a byte: RE2 reads bytes, offsets are the same
        for sieve, source in ((self._lower, plain.lower()), (self._plain, plain)):
            for rule, pattern in sieve.let_through(source):
                yield rule, pattern, source

    def _stands(
        self,
        rule: Rule,
        source: bytes,
        sentences: Sequence[Sentence],
        start: int,
        end: int,
    ) -> bool:
        if end <= start:
            return False
        unless = self._unless.get(rule.id)
        if rule.part != "sentence":
            return unless is None or unless.search(source) is None
        sentence = next((one for one in sentences if one.start <= start < one.end), None)
        if sentence is None or end > sentence.end:
            return False
        words = source[sentence.start : sentence.end]
        if unless is not None and unless.search(words) is not None:
            return False
        if not rule.heads:
            return True
        return _hangs_on(
            self.rules.language, sentence.text, start - sentence.start, frozenset(rule.heads)
        )


class _Sieve:
    """Tells which of many rules' patterns stand in a text, without trying each of them.

    RE2 looks for the letters that a pattern cannot do without, of all patterns at once, and tries
    those whose letters stand there.
    """

    def __init__(self, rules: Sequence[Rule], file: str) -> None:
        self._rules = rules
        self._filter = re2.Filter()
        for rule in rules:
            for pattern in rule.patterns:
                _compile(rule, pattern, file)  # alone, so that what is broken is named
            joined = "|".join(f"(?:{pattern})" for pattern in rule.patterns)
            _compile(rule, joined, file)  # together they may be too long
            self._filter.Add(joined, _options())
        if rules:
            self._filter.Compile()
        self._patterns = [self._filter.re(at) for at in range(len(rules))]

    def let_through(self, source: bytes) -> list[tuple[Rule, Any]]:
        """Return the rules of which a pattern stands in `source`, with their patterns."""
        if not self._rules:
            return []
        return [(self._rules[at], self._patterns[at]) for at in self._filter.Match(source) or ()]


def _compile(rule: Rule, pattern: str, file: str) -> Any:
    try:
        return re2.compile(pattern, _options())
    except re2.error as error:
        raise ConfigError(
            f"{file}: rule {rule.id!r}: RE2 cannot read {pattern!r}: {error}; "
            "mend it (RE2 knows no look-around and no back-references)"
        ) from error


@lru_cache(maxsize=1)
def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _PATTERN_MEMORY
    return options


def _moods(
    found: Sequence[tuple[Rule, int, int]], sentences: Sequence[Sentence]
) -> list[tuple[int, int, Mood]]:
    marked: list[tuple[int, int, Mood]] = []
    for rule, start, _ in found:
        if not rule.cue.startswith(MOOD_PREFIX):
            continue
        mood = Mood(rule.cue.removeprefix(MOOD_PREFIX))
        for sentence in sentences:
            if sentence.start <= start < sentence.end:
                marked.append((sentence.start, sentence.end, mood))
    return marked


def _mood_at(moods: Sequence[tuple[int, int, Mood]], offset: int) -> Mood:
    here = {mood for start, end, mood in moods if start <= offset < end}
    return next((mood for mood in _SPECIFIC if mood in here), Mood.ACTUAL)


def _hangs_on(language: str, sentence: str, offset: int, heads: frozenset[str]) -> bool:
    """Say whether the word at `offset` depends on, or governs, a noun or verb of `heads`."""
    if language not in PARSERS:
        return False
    related = next(
        (words for start, end, words in parse_related(language, sentence) if start <= offset < end),
        frozenset[str](),
    )
    return bool(related & heads)


@lru_cache(maxsize=128)  # several rules, and both stages, ask about a sentence
def parse_related(language: str, sentence: str) -> tuple[tuple[int, int, frozenset[str]], ...]:
    """Return for each word its start, its end, and the words it depends on or governs."""
    parser = load_parser(language)
    with parser.memory_zone():  # it remembers every word otherwise, and grows for ever
        return tuple(
            (word.idx, word.idx + len(word), frozenset(_related(word))) for word in parser(sentence)
        )


def _related(word: Any) -> Iterator[str]:
    related = [word.head, *word.children]
    if word.dep_ in {"det", "amod", "nsubj", "obl", "pobj", "predet"}:
        related += [word.head.head] if word.head.pos_ in {"NUM", "DET", "PRON"} else []
    for token in related:
        yield from _singulars(token.text)


def _singulars(word: str) -> set[str]:
    """Return the folded word, and what it may be the plural or the feminine of."""
    plain = fold(word).lower()
    found = {plain, plain.removesuffix("s"), plain.removesuffix("x"), plain.removesuffix("es")}
    if plain.endswith("ies"):
        found.add(f"{plain.removesuffix('ies')}y")
    if plain.endswith("trices"):
        found.add(f"{plain.removesuffix('trices')}teur")
    return found
