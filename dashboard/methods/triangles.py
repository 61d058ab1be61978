"""Sums over the rows of matrices that are kept as their upper triangle; compiled, for workers."""

from __future__ import annotations

import numpy as np

from dashboard.methods.compiled import compiled


@compiled(reorder=True)
def row_sums(condensed: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum the rows of symmetric matrices with zero diagonal in one pass.

    Parameters
    ----------
    condensed : ndarray (n_rdms, n (n - 1) / 2)
    n : int

    Returns
    -------
    sums : ndarray (n_rdms, n)
    squares : ndarray (n_rdms,)
        Sum of the squared values of each triangle.
    """
    sums, squares = np.zeros((len(condensed), n)), np.empty(len(condensed))
    for row in range(len(condensed)):
        values, into = condensed[row], sums[row]
        square, at = 0.0, 0
        for i in range(n - 1):
            own = 0.0
            for j in range(i + 1, n):
                value = values[at + j - i - 1]
                own += value
                square += value * value
                into[j] += value
            into[i] += own
            at += n - 1 - i
        squares[row] = square
    return sums, squares
