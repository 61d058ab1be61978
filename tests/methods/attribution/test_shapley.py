"""Shapley and Owen values against enumeration, the axioms, captum and shap."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from dashboard import networks
from dashboard.errors import InputError
from dashboard.methods.attribution import METHODS, segments, shapley
from dashboard.methods.attribution.base import Explained, Settings
from dashboard.methods.attribution.coalitions import Game

ALL = ("shapley", "kernel-shap", "partition-shap")


def random_game(n=5, seed=0):
    """A game with interactions of every order."""
    table = torch.randn(2**n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    powers = 2 ** torch.arange(n)
    return lambda coalitions: table[(coalitions.long() * powers).sum(1)]


def by_definition(value, n):
    """Shapley values as the mean over all orders."""
    gains = torch.zeros(n, dtype=torch.float64)
    orders = list(itertools.permutations(range(n)))
    for order in orders:
        inside = torch.zeros(n, dtype=torch.bool)
        before = float(value(inside[None]))
        for player in order:
            inside[player] = True
            after = float(value(inside[None]))
            gains[player] += after - before
            before = after
    return gains / len(orders)


def mlp(n=6, out=3, seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(n, 16), nn.Tanh(), nn.Linear(16, out)).double()
    return net.eval().requires_grad_(False)


def table(net, n=6, baselines=4, seed=1, target=1):
    random = torch.Generator().manual_seed(seed)
    x = torch.randn((1, n), generator=random, dtype=torch.float64)
    b = torch.randn((baselines, n), generator=random, dtype=torch.float64)
    return Explained(net, x, b, lambda out: out[:, target], "table")


def test_exact_values_are_the_mean_over_all_orders():
    value = random_game()
    torch.testing.assert_close(shapley.exact(value, 5), by_definition(value, 5))


def test_exact_values_refuse_too_many_players():
    with pytest.raises(InputError, match="21 segments have too many subsets"):
        shapley.exact(random_game(), 21)


@pytest.mark.parametrize("antithetic", [True, False])
def test_sampling_converges_as_its_error_says(antithetic):
    value, truth = random_game(), shapley.exact(random_game(), 5)
    values, error = shapley.sampled(value, 5, 4000, 0, antithetic=antithetic)
    assert float(values.sum()) == pytest.approx(float(truth.sum()), abs=1e-12)
    assert ((values - truth).abs() < 4 * error).all()
    few = shapley.sampled(value, 5, 40, 0, antithetic=antithetic)[1]
    assert 5 < float((few / error).mean()) < 20  # a hundred times as many orders: a tenth of the error


def test_the_standard_error_is_the_spread_over_seeds():
    value = random_game()
    runs = [shapley.sampled(value, 5, 30, seed) for seed in range(200)]
    spread = torch.stack([values for values, _ in runs]).std(0)
    told = torch.stack([error for _, error in runs]).square().mean(0).sqrt()
    torch.testing.assert_close(told, spread, rtol=0.2, atol=0)


def test_an_order_and_its_reverse_are_exact_where_only_pairs_interact():
    weights = torch.randn(6, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def value(coalitions):
        z = coalitions.double()
        return torch.einsum("mi,ij,mj->m", z, weights, z)

    truth = shapley.exact(value, 6)
    torch.testing.assert_close(shapley.sampled(value, 6, 4, 0)[0], truth)
    assert float((shapley.sampled(value, 6, 4, 0, antithetic=False)[0] - truth).abs().max()) > 0.01


def test_regression_converges_and_sums_exactly():
    value, truth = random_game(7), shapley.exact(random_game(7), 7)
    values, error = shapley.regressed(value, 7, 40_000, 0)
    assert float(values.sum()) == pytest.approx(float(truth.sum()), abs=1e-9)
    assert ((values - truth).abs() < 5 * error.clamp_min(float(error.mean()))).all()
    assert float(error.max()) < 0.02


def test_the_regressions_error_is_the_spread_over_seeds():
    value = random_game()
    runs = [shapley.regressed(value, 5, 400, seed) for seed in range(150)]
    spread = torch.stack([values for values, _ in runs]).std(0)
    told = torch.stack([error for _, error in runs]).square().mean(0).sqrt()
    torch.testing.assert_close(told, spread, rtol=0.3, atol=0)


def test_owen_values_are_the_mean_over_the_orders_of_the_hierarchy():
    value = random_game(4)
    leaf = [shapley.Node((i,)) for i in range(4)]
    tree = shapley.Node(
        (0, 1, 2, 3), (shapley.Node((0, 2), (leaf[0], leaf[2])), shapley.Node((1, 3), (leaf[1], leaf[3])))
    )
    orders = []
    for top, left, right in itertools.product((1, -1), repeat=3):
        halves = [[0, 2][::left], [1, 3][::right]][::top]
        orders.append(halves[0] + halves[1])
    want = torch.zeros(4, dtype=torch.float64)
    for order in orders:
        inside = torch.zeros(4, dtype=torch.bool)
        for player in order:
            before = float(value(inside[None]))
            inside[player] = True
            want[player] += (float(value(inside[None])) - before) / len(orders)
    values, undivided = shapley.owen(value, 4, tree, 1000)
    torch.testing.assert_close(values, want)
    assert undivided == 0


def test_few_passes_leave_neighbourhoods_undivided_but_the_sum_exact():
    value = random_game(6)
    tree = shapley.hierarchy(torch.arange(6))
    ends = value(torch.stack([torch.zeros(6), torch.ones(6)]).bool())
    values, undivided = shapley.owen(value, 6, tree, 4)
    assert undivided == 6
    assert len(values.unique()) == 2
    assert float(values.sum()) == pytest.approx(float(ends[1] - ends[0]))


def test_the_hierarchy_keeps_neighbours_together():
    tree = shapley.hierarchy(segments.grid(8, 16, 2, 4))
    assert {part.members for part in tree.parts} == {(0, 4, 1, 5), (2, 6, 3, 7)}
    assert sorted(shapley.hierarchy(torch.arange(5)).parts[0].members) == [0, 1, 2]


@pytest.mark.parametrize("name", ALL)
def test_linear_networks_have_weight_times_distance(name):
    torch.manual_seed(0)
    net = nn.Linear(6, 3).double().requires_grad_(False)
    e = table(net)
    got = METHODS[name].run(e, Settings(samples=60))
    torch.testing.assert_close(got.values, net.weight[1] * (e.inputs - e.baselines).mean(0))
    assert got.total == pytest.approx(float(got.values.sum()), abs=1e-10)
    if got.standard_error is not None:
        assert float(got.standard_error.max()) < 1e-10


@pytest.mark.parametrize("name", ALL)
def test_axioms(name):
    """Equal parts get the same, a part that never matters gets nothing, and everything sums up."""

    class Symmetric(nn.Module):
        def forward(self, x):  # features 0 and 1 are alike, 2 does nothing
            return torch.stack([x[:, 0] * x[:, 1] + torch.sin(x[:, 3]) * x[:, :2].sum(1)] * 2, 1)

    x = torch.tensor([[0.7, 0.7, 5.0, 1.1]], dtype=torch.float64)
    e = Explained(Symmetric(), x, torch.zeros_like(x), lambda out: out[:, 0], "table")
    got = METHODS[name].run(e, Settings(samples=400))
    error = torch.zeros(4) if got.standard_error is None else got.standard_error
    assert float(got.values[2]) == pytest.approx(0, abs=1e-9)
    assert float(got.values[0]) == pytest.approx(float(got.values[1]), abs=1e-9 + 6 * float(error.max()))
    assert float(got.values.sum()) == pytest.approx(float(net_change(e)), abs=1e-9)


def net_change(e):
    return e.scores(e.inputs) - e.scores(e.baselines).mean()


@pytest.mark.parametrize("name", ["shapley", "kernel-shap"])
def test_networks_get_their_shapley_values(name):
    e = table(mlp())
    truth = shapley.exact(Game.of(e, Settings()).value, 6)
    got = METHODS[name].run(e, Settings(samples=400))
    assert ((got.values - truth).abs() <= 5 * got.standard_error + 1e-9).all()
    again = METHODS[name].run(e, Settings(samples=400))
    assert torch.equal(got.values, again.values)


def test_kernel_shap_tries_all_subsets_where_that_is_cheaper():
    got = METHODS["kernel-shap"].run(table(mlp()), Settings(samples=50))
    assert "All 64 subsets" in got.notes[0]
    assert float(got.standard_error.max()) == 0


def test_values_agree_with_shaps_kernel_explainer():
    import shap

    net = mlp()
    e = table(net)
    explainer = shap.KernelExplainer(lambda rows: net(torch.from_numpy(rows)).numpy(), e.baselines.numpy())
    theirs = explainer.shap_values(e.inputs.numpy(), nsamples=200, silent=True)[0, :, 1]
    truth = shapley.exact(Game.of(e, Settings()).value, 6)
    np.testing.assert_allclose(truth.numpy(), theirs, atol=1e-6)  # 200 > 2^6: shap is exact as well


def test_values_agree_with_captums_sampling():
    from captum.attr import ShapleyValueSampling

    e = table(mlp(), baselines=1)
    theirs = ShapleyValueSampling(e.module).attribute(e.inputs, e.baselines, target=1, n_samples=600)[0]
    ours = METHODS["shapley"].run(e, Settings(samples=600))
    assert ((ours.values - theirs).abs() < 8 * ours.standard_error + 0.01).all()


@pytest.mark.slow
def test_owen_values_agree_with_shaps_partition_explainer():
    import shap

    net = mlp()
    e = table(net, baselines=3)
    background = e.baselines.numpy()

    # the tree of `hierarchy` over six features, as scipy writes it: ((0 1) 2) ((3 4) 5)
    clustering = np.array([[0, 1, 1, 2], [3, 4, 1, 2], [6, 2, 2, 3], [7, 5, 2, 3], [8, 9, 3, 6]], float)
    masker = shap.maskers.Partition(background, clustering=clustering)
    explainer = shap.PartitionExplainer(lambda rows: net(torch.from_numpy(rows))[:, 1].numpy(), masker)
    theirs = explainer(e.inputs.numpy(), max_evals=2000, silent=True).values[0]
    ours = METHODS["partition-shap"].run(e, Settings(samples=300)).values
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_pictures_share_the_values_of_their_segments(name):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)).eval()
    x = torch.randn(1, 3, 12, 12)
    net(x)
    net.requires_grad_(False)
    e = Explained(net, x, torch.zeros_like(x), lambda out: out[:, 0])
    labels = segments.grid(12, 12, 2, 3)
    got = METHODS[name].run(e, Settings(samples=30, segments=labels))
    assert got.values.shape == (12, 12)
    per_segment = got.extra["segment_values"]
    for number in range(6):
        assert float(got.values[labels == number].sum()) == pytest.approx(
            float(per_segment[number]), abs=1e-9
        )
    assert float(got.values.sum()) == pytest.approx(float(net_change(e)), abs=1e-5)
    assert got.total == pytest.approx(float(net_change(e)), abs=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_tokens_share_what_the_text_does(name):
    network = networks.load("bundled:tiny_text")
    ids = network.prepare(["the keys to the old cabinet"])
    special = (True, *(~network.text.mask(ids)[0, 1:]).tolist())  # [CLS] and what was padded
    hidden = torch.where(torch.tensor(special), ids, 1)  # [UNK]
    e = Explained(network.module, ids, hidden, lambda out: out[:, 1] - out[:, 0], "text", special=special)
    got = METHODS[name].run(e, Settings(samples=30))
    truth = shapley.exact(Game.of(e, Settings()).value, 6)
    assert float(got.values[0]) == 0
    assert int(got.values.argmax()) == 2  # "keys"
    assert float(got.values.sum()) == pytest.approx(float(net_change(e)), abs=1e-4)
    if name != "partition-shap":
        assert ((got.values[1:7] - truth).abs() <= 5 * got.standard_error[1:7] + 1e-5).all()


def test_digits_mlp():
    from models import _digits

    network = networks.load("bundled:digits_mlp")
    held_out = _digits.split(0)[2].inputs[:21]
    e = Explained(network.module, held_out[:1], held_out[1:], lambda out: out[:, 3])
    sampled = METHODS["shapley"].run(e, Settings(samples=30))
    regressed = METHODS["kernel-shap"].run(e, Settings(samples=30))
    assert sampled.values.shape == (8, 8)
    for got in (sampled, regressed):
        assert float(got.values.sum()) == pytest.approx(got.total, abs=1e-4)
    together = torch.stack([sampled.values.flatten(), regressed.values.flatten()])
    assert float(torch.corrcoef(together)[0, 1]) > 0.95


@pytest.mark.parametrize(
    ("name", "samples", "sentence"),
    [("shapley", 1, "One order tells no standard error"), ("kernel-shap", 5, "5 samples are too few")],
)
def test_too_few_samples_are_refused(name, samples, sentence):
    e = table(mlp(12), n=12)
    assert sentence in METHODS[name].why_not(e, Settings(samples=samples))
    with pytest.raises(InputError, match=sentence):
        METHODS[name].run(e, Settings(samples=samples))
    assert METHODS[name].why_not(e, Settings()) == ""


@pytest.mark.parametrize("name", ALL)
def test_progress_is_told(name):
    told = []
    METHODS[name].run(table(mlp(12), n=12), Settings(samples=20), told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
