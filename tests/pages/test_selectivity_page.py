"""What the page Selectivity shows."""

from __future__ import annotations

from tests.pages.test_pages import opened, words

CNN = {"network": "bundled:objects_cnn", "layers": "block2"}


def test_selectivity_page_has_a_verdict_for_categories_and_concepts():
    app = opened("selectivity.py", **CNN, stimuli="objects?n=60", runs="3")
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "is told best: d′" in said
    assert "random concepts" in said
    assert "Kim et al., 2018" in said


def test_selectivity_page_says_what_it_needs():
    app = opened("selectivity.py", **CNN, stimuli="objects?n=8")
    assert not app.exception
    assert "no two categories" in words(app)
