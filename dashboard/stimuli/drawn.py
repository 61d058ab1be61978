"""Objects, the pictures of shapes that the bundled networks learn from, as a source of stimuli."""

from __future__ import annotations

from typing import cast

from dashboard.reference import Reference
from dashboard.stimuli.objects import Group, Objects
from dashboard.stimuli.sets import Stimuli

MOST = 20_000
"""Most pictures in a set."""

# x and y name the axes of a thumbnail.
_NAMES = {"x": "centre_x", "y": "centre_y"}
_UNITS = {
    "size": "pixels",
    "centre_x": "pixels",
    "centre_y": "pixels",
    "rotation": "deg",
    "texture_period": "pixels",
}


def load_objects(reference: Reference) -> Stimuli:
    """Load ``objects?n=240&seed=0&group=training``; a column per factor that was varied.

    Raises
    ------
    InputError
        When an option is unknown or out of range.
    """
    objects = _read(reference)
    # The category is a factor too, but every set has that already.
    columns = {
        _NAMES.get(name, name): values for name, values in objects.columns.items() if name != "category"
    }
    return Stimuli(
        reference=str(reference),
        title=objects.title,
        description=f"{objects.n} generated pictures of coloured, textured shapes, every factor known.",
        names=objects.names,
        categories=objects.categories,
        columns=columns,
        units=_UNITS,
        digest=objects.digest,
        generated=True,
        draw=objects.picture,
        outline=objects.mask,
    )


def identify_objects(reference: Reference) -> str:
    """Return the digest that `load_objects` gives, without drawing."""
    return _read(reference).digest


def _read(reference: Reference) -> Objects:
    reference.check_options(("n", "seed", "group"))
    return Objects(
        n=reference.integer("n", 240, low=1, high=MOST),
        seed=reference.integer("seed", 0),
        group=cast(Group, reference.options.get("group", "training")),
    )
