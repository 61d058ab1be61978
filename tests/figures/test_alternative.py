from __future__ import annotations

import pytest

from dashboard.errors import InputError
from dashboard.figures import answers, network, stimuli
from dashboard.figures.alternative import alt_text
from tests.figures import samples


def test_every_kind_is_known_from_record_or_variables():
    made = {
        "rdm": samples.rdm(4, 1),
        "area-rdm": samples.area_rdm(4),
        "map": samples.plane(4),
        "brain": samples.brain(),
        "stimuli": samples.stimuli(4),
        "network": samples.network(),
        "recording": samples.recording(),
    }
    for kind, ds in made.items():
        assert answers.kind(ds) == kind
        bare = ds.copy()
        bare.attrs = {}
        assert answers.kind(bare) == kind
        assert alt_text(bare)
    with pytest.raises(InputError, match="not an answer"):
        answers.kind(samples.rdm(4, 1).drop_vars(["rdm", "n_units"]).drop_attrs())


def test_rdm_alt_text_names_every_layer():
    text = alt_text(samples.rdm(10, 3))
    for name in samples.layer_names(3):
        assert f"{name}: dissimilarities of 10 stimuli (1 − Pearson r)" in text


def test_map_alt_text_names_nearest_and_farthest():
    ds = samples.plane(3, 1)
    ds["position"].values[0] = [[0, 0], [0.1, 0], [3, 3]]
    assert (
        "picture 0000 and picture 0001 lie nearest, picture 0000 and picture 0002 farthest apart."
        in alt_text(ds)
    )
    assert "(stress 0.120)" in alt_text(ds)


def test_stimuli_and_recording_alt_texts_count():
    kinds = "human face, human body, animal, natural object, artificial object"
    assert alt_text(samples.stimuli(7)) == f"A stimuli: 7 stimuli in 5 categories: {kinds}."
    assert alt_text(samples.recording()) == "A recording: human IT (4 subjects), monkey IT (1 subject)."
    simulated = samples.recording()
    simulated.attrs["simulated"] = "yes"
    assert alt_text(simulated).startswith("Simulated data. ")


def test_layer_table():
    table = network.layer_table(samples.network(3))
    assert list(table.columns) == ["Layer", "Kind", "Output shape", "Units", "Parameters", "Default"]
    assert table["Parameters"].tolist() == [0, 1000, 2000]
    assert table["Default"].tolist() == [True, False, False]
    assert network.facts(samples.network(3)) == "3 layers, 1 234 567 parameters, input 3 × 224 × 224"


def test_thumbnails_by_name_and_table():
    ds = samples.stimuli(4)
    found = stimuli.thumbnails_by_name(ds)
    assert list(found) == samples.stimulus_names(4)
    assert (found["picture 0002"] == samples.pictures(4)[2]).all()
    table = stimuli.stimulus_table(ds)
    assert list(table.columns) == ["stimulus", "category", "orientation"]
    assert table["orientation"].tolist() == [0, 45, 90, 135]
