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
        at = self.roots.copy()
        going = np.flatnonzero(self.feature[at] >= 0)  # the trees that have not come to a leaf
        while len(going):
            here = at[going]
            below = numbers[self.feature[here]] <= self.limit[here]
            further = np.where(below, self.low[here], self.high[here])
            at[going] = further
            going = going[self.feature[further] >= 0]
        return np.asarray(self.value[at].mean(axis=0), dtype=np.float64)
