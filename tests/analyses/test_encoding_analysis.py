"""Encoding of single units and shared variance, through the front door."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import numpy as np
import pytest

from dashboard import compute, recordings, specs
from dashboard.analyses import encoding
from dashboard.errors import InputError, collect_cautions
from dashboard.figures import encoding as figure
from dashboard.figures import export
from dashboard.figures.alternative import alt_text

pytestmark = pytest.mark.filterwarnings("ignore::dashboard.errors.CautionWarning")
GRATINGS = quote("gratings?orientations=10&spatial_frequencies=4:8:&phases=3", safe="")
RECORDING = f"simulated-v1?stimuli={GRATINGS}&subjects=2&cells=20"
ASKED = specs.EncodingSpec(
    network="bundled:tilt_cnn", recording=RECORDING, layers=("conv", "pool"), bootstrap=50
)


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def answer(home):
    return compute.compute(ASKED)


def test_units_are_scored_labelled_and_normalised(answer):
    assert answer["r"].shape == (2, 40)
    assert list(answer["subject"].to_numpy()[[0, 20]]) == ["simulated subject 1", "simulated subject 2"]
    assert answer["number"].to_numpy()[20] == 0
    known = np.isfinite(answer["ceiling"].to_numpy())
    assert known.sum() > 30
    np.testing.assert_allclose(
        answer["normalised"].to_numpy()[:, known], (answer["r"] / answer["ceiling"]).to_numpy()[:, known]
    )
    truth = recordings.load(RECORDING).truth["simulated V1"]
    np.testing.assert_allclose(answer["x"].to_numpy(), truth["x"])
    assert answer["share"].sum().item() == pytest.approx(1)


def test_the_layer_of_choice_is_scored_with_the_predictions_it_made(answer):
    """Where all folds chose one layer, the unit's score is that layer's."""
    sure = np.flatnonzero(answer["agreement"].to_numpy() == 1)
    best = answer["best"].to_numpy()[sure]
    np.testing.assert_allclose(answer["best_r"].to_numpy()[sure], answer["r"].to_numpy()[best, sure])
    assert len(sure) > 5


def test_words_tables_and_figures(answer):
    said = figure.verdict(answer)
    assert "pool predicts simulated V1 best: median r =" in said
    assert "over 40 units" in said
    assert alt_text(answer).startswith("Simulated data. pool predicts")
    table = export.table(answer)
    assert len(table) == 80
    assert set(table["best"]) <= {"conv", "pool"}
    for ending in ("svg", "csv"):
        assert export.export(ending, answer)
    assert figure.unit_chart(answer, "", figure.CHOSEN).to_dict()
    assert figure.map_chart(answer, "", "pool", dark=True).to_dict()
    assert "Spearman–Brown" in figure.methods_text(answer)


def test_same_spec_same_bytes(answer):
    again = encoding.encode(ASKED)
    for name in ("r", "best_r", "low"):
        np.testing.assert_array_equal(again[name], answer[name])


def test_without_repeats_there_is_no_ceiling_and_it_is_said():
    recording = recordings.load(f"{RECORDING}&noise=none")
    with collect_cautions() as given:
        units = encoding.gather(recording, list(recording.areas))
    assert np.isnan(units.reliability).all()
    assert [c.code for c in given] == ["no-repeats"]


def test_units_with_missing_responses_are_left_out_and_counted():
    recording = recordings.load(RECORDING)
    area = recording.areas[0]
    given = recording.responses[area][0].copy()
    given[0, 3, 5] = np.nan
    broken = replace(recording, responses={area: (given, recording.responses[area][1])})
    with collect_cautions() as cautions:
        units = encoding.gather(broken, [area])
    assert len(units) == 39
    assert 5 not in units.number[:19]
    assert "1 of 40 units have missing responses" in cautions[0].message


def test_what_layers_share_sums_to_what_they_explain_together():
    spec = specs.PartitionSpec(
        network="bundled:tilt_cnn", recording=RECORDING, layers=("pool", "fc"), mixes=5
    )
    answer = compute.compute(spec)
    together = answer["r2"].to_numpy()[-1]
    np.testing.assert_allclose(answer["part"].sum("set"), together, atol=1e-12)
    np.testing.assert_allclose(answer["product"].sum("layer"), together, atol=1e-9)
    np.testing.assert_allclose(answer["weight"].sum("layer"), 1)
    assert "Together they explain" in figure.partition_verdict(answer)
    assert len(export.table(answer)) == 3 * 40
    assert figure.partition_chart(answer).to_dict()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"alphas": "1:zero"}, "positive numbers"),
        ({"areas": ("V9",)}, 'no area "V9"'),
        ({"bootstrap": 1}, "bootstrap must be"),
        ({"folds": 40}, "cannot be split into 40 folds"),
        ({"layers": ("nowhere",)}, "nowhere"),
    ],
)
def test_bad_settings_are_sentences(change, sentence):
    with pytest.raises(InputError, match=sentence):
        encoding.encode(ASKED.replace(**change))


def test_one_layer_has_nothing_to_share():
    with pytest.raises(InputError, match="two to four layers, not 1"):
        encoding.partition(
            specs.PartitionSpec(network="bundled:tilt_cnn", recording=RECORDING, layers=("pool",))
        )
