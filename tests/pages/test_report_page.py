"""The report page: pin, arrange, write, remove and undo, and what cannot be read."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import compute, jobs
from dashboard.specs import BrainSpec, NetworkSpec, RecordingSpec, StimuliSpec
from dashboard.ui.text import written
from tests.pages.test_pages import ROOT, words

CHOSEN = {
    "network": "bundled:tilt_cnn",
    "stimuli": "gratings?phases=1",
    "recording": "simulated-v1?subjects=2&cells=20",
}
SETTINGS = {"layers": ("pool", "fc"), "measure": "pearson", "resample": "stimuli", "bootstrap": 10}


@pytest.fixture(scope="module", autouse=True)
def homolog_home(tmp_path_factory):
    """One store for the module, with all answers that its pages ask for: no worker is started."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("HOMOLOG_HOME", str(folder))
        compute.compute(NetworkSpec(network=CHOSEN["network"]))
        compute.compute(StimuliSpec(stimuli=CHOSEN["stimuli"]))
        compute.compute(RecordingSpec(recording=CHOSEN["recording"]))
        compute.compute(question())
        yield folder
        jobs.engine().close()


def question(**changes) -> BrainSpec:
    """The question of the pinned figure."""
    return BrainSpec(network=CHOSEN["network"], recording=CHOSEN["recording"], **{**SETTINGS, **changes})


def opened(page: str, **query: str) -> AppTest:
    """Open a page of which all answers are stored."""
    app = AppTest.from_file(str(ROOT / "pages" / "app.py"), default_timeout=60)
    for name, value in {**CHOSEN, **query}.items():
        app.query_params[name] = value
    app.run()
    return app.switch_page(page).run()


@pytest.fixture(scope="module")
def pinned(homolog_home) -> AppTest:
    """A tab in which two figures were pinned; the tests go on from each other's state in order."""
    app = opened("brain.py", **question().to_query())
    for _ in range(2):
        app.button(key="pin-brain").click().run()
        assert not app.exception
    return app


def _items(app):
    """The ids of the items in the order of the page."""
    return [b.key.removeprefix("remove-") for b in app.button if str(b.key).startswith("remove-")]


def test_pinning_says_so_and_the_report_shows_it(pinned):
    assert [toast.value for toast in pinned.toast] == ["Pinned to the report: 2 figures."]
    pinned.switch_page("report.py").run()
    assert not pinned.exception
    assert len(pinned.get("vega_lite_chart")) == 2
    assert "Similarity with the brain" in words(pinned)


def test_figures_are_ordered_removed_and_brought_back(pinned):
    first, second = _items(pinned)
    pinned.button(key=f"down-{first}").click().run()
    assert _items(pinned) == [second, first]
    assert pinned.button(key=f"up-{second}").disabled
    pinned.button(key=f"remove-{second}").click().run()
    pinned.run()
    assert _items(pinned) == [first]
    next(b for b in pinned.button if b.label == "Undo removal").click().run()
    assert _items(pinned) == [second, first]


def test_markup_in_titles_and_pictures_in_texts_stay_text(pinned):
    assert written("![a](http://b)") == "!\\[a](http://b)"
    next(b for b in pinned.button if b.label == "Add text").click().run()
    assert len(_items(pinned)) == 3
