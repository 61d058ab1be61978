from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.stats import spearmanr
from torch import nn

from dashboard import networks
from dashboard.analyses import explaining, trust
from dashboard.analyses.attribution import settings_for
from dashboard.errors import InputError
from dashboard.figures import trust as figure
from dashboard.methods.attribution import method
from dashboard.networks.seeding import seeded
from dashboard.specs import AttributionSpec, TrustSpec
from dashboard.stimuli.objects import Objects

SETTINGS = {"network": "bundled:objects_cnn", "stimuli": "objects?n=12&seed=7"}


def test_every_check_has_a_sentence_a_level_and_a_source():
    ds = trust.trust(TrustSpec(attribution=AttributionSpec(**SETTINGS, method="input-x-gradient"), seeds=2))
    names = [row.name for row in figure.rows(ds)]
    assert names == ["Last layer", "Cascade", "Training", "Class", "Deletion", "Insertion", "Object", "Noise"]
    assert all(row.sentence.endswith(".") and row.source for row in figure.rows(ds))
    assert {row.level for row in figure.rows(ds)} <= {"good", "amber", "red", "grey"}
    # All orders start at f(x) and end at the baseline, or the other way round.
    score = ds["score"].values
    assert np.ptp(score[0, :, 0]) < 1e-4
    assert np.allclose(score[0, :, 0], score[1, :, -1], atol=1e-4)
    assert "checks" in figure.verdict(ds)
    assert len(figure.table(ds)) == 8


def test_layers_forget_from_the_top_and_the_network_does_not():
    network = networks.load(SETTINGS["network"])
    before = {name: value.clone() for name, value in network.module.state_dict().items()}
    asked = AttributionSpec(**SETTINGS, method="saliency")
    question = explaining.question(asked, "disc-00000")
    entry = method("saliency")
    found = entry.run(question.explained, settings_for(asked, question))
    columns, rows = trust._cascade(asked, entry, question, found)
    stages, likeness = columns["stage"][1], columns["likeness"][1]
    assert stages[0] == "head"
    assert stages[-1] == "stem.0"
    assert len(stages) == trust.STAGES
    assert likeness[-1] < likeness[0]
    again = copy.deepcopy(network.module)
    with seeded(0):
        again.head.reset_parameters()
    x = question.explained.inputs.clone().requires_grad_()
    question.explained.score(again(x)).sum().backward()
    other = x.grad[0].abs().sum(0).flatten()
    own = found.values.sum(0).flatten()
    assert likeness[0] == pytest.approx(spearmanr(own, other).statistic, abs=1e-6)
    assert [row[0] for row in rows] == ["Last layer", "Cascade"]
    assert rows[0][1] == likeness[0]
    assert rows[1][1] == likeness[-1]
    assert "layer by layer" in rows[1][3]
    assert all(torch.equal(before[k], v) for k, v in network.module.state_dict().items())
    own = question.explained.module.state_dict()
    assert all(torch.equal(before[k], own[k].cpu()) for k in before)


def test_weights_without_a_beginning_are_shuffled():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.arange(100.0))

    layer = Scaled()
    torch.manual_seed(0)
    trust._forget(layer)
    assert not torch.equal(layer.scale, torch.arange(100.0))
    assert torch.equal(layer.scale.sort().values, torch.arange(100.0))


def test_the_cascade_is_drawn_from_one():
    ds = xr.Dataset({"likeness": ("stage", [0.9, float("nan"), -0.1])}, {"stage": ["head", "b", "a"]})
    spec = figure.cascade_chart(ds).to_dict()
    rows = next(iter(v for v in spec["datasets"].values())) if "datasets" in spec else None
    rows = rows or next(
        layer["data"]["values"] for layer in spec["layer"] if len(layer["data"]["values"]) > 1
    )
    assert [row["layer"] for row in rows] == ["trained", "head", "a"]
    assert rows[0]["likeness"] == 1.0


def test_mask_is_that_of_the_drawn_object():
    found = explaining.object_mask("objects?n=12&seed=7", "heart-00006")
    assert found is not None
    assert np.array_equal(found, Objects(n=12, seed=7).mask(6))
    assert explaining.object_mask("gratings", "x") is None


def test_too_few_seeds_are_refused():
    with pytest.raises(InputError, match="seeds must be"):
        trust.trust(TrustSpec(attribution=AttributionSpec(**SETTINGS), seeds=1))
