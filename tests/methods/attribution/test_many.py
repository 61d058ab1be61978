from __future__ import annotations

import pytest
import torch
from attributed import bundled, state

from dashboard.errors import InputError
from dashboard.methods.attribution import METHODS
from dashboard.methods.attribution.base import Explained, Settings

OURS = [name for name, method in METHODS.items() if method.family in ("gradient", "rule", "activation")]


def test_a_network_is_the_same_after_a_hundred_attributions():
    before_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    module, pictures = bundled("objects_cnn", 4)
    before = state(module, pictures)
    settings = Settings(steps=2, samples=2, tolerance=0)
    for call in range(110):
        i = call % 3
        one = Explained(module, pictures[i : i + 1], pictures[3:], lambda out, k=call % 12: out[:, k])
        found = METHODS[OURS[call % len(OURS)]].run(one, settings)
        assert bool(torch.isfinite(found.values).all())
    assert state(module, pictures) == before
    assert before[2] == 0
    assert not any(parameter.grad is not None for parameter in module.parameters())
    torch.set_num_threads(before_threads)


def test_a_network_is_the_same_after_refusals():
    module, pictures = bundled("objects_vit", 2)
    before = state(module, pictures)
    one = Explained(module, pictures[:1], pictures[1:], lambda out: out[:, 0], grid=(8, 8), prefix=1)
    refused = [name for name in OURS if METHODS[name].why_not(one, Settings())]
    assert refused == ["deeplift", "deepshap", "guided-backprop", "lrp", "guided-grad-cam"]
    assert state(module, pictures) == before


def test_a_baseline_of_another_shape_and_pictures_that_are_no_numbers_are_refused():
    picture = torch.zeros(1, 3, 8, 8)
    with pytest.raises(InputError, match=r"baseline has shape 3 × 4 × 4 and the stimulus 3 × 8 × 8"):
        Explained(torch.nn.Flatten(), picture, torch.zeros(2, 3, 4, 4), lambda out: out[:, 0])
    with pytest.raises(InputError, match="no numbers"):
        Explained(torch.nn.Flatten(), picture / 0, picture, lambda out: out[:, 0])
