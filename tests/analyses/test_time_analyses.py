"""Similarity and decoding over time on simulated cells whose latency is known."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import numpy as np
import pytest

from dashboard import compute, provenance, recordings, specs
from dashboard.errors import InputError
from dashboard.figures import export, time_decoding, time_rsa
from dashboard.methods import rdm

pytestmark = pytest.mark.filterwarnings("ignore::dashboard.errors.CautionWarning")
SHOWN = quote("gratings?orientations=12&spatial_frequencies=8:&phases=1&size=64", safe="")
SMALL = f"simulated-time?stimuli={SHOWN}&subjects=3&cells=40&repeats=3&latency=100&noise=0.5"


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def rsa_spec() -> specs.TimeRsaSpec:
    return specs.TimeRsaSpec(
        network="bundled:tilt_cnn", recording=SMALL, layers=("pool",), permutations=199, bootstrap=40
    )


@pytest.fixture(scope="module")
def similar(rsa_spec):
    return compute.compute(rsa_spec)


@pytest.fixture(scope="module")
def decoded():
    return compute.compute(
        specs.TimeDecodingSpec(recording=SMALL, column="orientation", folds=4, bins=25, permutations=19)
    )


def test_onset_and_nothing_before(similar):
    assert similar.attrs["metric"] == "crossnobis"
    assert abs(similar.onset.item() - 105) <= 10
    before = similar.significant.sel(time=slice(None, 90)).to_numpy()
    assert not before.any()
    assert similar.onset_low.item() <= 105 <= similar.onset_high.item() + 10
    assert re.fullmatch(r"\d+, 95 % \d+ to \d+", time_rsa.layer_table(similar)["onset (ms)"].item())
    assert "Simulated: pool resembles simulated V1 from about" in time_rsa.verdict(similar)


def test_movies_are_the_rdms_of_each_time(similar):
    recording = recordings.load(SMALL)
    t = 30
    one = [
        rdm.dissimilarities(course[..., t], "crossnobis", folds=range(3)).numpy()
        for course in recording.over_time("simulated V1")
    ]
    np.testing.assert_allclose(similar.movie.to_numpy()[t], np.mean(one, axis=0), rtol=1e-10)
    assert len(time_rsa.movie(similar, [-95.0, 105.0])) == 2
    assert time_rsa.telling_times(similar)[0] == -95


def test_flipping_signs_of_three_subjects_says_that_it_cannot_tell(rsa_spec):
    answer = compute.compute(rsa_spec.replace(shuffle="subjects", metric="correlation"))
    assert answer.attrs["n_labellings"] == 8
    assert not answer.significant.to_numpy().any()
    assert any("8 ways" in c.message for c in compute.cautions(answer))
    assert "No layer resembles" in time_rsa.verdict(answer)
    shown = time_rsa.layer_table(answer)
    assert (shown["onset (ms)"].item(), shown["peak (ms)"].item()) == ("no onset", "no peak")


def test_decoding_begins_with_the_code(decoded):
    times = decoded.trained.to_numpy()
    sure = times[decoded.diagonal_significant.to_numpy() > 0]
    assert abs(sure[0] - 110) <= 20  # bins of 20 ms
    late = times > 200
    assert decoded.score.to_numpy()[np.ix_(late, late)].mean() < 20  # degrees; the best constant has 45
    assert "is read out of simulated V1" in time_decoding.verdict(decoded)


def test_classes_are_decoded_over_time_by_classifiers_and_orientations_are_not(decoded):
    shown = quote("gratings?orientations=2&spatial_frequencies=8:&phases=8&size=32", safe="")
    small = f"simulated-time?stimuli={shown}&subjects=1&cells=20&repeats=2&latency=100&noise=0.3"
    spec = specs.TimeDecodingSpec(
        recording=small, column="category", model="logistic", folds=4, bins=10, permutations=19
    )
    answer = compute.compute(spec)
    late = answer.trained.to_numpy() > 150
    assert answer.score.to_numpy()[np.ix_(late, late)].mean() > 0.9
    assert "Logistic regressions of 20 units" in time_decoding.caption(answer)
    assert "logistic regression (multinomial" in provenance.methods_text(json.loads(answer.attrs["record"]))
    with pytest.raises(InputError, match="decodes classes only"):
        compute.compute(spec.replace(column="orientation"))


@pytest.mark.parametrize("which", ["similar", "decoded"])
def test_figures_and_tables_for_files(which, request):
    answer = request.getfixturevalue(which)
    module = time_rsa if which == "similar" else time_decoding
    for dark in (False, True):
        chart = json.dumps(module.chart(answer, dark).to_dict())
        assert "(ms)" in chart
    assert "simulated V1" in export.export("csv", answer, None).decode("utf-8")[:4000] or len(
        module.table(answer)
    )
    module.main_chart(answer).to_dict()
    if which == "decoded":  # a picture keeps its size, so its axes must, too
        drawn = module.chart(answer).to_dict()
        assert drawn["autosize"]["type"] == "pad"
        assert drawn["layer"][0]["mark"]["width"] == drawn["width"] == drawn["height"]


def test_what_cannot_be_is_said(rsa_spec):
    with pytest.raises(InputError, match="no responses over time"):
        compute.compute(rsa_spec.replace(recording="simulated-v1?subjects=1&cells=5"))
    with pytest.raises(InputError, match="cannot reach"):
        compute.compute(rsa_spec.replace(permutations=5))
    with pytest.raises(InputError, match="between 0 and 0.5"):
        compute.compute(rsa_spec.replace(forming=0.9))
    with pytest.raises(InputError, match="no repeats"):
        compute.compute(
            specs.TimeDecodingSpec(recording=SMALL.replace("repeats=3", "repeats=1"), split="repeat")
        )


def test_outline_goes_about_what_is_inside():
    inside = np.zeros((3, 3), dtype=bool)
    inside[1, 1] = True
    edges = time_decoding.outline(inside, np.array([0.0, 10.0, 20.0]), 10.0)
    assert len(edges) == 4
    assert {e["x"] for e in edges} | {e["x2"] for e in edges} == {5.0, 15.0}
    assert {e["y"] for e in edges} | {e["y2"] for e in edges} == {5.0, 15.0}
