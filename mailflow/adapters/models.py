"""The trained model as plain data: how it is stored, checked and asked.

A model folder holds `manifest.json` (versions, hashes, classes, thresholds, metrics),
`words.json` (vocabularies) and `weights.npz`. Nothing in it is executed. A folder of models
holds one such folder for each version and a file `current` that names the one in force.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mailflow.adapters.deciders import Answers, Decider, Numbers, Row, Stage
from mailflow.adapters.forest import Forest
from mailflow.adapters.wording import (
    MEANING_WIDTH,
    Acts,
    Meaning,
    Vocabulary,
    list_characters,
    list_words,
)
from mailflow.core.triage_features import Material
from mailflow.errors import ConfigError

FORMAT = 4
FIRST = "first:"  # before the name of a decision: as the cheap stage decides it
DEAR = ("kind", "priority", "exclusion", "steps", "error")  # decided again where not settled
CUE_WEIGHT = 0.3
_MOST_WORDS = 3
_FILES = ("words.json", "weights.npz")


@dataclass(frozen=True, slots=True)
class Space:
    """The columns that a mail becomes: words, characters, meaning, cues."""

    words: Vocabulary
    characters: Vocabulary
    cues: tuple[str, ...]

    @property
    def width(self) -> int:
        """The number of columns."""
        text = len(self.words.places) + len(self.characters.places)
        return text + MEANING_WIDTH + len(self.cues)

    def read(self, material: Material) -> Row:
        """Return the places and values of a mail's words and characters."""
        text = material.written
        words, word_values = self.words.weigh(list_words(text))
        runs, run_values = self.characters.weigh(list_characters(text))
        at = np.concatenate([words, runs + len(self.words.places)])
        return at, np.concatenate([word_values, run_values])

    def row(
        self, text: Row, features: Mapping[str, float], meaning: NDArray[np.float32] | None
    ) -> Row:
        """Return the places and values of a mail of that text; what is not named is zero."""
        return self.join(text, cue_table(self.cues, [features])[0], meaning)

    def join(self, text: Row, cues: Numbers, meaning: NDArray[np.float32] | None) -> Row:
        """Return the same as `row`, of cues in the model's order."""
        first_meaning = len(self.words.places) + len(self.characters.places)
        first_cue = first_meaning + MEANING_WIDTH
        at, values = [text[0]], [text[1]]
        if meaning is not None:
            at.append(np.arange(first_meaning, first_cue))
            values.append(meaning)
        there = np.flatnonzero(cues)
        at.append(first_cue + there)
        values.append((cues[there] * CUE_WEIGHT).astype(np.float32))
        return np.concatenate(at), np.concatenate(values)


@dataclass(frozen=True)
class Model:
    """A loaded model."""

    version: str
    space: Space
    acts: Acts
    deciders: Mapping[str, Decider]
    thresholds: Mapping[str, float]
    manifest: Mapping[str, Any]

    @cached_property
    def _first(self) -> Stage:
        named = {name.removeprefix(FIRST): name for name in self.deciders if name not in DEAR}
        return Stage.of({name: self.deciders[stored] for name, stored in named.items()})

    @cached_property
    def _further(self) -> Stage:
        return Stage.of({name: self.deciders[name] for name in DEAR})

    def ask_first(
        self, texts: Sequence[Row], features: Sequence[Mapping[str, float]]
    ) -> list[Answers]:
        """Return each decision's calibrated probabilities by the cheap stage: words and cues.

        `features` are those of the rules that need no parser. The items are decided here.
        """
        cues = cue_table(self.space.cues, features)
        rows = [self.space.join(text, own, None) for text, own in zip(texts, cues, strict=True)]
        return self._first.answer(rows, cues.astype(np.float32))

    def ask_further(
        self,
        texts: Sequence[Row],
        features: Sequence[Mapping[str, float]],
        meanings: Sequence[Meaning],
        first: Sequence[Answers],
    ) -> list[Answers]:
        """Return `first` with the decisions of DEAR made again, with meaning and parser.

        What the sentences do is added to `features` here.
        """
        told = [
            {**found, **self.acts.features(meaning)}
            for found, meaning in zip(features, meanings, strict=True)
        ]
        cues = cue_table(self.space.cues, told)
        rows = [
            self.space.join(text, own, meaning.row)
            for text, own, meaning in zip(texts, cues, meanings, strict=True)
        ]
        again = self._further.answer(rows, cues.astype(np.float32))
        return [{**before, **after} for before, after in zip(first, again, strict=True)]

    def moving_words(
        self, text: Row, decision: str, value: str, faint: frozenset[str] = frozenset()
    ) -> tuple[str, ...]:
        """Return the words of the mail that spoke loudest for `value`.

        Words that say nothing by themselves (`faint`) are left out, and numbers.
        """
        decider = self.deciders[decision]
        if value not in decider.classes:
            return ()
        count = np.count_nonzero(text[0] < len(self.space.words.places))
        at, values = text[0][:count], text[1][:count]
        weights = decider.joint[at].astype(np.float64)
        pull = values * (weights[:, decider.classes.index(value)] - weights.mean(axis=1))
        names = self.space.words.terms
        found: list[str] = []
        speaking = np.flatnonzero(pull > 0)
        for one in speaking[np.argsort(-pull[speaking], kind="stable")].tolist():
            if len(found) == _MOST_WORDS:
                break
            said = names[int(at[one])].split()
            telling = [word for word in (said[0], said[-1]) if word.isalpha() and len(word) > 2]
            if len(telling) == 2 and not faint.intersection(telling):
                found.append(" ".join(said))
        return tuple(found)


def cue_numbers(names: Sequence[str], features: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the cues in the model's order."""
    return np.asarray([features.get(name, 0.0) for name in names], dtype=np.float32)


def cue_table(names: Sequence[str], features: Sequence[Mapping[str, float]]) -> Numbers:
    """Return the cues of many mails, one row a mail."""
    found = [value for own in features for value in map(own.get, names, repeat(0.0))]
    return np.asarray(found, dtype=np.float64).reshape(len(features), len(names))


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def find_current(folder: Path) -> Path:
    """Return the model folder in force: `folder` itself, or the one its `current` names."""
    if (folder / "manifest.json").is_file():
        return folder
    pointer = folder / "current"
    if not pointer.is_file():
        raise ConfigError(f"{folder}: holds no model; train one with `mailflow train`")
    return folder / pointer.read_text("utf-8").strip()


def load_model(folder: Path) -> Model:
    """Load the model in force in `folder`. Raises ConfigError where a file was altered."""
    place = find_current(folder)
    try:
        manifest = json.loads((place / "manifest.json").read_text("utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ConfigError(f"{place}/manifest.json: cannot be read: {error}; train anew") from error
    if manifest.get("format") != FORMAT:
        raise ConfigError(f"{place}: model of another format; train anew with `mailflow train`")
    for name in _FILES:
        if not (place / name).is_file() or hash_file(place / name) != manifest["files"][name]:
            raise ConfigError(
                f"{place / name}: is not the file that was trained (SHA-256 differs); "
                "restore it or train anew with `mailflow train`"
            )
    words = json.loads((place / "words.json").read_text("utf-8"))
    with np.load(place / "weights.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    space = Space(
        _read_vocabulary(words["words"], arrays["words"]),
        _read_vocabulary(words["characters"], arrays["characters"]),
        tuple(words["cues"]),
    )
    deciders = {
        name: _read_decider(name, entry, arrays) for name, entry in manifest["decisions"].items()
    }
    acts = Acts(tuple(words["acts"]), arrays["acts"].astype(np.float32))
    return Model(manifest["version"], space, acts, deciders, manifest["thresholds"], manifest)


def _read_vocabulary(terms: Sequence[str], weights: NDArray[np.float32]) -> Vocabulary:
    return Vocabulary(
        {term: at for at, term in enumerate(terms)}, weights.astype(np.float32), tuple(terms)
    )


def _read_decider(
    name: str, entry: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> Decider:
    forest = None
    if f"{name}.roots" in arrays:
        feature = arrays[f"{name}.feature"].astype(np.int32)
        itself = np.arange(len(feature), dtype=np.int32)
        forest = Forest(
            feature,
            arrays[f"{name}.limit"].astype(np.float32),
            np.where(feature < 0, itself, arrays[f"{name}.low"]).astype(np.int32),
            np.where(feature < 0, itself, arrays[f"{name}.high"]).astype(np.int32),
            arrays[f"{name}.value"].astype(np.float32) / 255.0,
            arrays[f"{name}.roots"].astype(np.int32),
        )
    return Decider(
        tuple(entry["classes"]),
        arrays[f"{name}.wording"].astype(np.float32),
        arrays[f"{name}.joint"].astype(np.float32),
        forest,
        float(entry["scale"]),
        np.asarray(entry["shift"], dtype=np.float64),
    )
