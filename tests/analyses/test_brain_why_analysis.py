"""Where a score comes from, as answers: sums, groups, gradients that hold, words, charts and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard import compute, networks, specs
from dashboard.analyses.brain_why import channel_of_columns
from dashboard.errors import InputError
from dashboard.figures import brain_where, brain_why, export
from dashboard.figures.alternative import alt_text

COMMON = {
    "network": "bundled:tilt_cnn",
    "recording": "simulated-v1?subjects=3&cells=20&repeats=2&stimuli=neuromatch-gratings?n=16",
}


@pytest.fixture(scope="module", autouse=True)
def _home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def why(**changes):
    return compute.compute(specs.BrainWhySpec(**COMMON, **changes))


@pytest.fixture(scope="module")
def moved():
    return compute.compute(specs.BrainWhereSpec(**COMMON, layer="conv", most=3))


def test_channels_sum_to_the_score_of_the_brain_page():
    answer = why(groups=4)
    brain = compute.compute(specs.BrainSpec(**COMMON, bootstrap=10))
    assert answer.attrs["layer_name"] == str(brain.best.values[0])
    assert float(answer.share.sum()) == pytest.approx(float(brain.score.max()), abs=1e-6)
    assert float(answer.share.sum()) == pytest.approx(float(brain.score.max()), abs=1e-12)
    assert list(answer.channels.values) == [1, 1, 1, 7]
    fall = [float(answer.attrs["score"] - v) for v in answer.without.values[:3]]
    every = why(players="each")
    others = np.abs(float(every.attrs["score"]) - every.without.values)
    assert sorted(np.abs(fall)) == pytest.approx(sorted(others)[-3:])
    said = brain_why.verdict(answer)
    assert said.startswith("Simulated: To the Spearman ρ ")
    assert "The other 7 channels together add " in said
    assert "which is 0 by definition; all 16 groups of 4 players were scored" in brain_why.words(answer)
    assert brain_why.words(answer).removeprefix("Simulated: ")[:20] in alt_text(answer)
    assert brain_why.order_of(answer)[-1] == 3
    drawn = brain_why.chart(answer).to_dict()
    assert [row["player"] for row in drawn["layer"][0]["data"]["values"]][-1] == "other 7 channels"
    assert export.export("svg", answer).startswith(b"<svg")
    assert len(export.table(answer)) == 4


def test_layers_and_random_orders():
    layers = why(players="layers", measure="pearson")
    assert list(layers.player.values) == ["conv", "relu", "pool", "fc", "relu:2"]
    assert brain_why.order_of(layers) == [0, 1, 2, 3, 4]
    assert layers.attrs["gap"] < 1e-12
    units = why(players="each", layer="pool", reducer="subset?n=60", metric="cosine", orders=4)
    assert units.sizes["player"] == 6
    blocks = why(players="blocks", layer="fc", groups=4)
    assert list(blocks.player.values) == ["channels 0–2", "channels 3–5", "channels 6–7", "channels 8–9"]


def test_columns_know_their_channels():
    network = networks.load("bundled:tilt_cnn")
    pool = networks.select(network.layers, ["pool"])[0]
    owner = channel_of_columns(pool, "all")
    assert owner.reshape(pool.shape)[4].tolist() == np.full(pool.shape[1:], 4).tolist()
    assert channel_of_columns(pool, "spatial-mean").tolist() == list(range(6))
    assert channel_of_columns(pool, "peak").tolist() == 3 * list(range(6))
    with pytest.raises(InputError, match="mixes the channels"):
        channel_of_columns(pool, "projection?n=8")


def test_pictures_moved_along_the_gradient_raise_the_score_as_predicted(moved):
    np.testing.assert_allclose(moved.measured, moved.predicted, rtol=0.01)
    assert (moved.measured > 0).all()
    assert dict(moved.sizes) == {
        "shown": 3, "row": 48, "column": 64, "colour": 3, "stimulus": 16, "step": 3
    }  # fmt: skip
    brain = compute.compute(specs.BrainSpec(**COMMON, layers=("conv",), measure="pearson", bootstrap=10))
    assert moved.attrs["score"] == pytest.approx(float(brain.score[0, 0]), abs=1e-6)
    assert list(moved.shown.values) == list(moved.stimulus.values[np.argsort(-moved.norm.values)[:3]])


def test_words_and_maps_of_the_gradient(moved):
    said = brain_where.words(moved)
    assert f"is moved most by {moved.shown.values[0]}" in said
    assert "no pixel by more than 1 level of 255" in said
    assert "kinks" not in said
    kinked = compute.compute(specs.BrainWhereSpec(**COMMON, layer="fc", most=1))
    assert "kinks" in brain_where.check_words(kinked)  # flat parts of gratings under a maximum
    panels = brain_where.panels(moved)
    assert len(panels) == 6
    assert {(p.lo, p.hi) for p in panels if p.values is not None} == {(-panels[1].hi, panels[1].hi)}
    assert brain_where.step_chart(moved).to_dict()["layer"]
    assert export.export("svg", moved).startswith(b"<svg")
    assert len(export.table(moved)) == 16


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="no area"):
        why(area="V9")
    with pytest.raises(InputError, match="from 2 to"):
        why(groups=1)
    with pytest.raises(InputError, match="nothing to share"):
        why(players="layers", layers=("fc",))
    with pytest.raises(InputError, match="from 1 to 64"):
        compute.compute(specs.BrainWhereSpec(**COMMON, most=0))
    with pytest.raises(InputError, match="hours over all"):
        why(measure="tau-a")
