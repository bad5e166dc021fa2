"""Decide by wording and cues: a linear model and a forest of trees for each decision.

Many mails and all decisions of a stage are answered together: most of the cost is the number of
calls, not the arithmetic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mailflow.adapters.forest import Forest, Levels

Numbers = NDArray[np.float64]
Answers = dict[str, dict[str, float]]  # for each decision the probability of each value
Row = tuple[NDArray[np.int64], NDArray[np.float32]]  # places and values; the rest is zero


@dataclass(frozen=True, slots=True)
class Decider:
    """One decision: a linear model of the wording, joined with a forest over the cues.

    `wording` sees words, characters and meaning, `joint` the cues as well; the forest sees the
    cues and what `wording` says. Their mean is calibrated on out-of-fold answers.
    """

    classes: tuple[str, ...]
    wording: NDArray[np.float32]  # a column a class; last row: intercepts
    joint: NDArray[np.float32]
    forest: Forest | None
    scale: float
    shift: Numbers

    def probabilities(
        self,
        at: NDArray[np.int64],
        values: NDArray[np.float32],
        cues: NDArray[np.float32],
    ) -> Numbers:
        """Return the calibrated probability of each class."""
        return calibrate(self.raw(at, values, cues), self.scale, self.shift)

    def raw(
        self, at: NDArray[np.int64], values: NDArray[np.float32], cues: NDArray[np.float32]
    ) -> Numbers:
        """Return the mean of the linear model's and the forest's answers, not calibrated."""
        joint = softmax(_linear(self.joint, at, values))
        if self.forest is None:
            return joint
        text = at < len(self.wording) - 1
        plain = softmax(_linear(self.wording, at[text], values[text]))
        numbers = np.concatenate([log_odds(plain).astype(np.float32), cues])
        return (joint + self.forest.shares(numbers)) / 2.0


def _linear(
    weights: NDArray[np.float32], at: NDArray[np.int64], values: NDArray[np.float32]
) -> Numbers:
    return np.asarray(values @ weights[at] + weights[-1], dtype=np.float64)


def softmax(numbers: Numbers) -> Numbers:
    """Return `numbers` as shares of one."""
    raised = np.exp(numbers - numbers.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def log_odds(shares: Numbers) -> Numbers:
    """Return log-odds, kept finite."""
    return np.asarray(np.log(shares + 1e-3) - np.log(1.0 - shares + 1e-3))


def calibrate(shares: Numbers, scale: float, shift: Numbers) -> Numbers:
    """Return `shares` with temperature and class shifts applied."""
    return softmax(np.log(np.clip(shares, 1e-6, 1.0)) * scale + shift)


@dataclass(frozen=True, slots=True)
class _Part:
    """One decision's place among those of a stage: its columns, and its forest's number."""

    decider: Decider
    first: int
    last: int
    forest: int | None


@dataclass(frozen=True, slots=True)
class Stage:
    """The deciders of a stage, side by side."""

    parts: Mapping[str, _Part]
    joint: NDArray[np.float32]  # the columns of all decisions; last row: intercepts
    wording: NDArray[np.float32]  # likewise, of those with a forest; zeros elsewhere
    forest: Levels | None  # the trees of all decisions, one decision after the other

    @classmethod
    def of(cls, deciders: Mapping[str, Decider]) -> "Stage":
        """Lay `deciders` side by side. All were trained on the same columns."""
        parts: dict[str, _Part] = {}
        first = forests = 0
        for name, decider in deciders.items():
            last = first + len(decider.classes)
            parts[name] = _Part(decider, first, last, forests if decider.forest else None)
            forests += decider.forest is not None
            first = last
        joint = np.hstack([part.decider.joint for part in parts.values()])
        text = max(len(part.decider.wording) for part in parts.values())
        wording = np.zeros((text, first), dtype=np.float32)
        for part in parts.values():
            if part.forest is not None:
                wording[:, part.first : part.last] = part.decider.wording
        forest = _join_forests(list(parts.values()), first)
        return cls(parts, joint, wording, None if forest is None else Levels.of(forest))

    def answer(self, rows: Sequence[Row], cues: NDArray[np.float32]) -> list[Answers]:
        """Return the calibrated probabilities of each decision for each mail."""
        if not rows:
            return []
        joint = np.stack([_linear(self.joint, at, values) for at, values in rows])
        plain = np.stack([self._wording(at, values) for at, values in rows])
        shares = {
            name: softmax(joint[:, part.first : part.last]) for name, part in self.parts.items()
        }
        if self.forest is not None:
            said = [
                log_odds(softmax(plain[:, part.first : part.last])) for part in self.parts.values()
            ]
            numbers = np.hstack([*said, cues]).astype(np.float32)
            votes = self.forest.shares(numbers, self._count)
            for name, part in self.parts.items():
                if part.forest is not None:
                    voted = votes[:, part.forest, : part.last - part.first]
                    shares[name] = (shares[name] + voted) / 2.0
        calibrated = {
            name: calibrate(shares[name], part.decider.scale, part.decider.shift)
            for name, part in self.parts.items()
        }
        return [
            {
                name: dict(zip(part.decider.classes, calibrated[name][at].tolist(), strict=True))
                for name, part in self.parts.items()
            }
            for at in range(len(rows))
        ]

    @property
    def _count(self) -> int:
        return sum(part.forest is not None for part in self.parts.values())

    def _wording(self, at: NDArray[np.int64], values: NDArray[np.float32]) -> Numbers:
        text = at < len(self.wording) - 1
        return _linear(self.wording, at[text], values[text])


def _join_forests(parts: Sequence[_Part], width: int) -> Forest | None:
    """Return one forest of all trees. Its numbers are the log-odds of all decisions (`width` of
    them), then the cues; classes that a decision does not have get no share.
    """
    most = max(len(part.decider.classes) for part in parts)
    pieces: list[Forest] = []
    start = 0
    for part in parts:
        forest = part.decider.forest
        if forest is None:
            continue
        own = len(part.decider.classes)
        inner = forest.feature >= 0
        moved = np.where(
            forest.feature < own, forest.feature + part.first, forest.feature - own + width
        )
        value = np.zeros((len(forest.value), most), dtype=np.float32)
        value[:, :own] = forest.value
        pieces.append(
            Forest(
                np.where(inner, moved, -1).astype(np.int32),
                forest.limit,
                forest.low + np.int32(start),
                forest.high + np.int32(start),
                value,
                forest.roots + np.int32(start),
            )
        )
        start += len(forest.feature)
    if not pieces:
        return None
    return Forest(
        *(
            np.concatenate([getattr(piece, name) for piece in pieces])
            for name in ("feature", "limit", "low", "high", "value", "roots")
        )
    )
