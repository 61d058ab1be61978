from __future__ import annotations

import base64
import dataclasses
import io
import json

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import squareform

from dashboard.errors import InputError
from dashboard.figures import raster, rdms, theme
from tests.figures import samples


def test_given_order_holds_the_values_of_the_answer():
    ds = samples.rdm(12, 2)
    panels = rdms.matrices(ds, order="given")
    assert [p.title for p in panels] == ["features.0", "features.1"]
    assert panels[0].labels == tuple(samples.stimulus_names(12))
    for panel, condensed in zip(panels, ds["rdm"].to_numpy(), strict=True):
        assert panel.values.dtype == np.float32
        assert np.array_equal(panel.values, squareform(condensed).astype(np.float32))
        assert panel.role == "network"


def test_one_scale_for_one_unit():
    ds, areas = samples.rdm(12, 2), samples.area_rdm(12)
    panels = rdms.matrices(ds, areas)
    highest = np.float32(max(ds["rdm"].max(), areas["mean_rdm"].max()))
    assert {(p.lo, p.hi) for p in panels} == {(0.0, float(highest))}
    assert [p.role for p in panels] == ["network", "network", "brain", "brain"]
    assert rdms.scale_note(panels).startswith("All panels share one colour scale, [0.00, ")


def test_own_scale_for_each_unit_and_a_sentence_that_says_so():
    panels = rdms.matrices(samples.rdm(12, 2), samples.area_rdm(12, "Euclidean distance"))
    assert len({(p.lo, p.hi) for p in panels}) == 2
    note = rdms.scale_note(panels)
    assert "1 − Pearson r; Euclidean distance" in note
    assert "own colour scale" in note
    ranked = rdms.matrices(samples.rdm(12, 2), samples.area_rdm(12, "Euclidean distance"), ranked=True)
    assert {(p.lo, p.hi, p.unit) for p in ranked} == {(0.0, 1.0, rdms.RANK_UNIT)}


def test_areas_are_matched_by_name():
    areas = samples.area_rdm(8)
    shuffle = np.array([3, 0, 7, 1, 2, 6, 5, 4])
    square = squareform(areas["mean_rdm"].to_numpy()[0])[np.ix_(shuffle, shuffle)]
    values = np.stack([squareform(square, checks=False)] * 2)
    shuffled = areas.assign(mean_rdm=(("area", "pair"), values, {"units": "1 − Pearson r"})).assign_coords(
        stimulus=np.array(samples.stimulus_names(8))[shuffle]
    )
    panels = rdms.matrices(samples.rdm(8, 1), shuffled, order="given")
    assert np.allclose(panels[1].values, squareform(areas["mean_rdm"].to_numpy()[0]), atol=1e-6)


def test_other_stimuli_are_refused_by_name():
    areas = samples.area_rdm(8).assign_coords(stimulus=[f"other {k}" for k in range(8)])
    with pytest.raises(InputError, match="do not match by name.*missing picture 0000, picture 0001"):
        rdms.matrices(samples.rdm(8, 1), areas)
    with pytest.raises(InputError, match="only there picture 0006"):
        rdms.matrices(samples.rdm(6, 1), samples.area_rdm(8))


def test_category_order_keeps_categories_together_and_permutes_both_axes():
    ds = samples.rdm(12, 1)
    panel = rdms.matrices(ds, order="category")[0]
    assert [r["category"] for r in rdms.category_runs(panel.categories)] == list(samples.KINDS)
    place = [samples.stimulus_names(12).index(name) for name in panel.labels]
    whole = squareform(ds["rdm"].to_numpy()[0])
    assert np.allclose(panel.values, whole[np.ix_(place, place)], atol=1e-6)


def test_cluster_order_joins_what_is_alike():
    """Two groups, dissimilar to each other and interleaved: clustering separates them."""
    n = 10
    group = np.arange(n) % 2
    whole = np.where(group[:, None] == group[None], 0.1, 0.9) + 0.01 * np.abs(
        np.subtract.outer(range(n), range(n))
    )
    np.fill_diagonal(whole, 0)
    ds = samples.rdm(n, 1)
    ds["rdm"].values[0] = squareform(whole, checks=False)
    panel = rdms.matrices(ds, order="cluster")[0]
    found = [samples.stimulus_names(n).index(name) % 2 for name in panel.labels]
    assert found in ([0] * 5 + [1] * 5, [1] * 5 + [0] * 5)


def test_ranks_are_averages_from_0_to_1():
    ds = samples.rdm(3, 1)
    ds["rdm"].values[0] = [0.2, 0.7, 0.2]
    panel = rdms.matrices(ds, order="given", ranked=True)[0]
    assert np.array_equal(
        panel.values, np.array([[0, 0.25, 1], [0.25, 0, 0.25], [1, 0.25, 0]], dtype=np.float32)
    )


def test_missing_values_stay_missing():
    ds = samples.rdm(4, 1)
    ds["rdm"].values[0, 1] = np.nan
    for order in ("given", "category", "cluster"):
        for ranked in (False, True):
            panel = rdms.matrices(ds, order=order, ranked=ranked)[0]
            assert np.isnan(panel.values).sum() == 2
            assert np.isfinite([panel.lo, panel.hi]).all()
    pixels = raster.coloured(panel.values, theme.lut(), panel.lo, panel.hi)
    greys = {tuple(p) for p in pixels[np.isnan(panel.values)]}
    assert greys <= {(200,) * 3, (160,) * 3}


def test_nothing_and_nonsense_are_refused():
    with pytest.raises(InputError, match="no matrix"):
        rdms.matrices(None)
    with pytest.raises(InputError, match="order"):
        rdms.matrices(samples.rdm(3, 1), order="size")  # type: ignore[arg-type]


def test_alt_text_tells_ends_and_contrast():
    panel = rdms.matrices(samples.rdm(20, 1), order="given")[0]
    rows, columns = np.triu_indices(20, 1)
    values = panel.values[rows, columns]
    top = values.argmax()
    text = rdms.matrix_alt(panel)
    pair = f"largest {theme.three_digits(values[top])} (picture {rows[top]:04d}, picture {columns[top]:04d})"
    assert pair in text
    same = rows % 5 == columns % 5
    assert f"mean {theme.three_digits(values[same].astype(float).mean())} within" in text
    assert f"and {theme.three_digits(values[~same].astype(float).mean())} between categories" in text
    empty = dataclasses.replace(panel, values=np.full((20, 20), np.nan, dtype=np.float32))
    assert rdms.matrix_alt(empty).endswith("no value is available.")


def test_coloured_maps_ends_to_ends():
    pixels = raster.coloured(np.array([[0.0, 0.5], [1.0, 7.0]]), theme.lut("viridis"), 0.0, 1.0)
    table = theme.lut("viridis")
    assert np.array_equal(pixels.reshape(-1, 3), table[[0, 128, 255, 255]])


def test_matrices_chart_embeds_the_pictures_and_names_the_categories():
    panels = rdms.matrices(samples.rdm(20, 2))
    spec = rdms.matrices_chart(panels).to_dict()
    text = json.dumps(spec, ensure_ascii=False)
    assert text.count("data:image/png;base64,") == 3  # two matrices and one colour bar
    assert "human face" in text
    assert '"title": "1 − Pearson r"' in text
    url = spec["vconcat"][0]["concat"][0]["layer"][0]["data"]["values"][0]["url"]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))
    times = picture.shape[0] // 20
    expected = raster.coloured(panels[0].values, theme.lut("viridis"), panels[0].lo, panels[0].hi)
    assert np.array_equal(picture[::times, ::times], expected)


def test_map_chart_has_the_positions_and_equal_axes():
    ds = samples.plane(20, 2)
    spec = rdms.map_chart(ds).to_dict()
    for k, panel in enumerate(spec["concat"]):
        rows = panel["data"]["values"]
        assert np.array_equal([[r["x"], r["y"]] for r in rows], ds["position"].to_numpy()[k])
        spans = [np.ptp(panel["encoding"][a]["scale"]["domain"]) for a in "xy"]
        assert spans[0] == pytest.approx(spans[1])
        assert panel["width"] == panel["height"]
        assert panel["title"]["subtitle"] == f"stress {theme.three_digits(float(ds['stress'][k]))}"


def test_map_chart_shows_pictures_when_few_and_dots_when_many():
    thumbnails = dict(zip(samples.stimulus_names(20), samples.pictures(20), strict=True))
    few = json.dumps(rdms.map_chart(samples.plane(20, 2), thumbnails).to_dict())
    assert few.count("data:image/png") == 20
    many = rdms.PICTURE_LIMIT + 1
    thumbnails = dict(zip(samples.stimulus_names(many), samples.pictures(many, 8), strict=True))
    assert "data:image/png" not in json.dumps(rdms.map_chart(samples.plane(many, 1), thumbnails).to_dict())


def test_a_classical_map_says_what_it_explains():
    ds = samples.plane(20, 1)
    ds["explained"] = ("source", [0.254])
    assert rdms.map_charts(ds)[0].to_dict()["title"]["subtitle"] == "shows 25 % of the variance"


def test_single_maps_are_those_of_the_whole():
    ds = samples.plane(20, 2)
    thumbnails = dict(zip(samples.stimulus_names(20), samples.pictures(20), strict=True))
    whole = rdms.map_chart(ds, thumbnails).to_dict()["concat"]
    for panel, chart in zip(whole, rdms.map_charts(ds, thumbnails), strict=True):
        spec = chart.to_dict()
        rows = spec["data"]["values"]
        assert all(row.pop("image").startswith("data:image/webp") for row in rows)
        assert rows == panel["data"]["values"]
    assert [c.to_dict()["mark"]["type"] for c in rdms.map_charts(ds)] == ["point", "point"]


def test_separation_is_the_share_of_comparisons():
    """Two categories of two: within 0.2 and 0.6, between 0.4, 0.5, 0.6, 0.7: 5.5 of 8 comparisons."""
    ds = samples.rdm(4, 1).assign_coords(category=("stimulus", ["a", "a", "b", "b"]))
    ds["rdm"].values[0] = [0.2, 0.4, 0.5, 0.6, 0.7, 0.6]
    assert rdms.separation(rdms.matrices(ds)[0]) == pytest.approx(5.5 / 8)
    assert rdms.verdict(ds) == (
        "Categories stand apart in features.0: of these 4 stimuli, two of different categories are less "
        "alike than two of the same in 69 % of comparisons; chance is 50 %."
    )
    ds["rdm"].values[0] = [0.9, 0.1, 0.1, 0.1, 0.1, 0.9]
    assert rdms.verdict(ds).startswith("In no layer are stimuli of different categories less alike")


def test_verdict_names_the_best_layer_and_the_areas_beside():
    ds, areas = samples.rdm(20, 3), samples.area_rdm(20)
    panels = rdms.matrices(ds, areas)
    shares = {p.title: rdms.separation(p) for p in panels}
    best = max(samples.layer_names(3), key=lambda name: shares[name])
    text = rdms.verdict(ds, areas)
    assert f"stand apart most in {best}:" in text
    assert f"in {100 * shares[best]:.0f} % of comparisons" in text
    assert f"human IT {100 * shares['human IT']:.0f} %" in text
    areas.attrs["simulated"] = "yes"
    assert rdms.verdict(None, areas).startswith("Simulated recording: Categories stand apart most in ")


def test_verdict_without_categories_tells_the_ends():
    ds = samples.rdm(5, 2).drop_vars("category")
    assert rdms.verdict(ds) == rdms.matrix_alt(rdms.matrices(ds)[0])


def test_sprite_holds_every_tile():
    thumbnails = samples.pictures(7, 16)
    packed = raster.sprite(thumbnails, columns=3)
    sheet = np.asarray(Image.open(io.BytesIO(packed.data)))
    assert sheet.shape == (48, 48, 3)
    for k in range(7):
        row, column = divmod(k, packed.columns)
        assert np.array_equal(sheet[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16], thumbnails[k])
    with pytest.raises(InputError, match="uint8"):
        raster.sprite(thumbnails.astype(float))
