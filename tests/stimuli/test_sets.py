"""Stimulus sets: names, order, digests and the one-channel picture."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from dashboard import stimuli
from dashboard.errors import InputError
from dashboard.stimuli import Stimuli
from dashboard.stimuli.sets import natural


def make(names, pictures=None, **more) -> Stimuli:
    pictures = pictures or [np.full((10, 12, 3), i, np.uint8) for i in range(len(names))]
    return Stimuli("x", "My set", "A set.", tuple(names), "d" * 64, pictures.__getitem__, **more)


class TestNames:
    def test_normal_form_and_blanks(self):
        assert make(["ba\u0308r", "  cat "]).names == ("b\u00e4r", "cat")

    def test_duplicates_after_normal_form(self):
        with pytest.raises(InputError) as caught:
            make(["b\u00e4r", "ba\u0308r", "cat", " cat", "dog"])
        assert str(caught.value) == (
            "My set gives several stimuli the same name: b\u00e4r, cat. "
            "Give every stimulus a name of its own."
        )

    @pytest.mark.parametrize("name", ["", "a\nb", "x" * 201, "a\0b"])
    def test_names_that_cannot_be(self, name):
        with pytest.raises(InputError, match="cannot be the name of a stimulus"):
            make(["ok", name])

    def test_none_at_all(self):
        with pytest.raises(InputError, match="My set holds no stimuli"):
            make([])

    def test_natural_order(self):
        assert sorted(["a10", "b1", "a9", "A2", "3", "20"], key=natural) == [
            "3",
            "20",
            "A2",
            "a9",
            "a10",
            "b1",
        ]


class TestSubset:
    def test_everything_moves_by_name(self):
        found = make("abcd", categories=tuple("wxyz"), columns={"n": np.arange(4)})
        part = found.subset(["d", "b"])
        assert part.names == ("d", "b")
        assert part.categories == ("z", "x")
        assert part.columns["n"].tolist() == [3, 1]
        assert (part.picture(0) == 3).all()
        assert (part.picture(1) == 1).all()
        assert part.subset(["b"]).picture(0)[0, 0, 0] == 1

    def test_digest_follows_order(self):
        found = make("abc")
        assert found.reorder(["a", "b", "c"]).digest == found.digest
        digests = {found.digest, found.subset(["a", "b"]).digest, found.reorder(["b", "a", "c"]).digest}
        assert len(digests) == 3

    def test_missing_names_are_listed(self):
        with pytest.raises(InputError) as caught:
            make("abc").subset(["a", "q", "r", "s", "t"])
        assert (
            str(caught.value) == "My set has no stimuli named q, r, s and 1 more. It has 3, such as a, b, c."
        )

    def test_column_of_another_length(self):
        with pytest.raises(InputError, match=r'"n" of My set has 3 entries for 2 stimuli\.'):
            make("ab", columns={"n": np.arange(3)})


class TestPictures:
    def test_luminance(self):
        colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (77, 77, 77)]
        found = make("rgbwk", [np.full((8, 8, 3), c, np.uint8) for c in colours])
        values = [found.array(i)[0, 0] for i in range(5)]
        assert values == pytest.approx([0.299, 0.587, 0.114, 1, 77 / 255], abs=1e-6)
        assert found.array(3).max() <= 1
        assert found.array(0).dtype == np.float32

    def test_thumbnail_keeps_proportions_on_grey(self):
        found = make("a", [np.full((10, 40, 3), 255, np.uint8)])
        small = found.thumbnail(0, 64)
        assert small.shape == (64, 64, 3)
        assert (small[24:40] == 255).all()
        assert (small[:24] == 128).all()
        assert (small[40:] == 128).all()

    def test_outside(self):
        with pytest.raises(IndexError):
            make("ab").picture(2)
        with pytest.raises(IndexError):
            make("ab").picture(-1)


def test_examples_of_sources_load():
    for name, source in stimuli.catalogue().items():
        assert source.description.endswith(".")
        if not source.files and name not in ("recording", "upload"):
            assert stimuli.identity(source.example) == stimuli.load(source.example).digest


def test_choices_are_what_can_be_loaded(homolog_home, encode, pixels):
    folder = homolog_home / "stimuli" / "my faces"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(encode(pixels))
    (homolog_home / "stimuli" / "readme.txt").write_text("x")
    entries = stimuli.choices()
    references = [entry.reference for entry in entries]
    assert references[0] == "gratings"
    assert "recording:kriegeskorte92" in references
    assert "folder:my faces" in references
    assert not any("readme" in reference for reference in references)
    assert len(stimuli.load("folder:my faces")) == 1
    assert all(stimuli.inside_roots(reference) for reference in references)
    for entry in entries:
        assert stimuli.identity(entry.reference)


def test_no_torch_and_no_picture_library_until_needed():
    code = (
        "import sys, dashboard.stimuli as s; s.identity('gratings');"
        "s.load('neuromatch-gratings').picture(0);"
        "sys.exit(any(m in sys.modules for m in ('torch', 'PIL', 'scipy', 'pooch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
