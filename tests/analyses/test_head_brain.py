"""Brain similarity without heads: against a network whose head is silenced by hand, and in words."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from dashboard import compute, networks, recordings, specs, stimuli
from dashboard.errors import InputError
from dashboard.figures import head_brain as figure
from dashboard.methods import rdm, rsa

RECORDING = "simulated-v1?subjects=2&cells=20&stimuli=neuromatch-gratings?n=8"
SPEC = specs.HeadBrainSpec(network="bundled:objects_vit", recording=RECORDING)


@pytest.fixture(scope="module")
def answer():
    return compute.compute(SPEC)


def similarity(module, area):
    """Mean similarity over subjects of the last block of a module."""
    network, shown = networks.load(SPEC.network), stimuli.load(f"recording:{RECORDING}")
    seen = []
    handle = module.blocks[3].register_forward_hook(lambda _m, _i, output: seen.append(output))
    with torch.inference_mode():
        module(network.prepare([shown.picture(k) for k in range(len(shown))]))
    handle.remove()
    own = rdm.dissimilarities(seen[0].flatten(1), "correlation").numpy()
    subjects = recordings.load(RECORDING).responses[area]
    theirs = np.stack([rdm.dissimilarities(r, "correlation").numpy() for r in subjects])
    return rsa.similarity(own[None], theirs, "spearman")[0]


def test_a_head_silenced_in_the_output_projection_changes_the_similarity_as_much(answer):
    network = networks.load(SPEC.network)
    area = str(answer.area.values[0])
    whole = similarity(network.module, area)
    assert float(answer.score[0]) == pytest.approx(whole.mean(), abs=1e-4)
    for layer, head in ((0, 2), (3, 1)):
        without = copy.deepcopy(network.module)
        with torch.no_grad():  # head k gives columns 16 k to 16 k + 15
            project = next(
                part
                for name, part in without.blocks[layer].attention.named_modules()
                if isinstance(part, torch.nn.Linear) and name != "qkv"
            )
            project.weight[:, 16 * head : 16 * head + 16] = 0
        change = similarity(without, area) - whole
        assert float(answer.change[0, layer, head]) == pytest.approx(change.mean(), abs=1e-3)
        assert float(answer.sem[0, layer, head]) == pytest.approx(change.std(ddof=1) / np.sqrt(2), abs=1e-3)


def test_every_head_is_told_in_words_figure_and_table(answer):
    area = str(answer.area.values[0])
    assert answer.change.shape[1:] == (4, 4)
    rows = figure.changes(answer, area)
    top = max(rows, key=lambda row: abs(row["value"]))
    assert f"{top['layer']}, head {top['head']}, matters most" in figure.words(answer, area)
    assert answer.attrs["read"] == "blocks.3"
    drawn = figure.chart(answer, area, width=300).to_dict()["data"]["values"]
    assert len(drawn) == 16
    assert len(figure.table(answer)) == 16 * answer.sizes["area"]
    assert figure.alt(answer).startswith("blocks.3 is like")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"network": "bundled:objects_cnn"}, "has no attention"),
        ({"network": "bundled:tiny_text"}, "reads texts"),
        ({"layers": ("stem",)}, 'no layer with attention "stem"'),
        ({"read": "blocks.9"}, "Did you mean"),
        ({"areas": ("V9",)}, "V9"),
    ],
)
def test_what_cannot_be_is_said(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        compute.compute(SPEC.replace(**changes))
