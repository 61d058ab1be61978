"""Support vector machines and small networks as decoders."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from dashboard.errors import InputError
from dashboard.methods import decoding


def classes(n: int, kinds: int, p: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.arange(n) % kinds
    return random.standard_normal((kinds, p))[labels] + random.standard_normal((n, p)) + 4, labels


PEERS = {
    "svm": lambda: LinearSVC(random_state=0, max_iter=5000),
    "logistic": lambda: LogisticRegression(max_iter=1000),
}


@pytest.mark.parametrize("model", list(PEERS))
@pytest.mark.parametrize("kinds", [2, 4])
def test_classifiers_are_those_of_scikit_learn(kinds, model):
    x, labels = classes(48, kinds, 12)
    fold = decoding.folds(labels, 48, 4, seed=1)
    found = decoding.decode(x, labels, "classes", fold, model=model)
    peer = make_pipeline(StandardScaler(), PEERS[model]())
    split = StratifiedKFold(4, shuffle=True, random_state=1)
    np.testing.assert_array_equal(found.predicted, cross_val_predict(peer, x, labels, cv=split))
    with pytest.raises(InputError, match="decodes classes only"):
        decoding.decode(x, x[:, 0], "number", fold, model=model)


def test_the_network_reads_what_no_linear_decoder_can():
    random = np.random.default_rng(2)
    x = random.choice([-1.0, 1.0], (120, 2)) + 0.2 * random.standard_normal((120, 2))
    labels = (x[:, 0] * x[:, 1] > 0).astype(np.int64)  # exclusive or
    fold = decoding.folds(labels, 120, 4)
    scores = {m: decoding.decode(x, labels, "classes", fold, model=m).score for m in ("ridge", "svm", "mlp")}
    assert scores["mlp"] > 0.95
    assert max(scores["ridge"], scores["svm"]) < 0.7


def test_networks_trained_side_by_side_are_those_trained_alone():
    """Against torch's own modules, from the same first weights; a neighbour changes nothing."""
    x, labels = classes(30, 3, 8)
    fit = decoding._Network(x, seed=5)
    goals = decoding.coded(labels, "classes")
    both = np.stack([goals, goals[np.random.default_rng(0).permutation(30)]], axis=1)
    found, _ = fit.predict(x[:7] + 0.1, both)
    random = torch.Generator().manual_seed(5)
    width = fit.ready.shape[1]
    net = torch.nn.Sequential(
        torch.nn.Linear(width, decoding.HIDDEN), torch.nn.ReLU(), torch.nn.Linear(decoding.HIDDEN, 3)
    )
    with torch.no_grad():
        net[0].weight.copy_((torch.randn(width, decoding.HIDDEN, generator=random) * 2**0.5).T)
        net[2].weight.copy_((torch.randn(decoding.HIDDEN, 3, generator=random) * decoding.HIDDEN**-0.5).T)
        net[0].bias.zero_()
        net[2].bias.zero_()
    mean, spread = goals.mean(0), goals.std(0)
    inputs, truth = (torch.from_numpy(v).float() for v in (fit.ready, (goals - mean) / spread))
    optimiser = torch.optim.AdamW(net.parameters(), lr=decoding.RATE, weight_decay=decoding.DECAY)
    for _ in range(decoding.STEPS):
        optimiser.zero_grad()
        (net(inputs) - truth).square().mean().backward()
        optimiser.step()
    with torch.no_grad():
        expected = mean + spread * net(torch.from_numpy(fit._turned(x[:7] + 0.1)).float()).numpy()
    np.testing.assert_allclose(found[:, 0], expected, atol=2e-3)


@pytest.mark.parametrize("model", ["svm", "mlp"])
def test_shuffled_labels_give_chance_and_real_ones_beat_them(model):
    x, labels = classes(60, 3, 10, seed=3)
    fold = decoding.folds(labels, 60, 4)
    found = decoding.decode(x, labels, "classes", fold, permutations=15, model=model)
    assert found.score > found.null.max()
    assert found.null.mean() == pytest.approx(1 / 3, abs=0.07)
    again = decoding.decode(x, labels, "classes", fold, permutations=15, model=model)
    np.testing.assert_array_equal(found.null, again.null)


def test_the_network_reads_orientations_round_the_circle():
    random = np.random.default_rng(4)
    angle = np.linspace(0, 180, 90, endpoint=False)
    x = np.cos(2 * np.deg2rad(angle[:, None] - random.uniform(0, 180, 20))) + 0.1 * random.standard_normal(
        (90, 20)
    )
    fold = decoding.folds(None, 90, 5)
    assert decoding.decode(x, angle, "orientation", fold, model="mlp").score < 5
