"""The tabs about time on the Brain and Decoding pages."""

from __future__ import annotations

from tests.pages.test_pages import opened, words

TIMED = (
    "simulated-time?stimuli=gratings%3Forientations%3D8%26spatial_frequencies%3D8:%26phases%3D1%26size%3D64"
    "&subjects=2&cells=20&repeats=2&noise=0.5"
)


def test_brain_page_follows_layers_over_time():
    app = opened(
        "brain.py",
        network="bundled:tilt_cnn",
        recording=TIMED,
        layers="pool",
        bootstrap="20",
        part="Over time",
        time_permutations="49",
    )
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "A cluster speaks as a whole" in said
    assert "Simulated: " in said


def test_brain_page_says_what_to_do_about_a_recording_without_time():
    app = opened(
        "brain.py",
        network="bundled:tilt_cnn",
        recording="simulated-v1?subjects=2&cells=20",
        layers="pool",
        bootstrap="20",
        part="Over time",
    )
    assert not app.exception
    assert "Choose simulated-time in the sidebar" in words(app)


def test_decoding_page_draws_the_plane_of_times():
    app = opened(
        "decoding.py",
        source="areas of the recording",
        recording=TIMED,
        column="orientation",
        permutations="20",
        folds="4",
        decoded="Over time",
        time_permutations="19",
    )
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "Outline: clusters with p" in said


def test_brain_page_sets_models_beside_layers_in_its_figure_and_tests():
    app = opened(
        "brain.py",
        network="bundled:tilt_cnn",
        recording=TIMED,
        layers="pool",
        bootstrap="20",
        controls="pixels",
        part="Tests",
        permutations="19",
    )
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "Beside it, pixels (" in said
    assert "diamonds: RDMs of simple models" in said
