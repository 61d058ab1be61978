"""The comparison of layers with areas: right numbers, matched by name, honest about what it lacks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from dashboard import compute, errors, recordings, specs
from dashboard.errors import InputError

SIMULATED = specs.BrainSpec(
    network="bundled:tilt_cnn",
    recording="simulated-v1?subjects=3&cells=40&repeats=2&stimuli=neuromatch-gratings?n=24",
    bootstrap=50,
)
OBJECTS = specs.BrainSpec(
    network="torchvision:squeezenet1_0?weights=squeezenet1_0/model.safetensors",
    recording="kriegeskorte92",
    layers=("features.12", "classifier.1"),
    reducer="spatial-mean",
    bootstrap=100,
)


def test_scores_are_means_over_subjects_of_the_rank_correlation():
    answer = compute.compute(SIMULATED)
    areas = compute.compute(specs.AreaRdmSpec(recording=SIMULATED.recording))
    layers = compute.compute(
        specs.RdmSpec(network=SIMULATED.network, stimuli=f"recording:{SIMULATED.recording}")
    )
    for layer in answer.layer.values:
        model = np.round(layers.rdm.sel(layer=layer).values, 12)
        each = [spearmanr(model, subject)[0] for subject in areas.rdm.values[0]]
        np.testing.assert_allclose(answer.subject_score.sel(layer=layer)[0], each, atol=1e-9)
        np.testing.assert_allclose(answer.score.sel(layer=layer)[0], np.mean(each), atol=1e-9)
    assert answer.attrs["simulated"] == "yes"
    assert answer.attrs["measure_label"] == "Spearman ρ"


def test_intervals_ceilings_and_best_layer_hang_together():
    answer = compute.compute(SIMULATED)
    assert (answer.ci_low < answer.score).all()
    assert (answer.score < answer.ci_high).all()
    assert (answer.ceiling_low < answer.ceiling_high).all()
    best = str(answer.best.values[0])
    assert best == str(answer.layer.values[int(answer.score[0].argmax())])
    assert int(answer.indistinguishable.sel(layer=best)[0]) == 1
    assert dict(answer.sizes)["sample"] == 50
    assert int(answer.n_subjects[0]) == 3
    assert int(answer.n_stimuli[0]) == 24


def test_the_order_of_the_stimuli_does_not_matter(monkeypatch):
    """The recording's stimuli are given backwards; matched by name, every score stays."""
    want = compute.compute(SIMULATED)
    load = recordings.load
    backwards = specs.AreaRdmSpec(recording=SIMULATED.recording)
    compute.store.default().clear()
    monkeypatch.setattr(recordings, "load", lambda ref: _reversed(load(ref)))
    turned = compute.compute(backwards)
    got = compute.compute(SIMULATED)
    assert list(turned.stimulus.values) == list(
        want.attrs and reversed(load(SIMULATED.recording).stimulus_names)
    )
    np.testing.assert_allclose(got.score, want.score, atol=1e-12)


def _reversed(recording):
    return recording.select(reversed(recording.stimulus_names))


def test_too_few_samples_are_refused():
    with pytest.raises(InputError, match="bootstrap must be at least 2"):
        compute.compute(SIMULATED.replace(bootstrap=1))


def test_unknown_area_and_layer_name_the_known():
    with pytest.raises(InputError, match="simulated V1"):
        compute.compute(SIMULATED.replace(areas=("human V1",)))
    with pytest.raises(InputError, match="pool"):
        compute.compute(SIMULATED.replace(layers=("pol",)))


def test_crossnobis_uses_the_repeats_and_says_what_the_network_gets():
    with errors.collect_cautions() as given:
        answer = compute.compute(SIMULATED.replace(metric="crossnobis"))
    assert np.isfinite(answer.score).all()
    assert "crossnobis-network" in [c.code for c in given]


def test_human_and_monkey_it(data_folder):
    with errors.collect_cautions() as given:
        answer = compute.compute(OBJECTS)
    assert list(answer.area.values) == ["human IT", "monkey IT"]
    assert answer.n_subjects.values.tolist() == [4, 1]
    assert np.isnan(answer.ceiling_low.sel(area="monkey IT"))
    finite = np.isfinite(answer.subject_score).sum(("subject", "layer"))
    assert finite.values.tolist() == [4 * 2, 1 * 2]
    assert (
        0
        < float(answer.ceiling_low.sel(area="human IT"))
        < float(answer.ceiling_high.sel(area="human IT"))
        < 1
    )
    assert "no-ceiling" in [c.code for c in given]
    # A trained network's late layers resemble human IT beyond chance (Khaligh-Razavi and Kriegeskorte 2014).
    assert float(answer.score.sel(area="human IT").max()) > 0.05
