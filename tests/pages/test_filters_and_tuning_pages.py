"""What the pages Filters and Tuning show, and what they say where they cannot."""

from __future__ import annotations

import pytest

from tests.pages.test_pages import opened, words

CNN = {"network": "bundled:objects_cnn", "stimuli": "objects?n=4"}
FEW = {"orientations": "6", "phases": "3", "frequencies": "4:8:16"}


def test_filters_page_shows_kernels_fits_and_maps():
    app = opened("filters.py", **CNN)
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "16 kernels of 5 × 5 over 3 channels" in said
    assert "like a Gabor function" in said
    assert "all on one scale" in said
    assert "Highest mean first. Activations of stem.0 range from" in said


def test_filters_page_says_what_slices_are():
    app = opened("filters.py", **CNN, filter_layer="block2.conv1", unit="3")
    said = words(app)
    assert not app.exception
    assert "not the whole kernel" in said
    assert "Kernel 3: norm" in said
    assert "shown are its slices over the input channels" in said


@pytest.mark.parametrize("page", ["filters.py", "tuning.py"])
def test_networks_that_see_no_pictures_get_a_sentence(page):
    app = opened(page, network="bundled:tiny_text")
    assert not app.exception
    assert "Choose a network that sees pictures" in words(app)


def test_tuning_page_describes_units_and_neurons():
    app = opened("tuning.py", **CNN, **FEW, unit="2", degrees="10", neurons="true")
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "sharply tuned to orientation" in said
    assert "Preferred spatial frequency (cycles/degree)" in said
    assert "No response to grey was recorded" in said
    assert "800 neurons of simulated V1" in said


def test_tuning_page_refuses_what_cannot_be_drawn():
    app = opened("tuning.py", **CNN, frequencies="4:40")
    assert not app.exception
    assert "Nyquist limit of 32 cycles" in words(app)
    app.number_input(key="degrees").set_value(0.0).run()
    assert not app.exception
    assert "A picture of 0 degrees has no size" in words(app)
