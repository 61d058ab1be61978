"""A stimulus set: pictures, texts or vectors with unique names, categories, columns and a digest."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from dashboard.errors import InputError, listing

GREY = 128
"""Background on which see-through and narrow pictures are shown (0 to 255)."""

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luminance (Rec. ITU-R BT.601)."""

MOST_NAME_CHARACTERS = 200

_CALLED = {"image": "pictures", "text": "texts", "vector": "latent numbers"}


@dataclass(frozen=True, eq=False)
class Stimuli:
    """Pictures or texts in a fixed order; two sets are equal when their digests are.

    Attributes
    ----------
    reference : str
        The reference that was loaded.
    title, description : str
        What the set is called, and what it shows in one sentence.
    names : tuple of str
        (n_stimuli,) unique names, in normal form C and without blanks at the ends.
    categories : tuple of str
        (n_stimuli,) category of each, ``""`` where there is none.
    columns : Mapping of str to np.ndarray
        Facts per stimulus, each (n_stimuli,), numbers or text.
    units : Mapping of str to str
        Unit of a column, such as ``"deg"``; a column without unit is missing here.
    digest : str
        SHA-256 in hexadecimal of all that the pictures, names and columns depend on.
    generated : bool
        True for pictures that were computed here, False for those that were given.
    draw : Callable
        Takes a position, gives (height, width) float32 from 0 to 1, or (height, width, 3) uint8; of a text
        a tile with its first words and of a vector a tile of stripes, for thumbnails.
    texts : tuple of str
        (n_stimuli,) the texts of a set of texts; empty for pictures.
    vectors : np.ndarray or None
        (n_stimuli, size) float32, the numbers that a generator is given; None for pictures and texts.
    outline : Callable or None
        Takes a position, gives which pixels belong to the object, (height, width) bool; None where that is
        not known.
    """

    reference: str
    title: str
    description: str
    names: tuple[str, ...]
    digest: str
    draw: Callable[[int], np.ndarray] = field(repr=False)
    categories: tuple[str, ...] = ()
    columns: Mapping[str, np.ndarray] = field(default_factory=lambda: MappingProxyType({}))
    units: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    generated: bool = False
    texts: tuple[str, ...] = ()
    vectors: np.ndarray | None = None
    outline: Callable[[int], np.ndarray] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        names = clean_names(self.names, self.title)
        categories = tuple(self.categories) or ("",) * len(names)
        columns = {name: np.asarray(values) for name, values in self.columns.items()}
        lengths = {"text": len(self.texts)} if self.texts else {}
        lengths |= {} if self.vectors is None else {"vector": len(self.vectors)}
        lengths |= {"category": len(categories), **{name: len(values) for name, values in columns.items()}}
        for name, length in lengths.items():
            if length != len(names):
                message = f'"{name}" of {self.title} has {length} entries for {len(names)} stimuli.'
                raise InputError(message, "Give one entry per stimulus.")
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "categories", categories)
        object.__setattr__(self, "columns", MappingProxyType(columns))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def kind(self) -> Literal["image", "text", "vector"]:
        """What the stimuli are; a network that takes another kind cannot be shown them."""
        if self.vectors is not None:
            return "vector"
        return "text" if self.texts else "image"

    def item(self, i: int) -> np.ndarray | str:
        """Return what a network is given: the picture, (height, width, 3) uint8, the text, or the vector."""
        if self.vectors is not None:
            return self.vectors[self._place(i)]
        return self.text(i) if self.texts else self.picture(i)

    def text(self, i: int) -> str:
        """Return text ``i``.

        Raises
        ------
        InputError
            When the stimuli are no texts.
        """
        if not self.texts:
            message = f"The stimuli of {self.title} are {_CALLED[self.kind]}, not texts."
            raise InputError(message, "Choose text stimuli, such as text:PATH.")
        return self.texts[self._place(i)]

    def picture(self, i: int) -> np.ndarray:
        """Return picture ``i``: (height, width, 3) uint8; grey is repeated over the channels.

        Raises
        ------
        InputError
            When the stimuli are no pictures.
        """
        if self.kind != "image":
            raise self._no_pictures()
        return self._coloured(i)

    def mask(self, i: int) -> np.ndarray | None:
        """Return which pixels of picture ``i`` belong to its object, (height, width) bool, where known."""
        return self.outline(self._place(i)) if self.outline is not None else None

    def _coloured(self, i: int) -> np.ndarray:
        drawn = self._drawn(i)
        if drawn.ndim == 3:
            return drawn
        grey = np.rint(drawn * np.float32(255)).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)

    def array(self, i: int) -> np.ndarray:
        """Return the luminance of picture ``i``: (height, width) float32 from 0 to 1."""
        if self.kind != "image":
            raise self._no_pictures()
        drawn = self._drawn(i)
        if drawn.ndim == 2:
            return drawn.astype(np.float32, copy=False)
        # Equal channels must give exactly their value, so the weights are applied to differences.
        red, green, blue = (drawn[:, :, c].astype(np.float32) for c in range(3))
        grey = green + np.float32(LUMINANCE[0]) * (red - green) + np.float32(LUMINANCE[2]) * (blue - green)
        return grey / np.float32(255)

    def thumbnail(self, i: int, size: int = 64) -> np.ndarray:
        """Return picture ``i`` (of a text its first words) in small: (size, size, 3) uint8, set on grey."""
        from PIL import Image  # here, so that listing stimuli needs no picture library

        picture = Image.fromarray(self._coloured(i))
        scale = size / max(picture.size)
        width, height = (max(1, round(side * scale)) for side in picture.size)
        # The pixels of a tiny picture stay squares; smoothed, an 8 × 8 digit could not be read.
        method = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS
        small = picture.resize((width, height), method)
        canvas = Image.new("RGB", (size, size), (GREY, GREY, GREY))
        canvas.paste(small, ((size - width) // 2, (size - height) // 2))
        return np.asarray(canvas).copy()

    def subset(self, names: Iterable[str]) -> Stimuli:
        """Return the stimuli of these names in this order.

        Raises
        ------
        InputError
            When a name is not in the set, or is given twice.
        """
        wanted = clean_names(names, self.title)
        places = {name: i for i, name in enumerate(self.names)}
        missing = [name for name in wanted if name not in places]
        if missing:
            message = f"{self.title} has no stimuli named {listing(missing)}."
            raise InputError(message, f"It has {len(self)}, such as {listing(self.names)}.")
        order = [places[name] for name in wanted]
        draw, outline = self.draw, self.outline
        return replace(
            self,
            names=wanted,
            categories=tuple(self.categories[i] for i in order),
            columns={name: values[order] for name, values in self.columns.items()},
            digest=self.digest if wanted == self.names else digest_of("subset", self.digest, wanted),
            draw=lambda i: draw(order[i]),
            texts=tuple(self.texts[i] for i in order) if self.texts else (),
            vectors=None if self.vectors is None else self.vectors[order],
            outline=None if outline is None else lambda i: outline(order[i]),
        )

    reorder = subset

    def _drawn(self, i: int) -> np.ndarray:
        return self.draw(self._place(i))

    def _no_pictures(self) -> InputError:
        message = f"The stimuli of {self.title} are {_CALLED[self.kind]}, not pictures."
        return InputError(message, "Choose stimuli that are pictures.")

    def _place(self, i: int) -> int:
        if not 0 <= i < len(self):
            message = f"stimulus {i} of {len(self)}"
            raise IndexError(message)
        return i


def clean_name(name: str) -> str:
    """Return a name in Unicode normal form C without blanks at its ends."""
    return unicodedata.normalize("NFC", str(name)).strip()


def clean_names(names: Iterable[str], title: str) -> tuple[str, ...]:
    """Return names in normal form, or refuse them.

    Parameters
    ----------
    names : iterable of str
        (n_stimuli,) names as given.
    title : str
        What they belong to, for the sentence.

    Raises
    ------
    InputError
        When there is none, one is empty, far too long or holds control characters, or two are equal.
    """
    clean = tuple(clean_name(name) for name in names)
    if not clean:
        message = f"{title} holds no stimuli."
        raise InputError(message, "Give at least one.")
    repeated = [name for name, count in Counter(clean).items() if count > 1]
    if repeated:
        message = f"{title} gives several stimuli the same name: {listing(repeated)}."
        raise InputError(message, "Give every stimulus a name of its own.")
    for name in clean:
        if not name or len(name) > MOST_NAME_CHARACTERS or any(unicodedata.category(c) == "Cc" for c in name):
            shown = "".join(c for c in name if c.isprintable())[:40]
            message = f'"{shown}" of {title} cannot be the name of a stimulus.'
            raise InputError(message, f"Names have 1 to {MOST_NAME_CHARACTERS} printable characters.")
    return clean


def natural(text: str) -> tuple[Any, ...]:
    """Return a key that sorts ``face2`` before ``face10``."""
    parts = re.split(r"(\d+)", text)
    return tuple((0, int(p), p) if p.isdigit() else (1, p.casefold(), p) for p in parts if p)


def digest_of(*parts: object) -> str:
    """Return the SHA-256 (hexadecimal) of plain values: text, numbers, lists and dicts of them."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def short_texts(values: Sequence[float], width: int = 0) -> list[str]:
    """Write numbers with as few decimals as keep them apart, at least one, before it ``width`` digits."""
    for decimals in range(1, 7):
        texts = [f"{value:0{width + decimals + 1 if width else 0}.{decimals}f}" for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts
