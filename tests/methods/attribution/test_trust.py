"""Checks of maps against closed forms, mostly on linear networks where every answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from dashboard.errors import InputError
from dashboard.methods.attribution import METHODS, trust
from dashboard.methods.attribution.base import Explained, Settings


def linear(n=12, seed=0, baselines=1):
    random = torch.Generator().manual_seed(seed)
    net = nn.Linear(n, 2).double().requires_grad_(False)
    net.weight.copy_(torch.randn((2, n), generator=random, dtype=torch.float64))
    x = torch.randn((1, n), generator=random, dtype=torch.float64)
    b = torch.randn((baselines, n), generator=random, dtype=torch.float64)
    explained = Explained(net, x, b, lambda out: out[:, 0], "table")
    return explained, net.weight[0] * (x - b).mean(0)


def test_completeness_of_an_exact_map():
    e, phi = linear()
    own, base = e.levels()
    found = trust.completeness(phi, own - base, own)
    assert found.error < 1e-12
    assert found.verdict == "good"
    assert "accounts for the whole change" in found.sentence


@pytest.mark.parametrize(("factor", "verdict"), [(1.005, "good"), (1.04, "fair"), (0.8, "poor")])
def test_completeness_tells_how_far_off_a_map_is(factor, verdict):
    values = torch.full((3, 4, 4), factor / 48)
    found = trust.completeness(values, 1.0, 1.0)
    assert found.relative == pytest.approx(abs(factor - 1), abs=1e-6)
    assert found.verdict == verdict


def test_completeness_does_not_judge_a_change_of_nothing():
    found = trust.completeness(torch.zeros(5), 1e-9, 3.0)
    assert found.verdict == "unknown"
    assert math.isnan(found.relative)
    assert "too little" in found.sentence
    assert trust.completeness(torch.ones(5), 1e-9, 3.0).verdict == "poor"  # but a map of 5 is wrong


def test_sampling_error_is_the_spread_over_seeds():
    random = torch.Generator().manual_seed(0)
    truth = torch.linspace(-2, 2, 200)
    maps = [truth + 0.1 * torch.randn(200, generator=random) for _ in range(40)]
    found = trust.sampling_error(maps)
    assert float(found.standard_error.mean()) == pytest.approx(0.1, rel=0.05)
    assert found.share == pytest.approx(0.1, rel=0.1)
    assert 0.98 < found.agreement < 1
    own = trust.standard_error(truth, torch.full((200,), 0.1))
    assert own.share == pytest.approx(0.1, rel=0.01)
    assert "Another seed changes a value by" in own.sentence
    with pytest.raises(InputError, match="One map tells nothing"):
        trust.sampling_error(maps[:1])


def test_randomisation_compares_sizes_by_rank():
    values = torch.arange(1.0, 17).reshape(4, 4)
    others = {"last layer": -values, "all layers": torch.arange(16.0, 0, -1).reshape(4, 4)}
    found = trust.randomisation(values, others, image=torch.stack([values] * 3))
    assert found.correlations == pytest.approx((1.0, -1.0))
    assert found.image == pytest.approx(1.0)
    assert "(all layers)" in found.sentence
    assert "depends on what was learned" in found.sentence
    same = trust.randomisation(values, {"all layers": values**3})
    assert "shows the picture more than the network" in same.sentence
    with pytest.raises(InputError, match="no randomised network"):
        trust.randomisation(values, {})


def test_rank_correlations_are_scipys():
    random = torch.Generator().manual_seed(0)
    maps = {name: torch.randint(0, 5, (7, 7), generator=random).double() for name in "abc"}
    found = trust.agreement(maps)
    for i, a in enumerate(maps.values()):
        for j, b in enumerate(maps.values()):
            assert found.matrix[i, j] == pytest.approx(spearmanr(a.flatten(), b.flatten()).statistic)
    assert "agree least" in found.sentence
    flat = trust.agreement({"a": maps["a"], "flat": torch.ones(7, 7)})
    assert math.isnan(flat.matrix[0, 1])
    assert flat.sentence == "There are no two maps to compare."
    with pytest.raises(InputError, match="different places"):
        trust.agreement({"a": torch.ones(3, 3), "b": torch.ones(4, 4)})


def test_class_sensitivity_is_signed():
    values = torch.arange(9.0)
    assert trust.class_sensitivity(values, -values).correlation == pytest.approx(-1)
    assert "matters for both" in trust.class_sensitivity(values, values + 3, "cat").sentence
    assert "about its own class" in trust.class_sensitivity(values, -values, "cat").sentence


def test_curves_of_a_linear_network_have_a_closed_form():
    e, phi = linear(baselines=3)
    own, base = e.levels()
    ordered = phi.sort(descending=True).values.cumsum(0)
    found = trust.curves(e, phi, steps=12)
    want = torch.cat([torch.zeros(1, dtype=torch.float64), ordered])
    torch.testing.assert_close(found["deletion"].map, own - want)
    torch.testing.assert_close(found["insertion"].map, base + want)
    torch.testing.assert_close(found["deletion"].share, torch.linspace(0, 1, 13, dtype=torch.float64))
    area = float((own - want)[1:-1].sum() / 12 + (own + base) / 24)
    assert found["deletion"].area == pytest.approx(area)
    # Of all orders none removes the score faster than that of the true values.
    assert found["deletion"].beats == (True, True)
    assert found["insertion"].beats == (True, True)
    assert all(found["deletion"].area <= one + 1e-12 for one in found["deletion"].random_areas)
    assert "points at what the network uses" in found["deletion"].sentence
    assert "no better than chance" in trust.deletion(e, -phi).sentence


def test_random_orders_have_their_expected_area():
    """On a linear network the mean curve of random orders is the straight line from f(x) to f(b)."""
    e, phi = linear()
    own, base = e.levels()
    found = trust.curves(e, phi, steps=12, seeds=400)
    for kind in ("deletion", "insertion"):
        areas = np.array(found[kind].random_areas)
        error = areas.std(ddof=1) / math.sqrt(len(areas))
        assert abs(found[kind].random_area - (own + base) / 2) < 4 * error
        assert error < 0.2 * abs(own - base)
        line = (
            own + (base - own) * found[kind].share
            if kind == "deletion"
            else base + (own - base) * found[kind].share
        )
        torch.testing.assert_close(found[kind].random.mean(0), line, atol=0.6, rtol=0)


def test_the_control_by_the_stimulus_removes_the_brightest_first():
    e, phi = linear()
    found = trust.deletion(e, phi, steps=12)
    order = (e.inputs - e.baselines)[0].abs().argsort(descending=True)
    torch.testing.assert_close(found.image[1:], e.levels()[0] - phi[order].cumsum(0))


def test_curves_of_a_picture_and_of_a_text():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 2)).requires_grad_(False)
    x = torch.randn(1, 3, 4, 4)
    e = Explained(net, x, torch.zeros_like(x), lambda out: out[:, 0])
    phi = (net[1].weight[0].reshape(3, 4, 4) * x[0]).double()
    found = trust.insertion(e, phi, steps=100)
    want = phi.sum(0).flatten().sort(descending=True).values.cumsum(0) + float(net(x * 0)[0, 0])
    torch.testing.assert_close(found.map[1:], want, atol=1e-5, rtol=0)
    with pytest.raises(InputError, match="does not lie over the places"):
        trust.deletion(e, torch.ones(3, 3))

    class Count(nn.Module):
        def forward(self, ids):
            return (ids > 3).double().sum(1, keepdim=True)

    ids = torch.tensor([[2, 9, 1, 8, 7]])
    e = Explained(
        Count(), ids, torch.ones_like(ids), lambda out: out[:, 0], "text", special=(True, *(False,) * 4)
    )
    found = trust.deletion(e, torch.tensor([5.0, 4, 0, 3, 2]))
    assert found.map.tolist() == [3, 2, 1, 0, 0]


def test_curves_refuse_no_orders():
    e, phi = linear()
    with pytest.raises(InputError, match="0 random orders"):
        trust.curves(e, phi, seeds=0)


def test_sensitivity_of_a_linear_map():
    """The map w · x changes by w · d: at most radius · range · |w| over |w · x|."""
    e, _ = linear()
    w = e.module.weight[0]
    found = trust.sensitivity(lambda x: w * x[0], e.inputs, radius=0.1, draws=50)
    bound = 0.1 * float((e.inputs.max() - e.inputs.min()) * w.norm() / (w * e.inputs).norm())
    assert 0.4 * bound < found.largest <= bound
    assert trust.sensitivity(lambda x: w, e.inputs).largest == 0
    twice = [trust.sensitivity(lambda x: w * x[0], e.inputs).largest for _ in range(2)]
    assert twice[0] == twice[1]
    assert math.isnan(trust.sensitivity(lambda x: w * 0, e.inputs).largest)
    with pytest.raises(InputError, match="Tokens cannot be changed a little"):
        trust.sensitivity(lambda x: x[0], torch.ones(1, 3, dtype=torch.int64))


def test_infidelity_is_zero_for_the_true_map_and_one_for_none():
    e, phi = linear(baselines=2)
    assert trust.infidelity(e, phi).error < 1e-20
    none = trust.infidelity(e, torch.zeros_like(phi))
    assert none.unexplained == pytest.approx(1)
    assert "no better than guessing" in none.sentence
    half = trust.infidelity(e, phi / 2)
    assert half.unexplained == pytest.approx(0.25)


def test_share_inside_a_mask():
    values = torch.zeros(2, 4, 4)
    values[0, :2] = 3.0
    values[1, 2:] = -1.0
    mask = torch.zeros(4, 4, dtype=torch.bool)
    mask[:2] = True
    found = trust.mask_share(values, mask)
    assert (found.share, found.positive, found.area) == (0.75, 1.0, 0.5)
    assert "1.5 times what chance gives" in found.sentence
    assert "as chance would have it" in trust.mask_share(torch.ones(4, 4), mask).sentence
    assert math.isnan(trust.mask_share(torch.zeros(4, 4), mask).share)
    with pytest.raises(InputError, match="different sizes"):
        trust.mask_share(values, mask[:3])
    with pytest.raises(InputError, match="nothing or everything"):
        trust.mask_share(values, mask | True)


def test_every_check_tells_a_sentence_and_its_source():
    e, phi = linear()
    checks = [
        trust.completeness(phi, float(phi.sum())),
        trust.sampling_error([phi, phi + 0.01]),
        trust.randomisation(phi, {"all layers": phi.flip(0)}),
        trust.class_sensitivity(phi, phi.flip(0)),
        trust.agreement({"a": phi, "b": phi.flip(0)}),
        trust.deletion(e, phi),
        trust.insertion(e, phi),
        trust.sensitivity(lambda x: x[0], e.inputs),
        trust.infidelity(e, phi),
        trust.mask_share(torch.ones(2, 2), torch.eye(2)),
    ]
    for check in checks:
        assert check.sentence.endswith(".")
        assert "nan" not in check.sentence
        assert any(year in check.source for year in ("2009", "2017", "2018", "2019", "2020", "2022"))


def test_exact_shapley_values_of_a_small_network_pass_the_checks():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2)).double().requires_grad_(False)
    x = torch.randn(1, 8).double()
    e = Explained(net, x, torch.zeros_like(x), lambda out: out[:, 0], "table")
    got = METHODS["kernel-shap"].run(e, Settings(samples=50))
    own, base = e.levels()
    assert trust.completeness(got.values, own - base, own).verdict == "good"
    assert trust.deletion(e, got.values).beats[0]
    assert trust.infidelity(e, got.values).unexplained < 0.5
