"""Find phrases and tokens with spaCy's PhraseMatcher and Matcher.

spaCy reads a text word by word, and its French tokenizer takes seconds to load: it is asked only
about a text in which every part that a rule cannot do without stands somewhere.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mailflow.core.rules import Rule, RuleSet, fold

_MOST_WORDS = 20_000  # some 20 MB; to begin anew takes a tenth of a second
Found = tuple[str, int, int]  # rule, start, end
Need = tuple[tuple[str, ...], ...]  # one of each must stand in a text, white space left out


class SpokenRules:
    """The rules of one language that have phrases or tokens."""

    def __init__(self, rules: RuleSet) -> None:
        self.by_id = {rule.id: rule for rule in rules.rules if rule.phrases or rule.tokens}
        self._language = rules.language
        self._needs = [need for rule in self.by_id.values() for need in _needs(rule)]
        self._matchers: _Matchers | None = None

    def find(self, folded: str) -> list[Found]:
        """Return what stands in a folded text."""
        squeezed = _squeeze(folded)
        if not any(_is_met(need, squeezed) for need in self._needs):
            return []
        return self.load().find(folded)

    def load(self) -> "_Matchers":
        """Load what `find` otherwise loads at first need."""
        if self._matchers is None or self._matchers.is_full:
            self._matchers = _Matchers(self._language, self.by_id)
        return self._matchers


def _squeeze(text: str) -> str:
    return "".join(text.lower().split())


def _is_met(need: Need, squeezed: str) -> bool:
    return all(any(word in squeezed for word in words) for words in need)


def _needs(rule: Rule) -> Iterator[Need]:
    for phrase in rule.phrases:
        yield ((_squeeze(fold(phrase)),),)
    for pattern in rule.tokens:
        listed = [_list_words(token) for token in pattern]
        yield tuple(words for words in listed if words)


def _list_words(token: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the words of which one must be there; none where that cannot be told."""
    if token.get("OP", "1") not in {"1", "+"}:
        return ()
    lower = token.get("LOWER", {})
    words = [lower] if isinstance(lower, str) else lower.get("IN", ())
    return tuple(map(_squeeze, words))


class _Matchers:
    """spaCy's tokenizer and matchers. The tokenizer remembers every word it has read."""

    def __init__(self, language: str, rules: Mapping[str, Rule]) -> None:
        import spacy
        from spacy.matcher import Matcher, PhraseMatcher

        self._nlp = spacy.blank(language)
        self._phrases = PhraseMatcher(self._nlp.vocab, attr="LOWER")
        self._tokens = Matcher(self._nlp.vocab, validate=True)
        for rule in rules.values():
            if rule.phrases:
                texts = [self._nlp.make_doc(fold(phrase)) for phrase in rule.phrases]
                self._phrases.add(rule.id, texts)
            if rule.tokens:
                patterns = [[dict(token) for token in pattern] for pattern in rule.tokens]
                self._tokens.add(rule.id, patterns)

    @property
    def is_full(self) -> bool:
        """Whether it remembers so many words that one should begin anew: it would grow for ever."""
        return len(self._nlp.vocab) > _MOST_WORDS

    def find(self, text: str) -> list[Found]:
        document = self._nlp.make_doc(text)
        matchers = [each for each in (self._phrases, self._tokens) if len(each)]
        spans = [span for each in matchers for span in each(document, as_spans=True)]
        return [(span.label_, span.start_char, span.end_char) for span in spans]
