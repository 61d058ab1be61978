"""Matching by name: any order gives the same numbers, and what does not match is refused in words."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from dashboard import recordings
from dashboard.errors import InputError, collect_cautions
from dashboard.recordings import Recording
from dashboard.recordings.matching import pairs_of

NAMES = ("ant", "bee", "cat", "dog", "eel", "fox")


@pytest.fixture
def recording() -> Recording:
    patterns = np.random.default_rng(3).random((6, 9))
    return Recording(
        reference="x",
        title="My recording",
        description="",
        citation="",
        terms="",
        species="",
        signal="",
        digest="d",
        stimulus_names=NAMES,
        areas=("V1", "IT"),
        subjects={"V1": ("A",), "IT": ("A",)},
        responses={"V1": (patterns,)},
        rdms={"IT": pdist(patterns)[None]},
    )


def refusal(recording, names) -> str:
    with pytest.raises(InputError) as caught:
        recordings.align(recording, names)
    return str(caught.value)


def test_any_order_is_matched_by_name(recording):
    shuffled = ("fox", "cat", "ant", "eel", "dog", "bee")
    matching = recordings.align(recording, shuffled)
    assert matching.recording.tolist() == list(range(6))
    assert [shuffled[i] for i in matching.stimuli] == list(NAMES)


def test_pairs_in_the_recordings_order():
    rng = np.random.default_rng(0)
    patterns = rng.random((6, 9))
    order = rng.permutation(6)
    names = [NAMES[i] for i in order]
    pairs = recordings.matching_pairs(names, NAMES)
    assert np.array_equal(pdist(patterns[order])[pairs], pdist(patterns))


def test_pairs_of_a_subset():
    patterns = np.random.default_rng(0).random((20, 4))
    order = np.array([7, 3, 19, 0])
    assert np.array_equal(pdist(patterns)[pairs_of(order, 20)], pdist(patterns[order]))


def test_unicode_forms_and_blanks_match(recording):
    accented = recording.select(NAMES)
    object.__setattr__(accented, "stimulus_names", ("\u00e9l\u00e9phant", *NAMES[1:]))
    names = ("e\u0301le\u0301phant ", *NAMES[1:])
    assert recordings.align(accented, names).stimuli.tolist() == list(range(6))


def test_other_names_are_listed(recording):
    names = ("ant", "bee", "cat", "dog", "Eel", "wolf")
    assert refusal(recording, names) == (
        "The 6 stimuli do not match the 6 of My recording by name: 2 missing (eel, fox) and 2 not in "
        "the recording (Eel, wolf). Show the network the pictures of the recording, or name the pictures as "
        "in the recording."
    )


def test_only_the_first_few_are_listed(recording):
    sentence = refusal(recording, [f"p{i}" for i in range(10)])
    assert "6 missing (ant, bee, cat and 3 more)" in sentence
    assert "10 not in the recording (p0, p1, p2 and 7 more)" in sentence


def test_same_count_in_the_same_place_is_not_enough(recording):
    with pytest.raises(InputError):
        recordings.matching_pairs([f"{i}" for i in range(6)], NAMES)


def test_fewer_and_more(recording):
    assert "1 missing (fox)" in refusal(recording, NAMES[:5])
    assert "1 not in the recording (gnu)" in refusal(recording, (*NAMES, "gnu"))


def test_duplicates(recording):
    assert refusal(recording, ("ant", "ant", "bee", "cat", "dog", "eel")).startswith(
        "The stimulus set gives several stimuli the same name: ant."
    )


def test_a_shared_part_only_when_asked_and_counted(recording):
    names = ("gnu", "fox", "cat", "ant")
    with collect_cautions() as cautions:
        matching = recordings.align(recording, names, shared=True)
    assert matching.recording.tolist() == [0, 2, 5]
    assert matching.stimuli.tolist() == [3, 2, 1]
    assert [c.message for c in cautions] == [
        "Only 3 stimuli are compared: 3 of My recording and 1 of the network's stimuli have no partner of "
        "the same name."
    ]


def test_too_few_shared(recording):
    with pytest.raises(InputError, match="share 2 names with My recording, and at least 3 are needed"):
        recordings.align(recording, ("ant", "bee", "gnu"), shared=True)


def test_select_moves_responses_and_rdms_together(recording):
    part = recording.select(["eel", "ant", "dog"])
    assert part.stimulus_names == ("eel", "ant", "dog")
    assert np.array_equal(part.rdms["IT"][0], pdist(part.responses["V1"][0]))
    assert np.array_equal(part.responses["V1"][0][1], recording.responses["V1"][0][0])
    assert part.digest != recording.digest
    with pytest.raises(InputError, match="My recording has no stimuli named gnu"):
        recording.select(["ant", "gnu"])
