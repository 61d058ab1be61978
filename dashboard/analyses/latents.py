"""How well does an autoencoder draw the stimuli again, and what do its latent numbers carry?"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from dashboard import networks, stimuli
from dashboard.errors import ComputeError, InputError, caution, unknown
from dashboard.methods import factors, recurrent
from dashboard.networks import Network
from dashboard.progress import report
from dashboard.specs import LatentsSpec, TraversalSpec
from dashboard.stimuli import Stimuli

if TYPE_CHECKING:
    import torch

MOST_STIMULI = 2000
MOST_PICTURES = 240
"""Pictures that are kept with their reconstructions; latent numbers are kept of all."""

MOST_STEPS, MOST_LATENTS, WIDEST = 21, 64, 10.0
BATCH = 64


def why_not(network: Network) -> str:
    """Say in a sentence why a network has no latent numbers to turn; ``""`` when it has."""
    module = network.module
    if callable(getattr(module, "encode", None)) and callable(getattr(module, "decode", None)):
        return ""
    return f"{network.title} is no autoencoder of pictures: it does not both encode and decode."


def latents(spec: LatentsSpec) -> xr.Dataset:
    """Return latent numbers and reconstructions of the stimuli.

    Returns
    -------
    xarray.Dataset
        ``mean`` and ``sd`` (stimulus, latent) of the latent numbers; ``divergence`` (latent,) in nats, what a
        number tells of the stimulus beyond the prior (0: nothing; NaN without a variance); ``error``
        (stimulus,), mean squared error over pixels and channels; ``picture`` and ``reconstruction`` (shown,
        y, x, channel) uint8; ``position`` (stimulus, axis) in the principal plane of the means, with
        ``explained`` (axis,); ``carried`` (latent, factor), the adjusted share of variance of a latent number
        that a factor of the stimuli explains; ``known`` (factor, stimulus), the factors as text.

    Raises
    ------
    InputError
        When the network is no autoencoder of pictures.
    """
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network, given = _opened(spec.network), stimuli.load(spec.stimuli)
    rows = _spread(len(given), MOST_STIMULI)
    if len(rows) < len(given):
        caution("few-of-many", f"{len(rows)} of the {len(given)} stimuli are used, spread evenly.")
    names = [given.names[i] for i in rows]
    kept = _spread(len(rows), MOST_PICTURES)
    found = _reconstructed(network, given, rows, kept)
    mean = found["mean"]
    position, share = recurrent.principal_plane(mean[:, None, :])
    names_of_factors, carried, known = _carried(given, rows, mean)
    return xr.Dataset(
        {
            "mean": (("stimulus", "latent"), mean),
            "sd": (("stimulus", "latent"), np.exp(found["log_variance"] / 2)),
            "divergence": ("latent", _divergence(mean, found["log_variance"])),
            "error": ("stimulus", found["error"]),
            "picture": (("shown", "y", "x", "channel"), found["picture"]),
            "reconstruction": (("shown", "y", "x", "channel"), found["reconstruction"]),
            "position": (("stimulus", "axis"), position[:, 0]),
            "explained": ("axis", share),
            "carried": (("latent", "factor"), carried),
            "known": (("factor", "stimulus"), known),
        },
        coords={
            "stimulus": names,
            "category": ("stimulus", [given.categories[i] for i in rows]),
            "shown": [names[k] for k in kept],
            "latent": np.arange(1, mean.shape[1] + 1),
            "factor": names_of_factors,
        },
        attrs={
            "title": f"Latent numbers of {network.title} for {given.title}",
            "network": spec.network,
            "network_title": network.title,
            "stimuli": spec.stimuli,
            "variance_explained": found["variance_explained"],
            "numeric": json.dumps(_numeric(given)),
            "device": networks.device().type,
            "simulated": "no",
        },
    )


def _opened(reference: str) -> Network:
    network = networks.load(reference)
    refusal = why_not(network)
    if refusal:
        raise InputError(refusal, "Choose an autoencoder, such as bundled:objects_vae.")
    return network


def _spread(n: int, most: int) -> list[int]:
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int)).tolist()


# --- encoding and decoding --------------------------------------------------------------------------


class _Autoencoder:
    """The encoder and the decoder of a network on its device, in plain arrays."""

    def __init__(self, network: Network) -> None:
        from dashboard.networks import capture

        self.network, self.where = network, networks.device()
        self.module: Any = capture.private(network.module, self.where)

    def encode(self, batch: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return means and log variances (n, n_latents); NaN variances where the encoder gives none."""
        import torch

        with torch.inference_mode():
            found = self.module.encode(batch.to(self.where))
        mean, log_variance = found if isinstance(found, tuple | list) and len(found) == 2 else (found, None)
        if not isinstance(mean, torch.Tensor) or mean.dim() != 2:
            message = f"{self.network.title} does not encode a picture as one row of numbers."
            raise InputError(message, "Its latent numbers cannot be turned one by one.")
        means = mean.double().cpu().numpy()
        if log_variance is None:
            return means, np.full_like(means, np.nan)
        return means, log_variance.double().cpu().numpy()

    def decode(self, latent: np.ndarray) -> np.ndarray:
        """Return pictures (n, height, width, channels) float32 of latent numbers (n, n_latents)."""
        import torch

        parts = []
        for start in range(0, len(latent), BATCH):
            rows = torch.from_numpy(latent[start : start + BATCH]).float().to(self.where)
            with torch.inference_mode():
                parts.append(self.module.decode(rows).permute(0, 2, 3, 1).float().cpu().numpy())
        drawn = np.concatenate(parts)
        if drawn.shape[-1] not in (1, 3) or not np.isfinite(drawn).all():
            message = f"{self.network.title} does not decode to grey or colour pictures."
            raise ComputeError(message, "Check its weights.")
        return drawn


def as_bytes(pictures: np.ndarray) -> np.ndarray:
    """Return pictures (…, channels) with values 0 to 1 as (…, 3) uint8."""
    whole = np.clip(np.rint(pictures * 255), 0, 255).astype(np.uint8)
    return whole if whole.shape[-1] == 3 else np.repeat(whole, 3, axis=-1)


def _reconstructed(network: Network, given: Stimuli, rows: list[int], kept: list[int]) -> dict[str, Any]:
    coder = _Autoencoder(network)
    found: dict[str, list[np.ndarray]] = {
        name: [] for name in ("mean", "log_variance", "error", "picture", "reconstruction")
    }
    sums, squares, count, rest = 0.0, 0.0, 0, 0.0
    wanted = set(kept)
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        batch = network.prepare([given.picture(i) for i in part])
        mean, log_variance = coder.encode(batch)
        before = batch.permute(0, 2, 3, 1).double().numpy()
        after = coder.decode(mean).astype(np.float64)
        if before.shape != after.shape:
            message = f"{network.title} draws pictures of another size than it is given."
            raise InputError(message, "They cannot be compared pixel by pixel.")
        difference = ((before - after) ** 2).reshape(len(part), -1)
        chosen = [k - start for k in range(start, start + len(part)) if k in wanted]
        for name, values in (
            ("mean", mean),
            ("log_variance", log_variance),
            ("error", difference.mean(axis=1)),
            ("picture", as_bytes(before[chosen])),
            ("reconstruction", as_bytes(after[chosen])),
        ):
            found[name].append(values)
        sums, squares = sums + before.sum(axis=(0, 1, 2)), squares + (before**2).sum()
        count, rest = count + before[..., 0].size, rest + float(difference.sum())
        report(min(1.0, (start + BATCH) / len(rows)), f"Reconstructions: {start + len(part)} of {len(rows)}")
    around = float(squares - (np.asarray(sums) ** 2 / count).sum())
    joined: dict[str, Any] = {name: np.concatenate(parts) for name, parts in found.items()}
    return joined | {"variance_explained": 1 - rest / around if around > 0 else math.nan}


def _divergence(mean: np.ndarray, log_variance: np.ndarray) -> np.ndarray:
    """Mean Kullback-Leibler divergence from the standard normal (Kingma & Welling 2014, appendix B)."""
    return np.asarray(0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).mean(axis=0))


# --- what is known of the stimuli -------------------------------------------------------------------


def _columns(given: Stimuli) -> dict[str, np.ndarray]:
    return {"category": np.array(given.categories), **given.columns}


def _numeric(given: Stimuli) -> list[str]:
    return [name for name, values in _columns(given).items() if values.dtype.kind in "fiu"]


def _period(given: Stimuli, name: str) -> float:
    """Return the period of a factor in degrees: an orientation comes back to itself after half a turn."""
    if given.units.get(name) != "deg":
        return 0.0
    return 180.0 if name.startswith("orientation") else 360.0


def _carried(given: Stimuli, rows: list[int], mean: np.ndarray) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the factors that vary, the share of each latent that each carries, and their values as text."""
    names, shares, known = [], [], []
    for name, values in _columns(given).items():
        taken = np.asarray(values)[rows]
        predictors = factors.design(taken, _period(given, name))
        if predictors is None or len(rows) < predictors.shape[1] + 3:
            continue
        names.append(name)
        shares.append(factors.explained(mean, predictors))
        known.append([f"{v:.6g}" if taken.dtype.kind == "f" else str(v) for v in taken])
    n = mean.shape[1]
    table = np.stack(shares, axis=1) if shares else np.zeros((n, 0))
    return names, table, np.array(known, dtype=str).reshape(len(names), len(rows))


# --- traversal --------------------------------------------------------------------------------------


def traversal(spec: TraversalSpec) -> xr.Dataset:
    """Return what the decoder draws when one latent number after the other is turned from a base point.

    Returns
    -------
    xarray.Dataset
        ``picture`` (latent, step, y, x, channel) uint8; ``value`` (step,), what the latent number is set to;
        ``base`` (latent,); ``base_picture`` and ``original`` (y, x, channel) uint8; ``change`` (latent,), the
        root mean square change of pixels over the steps.

    Raises
    ------
    InputError
        When the network is no autoencoder, or stimulus, base or steps do not fit.
    """
    if not 2 <= spec.steps <= MOST_STEPS or not 0 < spec.span <= WIDEST:
        message = f"steps must be 2 to {MOST_STEPS} and span above 0, at most {WIDEST:g}."
        raise InputError(message)
    network, given = _opened(spec.network), stimuli.load(spec.stimuli)
    name = spec.stimulus or given.names[0]
    if name not in given.names:
        raise unknown("stimulus", name, given.names)
    coder = _Autoencoder(network)
    batch = network.prepare([given.picture(given.names.index(name))])
    start = coder.encode(batch)[0][0]
    base = moved(start, spec.base)
    n = min(len(base), MOST_LATENTS)
    values = np.linspace(-spec.span, spec.span, spec.steps)
    points = np.repeat(base[None], n * spec.steps, axis=0).reshape(n, spec.steps, -1)
    points[np.arange(n), :, np.arange(n)] = values
    drawn = coder.decode(np.concatenate([base[None], points.reshape(n * spec.steps, -1)]))
    grid = drawn[1:].reshape(n, spec.steps, *drawn.shape[1:])
    spread = grid.astype(np.float64).var(axis=1).mean(axis=(1, 2, 3))
    dims = ("y", "x", "channel")
    return xr.Dataset(
        {
            "picture": (("latent", "step", *dims), as_bytes(grid)),
            "base": ("latent", base[:n]),
            "start": ("latent", start[:n]),
            "base_picture": (dims, as_bytes(drawn[0])),
            "original": (dims, as_bytes(batch[0].permute(1, 2, 0).numpy())),
            "change": ("latent", np.sqrt(spread)),
        },
        coords={"latent": np.arange(1, n + 1), "value": ("step", values)},
        attrs={
            "title": f"Latent traversal of {network.title} from {name}",
            "network": spec.network,
            "network_title": network.title,
            "stimuli": spec.stimuli,
            "stimulus": name,
            "device": networks.device().type,
            "simulated": "no",
        },
    )


def moved(start: np.ndarray, base: tuple[str, ...]) -> np.ndarray:
    """Return the base point: latent numbers of the stimulus, some set anew, such as ``"3=1.5"``.

    Raises
    ------
    InputError
        When a part is not a latent, counted from 1, an equals sign and a number.
    """
    point = start.copy()
    for text in base:
        number, _, amount = text.partition("=")
        try:
            k, value = int(number), float(amount)
        except ValueError:
            k, value = 0, math.nan
        if not 1 <= k <= len(point) or not abs(value) <= WIDEST:
            message = f'base cannot be "{text}".'
            raise InputError(message, f"Write a latent from 1 to {len(point)} and a value, such as 3=1.5.")
        point[k - 1] = value
    return point
