"""What the pages Network and Predictions say of networks and stimuli that fit, and of those that do not."""

from __future__ import annotations

import pytest

from tests.pages.test_pages import homolog_home, opened, words  # noqa: F401 - one store for the module

OBJECTS = {"network": "bundled:objects_cnn", "stimuli": "objects?n=24&seed=7"}


def test_predictions_page_names_pictures_and_tells_how_good_it_is():
    app = opened("predictions.py", **OBJECTS, picture="heart-00006", twin="true")
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "of 24 pictures right: accuracy" in said
    assert "untrained twin" in said
    assert "heart-00006" in said
    assert app.query_params["picture"] == "heart-00006"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"stimuli": "gratings?orientations=2&phases=1"}, "how good it is cannot be told"),
        ({"network": "bundled:objects_vae"}, "its output is reconstruction"),
        ({"network": "bundled:objects_unet"}, "overlap with a mean IoU of"),
        ({"network": "bundled:v1_decoder"}, "have no column of true orientations"),
        ({"network": "bundled:v1_decoder", "stimuli": "gratings?phases=1"}, "is off by"),
        ({"stimuli": "objects?n=1"}, "All labelled stimuli are of one class, disc"),
        ({"truth": "colour"}, "cannot be told"),
    ],
)
def test_predictions_page_says_what_it_cannot_tell(query, sentence):
    app = opened("predictions.py", **{**OBJECTS, **query})
    assert not app.exception
    assert sentence in words(app)


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        ("Flow", "From top to bottom"),
        ("Layers", "One stimulus takes 33.9 M floating-point operations"),
        ("Card", "MIT, as the rest of Homolog"),
        ("Training", "Best at epoch 10 of 10"),
        ("Health", "neither vanishes nor explodes"),
    ],
)
def test_network_page_opens_at_the_part_of_the_link(about, sentence):
    app = opened("network.py", **OBJECTS, about=about)
    assert not app.exception
    assert not app.error
    assert "has 7 blocks and 309,852 parameters" in words(app)
    assert sentence in words(app)


def test_network_page_says_where_no_history_comes_with_the_weights():
    app = opened("network.py", network="bundled:tilt_cnn?untrained&seed=0", about="Training")
    assert not app.exception
    assert "No training history comes with these weights" in words(app)


def test_network_page_shows_states_of_recurrent_networks_only():
    app = opened("network.py", network="bundled:digits_gru", stimuli="objects?n=6", about="States")
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "takes 8 steps" in said
    assert "reset gate" in said
    assert "of the variance of the hidden state" in said
    assert "States" not in [tab.label for tab in opened("network.py", **OBJECTS).tabs]
