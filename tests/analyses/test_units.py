"""One unit: its responses are the layer's output, its field lies where the arithmetic says."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from dashboard import compute, networks, specs
from dashboard.analyses import units
from dashboard.errors import InputError
from dashboard.figures import alternative, export
from dashboard.figures import units as figure
from dashboard.networks import capture, field_place
from dashboard.networks.layers import tabulate
from dashboard.networks.network import Network
from dashboard.networks.reducers import reducer
from dashboard.stimuli import load as load_stimuli

pytestmark = pytest.mark.filterwarnings("ignore::dashboard.errors.CautionWarning")
CNN, SHOWN = "bundled:objects_cnn", "objects?n=48&seed=4"


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def outputs(layer: str, reference: str = CNN, shown: str = SHOWN) -> np.ndarray:
    network, stimuli = networks.load(reference), load_stimuli(shown)
    chosen = networks.select(network.layers, [layer])[0]
    with capture.capture(network, [chosen], "all") as respond:
        rows = respond(network.prepare([stimuli.item(i) for i in range(len(stimuli))]))[layer]
    return rows.reshape(len(rows), *chosen.shape).astype(np.float64)


def test_responses_are_the_maximum_and_mean_of_the_layers_output():
    maps = outputs("stem.0")[:, 12].reshape(48, -1)
    answer = compute.compute(specs.UnitSpec(network=CNN, stimuli=SHOWN, layer="stem.0", unit=12))
    np.testing.assert_allclose(answer["maximum"], maps.max(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(answer["place"], maps.argmax(axis=1))
    np.testing.assert_allclose(answer["mean"], maps.mean(axis=1), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(answer["response"], answer["maximum"])
    top = answer["name"].to_numpy()[figure.members(answer, "top")]
    assert list(top) == list(answer["stimulus"].to_numpy()[np.argsort(-maps.max(axis=1), kind="stable")[:9]])
    again = compute.compute(
        specs.UnitSpec(network=CNN, stimuli=SHOWN, layer="stem.0", unit=12, by="mean", seed=1)
    )
    np.testing.assert_array_equal(again["response"], answer["mean"])


def test_selectivity_and_sparseness_in_closed_form():
    answer = compute.compute(specs.UnitSpec(network=CNN, stimuli=SHOWN, layer="stem.0", unit=3))
    r, category = answer["response"].to_numpy(), answer["category"].to_numpy()
    name = str(answer["category_name"].to_numpy()[2])
    own, other = r[category == name], r[category != name]
    d = (own.mean() - other.mean()) / np.sqrt((own.var(ddof=1) + other.var(ddof=1)) / 2)
    assert np.isfinite(d)
    np.testing.assert_allclose(answer["d_prime"][2], d, rtol=1e-12)
    rates = np.maximum(r, 0)
    sparse = (1 - rates.mean() ** 2 / (rates**2).mean()) / (1 - 1 / len(r))
    np.testing.assert_allclose(answer["sparseness"], sparse, rtol=1e-12)
    assert figure.best(answer)[1] == answer["d_prime"].max()
    assert figure.best(answer)[0] in figure.verdict(answer)


def toy() -> Network:
    """3 × 3 padded, pooled by 2, 3 × 3 padded: unit p sees the pixels from 2 p − 3 to 2 p + 4."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 2, 3, padding=1)
    ).eval()
    shape = (3, 24, 32)
    return Network(
        reference="toy",
        title="Toy",
        module=module.requires_grad_(False),
        preprocess=lambda p: torch.from_numpy(p.copy()).permute(2, 0, 1).float() / 255,
        labels=(),
        layers=tabulate(module, shape),
        digest="toy",
        card={},
        preprocessing="",
        weights="",
        input_shape=shape,
    )


def test_fields_lie_where_the_arithmetic_says():
    network = toy()
    layer = network.layers[-1]
    found, reason = field_place.fields(network, layer)
    assert reason == ""
    assert (found.pixels, found.start, found.step) == (8, (-3.0, -3.0), (2.0, 2.0))
    assert found.box(5, 6) == (7, 9, 15, 17)
    assert found.box(0, 15) == (0, 27, 5, 32)
    first, _ = field_place.fields(network, network.layers[0])
    assert (first.pixels, first.start, first.step) == (3, (-1.0, -1.0), (1.0, 1.0))


def test_nothing_outside_the_field_moves_the_unit():
    network = toy()
    layer = network.layers[-1]
    found, _ = field_place.fields(network, layer)
    top, left, bottom, right = found.box(5, 6)
    noise = torch.randn((1, *network.input_shape), generator=torch.Generator().manual_seed(1))
    inside = torch.zeros_like(noise)
    inside[..., top:bottom, left:right] = noise[..., top:bottom, left:right]
    a, b = (field_place.read(network.module, layer, x)[0, :, 5, 6] for x in (noise, inside))
    torch.testing.assert_close(a, b)


def test_a_crop_is_the_part_that_the_unit_saw():
    answer = compute.compute(specs.UnitSpec(network=CNN, stimuli=SHOWN, layer="block2.conv1", unit=1))
    pixels = int(answer["field_pixels"])
    box = answer["box"].to_numpy()
    assert ((box[:, 2] - box[:, 0]) <= pixels).all()
    assert answer["crop"].shape == answer["picture"].shape


@pytest.mark.parametrize(
    ("reference", "shown", "layer"),
    [("bundled:objects_vit", SHOWN, "blocks.1"), ("bundled:digits_mlp", "digits?n=20", "")],
)
def test_tokens_and_vectors_have_units_too(reference, shown, layer):
    answer = compute.compute(specs.UnitSpec(network=reference, stimuli=shown, layer=layer, unit=1))
    assert np.isfinite(answer["response"]).all()
    assert figure.verdict(answer).startswith("Unit 1 of")


def test_peak_of_texts_leaves_padding_out():
    from dashboard.networks.network import Layer

    layer = Layer("x", "Linear", (5, 3), 0, 15, 0, channel_axis=1, token_axis=0)
    output = torch.randn((2, 5, 3))
    output[1, 3:] = 100.0
    keep = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    rows = reducer("peak").plan_tokens(layer)(output, keep).numpy().reshape(2, 3, 3)
    for k, n in ((0, 5), (1, 3)):
        kept = output[k, :n].numpy()
        np.testing.assert_allclose(rows[k, 0], kept.max(axis=0))
        np.testing.assert_array_equal(rows[k, 1], kept.argmax(axis=0))
        np.testing.assert_allclose(rows[k, 2], kept.mean(axis=0), rtol=1e-6)


def test_texts_come_with_their_token():
    answer = compute.compute(specs.UnitSpec(network="bundled:tiny_text", stimuli="sentences?n=30", unit=3))
    for token, text in zip(answer["token"].to_numpy(), answer["text"].to_numpy(), strict=True):
        assert token in text
    assert figure.text_table(answer, "top")["response"].is_monotonic_decreasing


def test_random_stimuli_depend_on_the_seed_alone():
    response = np.random.default_rng(0).normal(size=50)
    first, again, other = units.order(response, 0), units.order(response, 0), units.order(response, 1)
    assert list(first["random"]) == list(again["random"]) != list(other["random"])
    assert len(set(first["random"])) == 9
    assert response[first["bottom"]].max() <= np.sort(response)[8]


def test_bad_units_get_a_sentence():
    with pytest.raises(InputError, match=r"stem\.0 has 16 units, and 16 is none of them\. .*from 0 to 15"):
        compute.compute(specs.UnitSpec(network=CNN, stimuli=SHOWN, layer="stem.0", unit=16))
    with pytest.raises(InputError, match="none of them"):
        compute.compute(specs.UnitSpec(network=CNN, stimuli=SHOWN, layer="stem.0", unit=-1))
    with pytest.raises(InputError, match=r"stem\.0"):
        compute.compute(specs.UnitSpec(network=CNN, stimuli=SHOWN, layer="stem.9"))


def test_a_dead_unit_is_said_to_be_dead_on_these_stimuli():
    reference, shown = "bundled:digits_mlp", "digits?n=3"
    network = networks.load(reference)
    layer = next(one.name for one in network.layers if one.kind == "ReLU")
    silent = np.flatnonzero((outputs(layer, reference, shown) == 0).all(axis=0))
    assert len(silent)
    given = {"network": reference, "stimuli": shown, "layer": layer, "unit": int(silent[0])}
    answer = compute.compute(specs.UnitSpec(**given))
    assert answer.attrs["dead"] == "yes"
    assert "dead: zero on all 3 stimuli, which says nothing about others" in figure.verdict(answer)


def test_export_and_words():
    answer = compute.compute(specs.UnitSpec(network=CNN, stimuli=SHOWN, layer="stem.0", unit=12))
    assert len(export.table(answer)) == answer.sizes["stimulus"]
    assert figure.best(answer)[0] in alternative.alt_text(answer)
    assert json.dumps(figure.overview(answer).to_dict())
    assert export.export("svg", answer, figure.overview(answer)).startswith(b"<svg")
