"""Combined layers as an answer: held-out scores by subject, weights that sum to one, words and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard import compute, specs
from dashboard.errors import InputError
from dashboard.figures import export, flexible
from dashboard.figures.alternative import alt_text

SPEC = specs.FlexibleSpec(
    network="bundled:tilt_cnn",
    recording="simulated-v1?subjects=3&cells=20&repeats=2&stimuli=neuromatch-gratings?n=16",
    layers=("pool", "fc"),
    measure="pearson",
    repeats=2,
)


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(tmp_path_factory.mktemp("home")))
        yield compute.compute(SPEC)


def test_scores_are_by_subject_and_weights_sum_to_one(answer):
    assert dict(answer.sizes) == {"area": 1, "fit": 3, "subject": 3, "layer": 2}
    np.testing.assert_allclose(answer.weight.sum("layer"), 1.0, atol=1e-12)
    assert answer.score.notnull().all()
    chosen = answer.weight.sel(fit="selected").values[0]
    assert chosen.max() <= 1
    # A layer that is chosen in every fold scores as it does alone.
    if chosen.max() == 1:
        np.testing.assert_allclose(
            answer.score.sel(fit="selected")[0], answer.single[0, int(chosen.argmax())], atol=1e-12
        )


def test_words_and_charts(answer):
    said = flexible.verdict(answer, "simulated V1")
    assert said.startswith("Simulated: A weighted sum of the layers does ")
    assert "chosen in training" in said
    assert "simulated V1" in alt_text(answer)
    drawn = flexible.score_chart(answer, "simulated V1").to_dict()
    rows = drawn["layer"][0]["data"]["values"]
    assert [row["model"] for row in rows[3:]] == ["pool", "fc"]
    assert rows[3]["score"] == pytest.approx(float(answer.single[0, 0].mean()))
    assert flexible.weight_chart(answer, "simulated V1").to_dict()["mark"]
    assert export.export("svg", answer).startswith(b"<svg")
    assert len(export.table(answer)) == 5 * 3


def test_nothing_held_out_is_refused():
    with pytest.raises(InputError, match="hold nothing out"):
        compute.compute(SPEC.replace(repeats=0))
