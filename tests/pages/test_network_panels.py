"""What the Network page shows of networks of one family, and of two networks side by side."""

from __future__ import annotations

import time

from tests.pages.test_pages import opened, words


def settled(app, sentence: str) -> str:
    """Run the page until it says a sentence, and return all that it says; one answer may ask for another."""
    deadline = time.monotonic() + 120
    while sentence not in words(app) and not app.exception and time.monotonic() < deadline:
        time.sleep(0.2)
        app.run()
    return words(app)


def test_latent_numbers_of_an_autoencoder_are_turned():
    query = {"network": "bundled:objects_vae", "stimuli": "objects?n=12&seed=3", "about": "Latents"}
    app = opened("network.py", **query, base="3=1.5")
    said = settled(app, "leaves the others at the base point")
    assert not app.exception
    assert not app.error
    assert "the reconstructions explain" in said
    assert "leaves the others at the base point" in said
    assert app.query_params["base"] == "3=1.5"
    assert next(s for s in app.slider if s.label == "Latent 3").value == 1.5
