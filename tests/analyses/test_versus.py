"""Two networks side by side: matching of layers, differences in weights, and training."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard import compute, networks, specs
from dashboard.analyses.versus import matched
from dashboard.figures import export
from dashboard.figures import versus as figure
from dashboard.figures.alternative import alt_text

CNN, TRANSFER = "bundled:objects_cnn", "bundled:objects_transfer"


def test_layers_are_matched_by_name_where_half_of_the_names_are_shared():
    first = (["stem", "a", "b", "head"], ["Conv2d", "ReLU", "ReLU", "Linear"])
    second = (["stem", "b", "new", "head"], ["Conv2d", "ReLU", "Tanh", "Linear"])
    pairs, how = matched(first, second)
    assert how == "name"
    assert pairs == [(0, 0), (1, None), (2, 1), (None, 2), (3, 3)]


def test_else_by_kind_and_what_stands_between_in_order():
    first = (["a1", "a2", "a3", "a4"], ["Conv2d", "ReLU", "MaxPool2d", "Linear"])
    second = (["b1", "b2", "b3", "b4", "b5"], ["Conv2d", "GELU", "AvgPool2d", "Dropout", "Linear"])
    pairs, how = matched(first, second)
    assert how == "kind and order"
    assert pairs == [(0, 0), (1, 1), (2, 2), (None, 3), (3, 4)]


def test_an_untrained_twin_differs_in_its_weights_only():
    answer = compute.compute(
        specs.VersusSpec(network="bundled:tilt_cnn", second="bundled:tilt_cnn?untrained&seed=0")
    )
    assert set(answer.change.values) == {"same"}
    a, b = (networks.load(str(answer.attrs[name])).module.fc for name in ("network", "second"))
    apart = sum(
        float((p - q).double().pow(2).sum()) for p, q in zip(a.parameters(), b.parameters(), strict=True)
    )
    size = sum(float(p.double().pow(2).sum()) for p in a.parameters())
    row = [str(v) for v in answer.name.values[:, 0]].index("fc")
    assert float(answer.weight_change[row]) == pytest.approx((apart / size) ** 0.5, rel=1e-6)
    assert "are the same, with other weights" in alt_text(answer)
    table = figure.layers(answer, differences=True)
    assert sorted(table.iloc[:, 1]) == ["conv", "fc", "out"]
    assert all("other weights" in words for words in table["Change"])
    assert "brings no history" in figure.training_note(answer)
    assert np.isfinite(answer.loss.sel(side="first")).any()
    assert not np.isfinite(answer.loss.sel(side="second")).any()


def test_differences_are_told_in_words_and_sizes_drawn_on_one_scale():
    answer = compute.compute(specs.VersusSpec(network="bundled:digits_lstm", second="bundled:digits_gru"))
    assert "kind: LSTM → GRU" in " ".join(figure.layers(answer, differences=True)["Change"])
    rows, _ = figure.size_rows(answer, "parameters", False)
    assert {row["side"] for row in rows} == {"Digits LSTM", "Digits GRU"}
    # four gates or three, of 64 units with 8 inputs, 64 states and two biases
    gates = {row["side"]: row["value"] for row in rows if "lstm" in row["row"]}
    assert gates == {"Digits LSTM": 4 * 64 * (8 + 64 + 2), "Digits GRU": 3 * 64 * (8 + 64 + 2)}
    cards = figure.cards(answer, differences=True)
    assert set(cards["Differs"]) == {"differs"}
    assert "Licence" not in list(cards["Fact"])
    assert export.export("svg", answer)[:4] == b"<svg"
    assert len(export.table(answer)) == answer.sizes["row"]
    assert figure.training_note(answer) == ""
    assert figure.curves_chart(answer, "metric", width=300).to_dict()


def test_frozen_features_of_a_transferred_network_are_the_same():
    answer = compute.compute(specs.VersusSpec(network=CNN, second=TRANSFER))
    moved = answer.weight_change.values
    assert (moved[np.isfinite(moved)] == 0).sum() > 5
