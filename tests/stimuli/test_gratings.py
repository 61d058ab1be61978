"""Gratings: pixels against the formula, the convention of orientation, and every refusal."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dashboard import stimuli
from dashboard.errors import InputError
from dashboard.stimuli import gratings


def bar_orientation(picture: np.ndarray) -> float:
    """Orientation of the bars from the structure tensor: 0 vertical, clockwise, in [0, 180)."""
    dy, dx = np.gradient(gaussian_filter(np.asarray(picture, dtype=np.float64), 4, mode="nearest"))
    across = 0.5 * np.arctan2(2 * (dx * dy).sum(), (dx * dx - dy * dy).sum())
    return float(np.rad2deg(across) % 180)


def angle_between(a: float, b: float) -> float:
    return abs((a - b + 90) % 180 - 90)


class TestNeuromatch:
    def test_every_pixel_follows_the_formula(self):
        got = gratings.neuromatch_grating(-35.0)
        assert got.shape == (48, 64)
        assert got.dtype == np.float32
        a = np.deg2rad(-35.0)
        for row, column in [(0, 0), (0, 63), (47, 0), (20, 33), (47, 63)]:
            value = np.cos(column * 10 / 28 * np.cos(a) + row * 10 / 28 * np.sin(a))
            assert got[row, column] == (1.0 if value > 0 else 0.0)

    def test_wavelength_of_176_pixels(self):
        full = gratings.neuromatch_grating(0.0, height=480, width=640)
        edges = np.flatnonzero(np.diff(full[0]))
        assert np.allclose(np.diff(edges), np.pi * 28, atol=1)

    @pytest.mark.parametrize("tilt", [-60.0, -20.0, 20.0, 60.0])
    def test_positive_tilts_right(self, tilt):
        drawn = gratings.neuromatch_grating(tilt, height=480, width=640)
        assert angle_between(bar_orientation(drawn), tilt) < 3

    def test_zero_is_vertical(self):
        drawn = gratings.neuromatch_grating(0.0)
        assert (drawn == drawn[:1]).all()

    def test_small_size_is_a_sample_of_the_full_field(self):
        full = gratings.neuromatch_grating(33.0, height=480, width=640)
        assert np.array_equal(gratings.neuromatch_grating(33.0), full[::10, ::10])

    def test_patch_is_a_disc_on_grey(self):
        drawn = gratings.neuromatch_grating(10.0, patch=True)
        grey = drawn == 0.5
        assert grey[:, :30].all()
        assert not grey[24, 48]
        assert (~grey).sum() == pytest.approx(np.pi * (64 / 6) ** 2, rel=0.05)
        inside = np.hypot(np.arange(64)[None] - 48, np.arange(48)[:, None] - 24) < 64 / 6
        turned = gratings.neuromatch_grating(10.0 + np.rad2deg(0.1))
        assert np.array_equal(drawn[inside], turned[inside])

    def test_set_has_names_columns_and_labels(self):
        found = stimuli.load("neuromatch-gratings?n=5&low=-60&high=60")
        assert found.names == ("tilt -60.0", "tilt -30.0", "tilt 0.0", "tilt 30.0", "tilt 60.0")
        assert found.columns["tilt"].tolist() == [-60, -30, 0, 30, 60]
        assert found.columns["label"].tolist() == [0, 0, 0, 1, 1]
        assert found.categories == ("left", "left", "vertical", "right", "right")
        assert np.array_equal(found.array(0), gratings.neuromatch_grating(-60.0))
        assert found.picture(0).shape == (48, 64, 3)
        assert set(np.unique(found.picture(0))) == {0, 255}

    def test_both_horizontal_ends_would_be_one_picture(self):
        found = stimuli.load("neuromatch-gratings")
        assert len(found) == 60
        assert found.columns["tilt"][[0, -1]].tolist() == [-90, 87]
        pictures = {found.array(i).tobytes() for i in range(60)}
        assert len(pictures) == 60

    @pytest.mark.parametrize(
        ("ref", "sentence"),
        [
            (
                "neuromatch-gratings?patch=maybe",
                'patch of neuromatch-gratings must be yes or no, not "maybe".',
            ),
            (
                "neuromatch-gratings?low=20&high=10",
                "high of neuromatch-gratings (10 degrees) must be above low (20 degrees).",
            ),
            (
                "neuromatch-gratings?n=0",
                'n of neuromatch-gratings must be a number from 1 to 20000, not "0".',
            ),
        ],
    )
    def test_refusals(self, ref, sentence):
        with pytest.raises(InputError) as caught:
            stimuli.identity(ref)
        assert str(caught.value).startswith(sentence)


class TestGratings:
    @pytest.mark.parametrize("orientation", [0, 20, 45, 90, 117, 165])
    def test_orientation_on_the_pixels(self, orientation):
        found = stimuli.load(f"gratings?orientations={orientation}:&spatial_frequencies=8&phases=90:")
        assert angle_between(bar_orientation(found.array(0)), orientation) < 0.5

    def test_45_degrees_leans_to_the_right(self):
        drawn = stimuli.load("gratings?orientations=45:&spatial_frequencies=4&phases=0:&aperture=0").array(0)
        # The bright bar through the middle runs from the lower left to the upper right.
        assert drawn[60, 163] > 0.9
        assert drawn[163, 60] > 0.9
        assert np.diag(drawn).min() < 0.1

    @pytest.mark.parametrize("frequency", [3, 8, 40])
    def test_spatial_frequency_is_the_fourier_peak(self, frequency):
        ref = f"gratings?orientations=0:&spatial_frequencies={frequency}&phases=0:&aperture=0"
        power = np.abs(np.fft.rfft(stimuli.load(ref).array(0)[100] - 0.5))
        assert power.argmax() == frequency

    def test_phase_at_the_middle(self):
        # An odd size has a pixel in the middle.
        ref = "gratings?orientations=30:&spatial_frequencies=9&phases=0:60:90:180"
        found = stimuli.load(f"{ref}&aperture=0&size=65&contrast=0.5")
        middle = [found.array(i)[32, 32] for i in range(4)]
        assert middle == pytest.approx([0.75, 0.625, 0.5, 0.25], abs=0.005)

    @pytest.mark.parametrize("contrast", [0.1, 0.5, 1.0])
    def test_michelson_contrast(self, contrast):
        found = stimuli.load(f"gratings?orientations=3&spatial_frequencies=8&phases=4&contrast={contrast}")
        for i in range(len(found)):
            low, high = float(found.array(i).min()), float(found.array(i).max())
            assert (high - low) / (high + low) == pytest.approx(contrast, rel=0.03)

    def test_equal_mean_luminance_whatever_the_phase(self):
        found = stimuli.load("gratings?orientations=5&spatial_frequencies=1:1.5:4:20&phases=8&size=96")
        means = np.array([found.array(i).mean(dtype=np.float64) for i in range(len(found))])
        assert np.abs(means - 0.5).max() < 1e-7
        extremes = np.array([(found.array(i).min(), found.array(i).max()) for i in range(len(found))])
        assert extremes.min() >= 0
        assert extremes.max() <= 1

    def test_aperture_is_round_and_soft(self):
        drawn = stimuli.load("gratings?orientations=0:&spatial_frequencies=20&phases=0:&aperture=0.5").array(
            0
        )
        y, x = np.mgrid[:224, :224] - 111.5
        distance = np.hypot(x, y)
        assert (drawn[distance > 56] == 0.5).all()
        ring = np.abs(drawn - 0.5)[(distance > 48) & (distance < 54)].max()
        assert 0.05 < ring < 0.45
        assert np.abs(drawn - 0.5)[distance < 40].max() > 0.49

    def test_names_columns_and_order(self):
        found = stimuli.load("gratings?orientations=4&spatial_frequencies=2:5.5&phases=2")
        assert found.names[:3] == (
            "ori 000.0 sf 2 ph 000.0",
            "ori 000.0 sf 2 ph 180.0",
            "ori 000.0 sf 5.5 ph 000.0",
        )
        assert found.columns["orientation"].tolist() == [0] * 4 + [45] * 4 + [90] * 4 + [135] * 4
        assert found.columns["spatial_frequency"][:4].tolist() == [2, 2, 5.5, 5.5]
        assert found.units["spatial_frequency"] == "cycles/picture"
        assert found.categories[4] == "045.0 deg"
        assert all(name.isascii() for name in found.names)
        assert len(set(stimuli.load("gratings?orientations=7&phases=7").names)) == 7 * 3 * 7

    @pytest.mark.parametrize(("size", "frequencies"), [(224, [4, 8, 16]), (32, [4, 8]), (16, [4]), (8, [1])])
    def test_default_frequencies_fit_the_size(self, size, frequencies):
        found = stimuli.load(f"gratings?size={size}&phases=1")
        assert sorted(set(found.columns["spatial_frequency"])) == frequencies

    def test_default_set(self):
        found = stimuli.load("gratings")
        assert len(found) == 144
        assert found.generated
        assert found.picture(0).shape == (224, 224, 3)
        assert found.picture(0).dtype == np.uint8

    def test_identity_is_the_digest_and_of_the_meaning(self):
        assert stimuli.identity("gratings") == stimuli.load("gratings").digest
        assert stimuli.identity("gratings?orientations=12&size=224") == stimuli.identity("gratings")
        others = [
            "gratings",
            "gratings?orientations=11",
            "gratings?contrast=0.5",
            "gratings?size=64",
            "gratings?phases=3",
            "gratings?aperture=1",
            "gratings?spatial_frequencies=4:8",
            "neuromatch-gratings",
            "neuromatch-gratings?patch=yes",
        ]
        assert len({stimuli.identity(ref) for ref in others}) == len(others)

    @pytest.mark.parametrize(
        ("ref", "sentence"),
        [
            (
                "gratings?spatial_frequencies=4:112",
                "A spatial frequency of 112 cycles per picture cannot be drawn in 224 pixels. "
                "Stay below the Nyquist limit of 112, or ask for a larger size.",
            ),
            (
                "gratings?spatial_frequencies=4:x",
                'spatial_frequencies of gratings must be numbers above 0, not "x". '
                "Put colons between them, such as 2:4:8.",
            ),
            ("gratings?spatial_frequencies=4:4.0", "spatial_frequencies of gratings gives a number twice"),
            ("gratings?orientations=0:180", "orientations of gratings must be numbers from 0 to below 180"),
            ("gratings?orientations=0", "orientations of gratings must be a number from 1 to 180"),
            ("gratings?contrast=1.5", 'contrast of gratings must be a number from 0 to 1, not "1.5".'),
            (
                "gratings?orientation=3",
                'There is no option of gratings "orientation". Did you mean orientations?',
            ),
            (
                "gratings?orientations=180&phases=360",
                "These options make 194,400 gratings, more than 20,000.",
            ),
            ("gratings?aperture=0.001", "An aperture of 0.001 is smaller than 4 of 224 pixels."),
            ("grating", 'There is no source of stimuli "grating". Did you mean gratings'),
        ],
    )
    def test_refusals(self, ref, sentence):
        with pytest.raises(InputError) as caught:
            stimuli.load(ref)
        assert str(caught.value).startswith(sentence)
