"""What the Alignment page shows."""

from __future__ import annotations

from tests.pages.test_pages import opened, words


def test_alignment_page_compares_with_the_untrained_twin():
    app = opened(
        "alignment.py",
        network="bundled:tilt_cnn",
        stimuli="gratings?phases=1",
        second="bundled:tilt_cnn?untrained&seed=0",
        layers="pool,fc",
        bootstrap="20",
    )
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "are most alike" in said
    assert "two copies of one stimulus are never a pair" in said
    assert app.get("vega_lite_chart")
