"""The report page: pin, arrange, write, remove and undo, and what cannot be read."""

from __future__ import annotations

import dataclasses

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import compute
from dashboard.report import edits, session
from dashboard.specs import BrainSpec, NetworkSpec, RecordingSpec, StimuliSpec
from dashboard.ui.components import slides
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


def question(**changes) -> BrainSpec:
    """The question of the pinned figure."""
    chosen = {name: CHOSEN[name] for name in ("network", "recording")}
    return BrainSpec(**{**chosen, **SETTINGS, **changes})


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


def _item(app, position):
    """The id of the item at a place of the page."""
    return _items(app)[position]


def _edit(app, item_id):
    """Open the editor of an item."""
    app.session_state[f"edit-{item_id}"] = True
    return app.run()


def _field(app, kind, start):
    """The field whose key begins so."""
    return next(e for e in getattr(app, kind) if str(e.key).startswith(start))


def test_a_caption_is_saved_and_one_of_a_megabyte_gets_a_sentence(pinned):
    item_id = _item(pinned, 0)
    _edit(pinned, item_id)
    _field(pinned, "text_area", f"caption-{item_id}").set_value("<b>Bold</b> and $r^2$").run()
    assert "<b>Bold</b> and $r^2$" in words(pinned)
    _edit(pinned, item_id)
    _field(pinned, "text_area", f"caption-{item_id}").set_value("x" * 2**20).run()
    assert "1,048,576 characters" in "".join(toast.value for toast in pinned.toast).replace("\\", "")
    assert not pinned.exception
    pinned.run()
    assert "<b>Bold</b> and $r^2$" in words(pinned)


def test_the_same_with_one_setting_changed_is_added_and_drawn(pinned):
    compute.compute(question(seed=3))
    item_id = _item(pinned, 0)
    n = len(_items(pinned))
    _edit(pinned, item_id)
    pinned.selectbox(key=f"setting-{item_id}").set_value("seed").run()
    pinned.number_input(key=f"value-{item_id}-seed").set_value(3).run()
    pinned.button(key=f"duplicate-{item_id}").click().run()
    pinned.run()
    assert not pinned.exception
    assert len(_items(pinned)) == n + 1
    assert ", Seed 3" in words(pinned)
    assert len(pinned.get("vega_lite_chart")) == 3


def test_two_stand_side_by_side_as_one_item(pinned):
    twin = question(network="bundled:tilt_cnn?untrained&seed=0")
    compute.compute(twin)
    item_id = _item(pinned, 0)
    n = len(_items(pinned))
    _edit(pinned, item_id)
    pinned.selectbox(key=f"setting-{item_id}").set_value("network").run()
    pinned.button(key=f"compare-{item_id}").click().run()
    pinned.run()
    assert not pinned.exception
    assert len(_items(pinned)) == n + 1
    assert "untrained" in words(pinned)
    assert len(pinned.get("vega_lite_chart")) == 4


def test_sessions_are_named_copied_deleted_and_brought_back(pinned):
    pinned.session_state["sessions"] = True
    pinned.run()
    _field(pinned, "text_input", "session-name-").set_value("Lab meeting").run()
    pinned.session_state["sessions"] = True
    pinned.run()
    n = len(_items(pinned))
    _labelled(pinned, "New").click().run()
    assert _items(pinned) == []
    assert "Press Pin" in words(pinned)
    pinned.session_state["sessions"] = True
    pinned.run()
    _labelled(pinned, "Open").click().run()
    assert len(_items(pinned)) == n
    pinned.session_state["sessions"] = True
    pinned.run()
    _labelled(pinned, "Delete").click().run()
    assert len(_items(pinned)) != n
    _labelled(pinned, "Bring back Lab meeting").click().run()
    assert len(_items(pinned)) == n


def _labelled(app, label):
    """The button with a label."""
    return next(b for b in app.button if b.label.replace("\\", "") == label)


def _current(app):
    """The session of a tab, as it lies on the disk."""
    kept = session.cabinet(app.session_state["_owner"])
    return kept, kept.read(app.session_state["_session"])


def test_only_a_shared_session_opens_for_others_who_may_copy_it(pinned):
    kept, mine = _current(pinned)
    other = opened("report.py", session=mine.id)
    assert "no longer shares it" in "".join(e.value for e in other.error)
    kept.change(mine.id, lambda s: dataclasses.replace(s, shared=True))
    other = opened("report.py", session=mine.id)
    assert not other.exception
    assert "shared with you" in words(other)
    assert _items(other) == []
    assert len(other.get("vega_lite_chart")) == 4
    _labelled(other, "Make a copy of my own").click().run()
    assert len(_items(other)) == len(mine.report.items)
    assert kept.read(mine.id).report == mine.report


def test_a_damaged_session_opens_from_its_backup_with_a_sentence(pinned):
    kept, mine = _current(pinned)
    path = kept.path(mine.id)
    path.write_bytes(path.read_bytes()[:-200])
    pinned.run()
    assert not pinned.exception
    assert "Its backup" in words(pinned)
    assert list(path.parent.glob("*.damaged-*"))
    assert _items(pinned)


def test_a_figure_whose_recording_is_gone_is_shown_as_it_was_pinned(pinned):
    kept, mine = _current(pinned)
    first = mine.report.panels[0]
    gone = first.spec.replace(recording="no-such-recording")
    kept.change(
        mine.id,
        lambda s: dataclasses.replace(s, report=edits.changed(s.report, first.id, spec=gone)),
    )
    pinned.run()
    assert not pinned.exception
    assert "no-such-recording is not here (digest" in words(pinned)
    assert len(pinned.get("vega_lite_chart")) == 4


def test_slides_open_for_every_item_and_an_empty_report_says_so(pinned, monkeypatch):
    # No script runs here: bundling it, which takes seconds, is left to the test in the browser.
    monkeypatch.setattr(slides, "script", lambda: "export default () => undefined;")
    pinned.switch_page("present.py").run()
    assert not pinned.exception
    assert pinned.title[0].value.endswith("?")
    empty = opened("present.py")
    assert "nothing to show yet" in words(empty)


def test_choices_of_the_sidebar_come_back_with_the_session(pinned):
    app = AppTest.from_file(str(ROOT / "pages" / "app.py"), default_timeout=60)
    app.session_state["_owner"] = pinned.session_state["_owner"]
    app.run()
    assert app.selectbox(key="network").value == CHOSEN["network"]
    assert app.selectbox(key="stimuli").value == CHOSEN["stimuli"]
