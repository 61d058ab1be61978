"""Handwritten digits of scikit-learn, split as the bundled digit networks were trained."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from dashboard.errors import unknown
from dashboard.reference import Reference
from dashboard.stimuli.sets import Stimuli, digest_of

VERSION = 1
"""Raised whenever a digit, a name or the split changes; part of the digest."""

PARTS = {"training": 1097, "validation": 200, "held-out": 500}
"""How many of the 1797 digits each part of the split has, in the order in which they are drawn."""

N = 200
LEVELS = 16
"""Largest grey value of scikit-learn's digits."""


def load_digits(reference: Reference) -> Stimuli:
    """Load ``digits?n=200&split=held-out&seed=0``: the first ``n`` digits of a part of a split.

    The default split, seed 0, is that of the bundled digit networks: its held-out digits are new to them.

    Raises
    ------
    InputError
        When an option is unknown or out of range.
    """
    n, part, seed = _read(reference)
    chosen = split(seed)[part][:n]
    greys, labels = scanned()
    return Stimuli(
        reference=str(reference),
        title=f"Digits ({part})",
        description=(
            f"{n} handwritten digits of 8 × 8 pixels from scikit-learn (Alpaydin & Kaynak 1998, UCI, CC BY "
            f"4.0), the {part} part of split {seed}."
        ),
        names=tuple(f"{labels[k]} (scan {k})" for k in chosen),
        categories=tuple(str(labels[k]) for k in chosen),
        columns={"scan": chosen},
        digest=identify_digits(reference),
        draw=lambda i: np.repeat(greys[chosen[i], :, :, None], 3, axis=2),
    )


def identify_digits(reference: Reference) -> str:
    """Return the digest that `load_digits` gives, without reading the digits."""
    return digest_of("digits", VERSION, *_read(reference))


def _read(reference: Reference) -> tuple[int, str, int]:
    reference.check_options(("n", "split", "seed"))
    part = reference.options.get("split", "held-out")
    if part not in PARTS:
        raise unknown("part of the digits", part, PARTS)
    n = reference.integer("n", min(N, PARTS[part]), low=1, high=PARTS[part])
    return n, part, reference.integer("seed", 0)


@lru_cache(maxsize=1)
def scanned() -> tuple[np.ndarray, np.ndarray]:
    """Return all digits as bytes, bright ink on black, (1797, 8, 8), and which digit each is, (1797,)."""
    from sklearn import datasets  # takes a second, so only where digits are needed

    digits = datasets.load_digits()
    return np.rint(digits.images * (255 / LEVELS)).astype(np.uint8), digits.target.astype(np.int64)


def split(seed: int = 0) -> dict[str, np.ndarray]:
    """Return the positions of the digits of each part, drawn without overlap in the order of a seed."""
    order = np.random.Generator(np.random.Philox(key=seed)).random(sum(PARTS.values())).argsort()
    ends = np.cumsum(list(PARTS.values()))[:-1]
    return dict(zip(PARTS, np.split(order, ends), strict=True))
