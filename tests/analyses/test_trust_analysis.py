from __future__ import annotations

import numpy as np
import pytest

from dashboard.analyses import explaining, trust
from dashboard.errors import InputError
from dashboard.figures import trust as figure
from dashboard.specs import AttributionSpec, TrustSpec
from dashboard.stimuli.objects import Objects

SETTINGS = {"network": "bundled:objects_cnn", "stimuli": "objects?n=12&seed=7"}


def test_every_check_has_a_sentence_a_level_and_a_source():
    ds = trust.trust(TrustSpec(attribution=AttributionSpec(**SETTINGS, method="input-x-gradient"), seeds=2))
    names = [row.name for row in figure.rows(ds)]
    assert names == ["Last layer", "Training", "Class", "Deletion", "Insertion", "Object", "Noise"]
    assert all(row.sentence.endswith(".") and row.source for row in figure.rows(ds))
    assert {row.level for row in figure.rows(ds)} <= {"good", "amber", "red", "grey"}
    # All orders start at f(x) and end at the baseline, or the other way round.
    score = ds["score"].values
    assert np.ptp(score[0, :, 0]) < 1e-4
    assert np.allclose(score[0, :, 0], score[1, :, -1], atol=1e-4)
    assert "checks" in figure.verdict(ds)
    assert len(figure.table(ds)) == 7


def test_mask_is_that_of_the_drawn_object():
    found = explaining.object_mask("objects?n=12&seed=7", "heart-00006")
    assert found is not None
    assert np.array_equal(found, Objects(n=12, seed=7).mask(6))
    assert explaining.object_mask("gratings", "x") is None


def test_too_few_seeds_are_refused():
    with pytest.raises(InputError, match="seeds must be"):
        trust.trust(TrustSpec(attribution=AttributionSpec(**SETTINGS), seeds=1))
