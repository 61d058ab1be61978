"""Figures of attention: every view has a chart, a table, words and files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from dashboard.errors import InputError
from dashboard.figures import alternative, export
from dashboard.figures import attention as figure
from dashboard.ui.components import heads, tokens
from tests.figures import samples


def answer(view: str = "heads", text: bool = False, layers: int = 3, n_heads: int = 2) -> xr.Dataset:
    rng = np.random.default_rng(1)
    n = 5 if text else 10
    places = [
        {
            "name": f"blocks.{k}.attention",
            "heads": n_heads,
            "grid": [1, 5] if text else [3, 3],
            "queries": [1, 5] if text else [3, 3],
            "special": [] if text else ["CLS"],
            "looking": [] if text else ["CLS"],
            "windowed": False,
        }
        for k in range(layers)
    ]
    found: dict = {}
    for k in range(layers):
        weights = rng.dirichlet(np.ones(n), (n_heads, n)).astype(np.float32)
        found[f"map{k}"] = ((f"head{k}", f"query{k}", f"key{k}"), weights)
        found[f"received{k}"] = ((f"head{k}", f"key{k}"), weights.mean(axis=1))
    for name in ("entropy", "special_share", *([] if text else ["distance"])):
        found[name] = (("layer", "head"), rng.random((layers, n_heads)))
    if view == "ablation":
        found["effect"] = (("layer", "head"), rng.normal(size=(layers, n_heads)))
    if view in ("rollout", "relevance"):
        found[view] = (("query", "key"), rng.random((n, n)))
    if not text:
        found["picture"] = (("y", "x", "channel"), samples.pictures(1, 24)[0])
    names = ["[CLS]", "the", "keys", "the", "<b>"]
    coords = {"layer": [p["name"] for p in places], "head": np.arange(1, n_heads + 1)}
    if view in ("rollout", "relevance"):
        coords["token_name"] = ("query", [f"{k + 1} t" for k in range(n)])
    more = {
        "view": view,
        "places": json.dumps(places),
        "kept": "maps",
        "query": "received" if text else "cls",
        "unit": "share of attention",
        "input_kind": "text" if text else "image",
        "tokens": json.dumps(names if text else []),
        "special": json.dumps([True, False, False, False, False] if text else []),
        "network_title": "A network",
        "input_pixels": 24,
        "target": 1,
        "target_name": "heart",
        "score": 2.5,
        "unread": json.dumps([["blocks.9", "It is factorised."]]),
    }
    return xr.Dataset(found, coords, samples.attrs("attention", **more))


@pytest.mark.parametrize("view", ["heads", "distance", "entropy", "rollout", "relevance", "ablation"])
def test_every_view_has_table_chart_words_and_picture(view):
    ds = answer(view)
    assert len(export.table(ds))
    assert "factorised" in alternative.alt_text(ds)
    assert export.export("svg", ds).startswith(b"<svg")


def test_text_views_have_charts_and_name_the_strongest_look():
    ds = answer(text=True)
    assert export.export("svg", ds).startswith(b"<svg")
    words = figure.matrix_words(ds, 1, 0)
    values = ds["map1"].to_numpy()[0]
    i, j = np.unravel_index(values.argmax(), values.shape)
    assert f"strongest {figure.tokens(ds)[i]} at {figure.tokens(ds)[j]}" in words
    spec = figure.matrix_chart(ds, 1, 0, hide=True).to_dict()
    assert len(spec["data"]["values"]) == 16
    assert "hidden with the special tokens" in figure.matrix_words(ds, 1, 0, hide=True)


def test_distance_in_degrees_is_the_share_of_the_picture_times_its_width():
    ds = answer()
    pixels = figure.measure_chart(ds, "distance").to_dict()["layer"][1]
    assert pixels["encoding"]["y"]["title"] == "Attention distance (pixels)"
    drawn = figure.measure_chart(ds, "distance", degrees=12).to_dict()
    values = [row["value"] for row in drawn["data"]["values"]]
    np.testing.assert_allclose(values, ds.distance.to_numpy().ravel() / 24 * 12)


def test_verdict_names_the_narrowest_head_and_ablation_the_one_that_matters():
    ds = answer("ablation")
    row, column = figure.narrowest(ds)
    assert f"blocks.{row}.attention, head {column + 1}, looks most narrowly" in figure.verdict(answer())
    k, head = np.unravel_index(np.abs(ds.effect.to_numpy()).argmax(), (3, 2))
    assert f"blocks.{k}.attention, head {head + 1}, matters most for heart" in figure.verdict(ds)


def test_grid_scales_each_head_by_itself_or_all_alike():
    ds = answer()
    own, shared = figure.head_rows(ds, "cls"), figure.head_rows(ds, "cls", shared=True)
    assert all(np.allclose(row.maps.max(axis=(1, 2)), 1) for row in own)
    assert max(row.maps.max() for row in shared) == pytest.approx(1)
    assert min(row.maps[:-1].max(axis=(1, 2)).min() for row in shared) < 1
    assert own[0].heads == ("1", "2", "mean")
    np.testing.assert_allclose(
        figure.looks(ds, "cls")[0].one("mean")[0],
        ds["map0"][:, 0, 1:].mean("head0").to_numpy().reshape(3, 3),
        atol=1e-7,
    )


def test_an_unknown_query_is_refused():
    with pytest.raises(InputError, match="query"):
        figure.looks(answer(), "3,0")


def test_message_of_the_grid_holds_every_map_and_checks_what_comes_back():
    rows = figure.head_rows(answer(), "cls")
    data = heads.message(rows, "label", (0, 1))
    length = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + length])
    assert len(data) == 4 + length + 768 + 3 * 3 * 9
    assert header["chosen"] == [0, 1]
    first = np.frombuffer(data[4 + length + 768 :][:9], np.uint8)
    np.testing.assert_array_equal(first, np.clip(rows[0].maps[0].ravel() * 256, 0, 255).astype(np.uint8))
    for sent in (None, [0], [3, 0], [0, 3], [True, 0], ["0", 0], [-1, 0]):
        assert heads.place(sent, rows) is None
    assert heads.place([2, 2], rows) == (2, 2)
    with pytest.raises(InputError, match="no head"):
        heads.message([], "label")


def test_large_maps_keep_the_largest_value_of_every_block():
    maps = np.zeros((1, 200, 300))
    maps[0, 123, 45] = 1
    small = heads.small(maps)
    assert small.shape == (1, 96, 96)
    assert small.max() == 1
    assert small.sum() == 1


def test_message_of_the_lines_checks_shapes_and_positions():
    data = tokens.message(["a"], ["a", "b"], np.array([[0.25, 0.75]]), "label")
    assert np.frombuffer(data[-8:], "<f4").tolist() == [0.25, 0.75]
    with pytest.raises(InputError, match="tokens"):
        tokens.message(["a"], ["b"], np.zeros((2, 1)), "label")
    assert tokens.position(True, 2) is None
    assert tokens.position(2, 2) is None
    assert tokens.position(1, 2) == 1


def test_a_map_that_is_zero_everywhere_has_no_limit():
    ds = answer("rollout")
    nothing = ds.assign(rollout=ds.rollout * 0)
    panel = next(p for p in figure.overlays(nothing, "cls", 0, 0) if p.title == "Rollout")
    assert panel.values is None
    assert panel.caption.startswith("Zero everywhere.")


def test_head_and_mean_share_a_scale():
    head, mean, rollout, _ = figure.overlays(answer("rollout"), "cls", 0, 0)
    assert head.scale == mean.scale
    assert head.hi == max(head.values.max(), mean.values.max())
    assert rollout.unit == "rollout"
