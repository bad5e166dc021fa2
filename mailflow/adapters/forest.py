"""A forest of decision trees as plain arrays, and how it answers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Forest:
    """Decision trees over cues and log-odds, as arrays: one row a node, roots by tree."""

    feature: NDArray[np.int32]  # -1: a leaf, which leads to itself
    limit: NDArray[np.float32]
    low: NDArray[np.int32]
    high: NDArray[np.int32]
    value: NDArray[np.float32]  # class shares at each node
    roots: NDArray[np.int32]

    def shares(self, numbers: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the mean class shares of the leaves that `numbers` falls into."""
        at = self.roots
        while (self.feature[at] >= 0).any():
            below = numbers[self.feature[at]] <= self.limit[at]
            at = np.where(below, self.low[at], self.high[at])
        return np.asarray(self.value[at].mean(axis=0), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Levels:
    """The trees of a forest, their nodes sorted by depth, so that many mails are answered fast.

    The upper nodes of all trees, which every mail passes, lie close together in memory, and so
    do the two nodes that follow on one: `low` and `low + 1`.
    """

    feature: NDArray[np.int32]  # -1: a leaf
    limit: NDArray[np.float32]
    low: NDArray[np.int32]
    value: NDArray[np.float32]
    roots: NDArray[np.int32]

    @classmethod
    def of(cls, forest: Forest) -> "Levels":
        """Sort the nodes of `forest`."""
        levels = []
        level = forest.roots
        while len(level):
            levels.append(level)
            inner = level[forest.feature[level] >= 0]
            level = np.stack([forest.low[inner], forest.high[inner]], axis=1).ravel()
        order = np.concatenate(levels)
        place = np.empty(len(order), dtype=np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        return cls(
            forest.feature[order],
            forest.limit[order],
            place[forest.low[order]],
            forest.value[order],
            place[forest.roots],
        )

    def shares(self, numbers: NDArray[np.float32], count: int) -> NDArray[np.float64]:
        """Return the mean shares by row of `numbers` and by part, the trees cut in `count` parts.

        All parts have the same number of trees.
        """
        flat, (rows, width) = numbers.ravel(), numbers.shape
        at = np.tile(self.roots, rows)
        first = np.repeat(np.arange(rows) * width, len(self.roots))  # of the row's numbers
        walking = np.arange(len(at))  # the trees that have not come to a leaf, by row
        here, asked = at, self.feature[at]
        while True:
            on = np.flatnonzero(asked >= 0)
            if not len(on):
                break
            walking, here, first, asked = walking[on], here[on], first[on], asked[on]
            here = self.low[here] + (flat[first + asked] > self.limit[here])
            at[walking] = here
            asked = self.feature[here]
        leaves = self.value[at].reshape(rows, count, -1, self.value.shape[1])
        return np.asarray(leaves.mean(axis=2), dtype=np.float64)
