"""Distributions of activations, weights and gradients as rows, from counts made by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from dashboard.figures import health


def answer() -> xr.Dataset:
    counts = np.array([[0, 4, 2, 2], [1, 0, 0, 3]])
    edges = np.array([[0.0, 1, 2, 3, 4], [-2.0, -1, 0, 1, 2]])
    return xr.Dataset(
        {
            "activation_count": (("layer", "bin"), counts),
            "activation_edge": (("layer", "edge"), edges),
            "zero_share": ("layer", [0.25, 0.0]),
            "gradient_count": (("module", "bin"), counts),
            "gradient_edge": ("edge", np.array([-4.0, -3, -2, -1, 0])),
            "gradient_zeros": ("module", [10, 0]),
            "n_weights": ("module", [18, 4]),
        },
        {"layer": ["conv", "head"], "module": ["conv", "head"]},
    )


@pytest.mark.parametrize(("own", "places"), [(False, [0, 1, 2, 3, 4]), (True, [0, 0.25, 0.5, 0.75, 1])])
def test_rows_are_as_high_as_their_fullest_bin_on_a_shared_or_an_own_scale(own, places):
    rows = json.loads(health.ridge_chart(answer(), own_scale=own, width=300).to_json())["data"]["values"]
    conv = [row for row in rows if row["name"] == "conv"]
    assert [row["x"] for row in conv] == places
    np.testing.assert_allclose([row["top"] for row in conv], np.array([0, 4, 2, 2, 2]) / 4 * health.OVERLAP)
    assert (conv[0]["most"], conv[0]["all"], conv[0]["zeros"]) == (4, 8, "25.0 %")
    head = [row for row in rows if row["name"] == "head"]
    assert {row["foot"] for row in head} == {-1}


def test_words_name_the_widest_row_and_the_smallest_gradients():
    ds = answer()
    # bins at -1.5 (one value) and 1.5 (three): mean 0.75, deviation sqrt(27) / 4
    assert "widest in head (standard deviation 1.30)" in health.ridge_words(ds, "activation")
    said = health.ridge_words(ds, "gradient")
    assert "smallest in conv (10 to the power of −1.8" in said
    rows = health._ridges(ds, "gradient", ["conv", "head"], False)
    assert rows[0]["zeros"] == "10 of 18"


def test_every_row_is_drawn_with_the_name_of_its_layer():
    import vl_convert

    names = [f"block{k}" for k in range(14)]
    ds = answer()[["activation_count", "activation_edge", "zero_share"]].isel(layer=[0] * 14)
    chart = health.ridge_chart(ds.assign_coords(layer=names), width=300)
    drawn = vl_convert.vegalite_to_svg(chart.to_dict())
    assert [name for name in names if f">{name}</text>" not in drawn] == []
