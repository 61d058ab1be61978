from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from dashboard.errors import InputError
from dashboard.methods import condensed


@given(st.integers(2, 3000))
def test_number_of_stimuli_and_pairs_are_inverse(n):
    assert condensed.n_stimuli(n * (n - 1) // 2) == n


@pytest.mark.parametrize("pairs", [0, 2, 4, 5, 7, 4185])
def test_other_lengths_are_refused(pairs):
    with pytest.raises(InputError, match=f"^{pairs} values do not form a condensed RDM"):
        condensed.n_stimuli(pairs)


def test_square_and_condense_are_scipy_squareform():
    values = np.random.default_rng(0).random((3, 10))
    matrices = condensed.square(values)
    for value, matrix in zip(values, matrices, strict=True):
        assert np.array_equal(matrix, squareform(value))
        assert np.array_equal(condensed.condense(matrix), value)


def test_condense_averages_rounding_but_refuses_asymmetry():
    matrix = condensed.square(np.arange(1.0, 7.0))
    matrix[0, 1] += 1e-9
    assert condensed.condense(matrix)[0] == pytest.approx(1 + 5e-10, abs=1e-12)
    matrix[2, 0] = 5
    with pytest.raises(
        InputError, match=r"not symmetric: stimuli 0 and 2 have 2 in one order and 5 in the other"
    ):
        condensed.condense(matrix)


def test_condense_refuses_what_is_no_rdm():
    with pytest.raises(InputError, match="it holds similarities, not dissimilarities. Give 1 - similarity"):
        condensed.condense(np.corrcoef(np.random.default_rng(0).random((4, 9))))
    with pytest.raises(InputError, match="diagonal of an RDM must be 0, but stimulus 1 has 0.5"):
        condensed.condense([[0, 1, 1], [1, 0.5, 1], [1, 1, 0]])
    with pytest.raises(InputError, match=r"square matrix of at least 2 stimuli, not of shape \(2, 3\)"):
        condensed.condense(np.zeros((2, 3)))
    with pytest.raises(InputError, match="diagonal of an RDM must be 0, but stimulus 2 has nan"):
        condensed.condense([[0, 1, 1], [1, 0, 1], [1, 1, np.nan]])


def test_condense_keeps_pairs_without_a_value():
    matrix = condensed.square([1.0, np.nan, 3.0])
    assert np.array_equal(condensed.condense(matrix), [1.0, np.nan, 3.0], equal_nan=True)


@given(arrays(np.float64, 10, elements=st.integers(0, 4).map(float)))
def test_rank_transform_is_scaled_average_ranks(values):
    ranks = condensed.rank_transform(values)
    np.testing.assert_allclose(ranks, (rankdata(values) - 1) / 9, atol=1e-15)


def test_rank_transform_leaves_missing_values_out():
    ranks = condensed.rank_transform([[3.0, np.nan, 1.0], [np.nan, np.nan, 2.0]])
    assert np.array_equal(ranks, [[1.0, np.nan, 0.0], [np.nan, np.nan, 0.5]], equal_nan=True)
