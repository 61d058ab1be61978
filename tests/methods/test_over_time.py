"""Courses of similarity and decoding over time: equal to what each time gives alone, and known latencies."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dashboard.errors import InputError
from dashboard.methods import clusters, decoding, inference, over_time, rdm, rsa

N, TIMES, START = 10, 24, 9


@pytest.fixture(scope="module")
def experiment() -> tuple[np.ndarray, np.ndarray]:
    """A model RDM (1, pairs) and movies of 4 subjects whose geometry is the model's from `START` on."""
    random = np.random.default_rng(0)
    latent = random.standard_normal((N, 3))
    model = rdm.dissimilarities(latent, "sqeuclidean").numpy()[None]
    movies = []
    for _ in range(4):
        units = latent @ random.standard_normal((3, 20))
        noise = random.standard_normal((2, N, 20, TIMES))
        gain = (np.arange(TIMES) >= START) * 1.0
        course = units[None, :, :, None] * gain + noise
        movies.append(
            [rdm.dissimilarities(course[..., t], "crossnobis", folds=[0, 1]).numpy() for t in range(TIMES)]
        )
    return model, np.array(movies)


@pytest.mark.parametrize("measure", ["pearson", "spearman", "whitened-cosine"])
def test_courses_are_the_similarities_of_each_time(experiment, measure):
    model, movies = experiment
    found = over_time.courses(model, movies, measure)
    assert found.shape == (4, 1, TIMES)
    for t in (0, 15):
        expected = rsa.similarity(model, movies[:, t], measure)
        np.testing.assert_allclose(found[:, :, t].T, expected, rtol=1e-10)
    np.testing.assert_allclose(
        over_time.ceilings(movies, measure)[:, 15], rsa.noise_ceiling(movies[:, 15], measure)
    )


def test_the_onset_is_found_within_one_bin_and_nothing_before(experiment):
    model, movies = experiment
    scores, _ = inference.label_scores(model, list(movies.swapaxes(0, 1)), "spearman", n=499)
    scores = scores.swapaxes(1, 2)
    values, threshold = clusters.standardised(scores), clusters.z_threshold(0.05)
    found = clusters.test(values, threshold)
    sure = [c for c in found.clusters if c.p_all <= 0.05]
    assert len(sure) == 1
    assert abs(sure[0].first - START) <= 1
    assert sure[0].last == TIMES - 1
    samples, t = over_time.resampled(model, movies, "spearman", n=60, seed=1)
    assert samples.shape == t.shape == (60, 1, TIMES)
    again = (samples - scores.mean(axis=0)) / scores.std(axis=0)
    late = over_time.latencies(
        values[0], again, np.arange(TIMES) * 10.0, threshold, found.critical_all, scores[0], samples
    )
    assert late.onset[0] == sure[0].first * 10
    assert late.onset_ci[0, 0] <= START * 10 <= late.onset_ci[0, 1] + 10
    assert late.peak[0] >= START * 10
    assert late.found[0] > 0.9


def test_resamples_of_whole_sets_are_the_courses_themselves(experiment, monkeypatch):
    model, movies = experiment

    class Same:
        def integers(self, high, size):
            return np.arange(size)

    monkeypatch.setattr(over_time.np.random, "default_rng", lambda *_: Same())
    samples, t = over_time.resampled(model, movies, "spearman", n=1)
    scores = over_time.courses(model, movies, "spearman")
    np.testing.assert_allclose(samples[0], scores.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(t[0], scores.mean(0) / (scores.std(0, ddof=1) / 2), rtol=1e-10)


# --- decoding -----------------------------------------------------------------------------------------------


def patterns(task: str, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return patterns (24, 15, 6) that tell the target from the third time on, and the target."""
    place = np.arange(24)
    target = {"classes": place % 3, "orientation": place * 7.5, "number": place / 5.0}[task]
    columns = decoding.coded(target, task)
    signal = columns @ random.standard_normal((columns.shape[1], 15))
    x = 0.5 * random.standard_normal((24, 15, 6))
    x[:, :, 2:] += signal[:, :, None]
    return x, target


@pytest.mark.parametrize("task", ["classes", "orientation", "number"])
def test_the_diagonal_is_the_decoding_of_each_time_with_its_shuffles(task):
    x, target = patterns(task, np.random.default_rng(5))
    fold = decoding.folds(target if task == "classes" else None, 24, 4, 0)
    found = over_time.generalised(x, target, task, fold, over_time.label_orders(fold, 24, 5, 3))
    for t in range(6):
        alone = decoding.decode(x[:, :, t], target, task, fold, permutations=5, seed=3)
        np.testing.assert_allclose(found[0, t, t], alone.score, atol=1e-9)
        np.testing.assert_allclose(found[1:, t, t], alone.null, atol=1e-9)
    better = -1 if task == "orientation" else 1
    late, early = better * found[0, 2:, 2:], better * found[0, :2, 2:]
    assert late.min() > early.max()


@pytest.mark.parametrize("model", ["logistic", "svm"])
def test_classifiers_of_one_time_are_tested_at_all_without_having_seen_the_samples(model):
    x, target = patterns("classes", np.random.default_rng(5))
    fold = decoding.folds(target, 24, 4, 0)
    told: list[float] = []
    orders = over_time.label_orders(fold, 24, 3, 3)
    found = over_time.generalised(x, target, "classes", fold, orders, told.append, model)
    for t in range(6):
        alone = decoding.decode(x[:, :, t], target, "classes", fold, permutations=3, seed=3, model=model)
        assert found[0, t, t] == pytest.approx(alone.score)
        np.testing.assert_allclose(found[1:, t, t], alone.null)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    # Two times apart against scikit-learn, fold by fold.
    right = 0
    for k in range(4):
        train = fold != k
        peer = make_pipeline(StandardScaler(), decoding.FITS[model](x[train, :, 2]).made())
        right += int(
            (peer.fit(x[train, :, 2], target[train]).predict(x[~train, :, 5]) == target[~train]).sum()
        )
    assert found[0, 2, 5] == pytest.approx(right / 24)
    with pytest.raises(InputError, match="decodes classes only"):
        over_time.generalised(x, target.astype(float), "number", fold, orders, model=model)


def test_networks_of_one_time_are_those_of_the_ordinary_decoder(monkeypatch):
    monkeypatch.setattr(decoding, "STEPS", 40)
    x, target = patterns("number", np.random.default_rng(5))
    x = x[:, :, 1:3]
    fold = decoding.folds(None, 24, 2, 0)
    told: list[float] = []
    orders = over_time.label_orders(fold, 24, 1, 3)
    found = over_time.generalised(x, target, "number", fold, orders, told.append, "mlp", seed=3)
    for t in range(2):
        alone = decoding.decode(x[:, :, t], target, "number", fold, permutations=1, seed=3, model="mlp")
        assert found[0, t, t] == pytest.approx(alone.score, abs=1e-3)  # float32, trained in other company
        np.testing.assert_allclose(found[1:, t, t], alone.null, atol=1e-3)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    assert found[0, 1, 1] > found[0, 0].max()
    other = over_time.generalised(x, target, "number", fold, orders[:1], model="mlp", seed=4)
    assert other[0, 1, 1] != found[0, 1, 1]


def test_a_code_that_turns_is_read_only_while_it_stands():
    random = np.random.default_rng(6)
    target = np.arange(32) % 2
    first, second = np.linalg.qr(random.standard_normal((20, 2)))[0].T
    x = 0.3 * random.standard_normal((32, 20, 4))
    signs = np.where(target, 1.0, -1.0)[:, None]
    x[:, :, :2] += 3 * (signs * first)[:, :, None]
    x[:, :, 2:] += 3 * (signs * second)[:, :, None]
    fold = decoding.folds(target, 32, 4, 0)
    found = over_time.generalised(x, target, "classes", fold, np.arange(32)[None])[0]
    assert found[:2, :2].min() == found[2:, 2:].min() == 1.0
    assert found[:2, 2:].max() < 0.85
    assert found[2:, :2].max() < 0.85


def test_shuffled_labels_give_chance_and_repeats_of_a_stimulus_stay_together():
    random = np.random.default_rng(7)
    repeats, n = 4, 12
    own = random.standard_normal((n, 30))  # every stimulus has a pattern of its own
    x = (own + 0.1 * random.standard_normal((repeats, n, 30))).reshape(-1, 30)[:, :, None]
    fold, stimulus = np.repeat(np.arange(repeats), n), np.tile(np.arange(n), repeats)
    target = np.tile(np.arange(n) % 2, repeats)
    orders = over_time.label_orders(fold, n, 40, 1)
    for order in orders:  # one new label per stimulus, taken from the same repeat
        assert (fold[order] == fold).all()
        assert len({(s, o) for s, o in zip(stimulus, stimulus[order], strict=True)}) == n
    found = over_time.generalised(x, target, "classes", fold, orders)[:, 0, 0]
    # Stimuli seen before are told by their own patterns, whatever their label: the null knows that.
    assert found[0] > 0.9
    assert found[1:].mean() > 0.9
    by_stimulus = decoding.folds(target[:n], n, 3, 0)
    mean = x.reshape(repeats, n, 30, 1).mean(axis=0)
    honest = over_time.generalised(
        mean, target[:n], "classes", by_stimulus, over_time.label_orders(by_stimulus, n, 200, 1)
    )[1:, 0, 0]
    assert abs(honest.mean() - 0.5) < 0.08


def test_neighbouring_bins_are_averaged():
    values, times = over_time.neighbours_averaged(np.arange(10.0)[None], np.arange(10.0), 4)
    assert values.tolist() == [[1.0, 4.0, 7.0, 9.0]]
    assert times.tolist() == [1.0, 4.0, 7.0, 9.0]
    with pytest.raises(InputError, match="no course"):
        over_time.neighbours_averaged(np.zeros((1, 4)), np.zeros(4), 1)
