from __future__ import annotations

import numpy as np
import pytest

from dashboard.errors import InputError
from dashboard.figures import overlay, theme
from dashboard.figures.overlay import Panel

PICTURE = np.zeros((8, 8, 3), dtype=np.uint8)
PICTURE[:, :, 0] = 100


def test_strongest_value_covers_and_zero_lets_through():
    values = np.array([[1.0, 0.0], [-1.0, np.nan]])
    pixels = overlay.blended(Panel("a", PICTURE, values, -1, 1), opacity=1.0, grey=False)
    side = pixels.shape[0]
    quarter = [pixels[side // 4, side // 4], pixels[side // 4, -1], pixels[-1, 0], pixels[-1, -1]]
    assert quarter[0].tolist() == theme.lut("diverging")[255].tolist()
    assert quarter[2].tolist() == theme.lut("diverging")[0].tolist()
    assert quarter[1].tolist() == quarter[3].tolist() == [100, 0, 0]


def test_opacity_mixes_linearly():
    values = np.ones((2, 2))
    half = overlay.blended(Panel("a", PICTURE, values, -1, 1), opacity=0.5, grey=False)
    expected = np.rint(0.5 * theme.lut("diverging")[255] + 0.5 * np.array([100, 0, 0]))
    assert half[0, 0].tolist() == expected.tolist()


def test_coarse_map_is_interpolated_only_when_smooth():
    values = np.array([[0.0, 1.0]])
    rough, smooth = (
        overlay.blended(Panel("a", None, values, 0, 1, lut="viridis", smooth=s)) for s in (False, True)
    )
    assert len(np.unique(rough.reshape(-1, 3), axis=0)) == 2
    assert len(np.unique(smooth.reshape(-1, 3), axis=0)) > 50


def test_borders_stand_between_segments():
    regions = np.array([[0, 0, 1], [2, 2, 1]])
    assert overlay.borders(regions).tolist() == [[True, True, False], [False, True, False]]


def test_words_name_the_places_of_the_extremes():
    values = np.zeros((9, 9))
    values[0, 8], values[8, 0] = 2.0, -1.5
    said = overlay.describe(Panel("IG", PICTURE, values, -2, 2, "logits"))
    assert said == "IG: largest 2.00 at the top right, smallest −1.50 at the bottom left (logits)."


def test_chart_prints_the_limits_and_has_a_panel_each():
    panels = [Panel("Picture", PICTURE), Panel("a", PICTURE, np.ones((2, 2)), -0.5, 0.5, "logits")]
    spec = overlay.chart(panels, title="Maps").to_dict()
    text = str(spec)
    assert "−0.500" in text
    assert "logits" in text
    assert len(spec["vconcat"][0]["concat"]) == 2


def test_empty_and_flat_panels_are_refused():
    with pytest.raises(InputError, match="neither a picture nor a map"):
        Panel("a")
    with pytest.raises(InputError, match="limits that differ"):
        Panel("a", PICTURE, np.ones((2, 2)), 1, 1)
    with pytest.raises(InputError, match="no map"):
        overlay.chart([])
