"""The pages Network and Predictions in a real browser: clicks and dropped pictures."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser]

OBJECTS = "network=bundled:objects_cnn&stimuli=objects%3Fn%3D24"


def test_a_click_on_a_thumbnail_chooses_the_picture(server, page):
    page.goto(f"{server.url}/predictions?{OBJECTS}")
    tile = page.get_by_role("option", name=re.compile("star-")).first
    expect(tile).to_be_visible(timeout=240_000)
    name = tile.get_attribute("data-name")
    tile.click()
    expect(page.get_by_text(re.compile(f"^{name}"), exact=False).last).to_be_visible()
    page.wait_for_url(re.compile(f"picture={name}"))


def _png(seed: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_dropped_pictures_are_predicted_and_a_bad_one_is_named(server, page):
    page.goto(f"{server.url}/predictions?{OBJECTS}")
    expect(page.get_by_text(re.compile("of 24 pictures right"))).to_be_visible(timeout=240_000)
    page.get_by_role("button", name=re.compile("Your pictures")).click()
    place = page.locator("input[type=file]")
    place.set_input_files(
        [{"name": f"<b>drop {k}.png", "mimeType": "image/png", "buffer": _png(k)} for k in range(2)]
    )
    page.wait_for_url(re.compile("stimuli=upload"), timeout=60_000)
    expect(page.get_by_text("2 pictures", exact=False).first).to_be_visible(timeout=60_000)
    expect(page.get_by_role("option", name=re.compile("<b>drop 1")).first).to_be_visible(timeout=60_000)
    place.set_input_files([{"name": "bad.png", "mimeType": "image/png", "buffer": b"<svg/>"}])
    expect(page.get_by_text(re.compile('"bad.png" is not a PNG')).first).to_be_visible(timeout=60_000)
