"""Verdicts, marks and tables of tests say what the numbers say."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from dashboard.errors import InputError
from dashboard.figures import export, inference
from dashboard.figures.alternative import alt_text
from tests.figures import samples


def sample(
    score=(0.30, 0.28, 0.05), correction="fdr", p_zero=(0.001, 0.002, 0.3), p_pair=0.21, ceiling=0.4, p_nc=0.3
) -> xr.Dataset:
    score = np.array([score])
    m = score.shape[1]
    names = samples.layer_names(m)
    difference = score[:, :, None] - score[:, None]
    pairs = np.full((1, m, m), 0.001)
    pairs[0, 0, 1] = pairs[0, 1, 0] = p_pair
    pairs[0][np.diag_indices(m)] = np.nan
    zero = np.array([p_zero])
    two, three = ("area", "model"), ("area", "model", "other")
    return xr.Dataset(
        {
            "score": (two, score),
            "sem": (two, np.full(score.shape, 0.03)),
            "ci_low": (two, score - 0.06),
            "ci_high": (two, score + 0.06),
            "below": (two, ceiling - score),
            "p_zero": (two, zero),
            "p_zero_adjusted": (two, zero),
            "p_ceiling": (two, np.full(score.shape, p_nc)),
            "p_ceiling_adjusted": (two, np.full(score.shape, p_nc)),
            "p_labels": (two, zero),
            "p_labels_max": (two, zero),
            "difference": (three, difference),
            "difference_sem": (three, np.full(difference.shape, 0.02)),
            "p_pair": (three, pairs),
            "p_pair_adjusted": (three, pairs),
            "ceiling_low": ("area", [ceiling]),
            "ceiling_high": ("area", [ceiling + 0.1]),
        },
        {"area": ["IT"], "model": names, "other": names, "source": ("model", ["first"] * m)},
        samples.attrs(
            "inference",
            measure_label="Spearman ρ",
            correction=correction,
            correction_label="false discovery rate",
            permutations=1000,
            bootstrap=1000,
        ),
    )


def test_verdict_names_the_closest_and_what_it_cannot_be_told_from():
    said = inference.verdict(sample(), "IT")
    assert said == (
        "Layer features.0 is closest to IT (0.30, 95 % interval [0.24, 0.36]); it is not distinguishable "
        "from features.1 (p = .210). It cannot be told from the lower noise ceiling (p = .300)."
    )
    assert alt_text(sample()) == said


def test_verdict_of_a_clear_winner_below_the_ceiling():
    said = inference.verdict(sample(p_pair=0.01, p_nc=0.004), "IT")
    assert "it differs significantly from every other model" in said
    assert "It lies below the lower noise ceiling (p = .004)." in said


def test_verdict_when_nothing_is_above_zero_and_without_ceiling():
    assert inference.verdict(sample(p_zero=(0.2, 0.3, 0.4)), "IT") == (
        "No model can be said to resemble IT (p = .200)."
    )
    assert "no noise ceiling" in inference.verdict(sample(ceiling=np.nan, p_nc=np.nan), "IT")
    with pytest.raises(InputError, match="Known: IT"):
        inference.verdict(sample(), "V4")


def marks(ds):
    drawn = inference.score_chart(ds, "IT").to_dict()["layer"]
    rows = next(d["data"]["values"] for d in drawn if "marks" in json.dumps(d["encoding"]))
    return [row["marks"] for row in rows]


def test_marks_follow_the_correction():
    ds = sample(p_nc=0.001)
    assert marks(ds) == ["▲▽", "▲▽", "▽"]
    ds["p_labels_max"][:] = 0.5
    ds.attrs["correction"] = "max"
    assert marks(ds) == ["▽", "▽", "▽"]


def test_pairs_have_signed_colours_dots_and_words():
    spec = inference.pair_chart(sample(), "IT").to_dict()
    rows = spec["data"]["values"]
    assert len(rows) == 6
    assert rows[0]["gap"] == pytest.approx(0.02)
    assert [r["mark"] for r in rows].count("•") == 4
    domain = spec["layer"][0]["encoding"]["color"]["scale"]["domain"]
    assert domain[0] == -domain[1] == pytest.approx(-0.25)
    assert "2 of 3 pairs of models differ significantly in IT" in spec["description"]


def test_table_has_a_row_for_every_test():
    table = inference.table(sample())
    assert len(table) == 3 * 3 + 3
    assert table[table.test == "pair"].p.tolist() == [0.21, 0.001, 0.001]
    assert b"above zero, t test" in export.export("csv", sample())
    assert export.export("svg", sample()).startswith(b"<svg")
    assert len(inference.model_table(sample(), "IT")) == 3
