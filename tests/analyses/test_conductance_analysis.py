"""Conductance as an answer: which layer, which words, and what cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.analyses import conductance
from dashboard.errors import InputError
from dashboard.figures import conductance as figure
from dashboard.specs import ConductanceSpec

CNN = {"network": "bundled:objects_cnn", "stimuli": "objects?n=12&seed=7", "steps": 10}


@pytest.fixture(scope="module")
def answer():
    return conductance.conductance(ConductanceSpec(**CNN))


def test_the_last_layer_before_the_answer_is_taken(answer):
    assert answer.attrs["layer"] == "block4"
    assert answer.sizes["channel"] == 128
    assert float(answer.conductance.sum()) == pytest.approx(answer.attrs["total"], rel=0.005)
    assert answer.attrs["total"] == pytest.approx(
        answer.attrs["score"] - answer.attrs["baseline_score"], rel=1e-5
    )


def test_words_and_bars_name_the_largest_channel_first(answer):
    top = int(np.abs(answer.conductance.values).argmax())
    assert f"channel {top} contributes most" in figure.verdict(answer)
    assert "all of it passes through this layer" in figure.sum_words(answer)
    assert int(figure.table(answer)["channel"][0]) == top
    spec = figure.bars(answer, width=300).to_dict()
    values = spec["data"]["values"]
    assert len(values) == figure.SHOWN
    assert values[0]["name"] == f"channel {top}"


def test_what_goes_round_a_layer_is_said(answer):
    part = answer.assign_attrs(summed=0.8 * answer.attrs["total"])
    assert "goes round this layer" in figure.sum_words(part)
    small = answer.assign_attrs(total=1e-9, summed=1e-9)
    assert "too little to judge" in figure.sum_words(small)


@pytest.mark.parametrize(
    ("network", "stimuli", "layer"),
    [
        ("bundled:tiny_text", "sentences?n=2", "blocks.3"),
        ("bundled:digits_mlp", "digits?n=2", "relu2"),
        ("bundled:digits_lstm", "digits?n=2", "lstm"),
    ],
)
def test_texts_tables_and_sequences_pass_through_their_layers(network, stimuli, layer):
    ds = conductance.conductance(ConductanceSpec(network=network, stimuli=stimuli, steps=20))
    assert ds.attrs["layer"] == layer
    assert ds.attrs["summed"] == pytest.approx(ds.attrs["total"], rel=0.01)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"layer": "blok4"}, "Did you mean"),
        ({"target": "block2:5", "layer": "block3"}, "reaches the score through block3"),
        ({"steps": 1}, "steps must be"),
        ({"item": "nobody"}, "no stimulus"),
        ({"network": "bundled:tiny_text"}, "reads texts"),
    ],
)
def test_what_cannot_be_is_said(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        conductance.conductance(ConductanceSpec(**{**CNN, **changes}))
