"""What the page Unit shows, and how it goes from unit to unit."""

from __future__ import annotations

import pytest

from tests.pages.test_pages import opened, words

CNN = {"network": "bundled:objects_cnn", "stimuli": "objects?n=4"}


def test_unit_page_names_the_unit_and_steps_on():
    app = opened("unit.py", **CNN, layer="stem.0", unit="15")
    said = words(app)
    assert not app.exception
    assert not app.error
    assert app.title[0].value.replace("\\", "") == "What makes unit 15 of stem.0 of Objects CNN respond?"
    assert "Unit 15 of stem.0 responds most to" in said
    assert "A unit of stem.0 sees 5 × 5 of 64 × 64 pixels" in said
    assert "hide what suppresses a unit" in said
    assert "Kernel 15: norm" in said
    next(b for b in app.button if b.label == "Next").click().run()
    assert app.number_input(key="unit").value == 0


def test_preferred_pictures_and_field_have_a_verdict_each():
    few = {"preferred_seeds": "1", "preferred_steps": "16"}
    app = opened("unit.py", **CNN, layer="stem.0", unit="3", unit_details="Preferred pictures", **few)
    assert not app.exception
    assert not app.error
    assert "for the best of one synthesised picture" in words(app)
    assert "Borowski et al., 2021" in words(app)
    app = opened("unit.py", **CNN, layer="stem.0", unit="3", unit_details="Field")
    assert not app.exception
    assert "of its theoretical 5 × 5 pixels" in words(app)


def test_connections_lead_to_the_units_at_the_other_end():
    app = opened("unit.py", **CNN, layer="stem.0", unit="3", unit_details="Connections")
    assert not app.exception
    assert "weighs most in block2.conv1 · 19" in words(app)
    button = next(b for b in app.button if "block2.conv1" in b.label)
    unit = int(button.label.replace("\\", "").rpartition(" ")[2])
    button.click().run()
    assert app.session_state["layer"] == "block2.conv1"
    assert app.number_input(key="unit").value == unit


def test_unit_page_refuses_a_unit_that_is_not_there():
    app = opened("unit.py", **CNN, layer="stem.0", unit="99")
    assert not app.exception
    assert "stem.0 has 16 units" in words(app)


@pytest.mark.parametrize(
    ("network", "shown"), [("bundled:tiny_text", "sentences?n=30"), ("bundled:digits_mlp", "digits?n=20")]
)
def test_texts_and_dense_layers_have_a_page(network, shown):
    app = opened("unit.py", network=network, stimuli=shown, unit="2")
    assert not app.exception
    assert not app.error
    assert "Unit 2 of" in words(app)
