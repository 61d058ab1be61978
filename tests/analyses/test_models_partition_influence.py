"""Simple models, variance split and influence as answers: matched to the recording, named, refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from dashboard import compute, specs, stimuli
from dashboard.errors import InputError
from dashboard.figures import export, influence, partition, rdms
from dashboard.figures.alternative import alt_text

RECORDING = "simulated-v1?subjects=3&cells=20&repeats=2&stimuli=neuromatch-gratings?n=16"
COMMON = {"network": "bundled:tilt_cnn", "recording": RECORDING}


@pytest.fixture(scope="module", autouse=True)
def _home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def split():
    return compute.compute(
        specs.RdmPartitionSpec(**COMMON, models=("pool", "factor:tilt"), bootstrap=40, measure="pearson")
    )


@pytest.fixture(scope="module")
def influenced():
    return compute.compute(specs.InfluenceSpec(**COMMON, measure="pearson"))


def test_models_of_a_stimulus_set():
    answer = compute.compute(specs.ModelRdmSpec(stimuli="neuromatch-gratings?n=8"))
    assert {"pixels", "gist", "luminance", "factor:tilt"} <= set(map(str, answer.model.values))
    tilt = stimuli.load("neuromatch-gratings?n=8").columns["tilt"]
    np.testing.assert_allclose(answer.rdm.sel(model="factor:tilt"), pdist(tilt[:, None]), atol=1e-12)
    panels = rdms.matrices(None, answer)
    assert panels[0].role == "control"
    assert "model" in export.export("csv", answer).decode().splitlines()[0]
    with pytest.raises(InputError, match="no model"):
        compute.compute(specs.ModelRdmSpec(stimuli="neuromatch-gratings?n=8", models=("behaviour:x",)))


def test_controls_enter_the_tests():
    answer = compute.compute(
        specs.InferenceSpec(
            **COMMON, layers=("pool",), controls=("pixels",), bootstrap=20, permutations=19, measure="pearson"
        )
    )
    assert list(answer.model.values) == ["pool", "pixels"]
    assert list(answer.source.values) == ["first", "control"]


def test_parts_add_up_and_are_said(split):
    assert list(split.part.values) == ["only pool", "only factor:tilt", "pool and factor:tilt"]
    np.testing.assert_allclose(split.share.sum("part"), split.total, atol=1e-12)
    said = partition.verdict(split, "simulated V1")
    assert said.startswith("Simulated: Together pool and factor:tilt explain ")
    assert partition.percent(float(split.total[0])) in said
    rows = partition.parts_chart(split, "simulated V1").to_dict()["data"]["values"]
    assert [row["share"] for row in rows[:3]] == split.share.values[0].tolist()
    assert len(export.table(split)) == 5
    assert export.export("svg", split).startswith(b"<svg")


def test_what_cannot_be_split_is_refused():
    with pytest.raises(InputError, match="not 1"):
        compute.compute(specs.RdmPartitionSpec(**COMMON, models=("pool",)))
    with pytest.raises(InputError, match="are 3 layers"):
        compute.compute(specs.RdmPartitionSpec(**COMMON, models=("relu*", "pool")))


def test_influence_is_of_the_best_layer_and_drawn(influenced):
    brain = compute.compute(specs.BrainSpec(**COMMON, measure="pearson", bootstrap=20))
    assert influenced.attrs["layer_name"] == str(brain.best.values[0])
    assert influenced.attrs["score"] == pytest.approx(float(brain.score.max()), abs=1e-12)
    assert influenced.gap.min() >= -1
    names = list(map(str, influenced.stimulus.values))
    first = names[int(influenced.influence.argmax())]
    assert influence.verdict(influenced).startswith(f"Simulated: {first} adds most to the similarity")
    assert alt_text(influenced).endswith(influence.words(influenced).removeprefix("Simulated: "))
    small = {name: np.zeros((8, 8, 3), np.uint8) for name in names}
    bars = influence.influence_chart(influenced, small).to_dict()
    assert bars["data"]["values"][0]["stimulus"] == first
    assert bars["data"]["values"][0]["url"].startswith("data:image/png")
    pairs = influence.pair_chart(influenced, small).to_dict()["data"]["values"]
    gaps = [row["layer"] - row["area"] for row in pairs]
    assert gaps == sorted(gaps, reverse=True)
    assert max(gaps) == pytest.approx(float(influenced.gap.max()))
    assert len(influence.pair_table(influenced)) == len(pairs)
