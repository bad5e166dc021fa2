"""Fit the deciders, and answer for each mail by a model that has not seen it."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mailflow.adapters.deciders import Decider, Numbers, calibrate, log_odds, softmax
from mailflow.adapters.forest import Forest
from mailflow.adapters.models import DEAR, FIRST, Space, cue_numbers
from mailflow.adapters.wording import (
    Acts,
    Vocabulary,
    encode_sentences,
    list_characters,
    list_words,
)
from mailflow.services.train_data import DECISIONS, OWN, TRAINING, Prepared

ACTS = TRAINING / "acts"
SEED = 20261123
FOLDS = 5
OWN_WEIGHT = 0.6  # of a mail written for this project, beside 1 for one from elsewhere
_TREES = 150
_WITH_FOREST = frozenset({"kind", "priority", "exclusion", "steps", "error"})
_STRENGTH = {"description": 5.0, "feature": 5.0}  # inverse regularisation; else 3
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Table:
    """All mails as one sparse matrix (rows of `Space`), and their cues, at one stage."""

    space: Space
    rows: Any
    cues: NDArray[np.float32]
    weights: NDArray[np.float64]


def learn_acts() -> Acts:
    """Return what recognises the acts of sentences, from the examples that ship."""
    listed: dict[str, list[str]] = {}
    for file in sorted(ACTS.glob("*.toml")):
        listed.update(tomllib.loads(file.read_text("utf-8")))
    names = tuple(sorted(listed))
    texts = [text for name in names for text in listed[name]]
    labels = np.asarray([name for name in names for _ in listed[name]])
    return Acts(names, _fit_linear(encode_sentences(texts), labels, 30.0))


def learn_space(prepared: Sequence[Prepared]) -> Space:
    """Return the columns that `prepared` needs."""
    texts = [one.example.material.written for one in prepared]
    names = sorted({name for one in prepared for name in one.features})
    return Space(
        Vocabulary.learn([list_words(text) for text in texts], 2),
        Vocabulary.learn([list_characters(text) for text in texts], 4),
        tuple(names),
    )


@dataclass(frozen=True, slots=True)
class Tables:
    """The mails as the cheap stage sees them, and as the dear one does."""

    first: Table
    further: Table

    def of(self, name: str) -> Table:
        """Return the mails as the decision `name` sees them."""
        return self.further if name in DEAR else self.first


def tabulate(space: Space, prepared: Sequence[Prepared]) -> Tables:
    """Return `prepared` as rows of `space`, for either stage."""
    return Tables(_tabulate(space, prepared, True), _tabulate(space, prepared, False))


def _tabulate(space: Space, prepared: Sequence[Prepared], first: bool) -> Table:
    from scipy.sparse import csr_matrix

    places, values, ends = [], [], [0]
    for one in prepared:
        features, meaning = (one.bare, None) if first else (one.features, one.meaning.row)
        at, numbers = space.row(space.read(one.example.material), features, meaning)
        order = np.argsort(at, kind="stable")
        places.append(at[order])
        values.append(numbers[order])
        ends.append(ends[-1] + len(at))
    rows = csr_matrix(
        (np.concatenate(values), np.concatenate(places), np.asarray(ends)),
        shape=(len(prepared), space.width),
    )
    cues = np.stack(
        [cue_numbers(space.cues, one.bare if first else one.features) for one in prepared]
    )
    weights = [OWN_WEIGHT if one.example.source == OWN else 1.0 for one in prepared]
    return Table(space, rows, cues, np.asarray(weights))


def _fit_linear(
    rows: Any, labels: NDArray[Any], strength: float, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float32]:
    """Return the weights, a column a class in alphabetical order; last row: intercepts."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=strength, class_weight="balanced", max_iter=300, tol=1e-3)
    fitted.fit(rows, labels, sample_weight=weights)
    slopes, bias = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:
        slopes, bias = np.vstack([-slopes / 2, slopes / 2]), np.concatenate([-bias, bias]) / 2
    return np.vstack([slopes.T, bias[None, :]]).astype(np.float32)


def _answer(weights: NDArray[np.float32], rows: Any) -> Numbers:
    return softmax(np.asarray(rows @ weights[:-1] + weights[-1], dtype=np.float64))


def _folds(labels: NDArray[Any], groups: NDArray[np.int64], count: int, seed: int) -> Any:
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    return splitter.split(np.zeros(len(labels)), labels, groups)


def fit_decider(
    name: str,
    tables: Tables,
    chosen: NDArray[np.int64],
    labels: NDArray[Any],
    groups: NDArray[np.int64],
) -> Decider:
    """Fit one decision on the rows `chosen`; not calibrated yet."""
    table = tables.of(name)
    strength = _STRENGTH.get(name, 3.0)
    classes = tuple(sorted(set(labels)))
    rows = table.rows[chosen]
    weights = table.weights[chosen]
    joint = _fit_linear(rows, labels, strength, weights)
    forest = None
    wording = np.zeros((1, len(classes)), dtype=np.float32)
    if name.removeprefix(FIRST) in _WITH_FOREST:
        text = rows[:, : table.space.width - len(table.space.cues)].tocsr()
        wording = _fit_linear(text, labels, strength, weights)
        said = np.zeros((len(chosen), len(classes)))
        for seen, unseen in _folds(labels, groups, 4, SEED + 1):
            if len(set(labels[seen])) == len(classes):
                part = _fit_linear(text[seen], labels[seen], strength, weights[seen])
                said[unseen] = _answer(part, text[unseen])
        numbers = np.hstack([log_odds(said).astype(np.float32), table.cues[chosen]])
        forest = _fit_forest(numbers, labels, weights)
    return Decider(classes, wording, joint, forest, 1.0, np.zeros(len(classes)))


def _fit_forest(
    numbers: NDArray[np.float32], labels: NDArray[Any], weights: NDArray[np.float64]
) -> Forest:
    from sklearn.ensemble import ExtraTreesClassifier

    fitted = ExtraTreesClassifier(
        _TREES,
        min_samples_leaf=2,
        max_features=0.2,
        class_weight="balanced",
        random_state=SEED,
        n_jobs=1,
    ).fit(numbers, np.unique(labels, return_inverse=True)[1], sample_weight=weights)
    feature, limit, low, high, value, roots = [], [], [], [], [], []
    start = 0
    for tree in (one.tree_ for one in fitted.estimators_):
        roots.append(start)
        inner = tree.children_left >= 0
        own = np.arange(tree.node_count)
        feature.append(np.where(inner, tree.feature, -1))
        limit.append(tree.threshold)
        low.append(np.where(inner, tree.children_left, own) + start)
        high.append(np.where(inner, tree.children_right, own) + start)
        shares = tree.value[:, 0, :]
        value.append(shares / shares.sum(axis=1, keepdims=True))
        start += tree.node_count
    return Forest(
        np.concatenate(feature).astype(np.int32),
        np.concatenate(limit).astype(np.float32),
        np.concatenate(low).astype(np.int32),
        np.concatenate(high).astype(np.int32),
        (np.round(np.concatenate(value) * 255) / 255).astype(np.float32),
        np.asarray(roots, dtype=np.int32),
    )


def raw_answers(decider: Decider, table: Table, chosen: NDArray[np.int64]) -> Numbers:
    """Return the decider's uncalibrated answers for the rows `chosen`."""
    answers = []
    for one in chosen:
        row = table.rows[one]
        answers.append(decider.raw(row.indices.astype(np.int64), row.data, table.cues[one]))
    return np.stack(answers)


def answer_unseen(
    tables: Tables, prepared: Sequence[Prepared], groups: NDArray[np.int64], progress: Progress
) -> dict[str, Numbers]:
    """Return for each decision each mail's uncalibrated answers by a model that saw neither it
    nor its neighbours. Mails that the decision does not concern are answered too."""
    answers: dict[str, Numbers] = {}
    kinds = np.asarray([one.example.labels["kind"] for one in prepared])
    for name in DECISIONS:
        labels = labels_of(prepared, name)
        classes = set(labels) - {""}
        found = np.zeros((len(prepared), len(classes)))
        strata = np.asarray([f"{a}/{b}" for a, b in zip(kinds, labels, strict=True)])
        for number, (seen, unseen) in enumerate(_folds(strata, groups, FOLDS, SEED), 1):
            progress(f"{name}, part {number} of {FOLDS}")
            chosen = seen[labels[seen] != ""]
            decider = fit_decider(name, tables, chosen, labels[chosen], groups[chosen])
            found[unseen] = raw_answers(decider, tables.of(name), unseen)
        answers[name] = found
    return answers


def fit_calibration(
    raw: Numbers, labels: NDArray[Any], classes: Sequence[str]
) -> tuple[float, Numbers]:
    """Return scale and class shifts that make `raw` most likely to give `labels`."""
    from scipy.optimize import minimize

    index = np.asarray([classes.index(label) for label in labels])

    def loss(parameters: Numbers) -> float:
        shares = calibrate(raw, parameters[0], parameters[1:])
        penalty = 0.002 * float(np.sum(parameters[1:] ** 2))
        return float(-np.log(shares[np.arange(len(index)), index] + 1e-9).mean()) + penalty

    start = np.concatenate([[1.5], np.zeros(len(classes))])
    best = minimize(loss, start, method="Nelder-Mead" if len(classes) < 3 else "BFGS")
    return float(best.x[0]), np.asarray(best.x[1:])


def labels_of(prepared: Sequence[Prepared], name: str) -> NDArray[Any]:
    """Return the labels of one decision; '' where it does not concern the mail."""
    label = name.removeprefix(FIRST)
    return np.asarray([one.example.labels.get(label, "") for one in prepared])


def calibrated_deciders(
    prepared: Sequence[Prepared], raw: Mapping[str, Numbers], deciders: Mapping[str, Decider]
) -> dict[str, Decider]:
    """Return `deciders` calibrated on the answers for unseen mails."""
    finished = {}
    for name, decider in deciders.items():
        labels = labels_of(prepared, name)
        concerned = labels != ""
        scale, shift = fit_calibration(raw[name][concerned], labels[concerned], decider.classes)
        finished[name] = Decider(
            decider.classes, decider.wording, decider.joint, decider.forest, scale, shift
        )
    return finished
