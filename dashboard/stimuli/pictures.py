"""Picture files to arrays, with Pillow only: what is allowed, what is converted, and what is refused."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageOps

from dashboard.errors import InputError, caution, listing
from dashboard.stimuli.sets import GREY

VERSION = 1
"""Raised whenever the same file gives other pixels; part of the digest."""

FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
SMALLEST_SIDE = 8
MOST_PIXELS = 25_000_000
MOST_BYTES = 100 * 2**20

CONVERSIONS = {
    "turned": "turned upright as their EXIF orientation says",
    "16-bit": "scaled from 16 to 8 bits per channel",
    "cmyk": "converted from CMYK to RGB",
    "alpha": f"see-through and set on grey {GREY}",
    "frames": "animated: only the first frame is used",
}
"""What is done to a picture that is not plain, by code; each is told once per set."""

_log = logging.getLogger(__name__)

# Once for the process: warnings.catch_warnings is not safe in threads. _check_size refuses the same files.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


def decode(data: bytes, name: str) -> np.ndarray:
    """Decode a picture file.

    Parameters
    ----------
    data : bytes
        Content of a PNG, JPEG, GIF or WebP file.
    name : str
        Its name, for the sentence of an error.

    Returns
    -------
    np.ndarray
        (height, width, 3) uint8, RGB.

    Raises
    ------
    InputError
        When it is damaged, not such a picture, smaller than 8 pixels or larger than 25 megapixels.
    """
    with _opened(data, name) as image:
        image.load()
        return _to_rgb(ImageOps.exif_transpose(image))


def inspect(data: bytes, name: str) -> set[str]:
    """Check a picture file without decoding it, and return the codes of `CONVERSIONS` it will need.

    Raises
    ------
    InputError
        As `decode`; damage inside a JPEG, GIF or WebP shows only when it is decoded.
    """
    with _opened(data, name) as image:
        found = {code for code, test in _TESTS.items() if test(image)}
    with _opened(data, name) as image:
        image.verify()
    return found


def tell_conversions(found: Mapping[str, set[str]], title: str) -> None:
    """Say once per kind of conversion how many pictures it touches, and which.

    Parameters
    ----------
    found : Mapping of str to set of str
        Codes of `CONVERSIONS` by the name of the picture.
    title : str
        The set.
    """
    for code, phrase in CONVERSIONS.items():
        names = [name for name, codes in found.items() if code in codes]
        if names:
            caution(
                f"picture-{code}",
                f"{len(names)} of {len(found)} pictures of {title} are {phrase}: {listing(names)}.",
            )


@contextmanager
def _opened(data: bytes, name: str) -> Iterator[Image.Image]:
    """Open a picture within the limits; whatever the decoder says becomes one sentence."""
    if not data:
        message = f'"{name}" is empty.'
        raise InputError(message, "Copy or download it again.")
    if len(data) > MOST_BYTES:
        message = f'"{name}" has {len(data) / 2**20:.0f} MB, more than {MOST_BYTES // 2**20} MB.'
        raise InputError(message, "Save it smaller.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image.size, name)
            yield image
    except InputError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        message = f'"{name}" claims far more than {MOST_PIXELS // 10**6} million pixels.'
        raise InputError(message, "Save it smaller.") from error
    except Image.UnidentifiedImageError as error:
        message = f'"{name}" is not a PNG, JPEG, GIF or WebP picture.'
        raise InputError(message, "Save it as PNG.") from error
    except Exception as error:  # decoders raise a dozen kinds on damaged files
        _log.info("picture %s: %r", name, error)
        message = f'"{name}" is damaged or not a picture we read.'
        raise InputError(message, "Save it again as PNG.") from error


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if min(size) < SMALLEST_SIDE:
        message = f'"{name}" has {width} x {height} pixels; the smallest side must have {SMALLEST_SIDE}.'
        raise InputError(message, "Leave it out, or give a larger picture.")
    if width * height > MOST_PIXELS:
        message = f'"{name}" has {width} x {height} pixels, more than {MOST_PIXELS // 10**6} million.'
        raise InputError(message, "Save it smaller.")


def _orientation(image: Image.Image) -> int:
    # Pillow decodes a whole PNG to look for EXIF data behind the pixels, where nobody puts them.
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    return image.getexif().get(0x0112, 1)


def _is_16_bit(image: Image.Image) -> bool:
    tile = getattr(image, "tile", None)
    raw = tile[0][3] if tile else ""
    return image.mode.startswith("I") or (isinstance(raw, str) and ";16" in raw)


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


_TESTS = {
    "turned": lambda image: _orientation(image) in range(2, 9),
    "16-bit": _is_16_bit,
    "cmyk": lambda image: image.mode == "CMYK",
    "alpha": _has_alpha,
    "frames": lambda image: getattr(image, "n_frames", 1) > 1,
}


def _to_rgb(image: Image.Image) -> np.ndarray:
    """Convert any mode to (height, width, 3) uint8 RGB."""
    if image.mode.startswith("I"):
        values = np.clip(np.asarray(image), 0, 65535).astype(np.float64)
        grey = np.rint(values / 257).astype(np.uint8)
        clear = image.info.get("transparency")
        if clear is not None:
            grey[values == clear] = GREY
        return np.repeat(grey[:, :, None], 3, axis=2)
    if _has_alpha(image):
        front = image.convert("RGBA")
        return np.asarray(
            Image.alpha_composite(Image.new("RGBA", front.size, (GREY, GREY, GREY, 255)), front)
        )[:, :, :3].copy()
    return np.asarray(image.convert("RGB")).copy()
