"""What axe finds on every page once it stands still, light and dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.looking import hindrances, settle

pytestmark = [pytest.mark.browser]

FEW = "recording=simulated-v1?subjects=2%26cells=20"
LIGHT = [
    "",
    "add",
    f"brain?bootstrap=100&{FEW}",
    "rdms?network=bundled:tilt_cnn&layers=fc",
    "filters?stimuli=objects?n=4",
    "tuning?orientations=6&phases=3&frequencies=4:8:16",
    "selectivity?stimuli=objects?n=48&layers=block3",
    "unit?stimuli=objects?n=24",
    "alignment?stimuli=objects?n=24&bootstrap=20&layers=block3",
    "decoding?stimuli=objects?n=72&permutations=20&layers=block3",
    f"encoding?network=bundled:tilt_cnn&layers=pool,fc&{FEW}",
    "jobs",
]
DARK = [
    "attention?network=bundled:objects_vit&stimuli=objects?n=12",
    f"brain?bootstrap=100&{FEW}",
    "tuning?orientations=6&phases=3&frequencies=4:8:16",
    f"encoding?network=bundled:tilt_cnn&layers=pool,fc&{FEW}",
]


@pytest.mark.parametrize(
    ("scheme", "path"), [*(("light", path) for path in LIGHT), *(("dark", path) for path in DARK)]
)
def test_axe_finds_nothing(server, browser, scheme, path):
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{server.url}/{path}")
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=30_000)
    settle(page)
    assert hindrances(page) == []
    context.close()
