"""What the Network page shows of two networks side by side, of masks and of what a generator makes."""

from __future__ import annotations

from tests.pages.test_network_panels import settled
from tests.pages.test_pages import opened, words


def test_the_untrained_twin_stands_beside_at_a_click():
    app = opened("network.py", network="bundled:tilt_cnn", about="Compare")
    assert "Choose a second network" in words(app)
    next(b for b in app.button if b.label == "Untrained twin").click().run()
    assert "are the same, with other weights" in settled(app, "are the same, with other weights")
    assert not app.exception
    assert app.query_params["second"] == "bundled:tilt_cnn?untrained&seed=0"


def test_masks_lie_over_their_pictures_with_the_overlap():
    app = opened("network.py", network="bundled:objects_unet", stimuli="objects?n=6&seed=3", about="Masks")
    assert not app.exception
    assert not app.error
    assert "Overlap of all pictures" in [h.value for h in app.header]
    assert "Masks" not in [tab.label for tab in opened("network.py", network="bundled:tilt_cnn").tabs]


def test_a_generator_walks_and_shows_samples():
    app = opened("network.py", network="bundled:objects_gan", about="Samples", seed_b="5", steps="4")
    assert "From seed 0 to seed 5 in 4 steps" in settled(app, "From seed 0 to seed 5 in 4 steps")
    assert not app.exception
    assert not app.error
    assert {"Walk between two latent points", "Samples"} <= {h.value for h in app.header}
