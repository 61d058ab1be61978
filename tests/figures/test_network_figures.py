"""Flow, card, training and health in words and charts, from small answers made by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from dashboard.figures import export, health, network
from dashboard.figures.alternative import alt_text
from tests.figures import samples


def layers(*rows: tuple[str, str, str, str, int]) -> xr.Dataset:
    """Make an answer of rows (name, kind, shape in, shape out, leaf)."""
    names, kinds, before, after, leaf = zip(*rows, strict=True)
    n = len(rows)
    return xr.Dataset(
        {
            "kind": ("layer", list(kinds)),
            "shape_in": ("layer", list(before)),
            "shape": ("layer", list(after)),
            "detail": ("layer", [""] * n),
            "parameters": ("layer", np.arange(n) * 10),
            "units": ("layer", np.ones(n, dtype=int)),
            "depth": ("layer", np.zeros(n, dtype=int)),
            "leaf": ("layer", list(leaf)),
            "default": ("layer", np.ones(n, dtype=np.int8)),
        },
        {"layer": list(names)},
        samples.attrs(
            "network", name="A net", n_parameters=1000, input_shape="3 × 8 × 8", reference="net", card="{}"
        ),
    )


NET = layers(
    ("stem.conv", "Conv2d", "3 × 8 × 8", "4 × 8 × 8", 1),
    ("stem.relu", "ReLU", "4 × 8 × 8", "4 × 8 × 8", 1),
    ("stem", "Sequential", "3 × 8 × 8", "4 × 8 × 8", 0),
    ("body.0.conv", "Conv2d", "4 × 8 × 8", "8 × 4 × 4", 1),
    ("body.0", "Block", "4 × 8 × 8", "8 × 4 × 4", 0),
    ("body.1.conv", "Conv2d", "8 × 4 × 4", "8 × 4 × 4", 1),
    ("body.1.conv:2", "Conv2d", "8 × 4 × 4", "8 × 4 × 4", 1),
    ("body.1", "Block", "8 × 4 × 4", "8 × 4 × 4", 0),
    ("head", "Linear", "128", "5", 1),
)


def test_layers_fold_into_blocks_in_order_also_where_the_container_never_ran():
    nodes = network.flow(NET)
    assert [n.name for n in nodes] == ["stem", "body", "head"]
    assert [n.label for n in nodes[0].children] == ["conv", "relu"]
    body = nodes[1]  # a list of modules has no row of its own
    assert (body.kind, body.shape_in, body.shape) == ("", "4 × 8 × 8", "8 × 4 × 4")
    assert [n.name for n in body.children] == ["body.0", "body.1"]
    assert [n.name for n in body.children[1].children] == ["body.1.conv", "body.1.conv:2"]
    assert nodes[2].children == []

    def leaves(found):
        return [n.name for n in found] + [name for n in found for name in leaves(n.children)]

    assert set(leaves(nodes)) == {*NET.layer.values.tolist(), "body"}


def test_words_say_what_a_layer_does_and_how_the_shape_changes():
    nodes = network.flow(NET)
    assert nodes[0].children[0].words.endswith("Changes channels 3 → 4.")
    assert "sets negative values to zero" in nodes[0].children[1].words
    assert "The shape stays 4 × 8 × 8" in nodes[0].children[1].words
    assert "channels 4 → 8, height 8 → 4, width 8 → 4" in nodes[1].children[0].words
    assert "128 becomes 5" in nodes[2].words


def test_flow_exports_with_the_batch_on_every_arrow():
    chart = json.dumps(network.flow_chart(NET).to_dict(), ensure_ascii=False)
    for shape in ("3 × 8 × 8", "4 × 8 × 8", "8 × 4 × 4", "B × 5"):
        assert shape in chart
    assert export.export("svg", NET).startswith(b"<svg")


def test_card_tells_what_is_known_and_warns_where_no_licence_is():
    found = network.card(NET)
    assert "Task" not in found
    assert "not stated" in found["Licence"]
    told = NET.assign_attrs(card=json.dumps({"task": "Which?", "data": {"set": "s"}, "licence": "MIT"}))
    assert network.card(told)["Trained on"] == "set: s"
    assert network.card(told)["Licence"] == "MIT"


def history(train, held) -> xr.Dataset:
    n = len(train)
    return xr.Dataset(
        {
            "loss": (("part", "epoch"), np.array([train, held], dtype=float)),
            "metric": (("part", "epoch"), np.full((2, n), 0.5)),
            "learning_rate": ("epoch", np.full(n, 0.1)),
            "gradient_norm": (("module", "epoch"), np.full((2, n), 0.1)),
        },
        {"part": ["training", "validation"], "epoch": np.arange(1, n + 1), "module": ["a", "b"]},
        samples.attrs("training", metric_name="share correct"),
    )


@pytest.mark.parametrize(
    ("train", "held", "words"),
    [
        ([3, 2, 1], [3, 2, 1.5], "Best at epoch 3 of 3: validation loss 1.50, share correct 0.500. No over"),
        (
            [3, 2, 1],
            [3, 2, 2.5],
            "Best at epoch 2 of 3: validation loss 2.00, share correct 0.500. Overfitting",
        ),
        ([3, 2, 1], [3, 2, 2.5], "rises by 25 %"),
        ([3, 2, 1], [3, 2, 2.05], "within 5 %"),
        ([3, np.nan, np.nan], [3, 2, np.nan], "no number in 2 epochs, first in 2"),
        ([1, 1], [np.nan, np.nan], "was not recorded"),
    ],
)
def test_training_in_words(train, held, words):
    answer = history(train, held)
    assert words in network.training_words(answer)
    assert words in alt_text(answer)


def test_training_exports_table_and_figure():
    answer = history([3, 2, 1], [3, 2, 1.5])
    assert export.export("csv", answer).decode().splitlines()[0].startswith("epoch,training loss")
    assert len(export.export("png", answer)) > 2000
    assert len(json.dumps(network.gradient_history_chart(answer).to_dict())) > 500


def checked(rms, dead=(0, 0, 0), not_finite=(0, 0, 0)) -> xr.Dataset:
    n = len(rms)
    spread = np.tile([-2.0, -1, 0, 1, 2], (3, 1))
    return xr.Dataset(
        {
            "activation": (("layer", "level"), spread),
            **{name: ("layer", [0.5] * 3) for name in ("mean", "sd", "zero_share")},
            "units": ("layer", [100] * 3),
            "dead": ("layer", list(dead)),
            "constant": ("layer", list(dead)),
            "channels": ("layer", [10] * 3),
            "dead_channels": ("layer", [0, 1, 0]),
            "not_finite": ("layer", list(not_finite)),
            "weight": (("module", "level"), np.tile([-2.0, -1, 0, 1, 2], (n, 1))),
            "n_weights": ("module", [9] * n),
            "zero_weights": ("module", [0] * n),
            "gradient_norm": ("module", 3 * np.array(rms, dtype=float)),
            "gradient_rms": ("module", np.array(rms, dtype=float)),
        },
        {
            "layer": ["a", "b", "c"],
            "module": [f"m{k}" for k in range(n)],
            "level": [0.01, 0.25, 0.5, 0.75, 0.99],
        },
        samples.attrs("health", n_stimuli=20, n_batch=5, loss="the loss"),
    )


@pytest.mark.parametrize(
    ("rms", "words"),
    [
        ([1e-6, 1e-4, 1e-2], "it vanishes"),
        ([1e6, 1, 1e-2], "it explodes"),
        ([0.2, 5, 0.1], "2.00 times that of the last: it neither"),
        ([0.0, 1, 1], "it vanishes"),
        ([0.1, 0.1], "too few"),
        ([0.1, np.nan, 0.1], "1 modules get no gradient, first m1"),
        ([0.1, np.inf, 0.1], "infinite in m1"),
    ],
)
def test_gradients_in_words(rms, words):
    assert words in health.gradient_words(checked(rms))


def test_dead_units_in_words_name_the_number_of_stimuli():
    assert health.dead_words(checked([1, 1, 1])) == "No unit of these layers is zero on all 20 stimuli."
    said = health.dead_words(checked([1, 1, 1], dead=(5, 30, 0)))
    assert "b: 30 of 100 (30.0 %) are zero on all 20 stimuli, 1 of 10 channels entirely" in said
    assert "no number, first in c" in health.finite_words(checked([1, 1, 1], not_finite=(0, 0, 3)))


def test_health_exports_both_tables_and_draws():
    answer = checked([1, 1, 1], dead=(5, 30, 0))
    assert export.export("csv", answer).decode().count("\n") == 7
    assert len(export.export("png", answer)) > 2000
    for chart in (health.gradient_chart(answer), health.weight_chart(answer, dark=True)):
        assert '"m2"' in json.dumps(chart.to_dict())
    assert "30.0 %" in alt_text(answer)


def test_costs_join_the_table_and_degrees_follow_the_width_of_a_picture():
    n = NET.sizes["layer"]
    costs = xr.Dataset(
        {
            "flops": ("layer", np.arange(n) * 1000),
            "memory": ("layer", np.full(n, 4)),
            "receptive_field": ("layer", [4.0] * (n - 1) + [np.nan]),
            "receptive_field_note": ("layer", [""] * (n - 1) + ["No place."]),
        },
        {"layer": NET.layer.values},
        samples.attrs("costs", total_flops=10_000, input_pixels=8),
    )
    table = network.layer_table(NET, costs, degrees=10)
    assert list(table["Receptive field (degrees)"])[:-1] == [5.0] * (n - 1)
    assert "Receptive field (degrees)" not in network.layer_table(NET, costs)
    assert (
        network.costs_words(costs)
        == "One stimulus takes 10 k floating-point operations; head takes most, 80 %."
    )
    assert "80 %" in alt_text(costs)
    assert export.export("csv", costs).decode().count("\n") == n + 1
