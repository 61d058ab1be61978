"""Layers with very many units give the numbers of the plain way, block by block."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard import errors
from dashboard.methods import rdm, wide


@pytest.fixture
def patterns(monkeypatch):
    """9 stimuli × 1000 units of float32, read in blocks of 64; two stimuli are almost the same."""
    monkeypatch.setattr(wide, "UNITS", 64)
    rng = np.random.default_rng(0)
    made = rng.normal(3, 1, (9, 1000)).astype(np.float32)
    made[5] = made[2]
    made[5, 7] += np.float32(1e-3)
    return made


@pytest.mark.parametrize("metric", wide.METRICS)
@pytest.mark.parametrize("offset", [0, 1e4])
def test_equal_to_the_plain_way(patterns, metric, offset, monkeypatch):
    patterns = patterns + np.float32(offset)
    plain = rdm.dissimilarities(patterns, metric).numpy()
    monkeypatch.setattr(rdm, "WIDE_VALUES", 10)
    np.testing.assert_allclose(rdm.dissimilarities(patterns, metric).numpy(), plain, rtol=1e-10, atol=1e-15)


def test_constant_patterns_and_nan_are_told_alike(patterns, monkeypatch):
    monkeypatch.setattr(rdm, "WIDE_VALUES", 10)
    patterns[4] = 2.5
    with errors.collect_cautions() as given:
        found = rdm.square(rdm.dissimilarities(patterns, "correlation"))
    assert [c.code for c in given] == ["constant-pattern"]
    assert np.isnan(found[4, [0, 1, 8]]).all()
    assert np.isfinite(np.delete(np.delete(found, 4, 0), 4, 1)).all()
    patterns[3, 600] = np.nan
    with pytest.raises(errors.InputError, match=r"unit 600.*stimulus 3"):
        rdm.dissimilarities(patterns, "correlation")
