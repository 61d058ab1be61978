from __future__ import annotations

import itertools
import tomllib
from pathlib import Path

import numpy as np
import pytest

from dashboard.errors import InputError
from dashboard.figures import theme

ROOT = Path(__file__).resolve().parents[2]

# G. Machado, M. Oliveira and L. Fernandes (2009), table 1: deuteranopia, severity 1.0, on linear RGB.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)


def linear(colour) -> np.ndarray:
    """sRGB hex or (n, 3) uint8 to linear (…, 3)."""
    if isinstance(colour, str):
        colour = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    c = np.asarray(colour, dtype=float) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def luminance(colour) -> np.ndarray:
    return linear(colour) @ [0.2126, 0.7152, 0.0722]


def contrast(a: str, b: str) -> float:
    """WCAG 2.2 contrast ratio."""
    low, high = sorted([luminance(a), luminance(b)])
    return float((high + 0.05) / (low + 0.05))


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Linear RGB to OKLab (B. Ottosson, 2020), times 100."""
    lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return 100 * np.cbrt(np.clip(rgb, 0, 1) @ lms.T) @ lab.T


def difference(a: str, b: str, deuteranopia: bool = False) -> float:
    seen = [linear(c) @ DEUTERANOPIA.T if deuteranopia else linear(c) for c in (a, b)]
    return float(np.linalg.norm(oklab(seen[0]) - oklab(seen[1])))


@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_text_and_marks_can_be_read_on_page_and_panel(palette):
    for ground in (palette["background"], palette["panel"]):
        for text in ("text", "muted", "caution"):
            assert contrast(palette[text], ground) >= 4.5
        for mark in ("network", "brain", "second", "third", "control"):
            assert contrast(palette[mark], ground) >= 3


@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_network_and_brain_differ_for_all_eyes(palette):
    assert difference(palette["network"], palette["brain"]) > 20
    assert difference(palette["network"], palette["brain"], deuteranopia=True) > 15
    for a, b in (("network", "second"), ("brain", "second"), ("brain", "third")):
        assert difference(palette[a], palette[b], deuteranopia=True) > 8


def test_what_colour_cannot_tell_apart_shape_does():
    """Blue and plum are alike with deuteranopia, and all roles in greyscale: so roles have shapes."""
    roles = ["network", "brain", "second", "third", "control"]
    assert difference(theme.DARK["network"], theme.DARK["third"], deuteranopia=True) < 8
    assert len({theme.SHAPES[r] for r in roles}) == len(roles)
    for a, b in itertools.combinations(["network", "second", "third", "control"], 2):
        assert theme.DASHES[a] != theme.DASHES[b]
    assert len(set(theme.CATEGORY_SHAPES)) == len(theme.CATEGORIES_LIGHT) == len(theme.CATEGORIES_DARK)


def test_category_colours_stand_out_in_both_themes_where_strips_use_them():
    for colour in theme.CATEGORIES_LIGHT:
        assert contrast(colour, theme.LIGHT["background"]) >= 3
        assert contrast(colour, theme.DARK["background"]) >= 3
    for a, b in itertools.combinations(theme.CATEGORIES_LIGHT, 2):
        assert difference(a, b) > 7
    assert len(set(theme.category_colours(24))) == len(set(theme.category_colours(24, dark=True))) == 24
    assert theme.category_colours(26)[24:] == theme.category_colours(2)


@pytest.mark.parametrize("name", ["viridis", "cividis"])
def test_sequential_maps_grow_lighter_all_the_way(name):
    table = theme.lut(name)
    assert table.shape == (256, 3)
    assert table.dtype == np.uint8
    lightness = oklab(linear(table))[:, 0]
    deuteranopic = oklab(linear(table) @ DEUTERANOPIA.T)[:, 0]
    for steps in (lightness, deuteranopic):
        assert np.diff(steps[::8]).min() > 0
    assert lightness[-1] - lightness[0] > 50


def test_diverging_map_is_white_in_the_middle_and_alike_on_both_sides():
    table = theme.lut("diverging")
    lightness = oklab(linear(table))[:, 0]
    assert np.diff(lightness[:128:4]).min() > 0
    assert np.diff(lightness[128::4]).max() < 0
    assert abs(lightness - lightness[::-1]).max() < 2
    assert (table[127:129] >= 252).all()
    assert table[0, 2] > 2 * table[0, 0]
    assert table[-1, 0] > 2 * table[-1, 2]
    deuteranopic = oklab(linear(table[[40, 215]]) @ DEUTERANOPIA.T)
    assert np.linalg.norm(deuteranopic[0] - deuteranopic[1]) > 15


def test_colour_maps_equal_matplotlib():
    matplotlib = pytest.importorskip("matplotlib")
    for name in ("viridis", "cividis"):
        peer = np.round(matplotlib.colormaps[name](np.arange(256))[:, :3] * 255)
        assert np.array_equal(theme.lut(name), peer)


def test_tables_cannot_be_changed_and_unknown_names_are_refused():
    with pytest.raises(ValueError, match="read-only"):
        theme.lut("viridis")[0] = 0
    with pytest.raises(InputError, match='no colour map "jet"'):
        theme.lut("jet")
    with pytest.raises(InputError, match='no colour "pink"'):
        theme.colour("pink")  # type: ignore[arg-type]


def test_config_of_the_app_has_the_same_colours():
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))
    for name, palette, categories in (
        ("light", theme.LIGHT, theme.CATEGORIES_LIGHT),
        ("dark", theme.DARK, theme.CATEGORIES_DARK),
    ):
        found = config["theme"][name]
        assert found["backgroundColor"] == palette["background"]
        assert found["secondaryBackgroundColor"] == palette["panel"]
        assert found["textColor"] == palette["text"]
        assert found["chartCategoricalColors"] == list(categories)
        assert found["chartSequentialColors"] == theme.sampled("viridis", 10)
        assert found["chartDivergingColors"] == theme.sampled("diverging", 10)
        assert len(found["chartDivergingColors"]) == 10
        assert contrast(found["primaryColor"], palette["background"]) >= 4.5
        assert contrast(found["primaryColor"], "#FFFFFF") >= 3
        assert contrast(found["linkColor"], palette["panel"]) >= 4.5
    assert config["runner"]["postScriptGC"] is False
    assert config["browser"]["gatherUsageStats"] is False
    assert config["server"]["address"] == "127.0.0.1"
    assert config["client"] == {"toolbarMode": "minimal", "showErrorDetails": "none", "showErrorLinks": False}


def test_captions_can_be_read():
    """Streamlit writes captions in the text colour at 60 %."""
    for palette in (theme.LIGHT, theme.DARK):
        for ground in (palette["background"], palette["panel"]):
            mixed = [
                round(0.6 * int(palette["text"][k : k + 2], 16) + 0.4 * int(ground[k : k + 2], 16))
                for k in (1, 3, 5)
            ]
            assert contrast("#" + "".join(f"{c:02X}" for c in mixed), ground) >= 4.5


def test_sequential_limits():
    a, b = np.array([0.2, np.nan, 0.9]), np.array([[0.1, np.inf]])
    assert theme.sequential_limits(a, b) == (0.1, 0.9)
    assert theme.sequential_limits(a, b, zero=True) == (0.0, 0.9)
    wide = np.arange(101.0)
    assert theme.sequential_limits(wide, scaling="robust") == (2.0, 98.0)
    assert theme.sequential_limits(np.full(3, 0.5)) == (0.5, 1.5)
    assert theme.sequential_limits(np.array([np.nan])) == (0.0, 1.0)
    with pytest.raises(InputError, match="scaling"):
        theme.sequential_limits(a, scaling="some")  # type: ignore[arg-type]


def test_signed_limits_are_symmetric():
    assert theme.signed_limits(np.array([-0.2, 0.7]), np.array([-0.9])) == (-0.9, 0.9)
    assert theme.signed_limits(np.zeros(2)) == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.30504, "0.305"),
        (0.3, "0.300"),
        (-0.04567, "−0.0457"),
        (12.345, "12.3"),
        (99.96, "100"),
        (0.99999, "1.00"),
        (1234567, "1.23 × 10⁶"),
        (0.0000123, "1.23 × 10⁻⁵"),
        (0, "0"),
        (float("nan"), "not available"),
        (float("-inf"), "−∞"),
    ],
)
def test_three_digits(x, text):
    assert theme.three_digits(x) == text


@pytest.mark.parametrize(
    ("lo", "hi", "text"),
    [
        (0.2404, 0.3811, "[0.24, 0.38]"),
        (-0.02, 0.1, "[−0.02, 0.10]"),
        (0.3061, 0.3199, "[0.306, 0.320]"),
        (-0.001, 0.4, "[0.00, 0.40]"),
        (float("nan"), 1, "[not available]"),
    ],
)
def test_interval(lo, hi, text):
    assert theme.interval(lo, hi) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0213, "p = .021"),
        (0.2, "p = .200"),
        (0.0009, "p < .001"),
        (0, "p < .001"),
        (0.001, "p = .001"),
        (1, "p > .999"),
        (float("nan"), "p not available"),
    ],
)
def test_p_value(p, text):
    assert theme.p_value(p) == text


def test_short_names_stay_different():
    names = tuple(f"features.block{k}.layer.branch_one.normalised.convolution" for k in range(9))
    short = theme.short_names(names, 24)
    assert list(short) == list(names)
    assert len(set(short.values())) == 9
    assert max(map(len, short.values())) <= 24
    assert theme.short_names(("a", "b")) == {"a": "a", "b": "b"}
    assert len(theme.short_names(("x" * 60,), 24)["x" * 60]) == 24
