"""What makes one unit of a layer respond: stimuli at both ends, its field, its selectivity."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from dashboard import networks
from dashboard.analyses import activations
from dashboard.analyses.attention import as_seen
from dashboard.errors import InputError
from dashboard.methods import selectivity
from dashboard.networks import Layer, Network
from dashboard.networks.reducers import patch_grid
from dashboard.progress import part, report
from dashboard.specs import UnitSpec
from dashboard.stimuli import Stimuli

if TYPE_CHECKING:
    from dashboard.networks.field_place import Fields

SHOWN = 9
"""Stimuli of each group that are shown."""

SIDE = 128
GROUPS = ("top", "bottom", "random")


def units(spec: UnitSpec) -> xr.Dataset:
    """Return how one unit responds to every stimulus, and to which it responds most and least.

    Of a channel with positions the response is its maximum (or mean) over them; ``place`` (stimulus,) tells
    where the maximum is.

    Returns
    -------
    xarray.Dataset
        ``response``, ``maximum``, ``mean``, ``place`` (stimulus,); ``mean_response``, ``sd``, ``zero_share``,
        ``sparseness``; over ``category_name`` ``d_prime``, ``index``, ``category_mean``; over ``shown`` the
        top, bottom and random stimuli with ``group``, ``name``, ``shown_response``, ``picture`` and ``crop``
        (shown, row, column, colour) uint8, ``box`` (shown, edge) in pixels of the input, NaN where the field
        is the whole picture, and of texts ``text`` and ``token``.

    Raises
    ------
    InputError
        When the layer has no such unit, or the network is shown what it does not take.
    """
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network = networks.load(spec.network)
    layer = chosen_layer(network, spec.layer)
    n_units = networks.reducer("peak").units(layer) // 3
    check_unit(spec.unit, n_units, layer.name)
    with part(0.0, 0.7):
        extraction = activations.extract(spec.network, spec.stimuli, [layer.name], "peak")
    rows = extraction.patterns(layer).astype(np.float64)
    maximum, place, mean = (rows[:, k * n_units + spec.unit] for k in range(3))
    response = maximum if spec.by == "maximum" else mean
    if not np.isfinite(response).all():
        message = f"Unit {spec.unit} of {layer.name} gives numbers that are not finite."
        raise InputError(message, "Look at the health of the network.")
    shown = extraction.shown
    with part(0.7, 1.0):
        exemplars = _exemplars(spec, network, layer, shown, response, place.astype(int))
    answer = exemplars.assign(
        {
            "response": ("stimulus", response),
            "maximum": ("stimulus", maximum),
            "mean": ("stimulus", mean),
            "place": ("stimulus", place.astype(np.int64)),
            "mean_response": response.mean(),
            "sd": response.std(ddof=1) if len(response) > 1 else np.nan,
            "zero_share": float((response == 0).mean()),
            "sparseness": selectivity.sparseness(response[:, None])[0] if len(response) > 1 else np.nan,
            **_selectivity(response, shown),
        }
    ).assign_coords(stimulus=list(shown.names), category=("stimulus", list(shown.categories)))
    dead = bool((maximum == 0).all() and (mean == 0).all())
    return answer.assign_attrs(
        title=f"Unit {spec.unit} of {layer.name} of {network.title}",
        network=spec.network,
        network_title=network.title,
        stimuli=spec.stimuli,
        stimuli_title=shown.title,
        layer=layer.name,
        layer_kind=layer.kind,
        layers=json.dumps([one.name for one in network.layers]),
        unit=spec.unit,
        n_units=n_units,
        by=spec.by,
        positions="tokens" if layer.token_axis is not None else "yes" if layer.positions > 1 else "no",
        dead="yes" if dead else "no",
        device=extraction.device,
        simulated="no",
    )


def chosen_layer(network: Network, name: str) -> Layer:
    """Return the named layer, else the first of the default selection."""
    if name:
        return networks.select(network.layers, [name])[0]
    having = [one for one in network.defaults if one.positions > 1] or list(network.defaults)
    if not having:
        message = f"{network.title} has no layers that could be read."
        raise InputError(message, "Choose another network.")
    return having[0]


def check_unit(unit: int, n_units: int, layer: str) -> None:
    """Refuse a unit that the layer does not have."""
    if not 0 <= unit < n_units:
        message = f"{layer} has {n_units} unit{'s' if n_units != 1 else ''}, and {unit} is none of them."
        raise InputError(message, f"Choose a number from 0 to {n_units - 1}.")


def _selectivity(response: np.ndarray, shown: Stimuli) -> dict[str, tuple]:
    """Return the selectivity for each category; nothing when there are fewer than two."""
    labelled = np.array([bool(category) for category in shown.categories])
    labels = [category for category in shown.categories if category]
    if len(set(labels)) < 2:
        return {}
    found = selectivity.categories(response[labelled][:, None], labels)
    return {
        "category_name": ("category_name", list(found.names)),
        "d_prime": ("category_name", found.d_prime[:, 0]),
        "index": ("category_name", found.index[:, 0]),
        "category_mean": ("category_name", found.mean[:, 0]),
    }


# --- examples --------------------------------------------------------------------------------------


def order(response: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return the positions of the highest, the lowest and some random stimuli, each (at most nine,).

    Ties are kept in the order of the stimuli; the random ones are drawn by the seed and sorted from high to
    low.
    """
    n = min(SHOWN, len(response))
    drawn = np.random.default_rng(seed).choice(len(response), n, replace=False)
    return {
        "top": np.argsort(-response, kind="stable")[:n],
        "bottom": np.argsort(response, kind="stable")[:n],
        "random": drawn[np.argsort(-response[drawn], kind="stable")],
    }


@dataclass(frozen=True)
class Where:
    """How a position of a layer is found in the picture."""

    layer: Layer
    size: tuple[int, int]
    fields: Fields | None
    note: str

    def box(self, place: int) -> tuple[float, float, float, float]:
        """Return top, left, bottom, right in pixels of the input; NaN where there is no such part."""
        if self.fields is not None:
            sides = [n for k, n in enumerate(self.layer.shape) if k != self.layer.channel_axis]
            row, column = divmod(place, sides[1])
            return self.fields.box(row, column)
        grid = patch_grid(self.layer)
        if grid is None or place < grid[0]:
            return (np.nan,) * 4
        row, column = divmod(place - grid[0], grid[1])
        height, width = (n / grid[1] for n in self.size)
        return row * height, column * width, (row + 1) * height, (column + 1) * width


def where_in_picture(network: Network, layer: Layer) -> Where:
    """Find the fields of a layer, or say in its note why there are none."""
    from dashboard.networks import field_place

    size = (network.input_shape[1], network.input_shape[2])
    if layer.positions == 1 or layer.channel_axis is None:
        return Where(layer, size, None, "Its units have no place in the picture: they see all of it.")
    if patch_grid(layer) is not None:
        note = "Attention joins all patches; the frame is the patch at which the response was highest."
        return Where(layer, size, None, note)
    found, reason = field_place.fields(network, layer)
    if found is None:
        return Where(layer, size, None, reason)
    note = (
        f"A unit of {layer.name} sees {found.pixels} × {found.pixels} of {size[0]} × {size[1]} pixels; the "
        "frame is its field where it responded most."
    )
    return Where(layer, size, found, note)


def _exemplars(
    spec: UnitSpec, network: Network, layer: Layer, shown: Stimuli, response: np.ndarray, place: np.ndarray
) -> xr.Dataset:
    """Return the stimuli of the three groups as pictures, with the part that the unit saw, or as texts."""
    groups = order(response, spec.seed)
    chosen = np.concatenate([groups[name] for name in GROUPS])
    variables: dict[str, tuple] = {
        "group": ("shown", np.repeat(GROUPS, [len(groups[name]) for name in GROUPS])),
        "name": ("shown", [shown.names[i] for i in chosen]),
        "shown_response": ("shown", response[chosen]),
    }
    if shown.kind == "text":
        return xr.Dataset(variables | _texts(network, layer, shown, chosen, place), attrs={"note": ""})
    if shown.kind != "image":
        pictures = np.stack([shown.thumbnail(int(i), SIDE) for i in chosen])
        variables["picture"] = (("shown", "row", "column", "colour"), pictures)
        return xr.Dataset(variables, attrs={"note": ""})
    where = where_in_picture(network, layer)
    found: dict[int, tuple] = {}
    for k, i in enumerate(dict.fromkeys(map(int, chosen))):
        report(k / len(chosen), f"Pictures: {k} of {len(chosen)}")
        found[i] = _picture(network, shown.picture(i), where.box(place[i]))
    rows = [found[int(i)] for i in chosen]
    variables |= {
        "picture": (("shown", "row", "column", "colour"), np.stack([row[0] for row in rows])),
        "crop": (("shown", "row", "column", "colour"), np.stack([row[1] for row in rows])),
        "box": (("shown", "edge"), np.array([row[2] for row in rows], dtype=np.float64)),
    }
    if where.fields is not None:
        variables["field_pixels"] = ((), where.fields.pixels)
    return xr.Dataset(
        variables, attrs={"note": where.note, "input_height": where.size[0], "input_width": where.size[1]}
    )


def _picture(
    network: Network, picture: np.ndarray, box: tuple[float, float, float, float]
) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float, float]]:
    """Return what the network sees of a picture, the part within a box, both (SIDE, SIDE, 3), and the box."""
    seen = as_seen(network, network.prepare([picture])[0], picture)
    part_of = seen
    if np.isfinite(box).all():
        top, left, bottom, right = (round(edge) for edge in box)
        part_of = seen[top:bottom, left:right]
    return _square(seen), _square(part_of), box


def _square(pixels: np.ndarray) -> np.ndarray:
    """Bring a picture to SIDE × SIDE, set on grey when it is not square; small ones keep hard pixels."""
    from PIL import Image

    height, width = pixels.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS
    small = np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, method))
    square = np.full((SIDE, SIDE, 3), 128, dtype=np.uint8)
    top, left = (SIDE - size[1]) // 2, (SIDE - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return square


def _texts(
    network: Network, layer: Layer, shown: Stimuli, chosen: np.ndarray, place: np.ndarray
) -> dict[str, tuple]:
    """Return the texts and, of a layer with tokens, the token at which the unit responded most."""
    words = network.text.words if network.text is not None else None
    tokens = []
    for i in chosen:
        read = words(shown.text(int(i))) if words is not None and layer.token_axis is not None else ()
        tokens.append(read[place[i]] if place[i] < len(read) else "")
    return {
        "text": ("shown", np.array([shown.text(int(i)) for i in chosen], dtype=object)),
        "token": ("shown", np.array(tokens, dtype=object)),
    }
