"""Objects as a source: the same pictures, names and factors as the set itself."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard import stimuli
from dashboard.errors import InputError
from dashboard.stimuli.objects import Objects


def test_same_as_the_set():
    found, objects = stimuli.load("objects?n=20&seed=3&group=all"), Objects(20, 3, "all")
    assert found.names == objects.names
    assert found.categories == objects.categories
    assert found.digest == stimuli.identity("objects?seed=3&n=20&group=all") == objects.digest
    assert np.array_equal(found.picture(11), objects.picture(11))
    assert found.columns["rotation"][11] == objects.factors(11).rotation
    assert found.columns["centre_x"][11] == objects.factors(11).x
    assert not {"x", "y", "category"} & set(found.columns)
    assert set(found.units) <= set(found.columns)
    assert found.generated


def test_number_and_seed_make_the_identity():
    refs = ["objects", "objects?n=241", "objects?seed=1", "objects?group=transfer"]
    assert len({stimuli.identity(ref) for ref in refs}) == 4
    assert stimuli.identity("objects?n=240") == stimuli.identity("objects")


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        ("objects?n=0", 'n of objects must be a number from 1 to 20000, not "0".'),
        ("objects?group=test", 'There is no group of objects "test".'),
    ],
)
def test_refusals(ref, sentence):
    with pytest.raises(InputError) as caught:
        stimuli.load(ref)
    assert str(caught.value).startswith(sentence)
