"""Labelled mails: read, checked, prepared, and grouped so that neighbours stay together."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mailflow.adapters.models import DEAR, FIRST
from mailflow.adapters.nlp import RuleMatcher
from mailflow.adapters.triager import find_all_hits
from mailflow.adapters.wording import Acts, Meaning, Vocabulary, encode_meaning, list_words
from mailflow.core.rules import Hit
from mailflow.core.triage_features import AttachmentWords, Material, count_features
from mailflow.errors import ConfigError

TRAINING = Path(__file__).resolve().parent.parent / "training"
GOLDEN = "golden.txt"
OWN = "mailflow"  # the `source` of mails written for this project
_NEAR = 0.15  # cosine of TF-IDF word pairs above which two mails are neighbours
DECISIONS = (*DEAR, *(FIRST + name for name in DEAR), "description", "feature")


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled mail; `labels` holds only the decisions that count for its kind."""

    id: str
    material: Material
    labels: Mapping[str, str]
    requested_priority: int | None
    spans: Mapping[str, Sequence[str]]
    source: str
    pair: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An example with what the rules found and what its sentences mean."""

    example: Example
    hits: tuple[Hit, ...]
    features: Mapping[str, float]
    bare: Mapping[str, float]  # the features of the cheap stage: no parser, no acts
    meaning: Meaning = field(repr=False)


def read_examples(paths: Iterable[Path]) -> list[Example]:
    """Read labelled mails in the guide's format. Raises ConfigError naming file and line."""
    examples: list[Example] = []
    seen: set[str] = set()
    for path in paths:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if not line.strip():
                continue
            try:
                example = _read_example(json.loads(line))
            except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
                raise ConfigError(
                    f"{path}, line {number}: not a labelled mail ({error!r}); see docs/triage.md"
                ) from error
            if example.id in seen:
                raise ConfigError(f"{path}, line {number}: the id {example.id!r} stands twice")
            seen.add(example.id)
            examples.append(example)
    return examples


def _read_example(entry: Mapping[str, Any]) -> Example:
    kind = entry["kind"]
    labels = {"kind": kind}
    if kind == "excluded":
        labels["exclusion"] = entry["exclusion"]
    if kind == "problem":
        labels["priority"] = str(entry["priority"])
        labels["steps"] = entry["steps"]
        labels["error"] = entry["error"]
        labels["description"] = "yes" if entry["description"] else "no"
        labels["feature"] = "yes" if entry["feature"] else "no"
    names = tuple(AttachmentWords(name) for name in entry.get("attachments", ()))
    return Example(
        id=entry["id"],
        material=Material(entry["language"], entry["subject"], entry["body"], names),
        labels=labels,
        requested_priority=entry.get("requested_priority"),
        spans=entry.get("spans", {}),
        source=entry.get("source", ""),
        pair=entry.get("pair"),
        note=entry.get("note", ""),
    )


def shipped_training_files() -> list[Path]:
    """Return the labelled mails that ship with mailflow."""
    return sorted(TRAINING.glob("*.jsonl"))


def golden_ids() -> frozenset[str]:
    """Return the ids of the frozen golden set, on which each new model is judged."""
    lines = (TRAINING / GOLDEN).read_text("utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and line[0] != "#")


def hash_data(examples: Sequence[Example]) -> str:
    """Return a hash of the examples, whatever their order."""
    parts = sorted(
        json.dumps(
            [
                one.id,
                one.material.written,
                sorted(one.labels.items()),
                one.requested_priority,
            ],
            ensure_ascii=False,
        )
        for one in examples
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def prepare(
    examples: Sequence[Example], matchers: Mapping[str, RuleMatcher], acts: Acts
) -> list[Prepared]:
    """Run the rules and the sentence encoder over `examples`."""
    meanings: list[Meaning] = []
    for start in range(0, len(examples), 64):
        batch = examples[start : start + 64]
        meanings.extend(encode_meaning([one.material for one in batch]))
    prepared = []
    for example, meaning in zip(examples, meanings, strict=True):
        matcher = matchers.get(example.material.language)
        hits = find_all_hits(matcher, example.material) if matcher else ()
        features = {**count_features(example.material, hits), **acts.features(meaning)}
        parsing = matcher.parsing_rules if matcher else ()
        bare = count_features(example.material, [hit for hit in hits if hit.rule not in parsing])
        prepared.append(Prepared(example, hits, features, bare, meaning))
    return prepared


def group_neighbours(examples: Sequence[Example]) -> NDArray[np.int64]:
    """Return a group number for each example; neighbours and pairs share one.

    Two mails are neighbours when their word pairs are alike, or when they were written as a
    pair; a fold never parts them, so that no figure rests on a mail half seen in training.
    """
    terms = [list_words(f"{one.material.subject}\n{one.material.body}") for one in examples]
    vocabulary = Vocabulary.learn(terms, 1)
    rows = np.zeros((len(examples), len(vocabulary.places)), dtype=np.float32)
    for row, words in zip(rows, terms, strict=True):
        at, values = vocabulary.weigh(words)
        row[at] = values
    parent = list(range(len(examples)))

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for one, other in np.argwhere(np.triu(rows @ rows.T > _NEAR, 1)):
        parent[root(int(other))] = root(int(one))
    first: dict[str, int] = {}
    for number, example in enumerate(examples):
        if example.pair is not None:
            parent[root(number)] = root(first.setdefault(example.pair, number))
    return np.asarray([root(one) for one in range(len(examples))], dtype=np.int64)
