"""The Fetch button of the Add page: from the list of open data to files that a recording opens."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import recordings
from tests.recordings.test_fetched import KAY, server  # noqa: F401 - a fixture

pytestmark = pytest.mark.filterwarnings("ignore:No source tells")


@pytest.fixture(autouse=True)
def _nothing_is_here(cold):
    """Start with an empty folder."""


def page():
    from dashboard.ui.adding import open_data

    open_data.show()


def asked():
    app = AppTest.from_function(page, default_timeout=60)
    app.query_params["open"] = "kay"
    return app.run()


def todo(app):
    rows = app.dataframe[0].value
    return rows.loc[rows["data"].str.contains("Kay"), "what to do"].item()


def pressed(app):
    next(b for b in app.button if b.label == "Fetch").click().run()
    assert not app.exception
    return app


@pytest.mark.usefixtures("server")
def test_nothing_is_fetched_before_it_is_asked_for_and_then_it_opens():
    app = asked()
    assert todo(app) == "fetch below; then choose kay-training or kay-validation"
    assert not app.success
    pressed(app)
    assert not app.error
    assert "is here: choose kay-training or kay-validation as the recording" in app.success[0].value
    assert "No source tells" in app.warning[0].value
    assert todo(app.run()) == "is here; then choose kay-training or kay-validation"
    expected = KAY["responses_test"][:, KAY["roi"] == 1].astype(np.float64)
    np.testing.assert_array_equal(recordings.load("kay-validation").responses["V1"][0], expected)


def test_a_server_without_the_file_is_told_in_words(server):  # noqa: F811
    server.clear()
    app = pressed(asked())
    assert not app.success
    assert "could not be fetched: the server answered 404" in app.error[0].value.replace("\\", "")
    assert todo(app.run()).startswith("fetch below")
