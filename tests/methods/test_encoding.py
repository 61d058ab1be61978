"""Ridge, banded ridge and PLS against scikit-learn; noise ceilings and parts against closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dashboard.errors import InputError
from dashboard.methods import encoding

ALPHAS = (1e-4, 1e-2, 1.0, 100.0)


def problem(n: int, p: int, units: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, p) of unequal spread with a constant one, and responses (n, units) of rising noise."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((n, p)) * random.gamma(1, size=p) + 5
    x[:, 0] = 2.0
    noise = np.linspace(0.5, 5, units)
    signal = (x - 5) @ random.standard_normal((p, units)) / np.sqrt(p)
    return x, signal + noise * random.standard_normal((n, units)) + 3


def test_folds_are_those_of_scikit_learn():
    found = encoding.folds(53, 5, seed=3)
    for k, (_, test) in enumerate(KFold(5, shuffle=True, random_state=3).split(np.zeros(53))):
        np.testing.assert_array_equal(np.flatnonzero(found == k), test)
    with pytest.raises(InputError, match="9 stimuli cannot be split into 5 folds"):
        encoding.folds(9, 5)


@pytest.mark.parametrize(("n", "p"), [(50, 120), (60, 8)])
def test_ridge_equals_nested_ridgecv_of_scikit_learn(n, p):
    x, y = problem(n, p, 4)
    fold = encoding.folds(n, 5, 0)
    found = encoding.ridge([x], y, fold, alphas=ALPHAS)
    inner = KFold(encoding.INNER_FOLDS, shuffle=True, random_state=0)
    for f, unit in itertools.product(range(5), range(4)):
        train, test = fold != f, fold == f
        peer = make_pipeline(StandardScaler(), RidgeCV(np.array(ALPHAS) * p, cv=inner))
        peer.fit(x[train], y[train, unit])
        expected = peer.predict(x[test]) - y[train, unit].mean()
        np.testing.assert_allclose(found.predicted[test, unit], expected, atol=1e-9)
        np.testing.assert_allclose(found.observed[test, unit], y[test, unit] - y[train, unit].mean())
        assert found.alpha[f, unit] == pytest.approx(peer[-1].alpha_ / p)
        assert found.inner[f, unit] == pytest.approx(peer[-1].best_score_, abs=1e-9)


@pytest.mark.parametrize("widths", [(70, 20), (6, 5, 7)])
def test_banded_ridge_is_ridge_on_rescaled_bands(widths):
    """Kernel and features agree with scikit-learn's ridge on features times the root of their weights."""
    x, y = problem(60, sum(widths), 5, seed=1)
    bands = np.split(x, np.cumsum(widths)[:-1], axis=1)
    fold = encoding.folds(60, 4, 0)
    found = encoding.ridge(bands, y, fold, alphas=ALPHAS, mixes=8, split=True)
    np.testing.assert_allclose(found.mix.sum(axis=2), 1)
    np.testing.assert_allclose(found.parts.sum(axis=0), found.predicted, atol=1e-9)
    for f, unit in itertools.product(range(4), range(5)):
        train, test = fold != f, fold == f
        scaled = []
        for band, weight in zip(bands, found.mix[f, unit], strict=True):
            ready = StandardScaler().fit(band[train])
            scaled.append(ready.transform(band) * np.sqrt(weight / band.shape[1]))
        z = np.concatenate(scaled, axis=1)
        peer = Ridge(found.alpha[f, unit]).fit(z[train], y[train, unit])
        expected = peer.predict(z[test]) - y[train, unit].mean()
        np.testing.assert_allclose(found.predicted[test, unit], expected, atol=1e-8)


def test_banded_ridge_finds_the_band_that_matters_and_beats_one_penalty():
    random = np.random.default_rng(2)
    good, noise = random.standard_normal((80, 10)), random.standard_normal((80, 400))
    y = good @ random.standard_normal((10, 20)) + random.standard_normal((80, 20))
    fold = encoding.folds(80, 4, 0)
    banded = encoding.ridge([good, noise], y, fold, alphas=ALPHAS, mixes=12, split=True)
    plain = encoding.ridge([np.concatenate([good, noise], axis=1)], y, fold, alphas=ALPHAS)
    assert banded.mix[..., 0].mean() > 0.8
    scores = [encoding.explained(e.observed, e.predicted).mean() for e in (banded, plain)]
    assert scores[0] > scores[1] + 0.2
    split = encoding.shares(banded.observed, banded.parts)
    np.testing.assert_allclose(split.sum(axis=0), encoding.explained(banded.observed, banded.predicted))
    assert split[0].mean() > 0.9 * split.sum(axis=0).mean()


def test_pls_is_scikit_learns_on_all_features():
    x, y = problem(40, 90, 6)
    fold = encoding.folds(40, 4, 0)
    found = encoding.pls(x, y, fold, components=5)
    for f in range(4):
        train, test = fold != f, fold == f
        peer = PLSRegression(n_components=5, scale=False).fit(x[train], y[train])
        np.testing.assert_allclose(
            found.predicted[test], peer.predict(x[test]) - y[train].mean(axis=0), atol=1e-7
        )


@pytest.mark.parametrize("regression", ["ridge", "pls"])
def test_shuffled_stimuli_give_chance(regression):
    x, y = problem(90, 40, 60, seed=4)
    fold = encoding.folds(90, 5, 0)
    order = np.random.default_rng(0).permutation(90)
    found = []
    for responses in (y, y[order]):
        e = (
            encoding.ridge([x], responses, fold, alphas=ALPHAS)
            if regression == "ridge"
            else encoding.pls(x, responses, fold, components=5)
        )
        found.append(np.nanmean(encoding.correlations(e.observed, e.predicted)))
    assert found[0] > 0.15
    # All units share one shuffle; 60 of them have a standard error of about 0.1 together.
    assert abs(found[1]) < 0.1


def test_scores_against_numpy_and_scikit_learn():
    random = np.random.default_rng(3)
    y = random.standard_normal((30, 5))
    said = y * 0.3 + random.standard_normal((30, 5))
    y -= y.mean(axis=0)
    np.testing.assert_allclose(
        encoding.correlations(y, said), [np.corrcoef(a, b)[0, 1] for a, b in zip(y.T, said.T, strict=True)]
    )
    np.testing.assert_allclose(encoding.explained(y, said), r2_score(y, said, multioutput="raw_values"))
    assert np.isnan(encoding.correlations(np.ones((30, 1)), said[:, :1]))
    assert np.isnan(encoding.correlations(y[:, :1], np.full((30, 1), 0.1)))


def test_reliability_is_the_share_of_signal_variance():
    random = np.random.default_rng(5)
    signal = random.standard_normal((1, 2000, 20))
    for repeats, noise in ((2, 1.0), (3, 2.0), (4, 3.0), (10, 3.0)):
        seen = signal + noise * random.standard_normal((repeats, 2000, 20))
        expected = 1 / (1 + noise**2 / repeats)
        assert encoding.reliability(seen).mean() == pytest.approx(expected, abs=0.02)
    silent = random.standard_normal((4, 50, 400))
    assert np.nanmedian(encoding.reliability(silent)) == pytest.approx(0, abs=0.1)
    with pytest.raises(InputError, match="no noise ceiling"):
        encoding.reliability(signal)


def test_a_perfect_model_reaches_the_ceiling():
    random = np.random.default_rng(6)
    signal = random.standard_normal((3000, 8))
    repeats = signal + 2 * random.standard_normal((4, 3000, 8))
    ceiling = encoding.ceilings(encoding.reliability(repeats))
    reached = encoding.correlations(repeats.mean(axis=0), signal)
    np.testing.assert_allclose(reached / ceiling, 1, atol=0.04)
    assert np.isnan(encoding.ceilings(np.array([0.05, -0.2, np.nan]))).all()


def test_unique_and_common_variance_by_hand():
    r2 = {
        frozenset({0}): np.array([0.3]),
        frozenset({1}): np.array([0.2]),
        frozenset({0, 1}): np.array([0.4]),
    }
    found = encoding.partition(r2, 2)
    assert found[frozenset({0})].item() == pytest.approx(0.2)
    assert found[frozenset({1})].item() == pytest.approx(0.1)
    assert found[frozenset({0, 1})].item() == pytest.approx(0.1)


@pytest.mark.parametrize("n", [3, 4])
def test_parts_recover_a_venn_diagram(n):
    """R² of unions made from known cells of a Venn diagram give the cells back."""
    random = np.random.default_rng(n)
    cells = {
        frozenset(s): random.random(3) for k in range(1, n + 1) for s in itertools.combinations(range(n), k)
    }
    unions = {s: sum(v for cell, v in cells.items() if cell & s) for s in cells}
    found = encoding.partition(unions, n)
    for s, value in cells.items():
        np.testing.assert_allclose(found[s], value, atol=1e-12)


def test_bootstrap_interval_of_a_correlation_is_that_of_fisher():
    random = np.random.default_rng(7)
    x = random.standard_normal((400, 1))
    y = 0.5 * x + np.sqrt(0.75) * random.standard_normal((400, 1))
    found = encoding.Encoding(y, x, *(np.zeros((0, 0)),) * 2, *(np.zeros((0, 0, 0)),) * 2)
    samples = encoding.resampled(found, [np.array([0])], n=2000)[:, 0]
    assert np.arctanh(samples).std() == pytest.approx(1 / np.sqrt(397), rel=0.1)
    assert samples.mean() == pytest.approx(encoding.correlations(x, y).item(), abs=0.01)


def test_bad_input_is_a_sentence():
    x, y = problem(20, 5, 2)
    fold = encoding.folds(20, 2)
    with pytest.raises(InputError, match="features of 19 stimuli for responses to 20"):
        encoding.ridge([x[:19]], y, fold)
    with pytest.raises(InputError, match="Penalties must be positive"):
        encoding.ridge([x], y, fold, alphas=[0.0])
    with pytest.raises(InputError, match="Some responses are no numbers"):
        encoding.ridge([x], np.where(y > y.min(), y, np.nan), fold)
    with pytest.raises(InputError, match="Some features are no numbers"):
        encoding.pls(np.where(x > x.min(), x, np.inf), y, fold)
