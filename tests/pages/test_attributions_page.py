"""What the page Attributions draws and says, and what it refuses in a sentence."""

from __future__ import annotations

import pytest

from tests.pages.test_pages import answered, opened, words

OBJECTS = {"network": "bundled:objects_cnn", "stimuli": "objects?n=24&seed=7"}


def test_page_draws_maps_and_sums_them_up():
    app = opened("attributions.py", **OBJECTS, items="heart-00006")
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "takes heart-00006 for heart" in said
    assert "The 3 methods" in said
    assert app.query_params["items"] == "heart-00006"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"target": "hart"}, "Did you mean heart"),
        ({"method": "salience,saliency"}, "Did you mean saliency"),
        ({"network": "bundled:tiny_text"}, "reads texts"),
        ({"network": "bundled:objects_vae"}, "does not choose between classes"),
        ({"baseline": "samples", "background": "100", "method": "input-x-gradient"}, "larger than the set"),
        ({"method": "guided-backprop", "network": "bundled:objects_vit"}, "Not drawn"),
    ],
)
def test_page_says_what_cannot_be_drawn(query, sentence):
    app = opened("attributions.py", **{**OBJECTS, **query})
    assert not app.exception
    assert sentence in words(app)


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        ("Classes", "Rank correlation of"),
        ("Networks", "untrained"),
        ("Agreement", "agree most"),
        ("Numbers", "It sums to"),
        ("Over the set", "of the attribution lies on the object"),
        ("Through a layer", "contributes most"),
    ],
)
def test_tabs_open_from_the_link(about, sentence):
    more = {"most": "4"} if about == "Over the set" else {}
    app = opened("attributions.py", **OBJECTS, about=about, method="integrated-gradients,saliency", **more)
    for button in [b for b in app.button if b.label == "Start"]:  # on a busy machine it seems dear
        answered(button.click().run())
    assert not app.exception
    assert not app.error
    assert sentence in words(app)
    assert app.multiselect(key="method").value == ["integrated-gradients", "saliency"]


def test_text_is_coloured_by_its_words():
    app = opened("attributions.py", network="bundled:tiny_text", stimuli="sentences?n=6")
    assert not app.exception
    assert not app.error
    assert "most for it" in words(app)
    labels = {box.label for box in app.selectbox}
    assert not labels & {"Baseline", "Segments", "Scale"}
