"""Which picture would one unit like best, and does it respond to that more than to any stimulus?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from dashboard import networks
from dashboard.analyses import activations
from dashboard.analyses.seen import as_seen
from dashboard.analyses.units import check_unit, chosen_layer, where_in_picture
from dashboard.errors import InputError, caution
from dashboard.networks import Layer, Network
from dashboard.networks.reducers import patch_grid
from dashboard.progress import part, report
from dashboard.specs import PreferredSpec

if TYPE_CHECKING:
    import torch

    from dashboard.networks.differentiable import Read
    from dashboard.networks.pixels import Levels

MOST_SEEDS, MOST_STEPS = 16, 4096


def preferred(spec: PreferredSpec) -> xr.Dataset:
    """Return pictures synthesised to make one unit respond, beside the best of the stimuli.

    Of a channel with positions the unit in the middle is climbed; what counts as its response is, as for
    stimuli, the maximum (or the mean) over positions. It is measured on the picture as it is shown, rounded
    to bytes and not moved.

    Returns
    -------
    xarray.Dataset
        ``picture`` (seed, row, column, colour) uint8, ``reached`` (seed,), ``climb`` (seed, step) response to
        the moved picture, ``natural`` best response to a stimulus, ``natural_picture`` (row, column, colour),
        ``box`` (edge,) of the unit in the middle, NaN where its field is the whole picture.

    Raises
    ------
    InputError
        When the network sees no pictures, or has no such unit.
    """
    from dashboard.methods import maximisation
    from dashboard.networks import pixels

    _check(spec)
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network = networks.load(spec.network)
    levels = pixels.levels(network)
    layer = chosen_layer(network, spec.layer)
    check_unit(spec.unit, layer.channels, layer.name)
    with part(0.0, 0.2):
        best, name, seen = _natural(spec, network, layer)
    size = (network.input_shape[1], network.input_shape[2])
    seeds = [spec.seed + k for k in range(spec.seeds)]

    def told(done: float) -> None:
        report(done, f"Preferred pictures: step {round(done * spec.steps)} of {spec.steps}")

    with part(0.2, 1.0), responding(network, levels, layer, [spec.unit] * len(seeds), spec.by) as respond:
        found = maximisation.maximise(
            respond.middle, size, seeds, steps=spec.steps, grey=levels.grey, report=told
        )
        reached = respond.whole(found.pictures)
    where = where_in_picture(network, layer)
    middle = centre(layer)
    _tell(found.climb, reached, best)
    return xr.Dataset(
        {
            "picture": (("seed", "row", "column", "colour"), found.pictures),
            "reached": ("seed", reached),
            "climb": (("seed", "step"), found.climb),
            "natural": ((), best),
            "natural_picture": (("natural_row", "natural_column", "colour"), seen),
            "box": ("edge", np.array(where.box(middle), dtype=np.float64)),
        },
        coords={"seed": seeds},
        attrs={
            "title": f"Preferred pictures of unit {spec.unit} of {layer.name} of {network.title}",
            "network": spec.network,
            "network_title": network.title,
            "stimuli": spec.stimuli,
            "layer": layer.name,
            "unit": spec.unit,
            "by": spec.by,
            "positions": "yes" if layer.positions > 1 else "no",
            "natural_name": name,
            "grey": "yes" if levels.grey else "no",
            "steps": spec.steps,
            "device": networks.device().type,
            "simulated": "no",
        },
    )


def _check(spec: PreferredSpec) -> None:
    for name, value, most in (("seeds", spec.seeds, MOST_SEEDS), ("steps", spec.steps, MOST_STEPS)):
        if not 1 <= value <= most:
            message = f"{name} must be from 1 to {most:,}, not {value}."
            raise InputError(message)


def _tell(climb: np.ndarray, reached: np.ndarray, best: float) -> None:
    if np.ptp(climb) == 0:
        caution(
            "no-gradient",
            "The unit's response did not change for any of these pictures, so that there was nothing to "
            "climb: it may be dead.",
        )
    elif reached.max() <= best:
        caution(
            "below-natural",
            "No synthesised picture reached the response to the best stimulus: what they show is not what "
            "the unit responds to most.",
        )


def _natural(spec: PreferredSpec, network: Network, layer: Layer) -> tuple[float, str, np.ndarray]:
    """Return the highest response to a stimulus, its name, and what the network sees of it."""
    extraction = activations.extract(spec.network, spec.stimuli, [layer.name], "peak")
    n = layer.channels
    rows = extraction.patterns(layer)
    column = rows[:, spec.unit if spec.by == "maximum" else 2 * n + spec.unit].astype(np.float64)
    k = int(column.argmax())
    shown = extraction.shown
    picture = shown.picture(k)
    return float(column[k]), shown.names[k], as_seen(network, network.prepare([picture])[0], picture)


# --- the response as a function of pixels ----------------------------------------------------------------


def centre(layer: Layer) -> int:
    """Return the flat position of the unit in the middle of a layer; 0 where there are no positions."""
    grid = patch_grid(layer)
    if grid is not None:
        return grid[0] + (grid[1] // 2) * grid[1] + grid[1] // 2
    sides = [n for k, n in enumerate(layer.shape) if k != layer.channel_axis]
    return int(np.ravel_multi_index([n // 2 for n in sides], sides)) if sides else 0


@contextlib.contextmanager
def responding(
    network: Network, levels: Levels, layer: Layer, units: list[int], by: str = "maximum"
) -> Iterator[Responses]:
    """Give the responses of units as functions of pictures: picture k is for the k-th of the units."""
    from dashboard.networks.differentiable import reading

    with reading(network.module, layer, networks.device()) as read:
        yield Responses(levels, layer, units, by, read)


@dataclass(frozen=True, eq=False)
class Responses:
    """Responses of units to pictures; see `responding`."""

    levels: Levels
    layer: Layer
    units: list[int]
    by: str
    read: Read

    def unit(self, batch: torch.Tensor) -> torch.Tensor:
        """Return (n, positions) for inputs of the network: row k is of the k-th unit, or of the only one."""
        import torch

        output = self.read(batch)
        if self.layer.channel_axis is not None:
            output = output.movedim(1 + self.layer.channel_axis, 1)
        rows = output.reshape(len(batch), self.layer.channels, -1)
        return rows[torch.arange(len(rows)), torch.tensor(self.units)]

    def middle(self, pictures: torch.Tensor, through: bool) -> torch.Tensor:
        """Return what is climbed, (n,): the unit in the middle, or the mean over positions."""
        import torch

        from dashboard.networks.differentiable import PassingRectifiers

        with torch.enable_grad(), PassingRectifiers() if through else contextlib.nullcontext():
            rows = self.unit(self.levels.prepared(pictures))
        return rows.mean(1) if self.by == "mean" else rows[:, centre(self.layer)]

    def whole(self, pictures: np.ndarray) -> np.ndarray:
        """Return the responses (n,) float64 to pictures (n, height, width, 3) uint8, as for stimuli."""
        import torch

        with torch.inference_mode():
            rows = self.unit(self.levels.prepared(torch.from_numpy(pictures).float().movedim(-1, 1) / 255))
            best = rows.mean(1) if self.by == "mean" else rows.amax(1)
        found: np.ndarray = best.double().cpu().numpy()
        return found
