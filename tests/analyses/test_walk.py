"""Pictures between two latent points, from a small generator made by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dashboard import compute, networks, specs, stimuli
from dashboard.analyses import walk
from dashboard.errors import InputError
from dashboard.figures import walk as figure
from dashboard.figures.network import verdict
from dashboard.methods.paths import great_circle

torch = pytest.importorskip("torch")


def test_a_great_circle_keeps_the_length_and_turns_evenly():
    found = great_circle([2.0, 0.0], [0.0, 2.0], [0, 1 / 3, 1])
    np.testing.assert_allclose(found, [[2, 0], [np.sqrt(3), 1], [0, 2]], atol=1e-12)
    straight = great_circle([1.0, 1.0], [3.0, 3.0], [0.5])
    np.testing.assert_allclose(straight, [[2, 2]])
    np.testing.assert_allclose(great_circle([1.0, 0.0], [-1.0, 0.0], [0, 1]), [[1, 0], [-1, 0]])
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 48))
    lengths = np.linalg.norm(great_circle(a, b, np.linspace(0, 1, 5)), axis=1)
    np.testing.assert_allclose(lengths, np.linspace(np.linalg.norm(a), np.linalg.norm(b), 5))


class Painter(torch.nn.Module):
    """Paints the first three numbers as the colour of a picture of 4 x 4 pixels."""

    def forward(self, latent):
        return torch.sigmoid(latent[:, :3, None, None]).expand(-1, -1, 4, 4)


@pytest.fixture
def painter(monkeypatch):
    known = networks.load("bundled:objects_vae")
    made = dataclasses.replace(
        known, module=Painter(), card={"input": "vector"}, input_shape=(5,), preprocess=torch.from_numpy
    )
    monkeypatch.setattr(walk.networks, "load", lambda _reference: made)


def test_ends_are_the_pictures_of_their_seeds(painter):
    answer = walk.walk(specs.WalkSpec(network="bundled:objects_vae", first=3, last=1, steps=7, samples=5))
    for step, seed in ((0, 3), (-1, 1)):
        numbers = stimuli.load(f"latents?n=1&size=5&seed={seed}").vectors[0].astype(np.float64)
        colour = 255 / (1 + np.exp(-numbers[:3]))
        assert np.abs(answer.picture.values[step, 0, 0] - colour).max() < 0.51
    np.testing.assert_array_equal(answer.picture.values[0], answer.sample.sel(seed=3).values)
    assert np.isnan(answer.change.values[0])
    assert "From seed 3 to seed 1 in 7 steps" in figure.words(answer)
    assert figure.walk_chart(answer, columns=4).to_dict()
    assert figure.sample_chart(answer, columns=3).to_dict()
    part = figure.sample_chart(answer, columns=2, start=3, stop=9).to_dict()
    assert part["description"] == "2 pictures made from the seeds 3 to 4"
    part = figure.walk_part(answer, 6, 9).to_dict()
    assert part["description"] == "Steps 7 to 7 of the walk: 100 % of the way"
    assert len(figure.table(answer)) == 7


@pytest.mark.parametrize(
    ("changes", "words"),
    [({}, "is no generator"), ({"steps": 1}, "steps must be"), ({"first": -1}, "0 or more")],
)
def test_what_cannot_walk_says_why(changes, words):
    with pytest.raises(InputError) as error:
        compute.compute(specs.WalkSpec(**{"network": "bundled:objects_cnn", **changes}))
    assert words in str(error.value)


def test_the_bundled_generator_is_described_and_walks():
    gan = "bundled:objects_gan"
    layers, costs = (
        compute.compute(specs.NetworkSpec(network=gan)),
        compute.compute(specs.CostsSpec(network=gan)),
    )
    assert "samples" in layers.attrs["panels"].split(",")
    assert layers.attrs["n_parameters"] == networks.load(gan).n_parameters
    assert verdict(layers).endswith(
        "has 1 block and 487,807 parameters; it takes 48 numbers and gives a picture."
    )
    assert float(costs.attrs["total_flops"]) > 1e6
    assert set(costs.receptive_field_note.values) == {"The input of this network is no picture."}
    answer = compute.compute(specs.WalkSpec(network=gan, steps=5, samples=4))
    assert answer.picture.shape == (5, 64, 64, 3)
    # 8-bit levels; neighbours in a batch of another size change the last digits
    np.testing.assert_allclose(answer.picture.values[-1], answer.sample.sel(seed=1).values, atol=1)
    assert answer.sample.values.std(axis=0).mean() > 10  # the pictures of four seeds are four pictures
