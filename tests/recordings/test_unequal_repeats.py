"""Stimuli with unequal numbers of repeats, from the file to the distance."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from dashboard import kept, recordings
from dashboard.compute import compute
from dashboard.errors import InputError, collect_cautions
from dashboard.methods import rdm
from dashboard.recordings.assemble import assemble
from dashboard.recordings.guesses import guess
from dashboard.recordings.readers import open_all
from dashboard.recordings.recipe import from_dict
from dashboard.specs import AreaRdmSpec

COUNTS = [2, 4, 3, 2, 3]
RNG = np.random.default_rng(3)
ROWS = [f"s{i}" for i, count in enumerate(COUNTS) for _ in range(count)]
ORDER = RNG.permutation(len(ROWS))
VALUES = RNG.normal(size=(len(ROWS), 6)) + np.repeat(RNG.normal(size=(5, 6)), COUNTS, axis=0)
RECIPE = {"kind": "recording", "values": ["r"], "axes": ["stimulus", "unit"], "names": "names"}


@pytest.fixture(scope="module")
def trials():
    """All repeats by stimulus in the order of the file, (4, 5, 6), NaN where there is none."""
    found = np.full((4, 5, 6), np.nan)
    seen = [0] * 5
    for row in ORDER:
        k = int(ROWS[row][1:])
        found[seen[k], k] = VALUES[row]
        seen[k] += 1
    return found


def brought(repeats: str, secret: str = "secret") -> recordings.Recording:
    stream = io.BytesIO()
    np.savez(stream, r=VALUES[ORDER], names=np.array(ROWS)[ORDER])
    return recordings.load(
        kept.keep([("a.npz", stream.getvalue())], secret, {**RECIPE, "repeats": repeats}).reference
    )


def test_all_repeats_are_used_for_means_and_distances(trials):
    with collect_cautions() as told:
        recording = brought("all")
    assert any("have 2 to 4 repeats: means and crossnobis use all of them" in c.message for c in told)
    area = recording.areas[0]
    columns = [int(name[1:]) for name in recording.stimulus_names]
    want = trials[:, columns]
    assert recording.responses[area][0].shape == (2, 5, 6)
    np.testing.assert_array_equal(recording.all_repeats(area)[0], want)
    np.testing.assert_allclose(recording.mean_responses(area)[0], np.nanmean(want, axis=0))
    some = recording.select(recording.stimulus_names[::-1])
    np.testing.assert_array_equal(some.all_repeats(area)[0], want[:, ::-1])
    for metric in ("crossnobis", "correlation"):
        answer = compute(AreaRdmSpec(recording=recording.reference, metric=metric))
        np.testing.assert_allclose(answer.rdm[0, 0], rdm.dissimilarities(want, metric), rtol=1e-12)


def test_surplus_repeats_are_left_out_where_that_is_chosen(trials):
    recording = brought("equal")
    assert not recording.surplus
    columns = [int(name[1:]) for name in recording.stimulus_names]
    np.testing.assert_array_equal(recording.responses[recording.areas[0]][0], trials[:2, columns])


@pytest.mark.parametrize("repeats", ["all", "equal", "refuse"])
def test_a_long_table_with_unequal_repeats(repeats, trials, tmp_path):
    rows = [
        {"stimulus": f"s{k}", "repeat": r, "unit": f"u{u}", "response": trials[r, k, u]}
        for r in range(4)
        for k in range(5)
        for u in range(6)
        if r < COUNTS[k]
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    source = open_all([(tmp_path / "a.csv", "a.csv")])
    recipe = from_dict({**guess(source).to_dict(), "repeats": repeats})
    if repeats == "refuse":
        with pytest.raises(InputError, match="keep all repeats, or as many as every stimulus has"):
            assemble(source, recipe)
        return
    parts = assemble(source, recipe)
    area, subject = "all units", "subject 1"
    np.testing.assert_allclose(parts.responses[area][subject], trials[:2])
    if repeats == "all":
        np.testing.assert_allclose(parts.surplus[area][subject], trials[2:])


def test_one_repeat_of_a_stimulus_leaves_means(tmp_path):
    names = np.array(["a", "a", "b", "c", "c", "c"])
    np.savez(tmp_path / "a.npz", r=VALUES[:6], names=names)
    source = open_all([(tmp_path / "a.npz", "a.npz")])
    with collect_cautions() as told:
        parts = assemble(source, from_dict({**RECIPE, "repeats": "all"}))
    assert "single-trials" in [c.code for c in told]
    want = [VALUES[:6][names == name].mean(0) for name in "abc"]
    np.testing.assert_allclose(next(iter(parts.responses.values()))["subject 1"], want)
