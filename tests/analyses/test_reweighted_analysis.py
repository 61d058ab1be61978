"""Weighted channels as an answer: groups, held-out scores, words, charts and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard import compute, specs
from dashboard.errors import InputError
from dashboard.figures import export, reweighted
from dashboard.figures.alternative import alt_text

SPEC = specs.ReweightedSpec(
    network="bundled:tilt_cnn",
    recording="simulated-v1?subjects=3&cells=20&repeats=2&stimuli=neuromatch-gratings?n=16",
    layer="fc",
    groups=4,
    measure="pearson",
    repeats=2,
)


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(tmp_path_factory.mktemp("home")))
        yield compute.compute(SPEC)


def test_groups_and_weights(answer):
    assert dict(answer.sizes) == {"fit": 2, "subject": 3, "group": 4}
    assert answer.attrs["layer_name"] == "fc"
    assert answer.channels.values.tolist() == [3, 3, 2, 2]
    assert float(answer.weight.mean()) == pytest.approx(1)
    assert answer.score.notnull().all()


def test_words_and_charts(answer):
    said = reweighted.verdict(answer)
    assert said.startswith("Simulated: Weighing the channels of fc ")
    more = float(answer.score.sel(fit="reweighted").mean() - answer.score.sel(fit="unweighted").mean())
    assert reweighted.gain(answer)[0] == pytest.approx(more)
    assert ("raises" if more > 0 else "lowers") in said
    assert said.removeprefix("Simulated: ") in alt_text(answer)
    drawn = reweighted.score_chart(answer).to_dict()["layer"][0]["data"]["values"]
    assert [row["model"] for row in drawn][:2] == ["weights of groups, fitted", "all channels alike"]
    assert drawn[1]["score"] == pytest.approx(float(answer.score[1].mean()))
    weights = reweighted.weight_chart(answer).to_dict()["layer"][0]["data"]["values"]
    np.testing.assert_allclose([row["weight"] for row in weights], answer.weight)
    assert export.export("svg", answer).startswith(b"<svg")
    assert len(export.table(answer)) == (2 + 4) * 3


def test_what_cannot_be_fitted_is_refused(answer):
    with pytest.raises(InputError, match="hold nothing out"):
        compute.compute(SPEC.replace(repeats=0))
    with pytest.raises(InputError, match="groups must be"):
        compute.compute(SPEC.replace(groups=1))
    with pytest.raises(InputError, match="no sum over channels"):
        compute.compute(SPEC.replace(metric="euclidean"))
