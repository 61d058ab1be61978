"""Which attribution methods the page draws when nobody has chosen."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dashboard.methods.attribution import METHODS
from dashboard.methods.attribution.base import Explained, Settings
from dashboard.ui.attributing import FIRST, usual_methods


def refused(module):
    torch.manual_seed(0)
    one = Explained(
        module.eval().requires_grad_(False),
        torch.randn(1, 6),
        torch.randn(9, 6),
        lambda outputs: outputs[:, 0],
    )
    found = {name: METHODS[name].why_not(one, Settings()) for name in ("linear-shap", *FIRST["table"])}
    return {name: why for name, why in found.items() if why}


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Linear(6, 3), ["linear-shap", "deepshap", "kernel-shap"]),
        (nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3)), ["linear-shap", "deepshap", "kernel-shap"]),
        (nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)), ["deepshap", "kernel-shap"]),
    ],
)
def test_exact_values_come_first_where_the_network_is_linear(module, expected):
    assert usual_methods("table", refused(module)) == expected


def test_nothing_is_promised_before_it_is_known():
    assert usual_methods("image", None) == list(FIRST["image"])
    assert usual_methods("image", {}) == ["linear-shap", *FIRST["image"]]
