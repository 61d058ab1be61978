"""Checks of recordings: every quiet error becomes a sentence with names and counts."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.errors import InputError, collect_cautions
from dashboard.recordings import Recording, validate


def make(responses=None, rdms=None, names=("a", "b", "c", "d"), subjects=("S1",), **more) -> Recording:
    return Recording(
        reference="x",
        title="My recording",
        description="",
        citation="",
        terms="",
        species="",
        signal="",
        digest="d",
        stimulus_names=tuple(names),
        areas=("V1",),
        subjects={"V1": subjects},
        responses={} if responses is None else {"V1": tuple(responses)},
        rdms={} if rdms is None else {"V1": rdms},
        **more,
    )


@pytest.fixture
def patterns() -> np.ndarray:
    return np.random.default_rng(0).random((4, 6))


def refusal(recording: Recording, **options) -> str:
    with pytest.raises(InputError) as caught:
        validate(recording, **options)
    return str(caught.value)


def test_good_ones_become_float64(patterns):
    found = validate(make([patterns.astype(">f4")]))
    assert found.responses["V1"][0].dtype == np.float64
    assert found.responses["V1"][0].dtype.isnative
    counts = validate(make([np.arange(24, dtype=np.uint8).reshape(4, 6)]))
    assert (counts.responses["V1"][0][0] - counts.responses["V1"][0][1]).tolist() == [-6.0] * 6


def test_repeats(patterns):
    found = validate(make([np.stack([patterns, patterns + 2])]))
    assert found.repeats("V1")[0].shape == (2, 4, 6)
    assert np.allclose(found.mean_responses("V1")[0], patterns + 1)
    assert validate(make([patterns])).repeats("V1") == ()


def test_missing_values_name_the_units(patterns):
    patterns[1, 2] = patterns[3, 2] = patterns[0, 5] = np.nan
    recording = make([patterns])
    assert refusal(recording) == (
        "3 responses in V1 of subject S1 are missing (NaN), in 2 of 6 units (number 2, 5). "
        "Repair them, or ask for these units to be left out."
    )
    with collect_cautions() as cautions:
        found = validate(recording, drop_nan_units=True)
    assert np.array_equal(found.responses["V1"][0], patterns[:, [0, 1, 3, 4]])
    assert [c.message for c in cautions] == [
        "3 responses in V1 of subject S1 are missing (NaN), in 2 of 6 units (number 2, 5); "
        "these units are left out."
    ]


def test_all_units_missing(patterns):
    patterns[0] = np.nan
    assert "so no unit is left" in refusal(make([patterns]), drop_nan_units=True)


@pytest.mark.parametrize("drop", [False, True])
def test_infinite_values_are_always_refused(patterns, drop):
    patterns[1, 4] = -np.inf
    assert refusal(make([patterns]), drop_nan_units=drop) == (
        "The responses in V1 of subject S1 are infinite in 1 places, in 1 of 6 units (number 4). "
        "Repair or leave out these units; numbers count from 0."
    )


def test_constant_patterns_are_named(patterns):
    patterns[2] = 0.3
    with collect_cautions() as cautions:
        validate(make([patterns]))
    assert [c.code for c in cautions] == ["constant-pattern"]
    assert cautions[0].message == (
        "1 of 4 stimuli give one and the same response in all units in V1 of subject S1, so they have no "
        "correlation distance: c."
    )


def test_all_constant_is_refused():
    flat = np.repeat(np.arange(4.0)[:, None], 6, axis=1)
    assert refusal(make([flat])).startswith(
        "Every stimulus gives the same response in all units in V1 of subject S1."
    )


def test_one_unit_is_no_constant_pattern():
    with collect_cautions() as cautions:
        validate(make([np.arange(4.0)[:, None]]))
    assert cautions == []


def test_shapes(patterns):
    assert refusal(make([patterns.T])) == (
        "The responses in V1 of subject S1 have the shape 6 x 4, for 4 stimuli. "
        "Give stimuli x units, or repeats x stimuli x units."
    )
    assert "shape 4 x 0" in refusal(make([np.zeros((4, 0))]))
    assert "are of type complex128" in refusal(make([patterns * 1j]))
    assert "are of type object" in refusal(make([patterns.astype(object)]))


def test_names(patterns):
    assert refusal(make([patterns], names=("a", "b", "b ", "c"))).startswith(
        "My recording gives several stimuli the same name: b."
    )
    assert refusal(make([patterns[:1]], names=("a",))) == (
        "My recording has one stimulus, and a dissimilarity needs two. Use a recording with more stimuli."
    )


def test_subjects(patterns):
    assert refusal(make([patterns, patterns], subjects=("S1",))).startswith(
        "V1 of My recording has data of 2 subjects, but names 1."
    )
    assert refusal(make([patterns, patterns], subjects=("S1", "S1"))).startswith(
        "V1 of My recording has data of 2 subjects, but names 1."
    )


def test_rdms(patterns):
    good = np.array([[0.1, -0.2, 0.3, 0.4, 0.5, 0.6]])  # negative values are right for crossnobis
    assert np.array_equal(validate(make(rdms=good)).rdms["V1"], good)
    assert refusal(make(rdms=good[:, :5])) == (
        "The RDMs of V1 have the shape 1 x 5; 4 stimuli have 6 pairs. Give subjects x pairs of real numbers."
    )
    good[0, 1] = np.nan
    assert refusal(make(rdms=good)).startswith("The RDMs of V1 hold 1 missing or infinite values.")
    assert refusal(make()) == "V1 of My recording has neither responses nor RDMs."


def test_models_and_behaviour_are_checked_too(patterns):
    assert "The RDMs of HMAX have the shape 1 x 5" in refusal(make([patterns], models={"HMAX": np.zeros(5)}))
    assert "The RDMs of sorting hold 1" in refusal(
        make([patterns], behaviour={"sorting": np.array([[np.inf, 1, 1, 1, 1, 1]])})
    )
