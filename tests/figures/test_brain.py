from __future__ import annotations

import json
import math

import numpy as np
import pytest

from dashboard.errors import InputError
from dashboard.figures import brain, theme
from dashboard.figures.alternative import alt_text
from tests.figures import samples


def rows_of(spec: dict, mark: str) -> list[dict]:
    """Return the rows that a layer with this mark draws."""
    for layer in spec["layer"]:
        found = layer["mark"]
        if (found if isinstance(found, str) else found["type"]) == mark:
            return layer["data"]["values"]
    return []


@pytest.mark.parametrize("dark", [False, True])
def test_profile_draws_the_numbers_of_the_answer(dark):
    ds = samples.brain()
    spec = brain.layer_profile(ds, "human IT", dark).to_dict()
    rows = rows_of(spec, "line")
    assert [r["layer"] for r in rows] == samples.layer_names(8)
    assert [r["score"] for r in rows] == ds["score"].to_numpy()[0].tolist()
    assert [r["low"] for r in rows] == ds["ci_low"].to_numpy()[0].tolist()
    assert [r["high"] for r in rows] == ds["ci_high"].to_numpy()[0].tolist()
    assert [r["shown"] for r in rows] == [theme.three_digits(s) for s in ds["score"].to_numpy()[0]]
    dots = rows_of(spec, "circle")
    assert [r["score"] for r in dots] == ds["subject_score"].to_numpy()[0].ravel().tolist()
    band = rows_of(spec, "rect")
    assert (band[0]["low"], band[0]["score"]) == (0.42, 0.51)
    text = json.dumps(spec, ensure_ascii=False)
    assert "noise ceiling [0.420, 0.510]" in text
    assert theme.colour("network", dark) in text
    assert '"title": "Spearman ρ"' in text


def test_layers_stand_in_order_of_depth_not_of_the_alphabet():
    names = ["z", "a", "m10", "m9"]
    spec = brain.layer_profile(samples.brain(4, names=names), "human IT").to_dict()
    xs = [layer["encoding"]["x"] for layer in spec["layer"] if "sort" in layer["encoding"].get("x", {})]
    assert xs
    assert all(x["sort"] == names for x in xs)


def test_best_layer_is_named_with_its_interval():
    ds = samples.brain()
    k = int(ds["score"].to_numpy()[0].argmax())
    lo, hi = float(ds["ci_low"][0, k]), float(ds["ci_high"][0, k])
    label = f"features.{k}  {float(ds['score'][0, k]):.2f} {theme.interval(lo, hi)}"
    assert label in json.dumps(brain.layer_profile(ds, "human IT").to_dict(), ensure_ascii=False)


def test_all_areas_share_one_scale():
    ds = samples.brain()
    domains = []
    for area in ("human IT", "monkey IT"):
        spec = brain.layer_profile(ds, area).to_dict()
        domains += [
            e["encoding"]["y"]["scale"]["domain"] for e in spec["layer"] if "scale" in e["encoding"]["y"]
        ]
    assert len({tuple(d) for d in domains}) == 1
    assert domains[0][0] <= 0
    assert domains[0][1] > 0.51
    assert len(brain.layer_profile(ds).to_dict()["vconcat"]) == 2


def test_no_ceiling_no_band_and_no_subject_no_dots():
    ds = samples.brain(ceiling=False)
    ds["subject_score"][:] = np.nan
    spec = brain.layer_profile(ds, "human IT").to_dict()
    assert rows_of(spec, "rect") == []
    assert rows_of(spec, "circle") == []
    assert "noise ceiling" not in brain.caption(ds)
    assert "single subjects" not in brain.caption(ds)


def test_simulated_is_said_and_hatched():
    ds = samples.brain(simulated=True)
    text = json.dumps(brain.layer_profile(ds, "human IT").to_dict())
    assert "simulated recording" in text
    assert '"x2"' in text
    assert brain.verdict(ds, "human IT").startswith("Simulated: ")
    assert "simulated" not in json.dumps(brain.layer_profile(samples.brain(), "human IT").to_dict())


def test_many_long_names_are_thinned_and_stay_different():
    names = samples.long_names(150)
    spec = brain.layer_profile(samples.brain(150, names=names), "human IT").to_dict()
    axis = next(e["encoding"]["x"]["axis"] for e in spec["layer"] if "axis" in e["encoding"].get("x", {}))
    assert len(axis["values"]) <= 50
    assert set(axis["values"]) <= set(names)
    shown = json.loads(axis["labelExpr"].removesuffix("[datum.label]"))
    assert len(set(shown.values())) == 150
    assert max(map(len, shown.values())) <= 24


def test_missing_score_is_null_and_never_nan():
    ds = samples.brain(4)
    for name in ("score", "ci_low", "ci_high"):
        ds[name][0, 1] = np.nan
    spec = brain.layer_profile(ds, "human IT").to_dict()
    assert rows_of(spec, "line")[1]["score"] is None
    json.dumps(spec, allow_nan=False)


def test_score_table():
    ds = samples.brain()
    table = brain.score_table(ds)
    assert tuple(table.columns) == brain.COLUMNS
    assert list(table.columns) == (
        ["network", "layer", "area", "measure", "score", "sem", "ci_low", "ci_high"]
        + ["ceiling_low", "ceiling_high", "n_subjects", "n_stimuli"]
    )
    assert len(table) == 16
    row = table[(table["area"] == "monkey IT") & (table["layer"] == "features.3")].iloc[0]
    assert row["score"] == float(ds["score"][1, 3])
    assert row["sem"] == float(ds["sem"][1, 3])
    assert row["ceiling_high"] == 0.51
    assert (row["n_subjects"], row["n_stimuli"]) == (1, 92)
    assert set(table["network"]) == {"torchvision:squeezenet1_0"}
    assert set(table["measure"]) == {"spearman"}


# Scores, intervals and which layers are like the best one, as in the examples of the house style.
def told(scores, half, alike, area="human IT", **more):
    ds = samples.brain(len(scores), areas=(area,), **more)
    ds["score"][0] = scores
    ds["ci_low"][0] = np.asarray(scores) - half
    ds["ci_high"][0] = np.asarray(scores) + half
    ds["indistinguishable"][0] = alike
    ds["best"][0] = f"features.{int(np.nanargmax(scores))}"
    return brain.verdict(ds, area)


def test_verdict_with_neighbours():
    assert told([0.1, 0.28, 0.31, 0.3], 0.07, [0, 1, 1, 1]) == (
        "features.2 comes closest to human IT (0.31, 95 % interval 0.24–0.38); "
        "features.1 to features.3 cannot be told apart."
    )


def test_verdict_with_scattered_rivals():
    text = told([0.3, 0.1, 0.31, 0.1], 0.07, [1, 0, 1, 0])
    assert text.endswith("; features.0 cannot be told apart from it.")
    text = told([0.3, 0.3, 0.1, 0.3, 0.1, 0.31], 0.05, [1, 1, 0, 1, 0, 1])
    assert text.endswith("; features.0, features.1 and features.3 cannot be told apart from it.")
    text = told([0.3] * 4 + [0.1] + [0.31], 0.05, [1, 1, 1, 1, 0, 1])
    assert text.endswith("; 4 of 5 other layers cannot be told apart from it.")


def test_verdict_alone_at_the_top_or_all_alike():
    assert told([0.1, 0.4], 0.05, [0, 1]).endswith("; every other layer can be told apart from it.")
    assert told([0.39, 0.4], 0.05, [1, 1]).endswith("; none of the 2 layers can be told apart from it.")
    assert told([0.4], 0.05, [1]).endswith("; it is the only layer.")


def test_verdict_that_there_is_none():
    assert told([0.02, 0.03], 0.05, [1, 1]) == (
        "The intervals overlap zero: no layer can be said to resemble human IT."
    )
    assert (
        told([0.02], 0.05, [1])
        == "The interval overlaps zero: features.0 cannot be said to resemble human IT."
    )
    assert told([-0.2, -0.3], 0.05, [1, 0]).lower() == (
        "all intervals lie below zero: no layer can be said to resemble human it."
    )
    assert told([0.02, 0.03], 0.05, [1, 1], simulated=True).startswith(
        "Simulated: the intervals overlap zero"
    )


def test_verdict_without_intervals_or_scores():
    ds = samples.brain(2)
    ds["ci_low"][:] = np.nan
    ds["ci_high"][:] = np.nan
    text = brain.verdict(ds, "human IT")
    assert "has the highest score" in text
    assert "no interval" in text
    ds["score"][:] = np.nan
    assert brain.verdict(ds, "human IT") == "No layer has a score for human IT."
    brain.layer_profile(ds).to_dict()


def test_negative_ends_are_written_with_to():
    assert "−0.02 to 0.40" in told([0.19, 0.1], [0.21, 0.05], [1, 1])


def test_unknown_area_is_refused_with_the_known():
    with pytest.raises(InputError, match='no area "V4".*human IT, monkey IT'):
        brain.layer_profile(samples.brain(), "V4")


def test_caption_says_what_was_resampled_and_how_often():
    text = brain.caption(samples.brain())
    assert "95 % intervals from 1 000 bootstrap samples over stimuli and subjects" in text
    assert "noise ceiling" in text


def test_alt_text_has_the_verdict_of_every_area():
    ds = samples.brain()
    text = alt_text(ds)
    for area in ("human IT", "monkey IT"):
        assert brain.verdict(ds, area) in text
    assert "The noise ceiling is [0.420, 0.510]." in text
    assert brain.layer_profile(ds).to_dict()["description"].startswith(brain.verdict(ds, "human IT"))


def test_one_layer_one_area():
    ds = samples.brain(1, areas=("V1",))
    assert alt_text(ds).startswith("Spearman ρ of 1 layer with 1 area. ")
    rows = rows_of(brain.layer_profile(ds, "V1").to_dict(), "line")
    assert len(rows) == 1
    assert math.isclose(rows[0]["score"], float(ds["score"][0, 0]))
