"""Where on the cortex do the areas lie that a network is compared with?"""

from __future__ import annotations

import json
import re
from functools import cache

import numpy as np
import xarray as xr

from dashboard import recordings
from dashboard.compute import compute
from dashboard.errors import InputError, caution, listing, unknown
from dashboard.methods import surface
from dashboard.progress import part, report
from dashboard.recordings import cortex
from dashboard.recordings.cortex import Hemisphere, Regions
from dashboard.specs import CortexSpec

PER_MM = 2.4
"""Pixels per millimetre of the inflated surface, which is about 220 mm long."""

VIEWS = ("lateral", "medial", "ventral")
_RIGHT = np.array([1.0, 0, 0])
_FRONT = np.array([0, 1.0, 0])
_UP = np.array([0, 0, 1.0])


def directions(hemisphere: Hemisphere, view: str) -> tuple[np.ndarray, np.ndarray]:
    """Return what points right and up in a picture; the lateral and ventral views look the same way."""
    outward = -_RIGHT if hemisphere == "left" else _RIGHT
    front = -_FRONT if hemisphere == "left" else _FRONT
    return {"lateral": (front, _UP), "medial": (-front, _UP), "ventral": (front, outward)}[view]


def draw(spec: CortexSpec) -> xr.Dataset:
    """Place the areas of a comparison on fsaverage5 and look at both hemispheres from three sides.

    Returns
    -------
    xarray.Dataset
        Per area ``score``, ``ci_low``, ``ci_high``, ``ceiling_high``, ``layer`` and ``regions`` (names
        joined by " + ", "" where it is not drawn); per panel (hemisphere and view) and pixel ``area_index``
        (-1 outside the brain, 0 on no area, else 1 + position of the area) int16, ``light`` (0 to 255) and
        ``sulcus`` (0 or 1); ``share`` (panel, area): part of the pixels of the brain. ``region`` lists all
        regions that can be chosen.

    Raises
    ------
    InputError
        When an area or region is not known, or two areas want the same region.
    """
    with part(0.0, 0.6):
        brain = compute(spec.brain)
    judged = json.loads(brain.attrs["behaviour"])  # which has no place in the brain
    brain = brain.sel(area=[a for a in brain.area.values if a not in judged])
    report(0.6, "Regions of the cortex")
    regions = cortex.regions(spec.labels, spec.parcellation)
    areas = [str(a) for a in brain.area.values]
    placed = _placed(spec.regions, areas, regions)
    with part(0.7, 1.0):
        pictures = _pictures(regions, [placed[area] for area in areas])
    species = _species(spec.brain.recording, brain.attrs["simulated"] == "yes")
    _tell(species, brain.attrs["simulated"] == "yes", brain.attrs["recording_title"])
    scores = _scores(brain, spec.layer)
    names = {area: " + ".join(regions.names[k] for k in placed[area]) for area in areas}
    return xr.Dataset(
        {
            **scores,
            **pictures,
            "regions": ("area", np.array([names[a] for a in areas], dtype=object)),
        },
        coords={
            "area": areas,
            "region": list(regions.names),
            "panel": [f"{side} {view}" for side in cortex.HEMISPHERES for view in VIEWS],
        },
        attrs={
            "title": f"{brain.attrs['title']}, on the cortex",
            "parcellation": regions.title,
            "layer_name": spec.layer,
            "species": species,
            **{
                key: brain.attrs[key]
                for key in (
                    *("network", "network_title", "recording", "recording_title", "metric", "measure"),
                    *("measure_label", "reducer", "seed", "simulated", "device"),
                )
            },
        },
    )


SAME = {
    "it": ("inftemporal", "inferiortemporal", "gtemporalinf"),
    "v1": ("v1exvivo",),
    "v2": ("v2exvivo",),
    "mt": ("mtexvivo", "v5", "v5mt"),
}
"""Names of areas that parcellations write in another way, without blanks and in small letters."""

FOLDS = {
    "v1": "pericalcarine",  # Hinds et al. (2008), NeuroImage 39:1585
    "lo": "lateraloccipital",  # Larsson and Heeger (2006), J. Neurosci. 26:13128
    "loc": "lateraloccipital",
    "ffa": "fusiform",  # Kanwisher, McDermott and Chun (1997), J. Neurosci. 17:4302
    "ppa": "parahippocampal",  # Epstein and Kanwisher (1998), Nature 392:598
}
"""Folds in which most of an area lies; without blanks and in small letters."""

_WHOSE = re.compile(r"^(simulated|human|monkey|macaque|mouse|rat)\s+", re.I)
"""What may stand before the name of an area; regions have none of it."""


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _by_name(areas: list[str], regions: Regions) -> dict[str, list[int]]:
    """Return the region that bears the name of each area, unless an area before it has it."""
    known = {_key(name): k for k, name in enumerate(regions.names)}
    placed: dict[str, list[int]] = {}
    for area in areas:
        bare = _key(_WHOSE.sub("", area))
        wanted = (_key(area), bare, *SAME.get(bare, ()), FOLDS.get(bare, ""))
        fits = [known[key] for key in wanted if key in known]
        free = [k for k in fits if [k] not in placed.values()]
        placed[area] = free[:1]
    return placed


def _tell_folds(placed: dict[str, list[int]], regions: Regions) -> None:
    """Say where a region is the fold around an area and not the area."""
    found = [
        f"{area} at {regions.names[k]}"
        for area, places in placed.items()
        for k in places
        if regions.names[k] == FOLDS.get(_key(_WHOSE.sub("", area)))
    ]
    if found:
        message = (
            f"{listing(found, 8)}: the fold in which most of the area lies in people, with other borders."
        )
        caution("drawn-at-folds", message)


def _placed(given: tuple[str, ...], areas: list[str], regions: Regions) -> dict[str, list[int]]:
    """Return the regions of each area: those of its own name, or those that somebody chose."""
    placed = _by_name(areas, regions)
    chosen: dict[str, list[int]] = {}
    for text in given:
        area, sign, region = text.partition("=")
        if area not in areas:
            raise unknown("area of the recording", area, areas)
        if not sign or (region and region not in regions.names):
            raise unknown("region", region, regions.names)
        chosen.setdefault(area, [])
        if region:
            chosen[area].append(regions.names.index(region))
    placed |= chosen
    taken: dict[int, str] = {}
    for area, found in placed.items():
        for k in found:
            if taken.setdefault(k, area) != area:
                message = f"{taken[k]} and {area} cannot both be drawn at {regions.names[k]}."
                raise InputError(message, "Choose another region for one of them, or none.")
    _tell_folds(placed, regions)
    lacking = [area for area in areas if not placed[area]]
    if lacking:
        caution(
            "not-drawn",
            f"No region was chosen, or bears the name, for {listing(lacking, 8)}: not drawn.",
        )
    return placed


def _species(recording: str, simulated: bool) -> str:
    """Return whose brain it is; nothing is simulated for that."""
    return "none (simulated)" if simulated else recordings.load(recording).species


def _tell(species: str, simulated: bool, title: str) -> None:
    if simulated:
        caution("drawn-by-name", "The recording is simulated: nothing was measured anywhere on this brain.")
    elif _key(species) != "human":
        caution(
            "drawn-by-name",
            f"fsaverage is a human brain, and the species of {title} is: {species}. What is not human, or "
            "not said to be, is drawn by the name of the area only, not where it was measured.",
        )


@cache
def _seen(side: Hemisphere, view: str) -> surface.View:
    """Look at a hemisphere; the same for every question, so it is done once in a worker."""
    mesh = cortex.mesh(side)
    return surface.seen(mesh.points, mesh.faces, *directions(side, view), PER_MM, closed=True)


def _pictures(regions: Regions, placed: list[list[int]]) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Draw all panels at one scale, each in the middle of the same frame."""
    area_of = np.zeros(len(regions.names) + 1, dtype=np.int16)  # the last is "no region"
    for number, found in enumerate(placed, 1):
        area_of[found] = number
    panels = []
    for i, side in enumerate(cortex.HEMISPHERES):
        mesh = cortex.mesh(side)
        for j, view in enumerate(VIEWS):
            report((3 * i + j) / 6, f"Drawing the {side} hemisphere")
            look = _seen(side, view)
            inside = look.vertex >= 0
            index = np.where(inside, area_of[regions.place[side][look.vertex]], -1)
            sulcus = inside & (mesh.sulcal[look.vertex] > 0)
            panels.append((index, np.round(255 * look.light), sulcus))
    shape = np.array([panel[0].shape for panel in panels]).max(axis=0)
    index = np.stack([_framed(p[0], shape, -1) for p in panels]).astype(np.int16)
    share = [[(p == k).sum() / (p >= 0).sum() for k in range(1, len(placed) + 1)] for p in index]
    return {
        "area_index": (("panel", "y", "x"), index),
        "light": (("panel", "y", "x"), np.stack([_framed(p[1], shape, 0) for p in panels]).astype(np.uint8)),
        "sulcus": (("panel", "y", "x"), np.stack([_framed(p[2], shape, 0) for p in panels]).astype(np.uint8)),
        "share": (("panel", "area"), np.array(share)),
    }


def _framed(values: np.ndarray, shape: np.ndarray, fill: int) -> np.ndarray:
    """Put a picture into the middle of a larger one."""
    framed = np.full(tuple(shape), fill, dtype=np.float64)
    top, left = (shape - values.shape) // 2
    framed[top : top + values.shape[0], left : left + values.shape[1]] = values
    return framed


def _scores(brain: xr.Dataset, layer: str) -> dict[str, tuple[str, np.ndarray]]:
    """Return the score of a layer, or of the best layer of each area, with its interval."""
    layers = [str(n) for n in brain.layer.values]
    if layer and layer not in layers:
        raise unknown("layer of this comparison", layer, layers)
    chosen = [layer or str(best) for best in brain.best.values]
    places = [layers.index(name) for name in chosen]
    found: dict[str, tuple[str, np.ndarray]] = {"layer": ("area", np.array(chosen, dtype=object))}
    for name in ("score", "ci_low", "ci_high"):
        values = brain[name].transpose("area", "layer").to_numpy()
        found[name] = ("area", values[np.arange(len(places)), places])
    found["ceiling_high"] = ("area", brain.ceiling_high.to_numpy())
    return found
