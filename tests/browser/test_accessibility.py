"""Every page once it stands still: axe finds nothing, light and dark, and nothing asks the internet."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.looking import HEADINGS

pytestmark = [pytest.mark.browser]

FEW = "recording=simulated-v1?subjects=2%26cells=20"
OBJECTS = "network=bundled:objects_cnn&stimuli=objects%3Fn%3D24"
SHOWN = {
    "": "",
    "add": "",
    f"predictions?{OBJECTS}": "of 24 pictures right",
    f"predictions?{OBJECTS}&quality=Calibration": "expected calibration error",
    "predictions?network=bundled:objects_unet&stimuli=objects%3Fn%3D24": "mean IoU of",
    "predictions?network=bundled:v1_decoder&stimuli=gratings%3Fphases%3D1": "is off by",
    "predictions?network=bundled:tiny_text&stimuli=sentences%3Fn%3D24": "of 24 texts right",
    f"network?{OBJECTS}": "has 7 blocks",
    f"network?{OBJECTS}&about=Training": "Best at epoch",
    f"network?{OBJECTS}&about=Health": "neither vanishes nor explodes",
    "attention?network=bundled:objects_vit&stimuli=objects?n=12": "",
    f"brain?bootstrap=100&{FEW}": "",
    f"rdms?network=bundled:tilt_cnn&layers=fc&{FEW}": "",
    "filters?stimuli=objects?n=4": "",
    "tuning?orientations=6&phases=3&frequencies=4:8:16": "",
    "selectivity?stimuli=objects?n=48&layers=block3": "",
    "unit?stimuli=objects?n=24": "",
    "alignment?stimuli=objects?n=24&bootstrap=20&layers=block3": "",
    "decoding?stimuli=objects?n=72&permutations=20&layers=block3": "",
    f"encoding?network=bundled:tilt_cnn&layers=pool,fc&{FEW}": "",
    "report": "",
    "jobs": "",
}
"""Address -> what stands on it once it is ready."""
DARK = (
    f"predictions?{OBJECTS}",
    f"network?{OBJECTS}",
    f"network?{OBJECTS}&about=Health",
    "attention?network=bundled:objects_vit&stimuli=objects?n=12",
    f"brain?bootstrap=100&{FEW}",
    "tuning?orientations=6&phases=3&frequencies=4:8:16",
    f"encoding?network=bundled:tilt_cnn&layers=pool,fc&{FEW}",
)


def test_every_page_is_looked_at():
    pages = {path.stem for path in (Path(__file__).resolve().parents[2] / "pages").glob("*.py")}
    assert set(HEADINGS) == (pages | {""}) - {"app", "home", "present"}
    elsewhere = {"attributions"}  # by the test of its chips
    assert {address.partition("?")[0] for address in SHOWN} | elsewhere == set(HEADINGS)
    assert set(DARK) < set(SHOWN)


@pytest.mark.parametrize("address", SHOWN)
def test_axe_finds_nothing_and_nothing_is_asked_of_the_internet(visitor, address):
    visitor.look(address, SHOWN[address], dark=address in DARK)
