"""The sidebar chooses the stimuli that a network was made for, and leaves the reader's own choice alone."""

from __future__ import annotations

import time
from pathlib import Path

from streamlit.testing.v1 import AppTest

from dashboard import jobs

APP = str(Path(__file__).resolve().parents[2] / "pages" / "app.py")


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def offered(app: AppTest) -> list[str]:
    return [button.label for button in app.button if button.label.startswith("Show it ")]


def test_a_link_to_a_network_alone_shows_what_it_was_made_for():
    app = opened(network="bundled:digits_mlp")
    assert app.selectbox("stimuli").value == "digits"
    assert not offered(app)


def test_choosing_networks_brings_their_stimuli_along():
    app = opened()
    assert app.selectbox("stimuli").value == "objects"
    for network, suited in (("tiny_text", "sentences"), ("objects_cnn", "objects"), ("tilt_cnn", "gratings")):
        app.selectbox("network").select(f"bundled:{network}").run()
        assert app.selectbox("stimuli").value == suited
        assert not app.exception


def test_the_readers_own_choice_stays_and_the_partner_is_offered():
    app = opened(network="bundled:digits_mlp", stimuli="objects?n=24&seed=5")
    assert app.selectbox("stimuli").value == "objects?n=24&seed=5"
    app.selectbox("network").select("bundled:digits_gru").run()
    assert app.selectbox("stimuli").value == "objects?n=24&seed=5"
    assert offered(app) == ["Show it digits instead"]
    next(button for button in app.button if button.label.startswith("Show it ")).click().run()
    assert app.selectbox("stimuli").value == "digits"
    assert not offered(app)


def test_the_sidebar_counts_texts_as_texts():
    app = opened(network="bundled:tiny_text", stimuli="sentences?n=12")
    deadline = time.monotonic() + 180
    while any(not job.over for job in jobs.engine().jobs()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert "12 texts · 2 categories" in [caption.value for caption in app.run().caption]
