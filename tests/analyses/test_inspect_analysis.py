"""What is said of the quality of a recording, and whether its neurons can be called tuned."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard import kept, recordings
from dashboard.analyses.inspect import inspect
from dashboard.recordings.uploaded import look
from dashboard.specs import InspectSpec


@pytest.fixture
def brought(tmp_path) -> str:
    path = tmp_path / "a.npz"
    np.savez(path, r=np.random.default_rng(0).normal(size=(8, 5)), name=[f"s{i}" for i in range(8)])
    upload = kept.keep([("a.npz", path.read_bytes())], "s")
    return kept.with_recipe(upload.reference, look(upload.reference)["recipe"]).reference


def test_gratings_of_known_parameters_are_told_from_other_stimuli(brought):
    gratings = inspect(InspectSpec(recording="simulated-v1?subjects=1&cells=4&repeats=2"))
    assert gratings.attrs["gratings"] == "yes"
    other = inspect(InspectSpec(recording=brought))
    assert other.attrs["gratings"] == "no"
    assert other.attrs["n_stimuli"] == len(recordings.load(brought).stimulus_names) == 8
    assert other["n_repeats"].values.tolist() == [1]
    assert np.isnan(other["reliability"].values).all()
