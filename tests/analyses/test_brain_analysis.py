"""The comparison of layers with areas: right numbers, matched by name, honest about what it lacks."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from dashboard import compute, errors, recordings, specs
from dashboard.errors import InputError
from dashboard.figures import brain as figure

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
    assert list(answer.area.values) == ["human IT", "monkey IT", "similarity judgements"]
    assert answer.n_subjects.values.tolist() == [4, 1, 16]
    assert np.isnan(answer.ceiling_low.sel(area="monkey IT"))
    finite = np.isfinite(answer.subject_score).sum(("subject", "layer"))
    assert finite.values.tolist() == [4 * 2, 1 * 2, 16 * 2]
    assert (
        0
        < float(answer.ceiling_low.sel(area="human IT"))
        < float(answer.ceiling_high.sel(area="human IT"))
        < 1
    )
    assert "no-ceiling" in [c.code for c in given]
    # A trained network's late layers resemble human IT beyond chance (Khaligh-Razavi and Kriegeskorte 2014).
    assert float(answer.score.sel(area="human IT").max()) > 0.05


@pytest.fixture
def judged(monkeypatch):
    """Judgements of two people (n_people, n_pairs) beside an area whose own RDM is among the models."""
    load, n_pairs = recordings.load, 24 * 23 // 2
    people = np.random.default_rng(0).random((2, n_pairs))
    compute.store.default().clear()
    own = compute.compute(specs.AreaRdmSpec(recording=SIMULATED.recording)).mean_rdm.values[0]
    compute.store.default().clear()
    brought = {"behaviour": {"judgements": people}, "models": {"other": people[0] ** 2, "own": own}}
    monkeypatch.setattr(recordings, "load", lambda ref: dataclasses.replace(load(ref), **brought))
    yield people
    compute.store.default().clear()


def test_behaviour_stands_beside_areas_and_models_beside_layers(judged):
    asked = SIMULATED.replace(controls=("model:other", "model:own", "behaviour:judgements"), layers=("pool",))
    with errors.collect_cautions() as given:
        answer = compute.compute(asked)
    assert list(answer.area.values) == ["simulated V1", "judgements"]
    assert json.loads(answer.attrs["behaviour"]) == ["judgements"]
    assert answer.n_subjects.values.tolist() == [3, 2]
    areas = compute.compute(specs.AreaRdmSpec(recording=SIMULATED.recording))
    np.testing.assert_array_equal(areas.rdm.sel(area="judgements").values[3:], judged)
    assert areas.unit.values.tolist() == ["1 − Pearson r", "dissimilarity as judged"]
    each = [spearmanr(judged[0], person)[0] for person in judged]  # squares have the same ranks
    np.testing.assert_allclose(answer.model_score.sel(area="judgements", model="model:other"), np.mean(each))
    alone = compute.compute(asked.replace(controls=()))
    for name in ("score", "sem", "ci_low", "sample_score"):
        np.testing.assert_allclose(answer[name], alone[name], atol=1e-12)
    itself = {(str(a), str(m)) for a, m in np.argwhere(answer.model_itself.values == 1)}
    assert itself == {("0", "1"), ("1", "2")}
    assert [c.code for c in given].count("same-rdm") == 2


def test_the_figure_says_how_models_do_beside_layers(judged):
    asked = SIMULATED.replace(controls=("model:other", "model:own"), layers=("pool",))
    answer = compute.compute(asked)
    said = figure.verdict(answer, "simulated V1")
    assert "Beside it, other (" in said  # its own RDM is not named as a rival
    drawn = json.dumps(figure.layer_profile(answer, "simulated V1").to_dict())
    assert "diamond" in drawn
    assert "; then simple models" in drawn
    assert "judgements: of people, no brain area" in figure.caption(answer)
    assert figure.score_table(answer).layer.tolist() == ["pool"] * 2 + ["model:other", "model:own"] * 2
