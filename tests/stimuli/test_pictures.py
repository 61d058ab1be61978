"""Picture files: pixels that come through, conversions that are told, and files that are refused."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from dashboard.errors import InputError, collect_cautions
from dashboard.stimuli import pictures


def refusal(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        pictures.decode(data, "a.png")
    return str(caught.value)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"0"))
        + chunk(b"IEND", b"")
    )


class TestGoodFiles:
    def test_png_is_exact(self, pixels, encode):
        assert np.array_equal(pictures.decode(encode(pixels), "a.png"), pixels)
        assert pictures.inspect(encode(pixels), "a.png") == set()

    def test_jpeg_is_close_and_rgb(self, encode):
        flat = np.full((32, 32, 3), (200, 40, 90), np.uint8)
        got = pictures.decode(encode(flat, "JPEG", quality=95), "a.jpg")
        assert np.abs(got.astype(int) - flat).max() <= 3

    def test_gif_palette(self, encode):
        flat = np.full((16, 16, 3), (255, 0, 0), np.uint8)
        assert np.array_equal(pictures.decode(encode(flat, "GIF"), "a.gif"), flat)

    def test_grey_and_one_bit(self, pixels, encode):
        grey = pixels[:, :, 0]
        assert np.array_equal(pictures.decode(encode(grey), "a.png"), np.repeat(grey[:, :, None], 3, 2))
        bits = Image.fromarray(grey > 127)
        assert set(np.unique(pictures.decode(encode(bits), "a.png"))) == {0, 255}


class TestConversions:
    @pytest.mark.parametrize("orientation", [2, 3, 6, 8])
    def test_exif_turn(self, pixels, encode, orientation):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encode(pixels, "PNG", exif=exif)
        upright = {
            2: pixels[:, ::-1],
            3: pixels[::-1, ::-1],
            6: np.rot90(pixels, -1),
            8: np.rot90(pixels),
        }[orientation]
        assert np.array_equal(pictures.decode(data, "a.png"), upright)
        assert pictures.inspect(data, "a.png") == {"turned"}

    def test_exif_in_a_jpeg(self, encode):
        left_bright = np.zeros((32, 48, 3), np.uint8)
        left_bright[:, :24] = 255
        exif = Image.Exif()
        exif[0x0112] = 6
        data = encode(left_bright, "JPEG", exif=exif)
        got = pictures.decode(data, "a.jpg")
        assert got.shape == (48, 32, 3)
        assert got[:20].min() > 240
        assert pictures.inspect(data, "a.jpg") == {"turned"}

    def test_16_bit_is_scaled_not_clipped(self, encode):
        values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
        data = encode(values)
        got = pictures.decode(data, "a.png")
        assert np.array_equal(got[:, :, 0].ravel(), np.arange(256))
        assert pictures.inspect(data, "a.png") == {"16-bit"}

    def test_cmyk(self, encode):
        magenta = Image.new("CMYK", (32, 32), (0, 255, 0, 0))
        data = encode(magenta, "JPEG", quality=100)
        red, green, blue = pictures.decode(data, "a.jpg")[16, 16]
        assert red > 230
        assert green < 25
        assert blue > 230
        assert pictures.inspect(data, "a.jpg") == {"cmyk"}

    def test_alpha_over_grey(self, encode):
        image = np.zeros((8, 8, 4), np.uint8)
        image[:, :, 0] = 255  # the hidden colour is red
        image[:, 4:, 3] = 255
        data = encode(image)
        got = pictures.decode(data, "a.png")
        assert (got[:, :4] == 128).all()
        assert (got[:, 4:] == (255, 0, 0)).all()
        assert pictures.inspect(data, "a.png") == {"alpha"}

    def test_half_alpha_blends(self, encode):
        image = np.full((8, 8, 2), 255, np.uint8)
        image[:, :, 1] = 128
        got = pictures.decode(encode(image), "a.png")
        assert np.abs(got.astype(int) - 192).max() <= 1

    def test_transparent_palette_colour(self, encode):
        image = Image.new("P", (8, 8), 0)
        image.putpalette([10, 20, 30] + [0, 255, 0] * 255)
        image.paste(1, (4, 0, 8, 8))
        got = pictures.decode(encode(image, "GIF", transparency=0), "a.gif")
        assert (got[:, :4] == 128).all()
        assert (got[:, 4:] == (0, 255, 0)).all()

    def test_first_frame_only(self, encode):
        frames = [Image.new("RGB", (8, 8), colour) for colour in [(255, 0, 0), (0, 0, 255)]]
        data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
        assert (pictures.decode(data, "a.gif") == (255, 0, 0)).all()
        assert pictures.inspect(data, "a.gif") == {"frames"}

    def test_each_is_told_once_with_count_and_names(self):
        found = {f"p{i}": {"alpha"} if i < 5 else set() for i in range(9)}
        with collect_cautions() as cautions:
            pictures.tell_conversions(found, "my set")
        assert [c.code for c in cautions] == ["picture-alpha"]
        assert cautions[0].message == (
            "5 of 9 pictures of my set are see-through and set on grey 128: p0, p1, p2 and 2 more."
        )


class TestBadFiles:
    def test_svg_html_and_tiff(self, pixels, encode):
        sentence = '"a.png" is not a PNG, JPEG, GIF or WebP picture. Save it as PNG.'
        assert refusal(b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>") == sentence
        assert refusal(b"<!doctype html><html><body>404</body></html>") == sentence
        assert refusal(encode(pixels, "TIFF")) == sentence
        assert refusal(encode(pixels, "BMP")) == sentence

    def test_empty(self):
        assert refusal(b"") == '"a.png" is empty. Copy or download it again.'

    def test_one_by_one(self, encode):
        data = encode(np.zeros((1, 1, 3), np.uint8))
        assert refusal(data).startswith('"a.png" has 1 x 1 pixels; the smallest side must have 8.')

    @pytest.mark.parametrize("kind", ["PNG", "JPEG"])
    def test_truncated(self, pixels, encode, kind):
        data = encode(np.tile(pixels, (8, 8, 1)), kind)
        sentence = '"a.png" is damaged or not a picture we read. Save it again as PNG.'
        assert refusal(data[: len(data) // 2]) == sentence

    def test_every_changed_byte_of_a_png_is_refused_or_harmless(self, pixels, encode):
        data = encode(pixels)
        refused = 0
        for place in range(8, len(data), 7):
            changed = bytearray(data)
            changed[place] ^= 0x40
            try:
                pictures.inspect(bytes(changed), "a.png")
                got = pictures.decode(bytes(changed), "a.png")
            except InputError:
                refused += 1
            else:
                assert np.array_equal(got, pixels)
        assert refused > 0.95 * len(range(8, len(data), 7))

    def test_inspection_finds_a_changed_byte_without_decoding(self, pixels, encode):
        changed = bytearray(encode(pixels))
        changed[len(changed) // 2] ^= 1
        with pytest.raises(InputError, match=r'"a.png" is damaged or not a picture we read\.'):
            pictures.inspect(bytes(changed), "a.png")

    @pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
    @pytest.mark.parametrize("side", [5001, 10_000, 60_000])
    def test_bomb_by_its_header(self, side):
        sentence = refusal(png_header(side, side))
        assert "million" in sentence
        assert sentence.endswith("Save it smaller.")

    def test_25_megapixels_are_the_limit(self):
        sentence = refusal(png_header(5000, 5000))
        assert sentence.startswith('"a.png" is damaged')  # past the limits, and empty behind the header
