"""Find the rules' cues in a text: RE2 and spaCy's matchers, and the parser where a cue fires.

RE2 keeps an operator's pattern from ever running away. spaCy's tokenizer serves the Matcher
and the PhraseMatcher; the statistical pipeline is loaded only when a rule with `heads` has
found its word, and then parses that one sentence.
"""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import re2

from mailflow.adapters.parsers import PARSERS, load_parser
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
        self._patterns = [
            (rule, _compile(rule, rule.patterns, file), _compile(rule, _maybe(rule.unless), file))
            for rule in rules.rules
        ]
        spoken = [rule for rule in rules.rules if rule.phrases or rule.tokens]
        self._spoken = {rule.id: rule for rule in spoken}
        self._match_words: Callable[[str], list[tuple[str, int, int]]] | None = None

    @property
    def parsing_rules(self) -> frozenset[str]:
        """The ids of the rules that need the parser."""
        return frozenset(rule.id for rule in self.rules.rules if rule.heads)

    def wants_parser(self, text: str) -> bool:
        """Say whether a rule that needs the parser finds its word in `text`."""
        lower = fold(text[:_MAX_TEXT]).lower().encode("ascii")
        return any(
            pattern is not None and pattern.search(lower) is not None
            for rule, pattern, _ in self._patterns
            if rule.heads
        )

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
        plain = folded.encode("ascii")  # a character a byte: RE2 reads bytes, offsets are the same
        lower = folded.lower().encode("ascii")
        for rule, pattern, unless in self._patterns:
            if pattern is None or (rule.part == "attachments") != (place is Place.ATTACHMENT):
                continue
            if rule.heads and not parse:
                continue
            source = plain if rule.case else lower
            for match in pattern.finditer(source):
                start, end = match.span()
                if self._stands(rule, unless, source, sentences, start, end):
                    yield rule, start, end
        if self._spoken and place is not Place.ATTACHMENT:
            if self._match_words is None:
                self._match_words = _word_matcher(self.rules)
            unless_of = {rule.id: unless for rule, _, unless in self._patterns}
            for identity, start, end in self._match_words(folded):
                rule = self._spoken[identity]
                if self._stands(rule, unless_of[identity], lower, sentences, start, end):
                    yield rule, start, end

    def _stands(
        self,
        rule: Rule,
        unless: Any,
        source: bytes,
        sentences: Sequence[Sentence],
        start: int,
        end: int,
    ) -> bool:
        if end <= start:
            return False
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


def _maybe(pattern: str | None) -> tuple[str, ...]:
    return () if pattern is None else (pattern,)


def _compile(rule: Rule, patterns: Sequence[str], file: str) -> Any:
    if not patterns:
        return None
    for pattern in patterns:
        try:
            re2.compile(pattern, _options())
        except re2.error as error:
            raise ConfigError(
                f"{file}: rule {rule.id!r}: RE2 cannot read {pattern!r}: {error}; "
                "mend it (RE2 knows no look-around and no back-references)"
            ) from error
    return re2.compile("|".join(f"(?:{pattern})" for pattern in patterns), _options())


@lru_cache(maxsize=1)
def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
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


def _word_matcher(rules: RuleSet) -> Callable[[str], list[tuple[str, int, int]]]:
    import spacy
    from spacy.matcher import Matcher, PhraseMatcher

    nlp = spacy.blank(rules.language)
    phrases = PhraseMatcher(nlp.vocab, attr="LOWER")
    tokens = Matcher(nlp.vocab, validate=True)
    for rule in rules.rules:
        if rule.phrases:
            phrases.add(rule.id, [nlp.make_doc(fold(phrase)) for phrase in rule.phrases])
        if rule.tokens:
            tokens.add(rule.id, [[dict(token) for token in pattern] for pattern in rule.tokens])

    def find(text: str) -> list[tuple[str, int, int]]:
        document = nlp.make_doc(text)
        spans = [*phrases(document, as_spans=True), *tokens(document, as_spans=True)]
        return [(span.label_, span.start_char, span.end_char) for span in spans]

    return find


@lru_cache(maxsize=2048)
def _hangs_on(language: str, sentence: str, offset: int, heads: frozenset[str]) -> bool:
    """Say whether the word at `offset` depends on, or governs, a noun or verb of `heads`."""
    if language not in PARSERS:
        return False
    document = load_parser(language)(sentence)
    word = next((token for token in document if token.idx <= offset < token.idx + len(token)), None)
    if word is None:
        return False
    related = [word.head, *word.children]
    if word.dep_ in {"det", "amod", "nsubj", "obl", "pobj", "predet"}:
        related += [word.head.head] if word.head.pos_ in {"NUM", "DET", "PRON"} else []
    return any(_singulars(token.text) & heads for token in related)


def _singulars(word: str) -> set[str]:
    """Return the folded word, and what it may be the plural or the feminine of."""
    plain = fold(word).lower()
    found = {plain, plain.removesuffix("s"), plain.removesuffix("x"), plain.removesuffix("es")}
    if plain.endswith("ies"):
        found.add(f"{plain.removesuffix('ies')}y")
    if plain.endswith("trices"):
        found.add(f"{plain.removesuffix('trices')}teur")
    return found
