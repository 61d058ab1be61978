"""Preferred pictures and effective fields of real networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dashboard import compute, networks, specs
from dashboard.errors import CautionWarning, InputError
from dashboard.figures import alternative, export
from dashboard.figures import effective_field as field_figure
from dashboard.figures import preferred as figure
from dashboard.networks import pixels
from dashboard.networks.differentiable import PassingRectifiers, reading
from dashboard.stimuli import load as load_stimuli

pytestmark = pytest.mark.filterwarnings("ignore::dashboard.errors.CautionWarning")
CNN, SHOWN = "bundled:objects_cnn", "objects?n=24&seed=4"


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def grey(home):
    spec = specs.PreferredSpec(
        network="bundled:tilt_cnn", stimuli="gratings?orientations=8&phases=2", layer="conv", unit=3, seeds=2
    )
    return compute.compute(spec.replace(steps=96))


@pytest.fixture(scope="module")
def coloured(home):
    spec = specs.PreferredSpec(network=CNN, stimuli=SHOWN, layer="block2.conv2", unit=5, seeds=2, steps=64)
    return compute.compute(spec)


@pytest.mark.parametrize("which", ["grey", "coloured"])
def test_synthesised_pictures_beat_the_best_stimulus(which, request):
    answer = request.getfixturevalue(which)
    assert answer["reached"].max() > answer["natural"]
    assert "more than any stimulus" in figure.verdict(answer)
    pictures = answer["picture"].to_numpy()
    same = (pictures[..., 0] == pictures[..., 1]).all()
    assert same == (answer.attrs["grey"] == "yes")


def test_what_is_reached_is_the_response_to_the_picture_that_is_shown(grey):
    network = networks.load("bundled:tilt_cnn")
    with torch.no_grad():
        batch = network.prepare(list(grey["picture"].to_numpy()))
        expected = network.module.get_submodule("conv")(batch)[:, 3].amax((1, 2)).numpy()
    np.testing.assert_allclose(grey["reached"], expected, rtol=1e-5)
    shown = load_stimuli(grey.attrs["stimuli"])
    with torch.no_grad():
        batch = network.prepare([shown.picture(k) for k in range(len(shown))])
        natural = network.module.get_submodule("conv")(batch)[:, 3].amax((1, 2)).numpy()
    assert float(grey["natural"]) == pytest.approx(natural.max(), rel=1e-5)
    assert grey.attrs["natural_name"] == shown.names[int(natural.argmax())]


def test_the_same_spec_gives_the_same_pictures(coloured, tmp_path_factory):
    spec = specs.PreferredSpec(network=CNN, stimuli=SHOWN, layer="block2.conv2", unit=5, seeds=2, steps=64)
    from dashboard.analyses.preferred import preferred

    np.testing.assert_array_equal(preferred(spec)["picture"], coloured["picture"])


def test_tokens_and_dense_layers_have_preferred_pictures():
    for reference, shown, layer in (
        ("bundled:objects_vit", SHOWN, "blocks.1"),
        ("bundled:digits_mlp", "digits?n=8", ""),
    ):
        spec = specs.PreferredSpec(
            network=reference, stimuli=shown, layer=layer, unit=1, seeds=1, steps=4, by="mean"
        )
        assert np.isfinite(compute.compute(spec)["reached"]).all()


def test_colours_become_inputs_as_preprocessing_makes_them():
    network = networks.load(CNN)
    picture = load_stimuli("objects?n=1").picture(0)
    made = pixels.levels(network).prepared(torch.from_numpy(picture).float().movedim(-1, 0)[None] / 255)
    torch.testing.assert_close(made, network.prepare([picture]), atol=1e-5, rtol=1e-5)
    assert not pixels.levels(network).grey
    assert pixels.levels(networks.load("bundled:tilt_cnn")).grey


def test_shut_rectifiers_hand_on_gradients_only_when_asked():
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    (shut,) = torch.autograd.grad(torch.nn.functional.relu(x).sum(), x)
    with PassingRectifiers():
        y = torch.nn.functional.relu(x)
    (passed,) = torch.autograd.grad(y.sum(), x)
    assert y.tolist() == [0, 2]
    assert (shut.tolist(), passed.tolist()) == ([0, 1], [1, 1])


def test_reading_gives_the_layers_output_and_its_gradient():
    network = networks.load(CNN)
    layer = networks.select(network.layers, ["block1.relu2"])[0]
    batch = torch.rand((2, 3, 64, 64), requires_grad=True)
    with reading(network.module, layer) as read:
        first, again = read(batch), read(batch)
    torch.testing.assert_close(first, again)
    assert first.shape == (2, *layer.shape)
    (gradient,) = torch.autograd.grad(first.sum(), batch)
    assert gradient.abs().sum() > 0


def test_the_effective_field_of_a_convolution_is_its_squared_kernel():
    answer = compute.compute(
        specs.EffectiveFieldSpec(network=CNN, stimuli=SHOWN, layer="stem.0", unit=3, most=4)
    )
    weight = networks.load(CNN).module.get_submodule("stem.0").weight[3].double()
    expected = (weight**2).sum(0).numpy()
    energy = answer["energy"].to_numpy()
    top, left, bottom, right = answer["box"].to_numpy().astype(int)
    np.testing.assert_allclose(energy[top:bottom, left:right], expected / expected.sum(), rtol=1e-4)
    assert energy.sum() == pytest.approx(1)
    assert (answer.attrs["pixels"], answer.attrs["n_stimuli"]) == (5, 4)


def test_deeper_fields_lie_inside_the_theoretical_one():
    answer = compute.compute(
        specs.EffectiveFieldSpec(network=CNN, stimuli=SHOWN, layer="block2.conv1", unit=1, most=6)
    )
    top, left, bottom, right = answer["box"].to_numpy().astype(int)
    outside = answer["energy"].to_numpy().copy()
    outside[top:bottom, left:right] = 0
    assert outside.sum() == 0
    assert 0 < float(answer["area_share"]) < 1
    assert "theoretical" in field_figure.verdict(answer)


@pytest.mark.parametrize("cls", [specs.PreferredSpec, specs.EffectiveFieldSpec])
def test_bad_questions_get_a_sentence(cls):
    with pytest.raises(InputError, match="16 units, and 16 is none"):
        compute.compute(cls(network=CNN, stimuli=SHOWN, layer="stem.0", unit=16))
    with pytest.raises(InputError, match="sees no pictures"):
        compute.compute(cls(network="bundled:tiny_text", stimuli="sentences?n=4"))
    setting = "seeds" if cls is specs.PreferredSpec else "most"
    with pytest.raises(InputError, match=f"{setting} must be from 1"):
        compute.compute(cls(network=CNN, stimuli=SHOWN, **{setting: 0}))


def test_a_dead_unit_has_nothing_to_climb():
    from dashboard.analyses.preferred import _tell

    with pytest.warns(CautionWarning, match="nothing to climb: it may be dead"):
        _tell(np.zeros((2, 8)), np.zeros(2), 0.0)
    with pytest.warns(CautionWarning, match="No synthesised picture reached"):
        _tell(np.ones((2, 8)).cumsum(1), np.ones(2), 2.0)


def test_export_and_words(coloured):
    assert len(export.table(coloured)) == 3
    assert "block2.conv2" in alternative.alt_text(coloured)
    assert export.export("svg", coloured).startswith(b"<svg")
    found = compute.compute(specs.EffectiveFieldSpec(network=CNN, stimuli=SHOWN, layer="stem.0", most=2))
    assert export.table(found)["theoretical_pixels"][0] == 5
    assert export.export("svg", found).startswith(b"<svg")
    assert figure.tiles(coloured).shape == (2, figure.SIDE, figure.SIDE, 3)
    assert figure.crops(coloured).shape == (2, figure.SIDE, figure.SIDE, 3)
