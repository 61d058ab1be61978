"""The tab with the cortical surface on the Brain page."""

from __future__ import annotations

from tests.pages.test_pages import answered, opened, words

LINK = {
    "network": "bundled:tilt_cnn",
    "recording": "simulated-v1?subjects=2&cells=20",
    "layers": "pool",
    "bootstrap": "20",
    "part": "On the cortex",
}


def test_brain_page_says_what_to_do_when_no_region_bears_the_name():
    app = opened("brain.py", **LINK, cortex_regions="centres")
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "No area is on the cortex yet" in said
    assert "a .csv with the columns vertex and region" in said
    assert "nothing was measured anywhere on this brain" in said
    app = answered(app.multiselect(key=picker(app)).set_value(["occipital"]).run())
    said = words(app)
    assert not app.exception
    assert "Simulated: simulated V1 is drawn at occipital" in said
    assert "One number colours a whole area" in said


def picker(app) -> str:
    (found,) = [m.key for m in app.multiselect if m.key and m.key.startswith("cortex-0")]
    return found


def test_a_link_opens_with_its_regions_and_a_strange_one_does_no_harm():
    app = opened("brain.py", **LINK, regions="simulated V1=cuneus,nowhere=x", labels="../../etc")
    assert not app.exception
    assert not app.error
    assert app.multiselect(key=picker(app)).value == ["cuneus"]
    assert "drawn at cuneus" in words(app)
