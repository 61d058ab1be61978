"""The numbers of predictions against scikit-learn, statsmodels' formula and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.errors import InputError
from dashboard.methods import classification

sklearn = pytest.importorskip("sklearn")


@pytest.fixture
def labels():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 6, 300)
    predicted = np.where(rng.random(300) < 0.7, truth, rng.integers(0, 6, 300))
    return truth, predicted


def test_confusion_and_scores_of_classes_equal_scikit_learn(labels):
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    counts = classification.confusion(*labels, 6)
    np.testing.assert_array_equal(counts, confusion_matrix(*labels))
    found = classification.per_class(counts)
    wanted = precision_recall_fscore_support(*labels)
    for ours, theirs in zip(found, wanted, strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)


def test_a_class_without_stimuli_has_no_recall_and_one_never_called_no_precision():
    found = classification.per_class(classification.confusion([0, 0, 1], [0, 0, 0], 3))
    np.testing.assert_allclose(found.precision, [2 / 3, np.nan, np.nan])
    np.testing.assert_allclose(found.recall, [1, 0, np.nan])
    np.testing.assert_allclose(found.f1, [0.8, 0, np.nan])


def test_wilson_interval_against_scipy():
    from scipy.stats import binomtest

    for k, n in ((0, 10), (3, 10), (10, 10), (238, 240), (1, 1)):
        wanted = binomtest(k, n).proportion_ci(0.95, "wilson")
        np.testing.assert_allclose(classification.wilson(k, n), wanted, atol=1e-12)
    assert np.isnan(classification.wilson(0, 0)).all()
    assert classification.wilson(0, 7)[0] == 0
    assert classification.wilson(7, 7)[1] == 1


def test_calibration_equals_scikit_learn_and_its_error_a_count_by_hand():
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(1)
    sure = rng.random(500)
    right = rng.random(500) < sure**1.5
    found = classification.calibration(sure, right, 10)
    accuracy, confidence = calibration_curve(right, sure, n_bins=10)
    np.testing.assert_allclose(found.accuracy, accuracy)
    np.testing.assert_allclose(found.confidence, confidence)
    gaps = [
        abs(sure[m].mean() - right[m].mean()) * m.mean()
        for k in range(10)
        if (m := (sure > k / 10) & (sure <= (k + 1) / 10)).any()
    ]
    assert found.error == pytest.approx(sum(gaps), rel=1e-12)
    assert found.n.sum() == 500


def test_calibration_of_few_sure_predictions():
    found = classification.calibration([1.0, 1.0, 0.0, 0.5], [True, False, False, True], 2)
    np.testing.assert_array_equal(found.n, [2, 2])
    np.testing.assert_allclose(found.confidence, [0.25, 1.0])
    np.testing.assert_allclose(found.accuracy, [0.5, 0.5])
    assert found.error == pytest.approx(0.5 * 0.25 + 0.5 * 0.5)
    assert np.isnan(classification.calibration([], []).error)


def test_overlap_of_masks_equals_jaccard_score():
    from sklearn.metrics import jaccard_score

    rng = np.random.default_rng(2)
    a, b = rng.random((4, 8, 8)) < 0.4, rng.random((4, 8, 8)) < 0.5
    a[3] = b[3] = False
    wanted = [jaccard_score(x.ravel(), y.ravel()) for x, y in zip(a[:3], b[:3], strict=True)]
    np.testing.assert_allclose(classification.iou(a, b), [*wanted, 1.0])


def test_errors_of_angles_go_the_short_way():
    np.testing.assert_allclose(
        classification.angle_errors([170.0, 10.0, 45.0, 0.0], [10.0, 170.0, 50.0, 90.0]), [20, -20, 5, -90]
    )


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: classification.confusion([0, 1], [0], 2),
        lambda: classification.confusion([0, 2], [0, 1], 2),
        lambda: classification.confusion([0, -1], [0, 1], 2),
        lambda: classification.calibration([1.2], [True]),
        lambda: classification.calibration([np.nan], [True]),
        lambda: classification.calibration([0.2], [True], 0),
        lambda: classification.iou(np.zeros((1, 2, 2)), np.zeros((1, 2, 3))),
    ],
)
def test_what_does_not_fit_is_refused(wrong):
    with pytest.raises(InputError):
        wrong()


def test_orientations_are_half_of_the_doubled_angle():
    wanted = np.array([0.0, 30.0, 90.0, 179.0])
    doubled = np.deg2rad(2 * wanted)
    given = np.stack([np.cos(doubled), np.sin(doubled)], axis=1) * np.array([[0.1], [1], [2], [1]])
    np.testing.assert_allclose(classification.orientations(given), wanted, atol=1e-9)


def test_best_constant_angle_minimises_the_mean_error():
    truth = np.array([1.0, 179.0, 178.0, 60.0])
    angle, error = classification.best_constant_angle(truth)
    every = [np.abs(classification.angle_errors(truth, a)).mean() for a in np.arange(0, 180, 0.1)]
    assert error == pytest.approx(min(every))
    assert angle in truth


def test_mean_interval_has_the_width_that_the_central_limit_theorem_gives():
    x = np.random.default_rng(0).normal(3, 2, 400)
    mean, low, high = classification.mean_interval(x)
    assert mean == pytest.approx(x.mean())
    assert (high - low) / 2 == pytest.approx(1.96 * x.std() / 20, rel=0.08)
    assert classification.mean_interval(x) == (mean, low, high)
    assert np.isnan(classification.mean_interval([1.0])[1:]).all()
    with pytest.raises(InputError):
        classification.mean_interval([])
