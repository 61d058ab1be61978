"""Latent numbers, from which a generator makes pictures."""

from __future__ import annotations

import numpy as np

from dashboard.reference import Reference
from dashboard.stimuli.sets import Stimuli, digest_of

VERSION = 1
"""Raised whenever a number changes; part of the digest."""

MOST, MOST_NUMBERS = 20_000, 4096
SIZE = 48
"""Numbers that the bundled generator takes."""

SHOWN_SD = 3.0
"""A stripe is black at minus so many standard deviations and white at plus so many."""


def load_latents(reference: Reference) -> Stimuli:
    """Load ``latents?n=64&size=48&seed=0``: vectors of independent standard normal numbers.

    Raises
    ------
    InputError
        When an option is unknown or out of range.
    """
    n, size, seed = _read(reference)
    drawn = np.random.Generator(np.random.Philox(key=seed)).standard_normal((n, size)).astype(np.float32)
    return Stimuli(
        reference=str(reference),
        title="Latent numbers",
        description=f"{n} vectors of {size} standard normal numbers; the stripes are the numbers in order.",
        names=tuple(f"latent {i:0{len(str(n - 1))}d}" for i in range(n)),
        columns={"length": np.linalg.norm(drawn.astype(np.float64), axis=1)},
        digest=identify_latents(reference),
        generated=True,
        draw=lambda i: np.tile(np.clip(drawn[i] / (2 * SHOWN_SD) + 0.5, 0, 1), (size, 1)),
        vectors=drawn,
    )


def identify_latents(reference: Reference) -> str:
    """Return the digest that `load_latents` gives, without drawing."""
    return digest_of("latents", VERSION, *_read(reference))


def _read(reference: Reference) -> tuple[int, int, int]:
    reference.check_options(("n", "size", "seed"))
    return (
        reference.integer("n", 64, low=1, high=MOST),
        reference.integer("size", SIZE, low=1, high=MOST_NUMBERS),
        reference.integer("seed", 0),
    )
