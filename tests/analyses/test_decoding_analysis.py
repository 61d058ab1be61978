"""Reading out stimuli from layers and areas, through the front door."""

from __future__ import annotations

from urllib.parse import quote

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dashboard import compute, recordings, specs
from dashboard.errors import InputError
from dashboard.figures import decoding as figure
from dashboard.methods import decoding as method

pytestmark = pytest.mark.filterwarnings("ignore::dashboard.errors.CautionWarning")
OBJECTS = {"network": "bundled:objects_cnn", "stimuli": "objects?n=96&seed=3"}


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def test_the_probe_equals_scikit_learn_and_rises_with_depth():
    spec = specs.ProbeSpec(**OBJECTS, layers=("stem.0", "block3"), permutations=50)
    answer = compute.compute(spec)
    assert compute.stored(spec) is not None
    shown = specs.ActivationsSpec(**OBJECTS, layers=("block3",), reducer="spatial-mean")
    x = compute.compute(shown)["block3"].to_numpy().astype(np.float64)
    peer = make_pipeline(StandardScaler(), RidgeClassifierCV(method.ALPHAS))
    split = StratifiedKFold(5, shuffle=True, random_state=0)
    truth = answer["true"].to_numpy().astype(int)
    expected = cross_val_predict(peer, x, truth, cv=split)
    np.testing.assert_array_equal(answer["predicted"].to_numpy()[1], expected)
    assert answer["score"].to_numpy()[1] > answer["score"].to_numpy()[0]
    assert answer["score"].to_numpy()[1] > 0.4  # chance is 8 %
    assert answer["p_best"].to_numpy()[1] == pytest.approx(1 / 51)
    assert answer["confusion"].sum() == 2 * 96
    assert "read out best from block3" in figure.verdict(answer)


def test_numbers_and_unknown_columns():
    answer = compute.compute(specs.ProbeSpec(**OBJECTS, layers=("block1",), column="size", permutations=20))
    assert answer.attrs["task"] == "number"
    assert answer["score"].item() <= 1
    with pytest.raises(InputError, match="column of the stimuli"):
        compute.compute(specs.ProbeSpec(**OBJECTS, column="colr"))
    with pytest.raises(InputError, match="fewer than the 50 folds"):
        compute.compute(specs.ProbeSpec(**OBJECTS, layers=("block1",), folds=50))


def test_orientation_is_read_from_the_simulated_population_without_leakage():
    gratings = "gratings?orientations=18&spatial_frequencies=4:8:&phases=4"
    reference = f"simulated-v1?stimuli={quote(gratings, safe='')}&subjects=2&cells=60"
    answer = compute.compute(specs.DecodingSpec(recording=reference, column="orientation", permutations=30))
    assert answer["score"].item() <= 5
    assert answer["null"].min() > 30  # shuffled: a guess is 45 degrees off
    assert answer.attrs["simulated"] == "yes"
    drop = answer["drop_score"].mean("draw").to_numpy()[0]
    assert drop[0] > 3 * drop[-1]
    assert answer["n_units"].item() == 120


def test_importance_tells_informative_neurons_from_silent_ones():
    rng = np.random.default_rng(0)
    recording = recordings.load("simulated-v1?subjects=1&cells=80")
    x = recording.mean_responses("simulated V1")[0]
    noise = rng.poisson(x.mean(), size=x.shape) * 1.0  # no information, the same mean
    orientation = np.asarray(recording.stimuli.columns["orientation"])
    both = np.concatenate([x, noise], axis=1)
    weights, _ = method.coefficients(both, orientation, "orientation")
    value = np.abs(weights).mean(axis=0) * np.abs(both - both.mean(axis=0)).mean(axis=0)
    # the chance that an informative neuron ranks above a silent one
    auc = (value[:80, None] > value[None, 80:]).mean()
    assert auc >= 0.8


def test_recordings_with_only_rdms_are_refused(data_folder):
    with pytest.raises(InputError, match="nothing can be decoded"):
        compute.compute(specs.DecodingSpec(recording="kriegeskorte92"))
