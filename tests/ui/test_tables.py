"""Headings of tables: words for people over columns that files keep."""

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.ui import tables


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ci_low", "95 % from"),
        ("n_stimuli", "Stimuli"),
        ("share_high", "Share, high end"),
        ("p_zero_adjusted", "p (zero), corrected"),
        ("p", "p"),
        ("random_score", "Random score"),
        ("Kernel", "Kernel"),
        ("κ", "κ"),
    ],
)
def test_headings_are_words(name, expected):
    assert tables.heading(name)[0] == expected


def test_columns_keep_their_names_and_numbers():
    def page():
        import pandas as pd

        from dashboard.ui import tables

        tables.draw(pd.DataFrame({"ci_low": [0.5], "layer": ["fc"]}), alt="One layer")

    app = AppTest.from_function(page).run()
    assert not app.exception
    pd.testing.assert_frame_equal(app.dataframe[0].value, pd.DataFrame({"ci_low": [0.5], "layer": ["fc"]}))
    assert "95 % from" in app.dataframe[0].proto.columns
