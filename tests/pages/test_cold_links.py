"""What a link asks for is drawn even where nothing is known yet of what the pickers offer."""

from __future__ import annotations

import pytest

from tests.pages.test_pages import opened, words

OBJECTS = {"network": "bundled:objects_cnn", "stimuli": "objects?n=4"}


@pytest.mark.usefixtures("cold")
@pytest.mark.parametrize(
    ("page", "query", "sentence"),
    [
        ("filters.py", {"filter_layer": "block2.conv1", "unit": "3"}, "not the whole kernel"),
        ("filters.py", {"map_layer": "block3", "item": "ring-00002"}, "Activations of block3 range from"),
        ("predictions.py", {"truth": "colour"}, "cannot be told"),
    ],
)
def test_a_link_is_followed_before_the_options_are_known(page, query, sentence):
    app = opened(page, **OBJECTS, **query)
    assert not app.exception
    assert sentence in words(app)
    assert {name: app.query_params[name] for name in query} == query
