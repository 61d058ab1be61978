from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from dashboard import networks, stimuli
from dashboard.analyses import attribution, attribution_set, explaining
from dashboard.errors import InputError
from dashboard.figures import attribution as figure
from dashboard.specs import AttributionMethodsSpec, AttributionSetSpec, AttributionSpec

CNN = {"network": "bundled:objects_cnn", "stimuli": "objects?n=12&seed=7"}


def ask(**changes):
    return attribution.attribution(AttributionSpec(**{**CNN, **changes}))


def test_map_sums_to_the_change_of_the_score():
    ds = ask(method="integrated-gradients")
    network, shown = networks.load(CNN["network"]), stimuli.load(CNN["stimuli"])
    logits = network.module(network.prepare([shown.picture(0)])).detach()
    assert float(ds.score[0]) == pytest.approx(float(logits.max()), rel=1e-6)
    assert float(ds.total[0]) == pytest.approx(float(ds.score[0] - ds.baseline_score[0]), rel=1e-5)
    assert float(ds.summed[0]) == pytest.approx(float(ds.total[0]), rel=0.01)
    assert np.allclose(ds.channel_map.sum("channel"), ds.attribution, atol=1e-12)
    assert str(ds.target.values[0]) == f"logit of {ds.likeliest.values[0, 0]}"


def test_picture_and_baseline_are_shown_as_the_network_sees_them():
    ds = ask(method="integrated-gradients", baseline="black")
    shown = stimuli.load(CNN["stimuli"]).picture(0)
    assert np.abs(ds.picture.values[0].astype(int) - shown).max() <= 1
    assert ds.baseline_picture.values.max() == 0


@pytest.mark.parametrize(
    ("baseline", "many"), [("black", 1), ("mean", 1), ("blur", 1), ("noise", 3), ("samples", 3)]
)
def test_baselines_are_as_many_as_asked(baseline, many):
    ds = ask(method="input-x-gradient", baseline=baseline, background=3)
    assert ds.attrs["n_baselines"] == many


def test_difference_of_two_classes_is_the_difference_of_their_maps():
    a, b = (ask(method="input-x-gradient", target=name).attribution for name in ("heart", "star"))
    both = ask(method="input-x-gradient", target="heart − star").attribution
    assert np.allclose(both, a - b, atol=1e-5)


def test_unit_of_a_layer_is_the_mean_of_its_channel():
    ds = ask(method="saliency", target="block2:5")
    network, shown = networks.load(CNN["network"]), stimuli.load(CNN["stimuli"])
    layer = next(row for row in network.layers if row.name == "block2")
    rows = next(networks.activations(network, [network.prepare([shown.picture(0)])], [layer]))["block2"]
    assert float(ds.score[0]) == pytest.approx(rows.reshape(layer.shape)[5].mean(), rel=1e-5)
    assert ds.attrs["unit"] == "activation"


def test_probability_is_explained_on_its_own_scale():
    ds = ask(method="input-x-gradient", score="probability")
    assert float(ds.score[0]) == pytest.approx(float(ds.probability[0, 0]), abs=1e-6)


def test_same_question_gives_the_same_bytes():
    one, two = ((explaining._kept.clear(), ask(method="smoothgrad", samples=4, seed=3))[1] for _ in range(2))
    assert one.attribution.values.tobytes() == two.attribution.values.tobytes()


def test_network_is_the_same_after_as_before():
    network = networks.load(CNN["network"])
    picture = network.prepare([stimuli.load(CNN["stimuli"]).picture(0)])
    before = {k: v.clone() for k, v in network.module.state_dict().items()}
    said = network.module(picture)
    for name in ("saliency", "integrated-gradients", "occlusion"):
        ask(method=name, steps=5)
    assert set(before) == set(network.module.state_dict())
    assert all(torch.equal(before[k], v) for k, v in network.module.state_dict().items())
    assert torch.equal(said, network.module(picture))
    assert not any(m._forward_hooks or m._backward_hooks for m in network.module.modules())
    assert not any(p.requires_grad for p in network.module.parameters())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"method": "gradcam"}, "Did you mean grad-cam"),
        ({"target": "hart"}, "Did you mean heart"),
        ({"target": "block2:999"}, "no unit"),
        ({"target": "block2:5", "score": "probability"}, "no probability"),
        ({"items": ("nobody",)}, "no stimulus"),
        ({"baseline": "samples", "background": 12}, "larger than the set"),
        ({"steps": 1}, "steps must be"),
        ({"method": "occlusion", "window": 100}, "larger than the picture"),
        ({"network": "bundled:tiny_text"}, "reads texts"),
        ({"stimuli": "sentences?n=4"}, "sees pictures"),
        ({"network": "bundled:objects_vae"}, "does not choose between classes"),
        ({"target": "45°"}, 'no target "45°"'),
        ({"method": "ablation", "segments": "patches"}, "has no patches"),
    ],
)
def test_what_cannot_be_is_said(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        ask(**changes)


def test_picture_that_becomes_no_number_is_refused(monkeypatch):
    explaining._kept.clear()
    network = networks.load(CNN["network"])
    broken = lambda picture: torch.full(network.input_shape, float("nan"))  # noqa: E731
    monkeypatch.setitem(network.__dict__, "preprocess", broken)
    with pytest.raises(InputError, match="no numbers"):
        ask()


def test_methods_say_what_works_and_what_it_costs():
    ds = attribution.methods(AttributionMethodsSpec(**CNN))
    assert "saliency" not in figure.refused(ds)
    assert ds.attrs["pass_seconds"] > 0
    assert json.loads(ds.attrs["classes"])[0] == "disc"


@pytest.mark.parametrize(
    ("network", "shown", "kind", "target"),
    [
        ("bundled:tiny_text", "sentences?n=4", "text", "top"),
        ("bundled:v1_decoder", "gratings?orientations=2&phases=1", "table", "cos 2θ"),
        ("bundled:tilt_cnn", "gratings?orientations=2&phases=1", "image", "top"),
        ("bundled:objects_unet", "objects?n=2", "image", "top"),
        ("bundled:digits_lstm", "digits?n=3", "image", "true"),
    ],
)
@pytest.mark.parametrize("method", ["integrated-gradients", "ablation"])
def test_every_kind_of_network_is_explained(network, shown, kind, target, method):
    ds = attribution.attribution(
        AttributionSpec(network=network, stimuli=shown, method=method, target=target)
    )
    assert ds.attrs["input_kind"] == kind
    found = ds.attribution.values[np.isfinite(ds.attribution.values)]
    assert np.abs(found).max() > 0
    if kind == "text":
        assert ds.word.values[0, 0] == "[CLS]"
    if method == "integrated-gradients":
        assert figure.completeness(ds)[1] < 0.05
    assert figure.verdict([ds])
    assert len(figure.table(ds)) == found.size


DECODER = {
    "network": "bundled:v1_decoder",
    "stimuli": "gratings?orientations=4&phases=1&spatial_frequencies=6",
}


def test_cells_of_a_decoder_share_the_evidence_for_the_decoded_orientation():
    asked = AttributionSpec(**DECODER, method="deepshap", baseline="samples", background=2)
    ds = attribution.attribution(asked)
    network, shown = networks.load(asked.network), stimuli.load(asked.stimuli)
    answer = network.module(network.prepare([shown.picture(0)])).detach()[0].double()
    # Along its own direction an answer is as long as it is.
    assert float(ds.score[0]) == pytest.approx(float(answer.norm()), rel=1e-5)
    assert float(ds.attribution.sum()) == pytest.approx(float(ds.total[0]), rel=1e-5)
    angle = float(torch.rad2deg(torch.atan2(answer[1], answer[0])) / 2 % 180)
    assert f"evidence for {angle:.0f}°, the orientation decoded" == str(ds.target.values[0])
    assert str(ds.feature.values[0]).startswith("cell 1 (")
    assert ds.feature_axis.attrs["title"].startswith("Preferred orientation")
    fixed = explaining.question(asked, str(ds.item.values[0])).target.fixed
    same = attribution.attribution(asked.replace(target=fixed))
    assert np.array_equal(same.attribution, ds.attribution)
    across = attribution.attribution(asked.replace(target=f"{angle + 90}°"))
    assert np.allclose(across.attribution, -ds.attribution, atol=1e-6)
    top = str(ds.feature.values[np.abs(ds.attribution.values[0]).argmax()])
    assert f"{top}" in figure.verdict([ds])
    rows = figure.axis_chart([ds], width=300).to_dict()["layer"][1]["data"]["values"]
    assert len(rows) == 200
    assert set(figure.table(ds)["feature"]) == set(ds.feature.values)


def test_a_set_of_gratings_ranks_the_cells_by_name():
    asked = AttributionSpec(**DECODER, method="deepshap", baseline="samples", background=2)
    ds = attribution_set.over_set(AttributionSetSpec(attribution=asked, most=3))
    assert str(ds.feature.values[0]).startswith("cell ")
    assert ds.importance.values[0] == ds.importance.values.max()


def test_patches_of_transformers_are_found():
    grid, prefix = explaining.patch_grid(networks.load("bundled:objects_vit").layers)
    assert grid == (8, 8)
    assert prefix == 1
    assert explaining.patch_grid(networks.load(CNN["network"]).layers) == (None, 0)


def test_linear_shap_of_a_network_of_ones_own(tmp_path, monkeypatch):
    """A logistic regression of digits in a file of one's own: coefficient · (x − mean), to 1e-10."""
    (tmp_path / "logistic.py").write_text(
        "from torch import nn\n\nCLASSES, INPUT, RESIZE = 10, (3, 16, 16), 16\n"
        "def build(classes):\n    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, classes))\n"
    )
    monkeypatch.setenv("HOMOLOG_ARCHITECTURES", str(tmp_path))
    name = "own:logistic?untrained&seed=3"
    given = {"network": name, "stimuli": "objects?n=6&seed=7", "method": "linear-shap", "background": 5}
    spec = AttributionSpec(**given, baseline="samples", target="class 4")
    ds = attribution.attribution(spec)
    network, shown = networks.load(name), stimuli.load(spec.stimuli)
    x = network.prepare([shown.picture(k) for k in range(6)]).double()
    weights = network.module[1].weight[4].double().reshape(3, 16, 16)
    expected = (weights * (x[0] - x[1:].mean(0))).numpy()
    assert np.abs(ds.channel_map.values[0] - expected).max() < 1e-10
    assert np.abs(ds.attribution.values[0] - expected.sum(0)).max() < 1e-10
    assert float(ds.total[0]) == pytest.approx(expected.sum(), abs=1e-10)
    refused = attribution.methods(AttributionMethodsSpec(network=name, stimuli=spec.stimuli)).why_not
    assert str(refused.sel({"method": "linear-shap"}).values) == ""
    others = attribution.methods(AttributionMethodsSpec(**CNN)).why_not
    assert "not linear" in str(others.sel({"method": "linear-shap"}).values)
