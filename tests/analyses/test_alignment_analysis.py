"""Alignment of networks through the front door."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard import compute, specs
from dashboard.errors import InputError
from dashboard.figures import alignment as figure
from dashboard.figures import export
from dashboard.methods import alignment

pytestmark = pytest.mark.filterwarnings("ignore::dashboard.errors.CautionWarning")
ASKED = specs.AlignmentSpec(
    network="bundled:tilt_cnn",
    second="bundled:tilt_cnn?untrained&seed=0",
    stimuli="gratings?orientations=12&phases=2&spatial_frequencies=4:8",
    layers=("conv", "pool", "fc"),
    second_layers=("pool", "fc"),
    bootstrap=20,
)


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def answer(home):
    return compute.compute(ASKED)


def test_scores_are_those_of_the_activations(answer):
    sides = [
        compute.compute(
            specs.ActivationsSpec(network=network, stimuli=ASKED.stimuli, layers=("pool",), reducer="all")
        )["pool"].to_numpy()
        for network in (ASKED.network, ASKED.second)
    ]
    expected = alignment.cka(*sides)
    assert answer["score"].sel(layer="pool", partner="pool").item() == pytest.approx(expected, abs=1e-10)
    assert (answer["low"] <= answer["high"]).all()


def test_words_and_files(answer):
    said = figure.verdict(answer)
    assert "of Tilt CNN and" in said
    assert "with shuffled stimuli" in said
    assert "two copies of one stimulus are never a pair" in figure.caption(answer)
    assert len(export.table(answer)) == 6
    assert export.export("svg", answer)
    assert figure.matrix_chart(answer, dark=True).to_dict()["description"] == said


def test_within_one_network_a_layer_is_not_its_own_partner():
    answer = compute.compute(ASKED.replace(second=ASKED.network, second_layers=(), measure="svcca"))
    np.testing.assert_allclose(np.diag(answer["score"]), 1, atol=1e-8)
    assert "of different layers" in figure.verdict(answer)
    assert all(k != p for k, p in enumerate(figure.partners(answer)))


def test_cca_of_wide_layers_has_a_reason_instead_of_a_value():
    answer = compute.compute(ASKED.replace(measure="cca"))
    assert np.isnan(answer["score"].sel(layer="conv", partner="fc").item())
    assert "CCA would fit anything" in str(answer["reason"].sel(layer="conv", partner="fc").item())
    assert "spatial-mean" in answer.attrs["cautions"]
    assert export.export("svg", answer)


def test_bad_settings_are_sentences():
    with pytest.raises(InputError, match="bootstrap must be"):
        compute.compute(ASKED.replace(bootstrap=1))
    with pytest.raises(InputError, match="too few"):
        compute.compute(ASKED.replace(stimuli="gratings?orientations=3&phases=1&spatial_frequencies=4"))
