"""Every page in Streamlit's own harness: it answers its question, and says in words what it cannot do."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import compute, jobs, specs

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path.name for path in (ROOT / "pages").glob("*.py") if path.name != "app.py")


def opened(page: str, **query: str) -> AppTest:
    """Open a page by its link and wait until everything that it asked for is there."""
    app = AppTest.from_file(str(ROOT / "pages" / "app.py"), default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    return answered(app.switch_page(page).run() if page != "home.py" else app.run())


def answered(app: AppTest) -> AppTest:
    """Wait until everything that a page asked for is there, and shown."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for job in jobs.engine().jobs():  # to run the page again and again would slow the workers
            jobs.engine().wait(job.key, max(deadline - time.monotonic(), 0.0))
        before = jobs.engine().jobs()
        app.run()
        if before == jobs.engine().jobs():  # nothing was asked and nothing came while it was drawn
            break
    return app


def words(app: AppTest) -> str:
    """Return everything that a page says."""
    parts = [e.value for kind in (app.markdown, app.caption, app.error, app.warning, app.info) for e in kind]
    return "\n".join(map(str, parts)).replace("\\", "")


def test_no_page_hides_a_module():
    for page in PAGES:
        assert Path(page).stem not in sys.stdlib_module_names | {"models", "dashboard", "torch", "tests"}


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_with_a_question_or_the_name(page):
    app = opened(page, bootstrap="100")
    assert not app.exception
    assert app.title[0].value.endswith("?") or app.title[0].value == "Homolog"


def test_brain_page_gives_verdict_caveats_figure_and_record():
    app = opened("brain.py", bootstrap="100")
    said = words(app)
    assert not app.exception
    assert "simulated" in said.lower()
    assert "95 %" in said
    assert "Homolog 0.1.0" in said
    assert app.get("vega_lite_chart")


def test_the_link_of_a_spec_opens_its_view():
    """What `Spec.to_query` writes is the page's URL: the same question, so the same stored answer."""
    spec = specs.BrainSpec(
        network="bundled:tilt_cnn?untrained&seed=1",
        recording="simulated-v1?subjects=2&cells=20",
        layers=("pool", "fc"),
        measure="rho-a",
        resample="stimuli",
        bootstrap=50,
        seed=3,
    )
    app = opened("brain.py", **spec.to_query())
    assert not app.exception
    assert compute.stored(spec) is not None
    assert list(app.dataframe[0].value["layer"]) == ["pool", "fc"]


def test_rdms_page_shows_network_and_brain():
    app = opened("rdms.py")
    assert not app.exception
    assert not app.error
    assert "colour scale" in words(app)


def test_jobs_page_lists_what_is_stored():
    opened("brain.py", bootstrap="100")
    app = opened("jobs.py")
    assert not app.exception
    assert len(app.dataframe) >= 1


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"network": "bundled:tilt_cn"}, "Did you mean tilt_cnn"),
        ({"network": "nonsense"}, "nonsense"),
        ({"network": "torchvision:alexnet?weights=/etc/hostname"}, "outside the folders"),
        ({"stimuli": "folder:/etc"}, "outside the folders"),
        ({"recording": "simulated-v1?stimuli=folder:/etc"}, "outside the folders"),
        ({"layers": "no_such_layer"}, "no_such_layer"),
    ],
)
def test_a_link_that_cannot_be_opened_says_why(query, sentence):
    app = opened("brain.py", bootstrap="100", **query)
    assert not app.exception
    assert sentence in "\n".join(e.value for e in app.error).replace("\\", "")


def test_markup_in_a_link_shows_as_text():
    app = opened("brain.py", network="<b>bold</b>")
    assert not app.exception
    assert all("<b>" not in e.value for e in (*app.title, *app.error))


def test_a_first_visit_opens_every_page_with_something_to_see():
    """Without a link: pictures that are named and judged, and a profile of layers."""
    said = words(opened("predictions.py"))
    assert "of 240 pictures right" in said
    app = opened("brain.py", bootstrap="50")
    assert app.selectbox(key="network").value == "bundled:objects_cnn"
    assert "Simulated:" in words(app)


def test_home_leads_to_the_network_that_knows_gratings_and_simulated_v1():
    from dashboard.ui.home import WAYS

    query = WAYS[0].query
    assert (query["network"], query["recording"]) == ("bundled:tilt_cnn", "simulated-v1")
    app = opened(WAYS[0].page, **query, bootstrap="50")
    assert not app.error
    assert "pool comes closest" in words(app)


def test_brain_page_tests_layers_in_its_tab():
    app = opened("brain.py", bootstrap="60", part="Tests", permutations="99", network="bundled:tilt_cnn")
    said = words(app)
    assert not app.exception
    assert "noise ceiling (p" in said
    assert "corrected for the false discovery rate" in said
    assert "shuffles" in said or "shuffled" in said


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ("Unique and shared", "of the variance of simulated V1"),
        ("Combined layers", "than one layer chosen in training"),
        ("Stimuli", "adds most to the similarity"),
        ("Where the score comes from", "contributes most"),
        ("Weighted channels", "Weighing the channels"),
    ],
)
def test_brain_page_splits_variance_and_shows_stimuli(part, sentence):
    app = opened("brain.py", bootstrap="60", part=part, network="bundled:tilt_cnn", models="pool,pixels")
    assert not app.exception
    assert sentence in words(app)


def test_rdms_page_sets_simple_models_beside_layers():
    app = opened("rdms.py", network="bundled:tilt_cnn", controls="pixels,gist")
    assert not app.exception
    assert not app.error
