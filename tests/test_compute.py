"""One question, one answer: keys follow bytes and settings, answers are stored once, with their record."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from dashboard import analyses, compute, errors, provenance, specs, store
from dashboard.errors import InputError

RDM = specs.RdmSpec(network="bundled:tilt_cnn", stimuli="neuromatch-gratings?n=12", layers=("pool", "fc"))


def test_every_kind_of_spec_has_an_analysis():
    assert set(analyses.ANALYSES) == set(specs.KINDS)
    for analysis in analyses.ANALYSES.values():
        assert set(analysis.builds_on) <= set(specs.KINDS)


def test_key_depends_on_every_setting_and_not_on_the_spelling_of_a_reference():
    keys = {
        compute.key(spec)
        for spec in (
            RDM,
            RDM.replace(metric="euclidean"),
            RDM.replace(layers=("pool",)),
            RDM.replace(reducer="spatial-mean"),
            RDM.replace(stimuli="neuromatch-gratings?n=13"),
            RDM.replace(network="bundled:tilt_cnn?untrained&seed=0"),
            RDM.replace(network="bundled:tilt_cnn?untrained&seed=1"),
        )
    }
    assert len(keys) == 7
    assert compute.key(RDM) == compute.key(RDM.replace(stimuli="neuromatch-gratings?n=12&low=-90"))


def test_key_follows_the_version_of_what_an_answer_builds_on(monkeypatch):
    before = compute.key(RDM)
    newer = analyses.Analysis("activations", "activations", 99, kept=False)
    monkeypatch.setitem(analyses.ANALYSES, "activations", newer)
    assert compute.key(RDM) != before


def test_the_rdm_of_the_neuromatch_lesson():
    """RDM = 1 - ZZ'/N with rows z-scored over units, as the course defines it."""
    answer = compute.compute(RDM)
    patterns = compute.compute(
        specs.ActivationsSpec(network=RDM.network, stimuli=RDM.stimuli, layers=("pool", "fc"))
    )
    for layer in ("pool", "fc"):
        x = patterns[layer].values.astype(np.float64)
        z = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
        wanted = (1 - z @ z.T / x.shape[1])[np.triu_indices(len(x), 1)]
        np.testing.assert_allclose(answer.rdm.sel(layer=layer), wanted, rtol=1e-10, atol=1e-12)
    assert dict(answer.sizes) == {"layer": 2, "pair": 66, "stimulus": 12}
    assert answer.rdm.attrs["units"] == "1 − Pearson r"


def test_the_second_time_the_answer_comes_from_the_store(monkeypatch):
    first = compute.compute(RDM)
    monkeypatch.setattr(analyses.Analysis, "run", lambda self, spec: pytest.fail("computed again"))
    xr.testing.assert_identical(compute.compute(RDM), first)
    assert compute.stored(RDM) is not None


def test_the_same_question_gives_the_same_bytes_from_nothing():
    first = compute.compute(RDM)
    store.default().clear()
    again = compute.compute(RDM)
    assert again.rdm.values.tobytes() == first.rdm.values.tobytes()


def test_the_record_says_what_was_asked_of_which_bytes():
    record = json.loads(compute.compute(RDM).attrs["record"])
    assert specs.from_dict(record["spec"]) == RDM
    assert record["inputs"] == compute.inputs(RDM)
    assert "tilt_cnn" in provenance.command(RDM)


def test_cautions_come_with_a_stored_answer_too():
    spec = RDM.replace(stimuli="neuromatch-gratings?n=3")
    heard = []
    for _ in range(2):
        with errors.collect_cautions() as given:
            compute.compute(spec)
        heard.append([c.code for c in given])
    assert heard[0] == heard[1]
    assert "few-stimuli" in heard[0]


def test_one_stimulus_is_refused():
    with pytest.raises(InputError, match="One stimulus has no dissimilarity"):
        compute.compute(RDM.replace(stimuli="neuromatch-gratings?n=1"))


def test_an_interrupted_extraction_goes_on_where_it_stopped(monkeypatch):
    from dashboard import networks, progress

    spec = specs.ActivationsSpec(
        network="bundled:tilt_cnn", stimuli="neuromatch-gratings?n=80", layers=("pool",)
    )
    whole = compute.compute(spec)
    store.default().clear()

    def stop_half_way(fraction, phrase):
        if fraction > 0.5:
            raise errors.Cancelled

    with pytest.raises(errors.Cancelled), progress.listening(stop_half_way):
        compute.compute(spec)
    shown = []
    original = networks.batches
    monkeypatch.setattr(
        networks, "batches", lambda n, pictures, *a: original(n, (shown.append(1) or p for p in pictures), *a)
    )
    again = compute.compute(spec)
    assert 0 < len(shown) < 80
    np.testing.assert_array_equal(again["pool"].values, whole["pool"].values)


def test_a_full_disk_is_one_sentence(monkeypatch):
    from dashboard.arrays import ArrayWriter

    def full(self, start, block):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ArrayWriter, "append", full)
    with pytest.raises(errors.ComputeError, match="cannot be kept: the store's disk is full"):
        compute.compute(RDM)


def test_damaged_activations_are_extracted_again(homolog_home):
    want = compute.compute(RDM)
    chunks = [file for file in homolog_home.rglob("c/0/0") if file.is_file()]
    assert len(chunks) == 2
    for chunk in chunks:
        data = bytearray(chunk.read_bytes())
        data[len(data) // 2] ^= 1
        chunk.write_bytes(data)
    again = compute.compute(RDM.replace(metric="cosine"))
    assert again.attrs["metric"] == "cosine"
    store.default().clear([compute.key(RDM)])
    np.testing.assert_array_equal(compute.compute(RDM).rdm.values, want.rdm.values)


def test_the_need_is_foretold_and_refused_when_the_disk_is_too_small(monkeypatch):
    from dashboard import progress
    from dashboard.analyses import activations

    told = []
    with progress.listening(lambda fraction, phrase: told.append(phrase)):
        compute.compute(RDM)
    size = 12 * (6 * 6 * 8 + 10) * 4 / 1e9
    assert any(phrase.startswith(f"12 stimuli, 2 layers: {size:.2g} GB, about") for phrase in told)
    store.default().clear()
    usage = activations.shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(activations.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(errors.ComputeError, match="would take .* GB, and the store's disk has 1e-06 GB free"):
        compute.compute(RDM)


@pytest.mark.parametrize(("reducer", "told"), [("projection?n=64", True), ("projection?n=64&centre", False)])
def test_a_projection_that_loses_the_mean_says_so(reducer, told):
    with errors.collect_cautions() as given:
        compute.compute(RDM.replace(reducer=reducer, layers=("pool",)))
    assert ("projection-without-centre" in [c.code for c in given]) is told
