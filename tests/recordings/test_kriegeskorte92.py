"""The 92 objects: the checks that the source makes possible for free, all exact."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial.distance import squareform

from dashboard import recordings, stimuli
from dashboard.errors import InputError
from dashboard.recordings import kriegeskorte92


@pytest.fixture(scope="module")
def found(data_folder):
    return recordings.load("kriegeskorte92")


def matrix(name: str, key: str, *place: int) -> np.ndarray:
    entries = kriegeskorte92._variables(name)[key]
    return np.asarray(entries[place].RDM, dtype=np.float64)


def test_areas_and_subjects(found):
    assert found.areas == ("human IT", "monkey IT")
    assert found.subjects["human IT"] == ("BE", "KO", "SN", "TI")
    assert found.rdms["human IT"].shape == (4, 4186)
    assert found.rdms["monkey IT"].shape == (1, 4186)
    assert found.rdms["human IT"].dtype == np.float64
    assert not found.simulated
    assert found.responses == {}


def test_sessions_are_averaged_per_subject(found):
    for s in range(4):
        mean = (matrix(kriegeskorte92.BRAIN, "RDMs", s, 0) + matrix(kriegeskorte92.BRAIN, "RDMs", s, 1)) / 2
        assert np.array_equal(found.rdms["human IT"][s], squareform(mean, checks=False))


def test_human_mean_is_the_published_vector(found):
    published = kriegeskorte92.supplement_vectors()["hITvisStim_316vx"]
    assert np.abs(found.rdms["human IT"].mean(axis=0) - published).max() < 1e-15


def test_monkey_is_the_published_vector_exactly(found):
    published = kriegeskorte92.supplement_vectors()["mIT_674neurons"]
    assert np.array_equal(found.rdms["monkey IT"][0], published)
    assert np.array_equal(found.models["monkeyIT"], published)
    assert found.rdms["monkey IT"].min() == pytest.approx(0.518, abs=5e-4)
    assert found.rdms["monkey IT"].max() == pytest.approx(1.221, abs=5e-4)


def test_matrices_are_symmetric_with_zero_diagonal(data_folder):
    places = [(kriegeskorte92.BRAIN, "RDMs", *p) for p in itertools.product(range(4), range(2))]
    places += [(kriegeskorte92.BEHAVIOUR, "rdms_behav_92", i) for i in range(16)]
    places += [(kriegeskorte92.MODELS, "Models", i) for i in range(8)]
    for place in places:
        square = matrix(*place)
        assert square.shape == (92, 92)
        assert np.array_equal(square, square.T)
        assert not square.diagonal().any()
        assert np.isfinite(square).all()


def test_behaviour_and_models(found):
    assert found.behaviour["similarity judgements"].shape == (16, 4186)
    assert found.behaviour["similarity judgements"].max() == pytest.approx(0.0296, abs=5e-5)
    assert list(found.models) == [
        "animacy",
        "FaceBodyManmadeNatobj",
        "monkeyIT",
        "EVA",
        "HMAX",
        "V1",
        "Silhouette",
        "RADON",
    ]
    assert set(np.unique(found.models["animacy"])) == {0.0, 1.0}


def test_order_of_the_pictures_is_the_order_of_the_models(found):
    animate = found.stimuli.columns["animate"]
    differ = (animate[:, None] != animate[None, :])[np.triu_indices(92, 1)]
    assert np.array_equal(found.models["animacy"], differ.astype(float))


def test_names_categories_columns(found):
    assert found.stimulus_names == found.stimuli.names
    assert found.stimulus_names[6] == "07 human bodypart"
    assert found.stimulus_names[91] == "92 artificial inanimate"
    groups = [(k, len(list(g))) for k, g in itertools.groupby(found.stimuli.categories)]
    assert groups == [
        ("human bodypart", 12),
        ("human face", 12),
        ("nonhuman bodypart", 12),
        ("nonhuman face", 12),
        ("natural inanimate", 23),
        ("artificial inanimate", 21),
    ]
    columns = found.stimuli.columns
    assert np.flatnonzero(columns["animate"]).tolist() == list(range(48))
    assert np.flatnonzero(columns["human"]).tolist() == list(range(24))
    assert np.flatnonzero(columns["face"]).tolist() == [*range(12, 24), *range(36, 48)]
    assert np.flatnonzero(columns["natural"]).tolist() == list(range(71))
    assert (np.flatnonzero(columns["monkeyape"]) + 1).tolist() == [29, 34, 39, 40, 43, 44, 48]


def test_pictures(found):
    assert found.stimuli.picture(0).shape == (175, 175, 3)
    assert found.stimuli.picture(0).dtype == np.uint8
    corners = np.array([found.stimuli.picture(i)[0, 0] for i in range(92)])
    assert np.median(corners) == 128
    shown = stimuli.load("recording:kriegeskorte92")
    assert shown.names == found.stimulus_names
    assert np.array_equal(shown.picture(40), found.stimuli.picture(40))


def test_identities_need_no_files(monkeypatch, found):
    first = (recordings.identity("kriegeskorte92"), stimuli.identity("recording:kriegeskorte92"))
    assert first == (found.digest, found.stimuli.digest)
    monkeypatch.delenv("HOMOLOG_DATA")
    assert (recordings.identity("kriegeskorte92"), stimuli.identity("recording:kriegeskorte92")) == first


def test_catalogue_says_whether_it_is_here(monkeypatch, found):
    entry = recordings.catalogue()[0]
    assert (entry.reference, entry.n_bytes, entry.present) == ("kriegeskorte92", 5144165, True)
    monkeypatch.delenv("HOMOLOG_DATA")
    assert not recordings.catalogue()[0].present
    assert "to be fetched" in recordings.catalogue()[0].note


def test_options_are_refused():
    with pytest.raises(InputError, match='There is no option of kriegeskorte92 "subject"'):
        recordings.identity("kriegeskorte92?subject=BE")


def test_unknown_recording():
    with pytest.raises(InputError) as caught:
        recordings.load("kriegeskorte")
    assert str(caught.value).startswith('There is no recording "kriegeskorte". Did you mean kriegeskorte92?')
