"""The Attention page: pictures, texts, and networks that have no attention."""

from __future__ import annotations

import pytest

from tests.pages.test_pages import opened, words

VIT = {"network": "bundled:objects_vit", "stimuli": "objects?n=12&seed=7"}


def test_page_shows_heads_picture_and_caveat():
    app = opened("attention.py", **VIT, item="ring-00001", query="2,3", at="blocks.3.attention,1")
    said = words(app)
    assert not app.exception
    assert not app.error
    assert app.title[0].value == "Where does Objects ViT look?"
    assert "looks most narrowly" in said
    assert "Attention is not explanation" in said
    assert "Homolog 0.1.0" in said
    assert app.query_params["query"] == "2,3"


@pytest.mark.parametrize(
    ("tab", "sentence"),
    [
        ("Relevance", "Relevance for"),
        ("Heads removed", "matters most for"),
        ("Queries and keys", "products add up to"),
        ("Caveats", "Rollout averages the heads"),
        ("Measures", "mean of each layer"),
    ],
)
def test_details_open_at_the_tab_of_the_link(tab, sentence):
    app = opened("attention.py", **VIT, behind=tab)
    assert not app.exception
    assert not app.error
    assert sentence in words(app)


def test_text_page_reads_what_is_typed_and_says_what_is_hidden():
    app = opened("attention.py", network="bundled:tiny_text", typed="the keys to the cabinet", hide="true")
    said = words(app)
    assert not app.exception
    assert not app.error
    assert "[CLS]" in said
    assert "is hidden with the special tokens" in said


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        ("bundled:objects_cnn", "has no attention"),
        ("timm:coat_lite_tiny?untrained&seed=0", "cannot be read"),
    ],
)
def test_a_network_without_attention_that_can_be_read_offers_some(network, sentence):
    app = opened("attention.py", network=network, stimuli="objects?n=12&seed=7")
    assert not app.exception
    assert not app.error
    assert sentence in words(app)
    links = [link.proto.label for link in app.get("page_link")]
    assert "Look at Objects ViT with objects" in links
