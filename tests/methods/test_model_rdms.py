"""RDMs of simple models: by hand, by scipy, and refused with a reason where they do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from dashboard.errors import InputError
from dashboard.methods import model_rdms
from dashboard.methods.model_rdms import Described


def pictures(n=4, side=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def discs(radii=(4, 8, 8), side=32):
    y, x = np.mgrid[:side, :side] - side / 2
    found = np.full((len(radii), side, side, 3), 128, np.uint8)
    for k, r in enumerate(radii):
        found[k][x**2 + y**2 < r * r] = (200, 30, 30)
    return found


def test_categories_and_columns_by_hand():
    np.testing.assert_array_equal(model_rdms.differs(["a", "b", "a"]), [1, 0, 1])
    np.testing.assert_array_equal(model_rdms.distance([0, 170, 90]), [170, 90, 80])
    np.testing.assert_array_equal(model_rdms.distance([0, 170, 90], 180.0), [10, 90, 80])
    described = Described(
        ("", "", ""),
        {"orientation": np.array([0.0, 170.0, 90.0]), "kind": np.array(["x", "y", "x"]), "flat": np.ones(3)},
        {"orientation": 180.0},
    )
    np.testing.assert_array_equal(model_rdms.factor(described, "orientation"), [10, 90, 80])
    np.testing.assert_array_equal(model_rdms.factor(described, "kind"), [1, 0, 1])
    fits = model_rdms.fitting(described)
    assert fits["factor:flat"] == "is the same for all stimuli"
    assert fits["category"] == "the stimuli have no categories"
    assert fits["pixels"] == "the stimuli are no pictures"
    assert fits["factor:kind"] == ""


def test_pixels_and_luminance_are_scipys():
    shown = pictures()
    described = Described(("",) * 4, pictures=shown)
    flat = shown.reshape(4, -1) / 255
    rdm, unit = model_rdms.compute(described, "pixels")
    np.testing.assert_allclose(rdm, pdist(flat) / np.sqrt(flat.shape[1]), atol=1e-12)
    assert "pixels" in unit
    grey = (shown / 255 @ [0.299, 0.587, 0.114]).mean((1, 2))
    np.testing.assert_allclose(
        model_rdms.compute(described, "luminance")[0], pdist(grey[:, None], "cityblock"), atol=1e-12
    )


def test_silhouettes_are_cut_from_an_even_ground():
    masks = model_rdms.silhouettes(discs())
    small, large = masks[0].sum(), masks[1].sum()
    rdm = model_rdms.compute(Described(("",) * 3, pictures=discs()), "silhouette")[0]
    np.testing.assert_allclose(rdm, [1 - small / large, 1 - small / large, 0], atol=1e-12)
    busy = Described(("",) * 4, pictures=pictures())
    assert "no even ground" in model_rdms.fitting(busy)["silhouette"]
    with pytest.raises(InputError, match="does not fit: picture 1 has no even ground"):
        model_rdms.compute(busy, "silhouette")


def test_given_outlines_count_before_cut_ones():
    masks = np.zeros((2, 32, 32), bool)
    masks[0, :16], masks[1, 8:24] = True, True
    described = Described(("", ""), pictures=pictures(2), masks=masks)
    np.testing.assert_allclose(model_rdms.compute(described, "silhouette")[0], [1 - 1 / 3])


def test_gist_tells_orientation_from_position_and_phase():
    y, x = np.mgrid[:64, :64] / 64
    waves = [np.sin(2 * np.pi * 8 * axis + phase) for axis, phase in ((x, 0), (x, 1.5), (y, 0))]
    shown = np.stack([np.repeat(((w + 1) * 127).astype(np.uint8)[:, :, None], 3, 2) for w in waves])
    rdm = model_rdms.compute(Described(("",) * 3, pictures=shown), "gist")[0]
    assert rdm[0] < 0.1 * rdm[1]
    assert model_rdms.gist(shown).shape == (3, 4 * 8 * 16)


def test_unknown_models_name_the_known():
    described = Described(("a", "b", "b"), {"size": np.arange(3)})
    with pytest.raises(InputError, match=r"Did you mean category\?"):
        model_rdms.compute(described, "categori")
    with pytest.raises(InputError, match="Known: size"):
        model_rdms.compute(described, "factor:colour")
    with pytest.raises(InputError, match="missing for some"):
        model_rdms.factor(Described(("",) * 3, {"x": np.array([1, np.nan, 2])}), "x")
