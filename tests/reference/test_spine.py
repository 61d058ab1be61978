"""From weight file and recording to the score, once through Homolog and once by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file
from scipy.spatial.distance import pdist
from scipy.stats import rankdata, spearmanr

from dashboard import specs
from dashboard.compute import compute

LAYER = "features.12"


@pytest.fixture(scope="module")
def by_hand(data_folder):
    """Return the RDM of the layer, the RDMs of four people, and that of the monkeys."""
    weights = load_file(data_folder / "weights" / "squeezenet1_0" / "model.safetensors")
    network = torchvision.models.squeezenet1_0(weights=None).eval()
    network.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    folder = data_folder / "kriegeskorte92"
    options = {"squeeze_me": True, "struct_as_record": False}
    shown = scipy.io.loadmat(folder / "Kriegeskorte_Neuron2008_supplementalData.mat", **options)
    prepare = torchvision.models.SqueezeNet1_0_Weights.IMAGENET1K_V1.transforms()
    pictures = torch.stack([prepare(Image.fromarray(s.image)) for s in shown["stimuli_92objs"]])
    with torch.inference_mode():
        patterns = torch.cat([network.features(batch) for batch in pictures.split(4)]).flatten(1).double()
    scans = scipy.io.loadmat(folder / "92_brainRDMs.mat", **options)["RDMs"]
    upper = np.triu_indices(92, 1)
    people = [
        np.mean([np.asarray(scan.RDM, np.float64) for scan in person], axis=0)[upper] for person in scans
    ]
    return pdist(patterns.numpy(), "correlation"), people, shown["RDMs_mIT_hIT_fig1"][0].RDM


def test_score_and_noise_ceiling_of_a_real_layer_in_it(by_hand):
    layer, people, monkeys = by_hand
    answer = compute(
        specs.BrainSpec(
            network="torchvision:squeezenet1_0?weights=squeezenet1_0/model.safetensors",
            recording="kriegeskorte92",
            layers=(LAYER,),
            bootstrap=10,
        )
    )
    human, monkey = answer.sel(area="human IT", layer=LAYER), answer.sel(area="monkey IT", layer=LAYER)
    each = [spearmanr(layer, person)[0] for person in people]
    np.testing.assert_allclose(human.subject_score[:4], each, atol=1e-6)
    np.testing.assert_allclose(human.score, np.mean(each), atol=1e-6)
    np.testing.assert_allclose(monkey.score, spearmanr(layer, monkeys)[0], atol=1e-6)
    ranks = np.array([rankdata(person) for person in people])
    others = [np.delete(ranks, k, axis=0).mean(0) for k in range(4)]
    lower = np.mean([spearmanr(rest, person)[0] for rest, person in zip(others, people, strict=True)])
    upper = np.mean([spearmanr(ranks.mean(0), person)[0] for person in people])
    np.testing.assert_allclose([human.ceiling_low, human.ceiling_high], [lower, upper], atol=1e-12)
