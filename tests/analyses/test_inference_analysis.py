"""Tests of layers: the same scores as the Brain page's, corrections as asked, one network or two."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard import compute, specs
from dashboard.errors import InputError
from dashboard.methods import inference

RECORDING = "simulated-v1?subjects=3&cells=20&repeats=2&stimuli=neuromatch-gratings?n=16"
SPEC = specs.InferenceSpec(
    network="bundled:tilt_cnn",
    recording=RECORDING,
    layers=("pool", "fc"),
    second="bundled:tilt_cnn?untrained&seed=1",
    second_layers=("pool",),
    measure="pearson",
    bootstrap=40,
    permutations=49,
)


@pytest.fixture(scope="module", autouse=True)
def _home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def answer():
    return compute.compute(SPEC)


def test_layers_of_both_networks_stand_side_by_side(answer):
    assert list(answer.source.values) == ["first", "first", "second"]
    assert list(answer.model.values[:2]) == ["pool", "fc"]
    assert str(answer.model.values[2]).startswith("pool (")
    alone = compute.compute(
        specs.BrainSpec(
            network=SPEC.second, recording=RECORDING, layers=("pool",), measure="pearson", bootstrap=40
        )
    )
    np.testing.assert_allclose(answer.score[0, 2], alone.score[0, 0], atol=1e-12)
    np.testing.assert_allclose(answer.ci_low[0, 2], alone.ci_low[0, 0], atol=1e-12)


def test_corrections_change_only_what_they_correct(answer):
    assert answer.attrs["correction"] == "fdr"
    for name in ("holm", "max", "none"):
        other = compute.compute(SPEC.replace(correction=name))
        np.testing.assert_array_equal(other.p_zero, answer.p_zero)
        np.testing.assert_array_equal(other.p_labels, answer.p_labels)
        adjust = inference.CORRECTIONS[name].adjust
        np.testing.assert_array_equal(other.p_zero_adjusted, adjust(answer.p_zero.values))
    np.testing.assert_allclose(
        answer.p_zero_adjusted, inference.benjamini_hochberg(answer.p_zero.values), atol=1e-15
    )
    assert (answer.p_labels_max >= answer.p_labels - 1e-12).all()


def test_without_shuffles_there_is_no_p_of_labels(answer):
    none = compute.compute(SPEC.replace(permutations=0, second=""))
    assert none.p_labels.isnull().all()
    assert none.sizes["model"] == 2


def test_what_cannot_be_tested_is_refused():
    with pytest.raises(InputError, match="10 shuffles cannot reach"):
        compute.compute(SPEC.replace(correction="max", permutations=10))
    with pytest.raises(InputError, match="bootstrap must be at least 2"):
        compute.compute(SPEC.replace(bootstrap=1))
    with pytest.raises(InputError, match="at least 0"):
        compute.compute(SPEC.replace(permutations=-1))


def test_uncentred_measures_carry_a_caution():
    found = compute.compute(SPEC.replace(measure="cosine", second="", permutations=19))
    assert any(c.code == "uncentred" for c in compute.cautions(found))


def test_one_subject_has_no_ceiling():
    found = compute.compute(
        SPEC.replace(
            recording=RECORDING.replace("subjects=3", "subjects=1"), second="", permutations=0, bootstrap=20
        )
    )
    assert found.p_ceiling.isnull().all()
    assert any("no noise ceiling" in c.message for c in compute.cautions(found))
