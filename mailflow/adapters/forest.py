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
        return np.asarray(self.shares_of_each(numbers[None, :], 1)[0, 0])

    def shares_of_each(self, numbers: NDArray[np.float32], count: int) -> NDArray[np.float64]:
        """Return the mean shares by row of `numbers` and by part, the trees cut in `count` parts.

        All parts have the same number of trees.
        """
        at = np.tile(self.roots, len(numbers))
        row = np.repeat(np.arange(len(numbers)), len(self.roots))
        going = np.flatnonzero(self.feature[at] >= 0)  # the trees that have not come to a leaf
        while len(going):
            here = at[going]
            below = numbers[row[going], self.feature[here]] <= self.limit[here]
            further = np.where(below, self.low[here], self.high[here])
            at[going] = further
            going = going[self.feature[further] >= 0]
        leaves = self.value[at].reshape(len(numbers), count, -1, self.value.shape[1])
        return np.asarray(leaves.mean(axis=2), dtype=np.float64)
