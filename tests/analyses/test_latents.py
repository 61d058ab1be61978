"""Latent numbers, reconstructions and traversal of the VAE, against its own encoder and decoder."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard import compute, networks, specs, stimuli
from dashboard.analyses import latents
from dashboard.errors import InputError
from dashboard.figures import export
from dashboard.figures import latents as figure
from dashboard.figures.alternative import alt_text

torch = pytest.importorskip("torch")
VAE, SET = "bundled:objects_vae", "objects?n=48&seed=77"


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(tmp_path_factory.mktemp("home")))
        return compute.compute(specs.LatentsSpec(network=VAE, stimuli=SET))


def batch():
    shown = stimuli.load(SET)
    return networks.load(VAE).prepare([shown.picture(i) for i in range(48)])


def test_numbers_are_those_of_the_encoder_and_errors_those_of_the_forward_pass(answer):
    module, x = networks.load(VAE).module, batch()
    with torch.no_grad():
        mean, log_variance = module.encode(x)
        again = module(x)
    np.testing.assert_allclose(answer["mean"], mean.numpy(), atol=1e-5)
    np.testing.assert_allclose(answer.sd, (log_variance / 2).exp().numpy(), rtol=1e-4)
    wanted = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean(0)
    np.testing.assert_allclose(answer.divergence, wanted.numpy(), rtol=1e-4)
    np.testing.assert_allclose(answer.error, (x - again).square().mean((1, 2, 3)).numpy(), rtol=1e-4)
    colour = x.mean((0, 2, 3), keepdim=True)
    share = 1 - float((x - again).square().sum() / (x - colour).square().sum())
    assert answer.attrs["variance_explained"] == pytest.approx(share, abs=1e-5)
    assert share > 0.6  # the card says 0.72 for 960 others
    picture = answer.picture.sel(shown="square-00001").values
    np.testing.assert_array_equal(picture, stimuli.load(SET).picture(1))


def test_a_traversal_decodes_the_base_point_with_one_number_changed():
    spec = specs.TraversalSpec(
        network=VAE, stimuli=SET, stimulus="ring-00002", base=("3=1.5", "16=-2"), steps=5, span=2.0
    )
    found = compute.compute(spec)
    module = networks.load(VAE).module
    with torch.no_grad():
        point = module.encode(batch()[2:3])[0]
        point[0, 2], point[0, 15] = 1.5, -2
        base = module.decode(point)[0].permute(1, 2, 0).numpy()
        point[0, 6] = 1.0
        one = module.decode(point)[0].permute(1, 2, 0).numpy()
    assert np.abs(found.base_picture.values - base * 255).max() < 0.6
    assert np.abs(found.picture.sel(latent=7)[3].values - one * 255).max() < 0.6
    np.testing.assert_allclose(found.value, [-2, -1, 0, 1, 2])
    assert float(found.base[2]) == 1.5
    grid = found.picture.sel(latent=7).values / 255
    assert float(found.change[6]) == pytest.approx(np.sqrt(grid.var(axis=0).mean()), abs=2e-3)
    assert "Latent" in alt_text(found)
    assert export.export("png", found)[:4] == b"\x89PNG"
    assert len(export.table(found)) == 16


def test_factors_are_carried_where_they_make_the_numbers(monkeypatch):
    shown = stimuli.load(SET)
    made = np.stack([shown.columns["size"] * 2 - 1, np.cos(np.deg2rad(shown.columns["rotation"]))], axis=1)
    names, carried, known = latents._carried(shown, list(range(48)), made)
    assert carried[0, names.index("size")] == pytest.approx(1)
    assert carried[1, names.index("rotation")] == pytest.approx(1)
    assert carried[1, names.index("size")] < 0.2
    assert known.shape == (len(names), 48)
    assert {"category", "colour", "texture", "background"} <= set(names)


def test_words_and_figures(answer):
    said = figure.verdict(answer)
    assert said.startswith("16 numbers a picture: the reconstructions explain ")
    assert "of its variance)" in said
    assert figure.chosen(answer, "worst", 1) == [str(answer.error.idxmax().values)]
    assert export.export("svg", answer)[:4] == b"<svg"
    assert list(export.table(answer).columns[:3]) == ["stimulus", "category", "mean squared error"]
    for factor in ("colour", "size"):
        assert figure.map_chart(answer, factor, "latent 3", "principal 1", width=300).to_dict()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (specs.LatentsSpec(network="bundled:objects_cnn", stimuli=SET), "does not both encode and decode"),
        (specs.TraversalSpec(network=VAE, stimuli=SET, base=("17=1",)), 'base cannot be "17=1"'),
        (specs.TraversalSpec(network=VAE, stimuli=SET, base=("3=x",)), "Write a latent from 1 to 16"),
        (specs.TraversalSpec(network=VAE, stimuli=SET, stimulus="ring-2"), "There is no stimulus"),
        (specs.TraversalSpec(network=VAE, stimuli=SET, steps=1), "steps must be 2"),
    ],
)
def test_what_does_not_fit_says_why(spec, words):
    with pytest.raises(InputError) as error:
        compute.compute(spec)
    assert words in str(error.value)
