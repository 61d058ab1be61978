"""What the Decoding page shows."""

from __future__ import annotations

from tests.pages.test_pages import opened, words


def test_decoding_page_reads_layers():
    app = opened(
        "decoding.py",
        network="bundled:objects_cnn",
        stimuli="objects?n=72",
        layers="block3",
        permutations="20",
    )
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "Category is read out best from block3" in said
    assert "Ridge decoder, 5 folds over 72 stimuli" in said


def test_decoding_page_reads_areas_and_shows_their_units():
    app = opened(
        "decoding.py",
        source="areas of the recording",
        recording="simulated-v1?subjects=1&cells=30",
        permutations="20",
        decoded="Units",
    )
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "read out best from simulated V1" in said
    assert "SHAP values of the linear decoder" in said


def test_decoding_page_sets_layers_beside_areas():
    app = opened(
        "decoding.py",
        source="layers and areas, side by side",
        network="bundled:tilt_cnn",
        recording="simulated-v1?subjects=1&cells=30",
        layers="pool,fc",
        permutations="10",
    )
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "with the same decoder, folds and stimuli" in said
    assert "read out best from simulated V1" in said


def test_decoding_page_begins_with_a_column_that_can_be_decoded():
    """With two stimuli a class no fold could test what it had learned."""
    app = opened(
        "decoding.py", source="areas of the recording", recording="simulated-time", permutations="20"
    )
    assert not app.exception
    assert not app.error
    assert "Orientation" in words(app)
