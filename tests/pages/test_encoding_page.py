"""What the Encoding page shows."""

from __future__ import annotations

from tests.pages.test_pages import opened, words

SMALL = {
    "network": "bundled:tilt_cnn",
    "recording": "simulated-v1?subjects=1&cells=12",
    "layers": "pool,fc",
    "bootstrap": "20",
}


def test_encoding_page_gives_verdict_ceiling_and_units():
    app = opened("encoding.py", **SMALL)
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "predicts simulated V1 best" in said
    assert "noise ceiling" in said
    assert "units have r above 0.2" in said


def test_encoding_page_splits_variance_between_layers():
    app = opened("encoding.py", **SMALL, encoded="Shared variance")
    said = words(app)
    assert not app.exception
    assert "Together they explain" in said
