"""What does a generator draw between two latent points, and what from random ones?"""

from __future__ import annotations

import numpy as np
import xarray as xr

from dashboard import networks
from dashboard.analyses.latents import as_bytes
from dashboard.errors import ComputeError, InputError
from dashboard.methods import paths
from dashboard.networks import Network
from dashboard.progress import report
from dashboard.specs import WalkSpec

MOST_STEPS, MOST_SAMPLES = 25, 200


def why_not(network: Network) -> str:
    """Say in a sentence why a network makes no pictures from numbers; ``""`` when it does."""
    if network.input_kind == "vector" and len(network.input_shape) == 1:
        return ""
    return f"{network.title} is no generator: it does not make pictures from latent numbers."


def walk(spec: WalkSpec) -> xr.Dataset:
    """Return pictures along the great circle between two latent points, and a sheet of random ones.

    The latent numbers of a seed are the first vector of ``latents?seed=SEED``; samples take the seeds from 0.

    Returns
    -------
    xarray.Dataset
        ``picture`` (step, y, x, channel) and ``sample`` (seed, y, x, channel) uint8; ``share`` (step,), how
        far along the walk; ``change`` (step,), root mean square change of pixels from the step before (NaN
        for the first); ``length`` (step,), the norm of the latent numbers.

    Raises
    ------
    InputError
        When the network is no generator, or a setting does not fit.
    """
    if not 2 <= spec.steps <= MOST_STEPS or not 1 <= spec.samples <= MOST_SAMPLES:
        message = f"steps must be 2 to {MOST_STEPS} and samples 1 to {MOST_SAMPLES}."
        raise InputError(message)
    if min(spec.first, spec.last) < 0:
        message = "A seed must be 0 or more."
        raise InputError(message)
    report(0.0, f"Opening {networks.shown_name(spec.network)}")
    network = networks.load(spec.network)
    refusal = why_not(network)
    if refusal:
        raise InputError(refusal, "Choose a generator, such as bundled:objects_gan.")
    size = int(network.input_shape[0])
    shares = np.linspace(0, 1, spec.steps)
    between = paths.great_circle(latent(spec.first, size), latent(spec.last, size), shares)
    seeds = np.arange(spec.samples)
    points = np.concatenate([between, np.stack([latent(int(seed), size) for seed in seeds])])
    drawn = _drawn(network, points)
    steps = drawn[: spec.steps].astype(np.float64)
    change = np.sqrt(((steps[1:] - steps[:-1]) ** 2).mean(axis=(1, 2, 3)))
    dims = ("y", "x", "channel")
    return xr.Dataset(
        {
            "picture": (("step", *dims), as_bytes(drawn[: spec.steps])),
            "sample": (("seed", *dims), as_bytes(drawn[spec.steps :])),
            "share": ("step", shares),
            "change": ("step", np.concatenate([[np.nan], change])),
            "length": ("step", np.linalg.norm(between, axis=1)),
        },
        coords={"step": np.arange(1, spec.steps + 1), "seed": seeds},
        attrs={
            "title": f"Pictures of {network.title}",
            "network": spec.network,
            "network_title": network.title,
            "first": spec.first,
            "last": spec.last,
            "device": networks.device().type,
            "simulated": "no",
        },
    )


def latent(seed: int, size: int) -> np.ndarray:
    """Return the latent numbers (size,) of a seed, as the stimuli ``latents`` draw them."""
    drawn = np.random.Generator(np.random.Philox(key=seed)).standard_normal(size)
    return drawn.astype(np.float32).astype(np.float64)


def _drawn(network: Network, points: np.ndarray) -> np.ndarray:
    """Return pictures (n, height, width, channels) with values 0 to 1."""
    import torch

    from dashboard.networks import capture
    from dashboard.networks.layers import first_tensor

    where = networks.device()
    module = capture.private(network.module, where)
    found = []
    for start in range(0, len(points), 64):
        batch = network.prepare([p.astype(np.float32) for p in points[start : start + 64]]).to(where)
        with torch.inference_mode():
            made = first_tensor(module(batch))
        if made is None or made.dim() != 4 or made.shape[1] not in (1, 3):
            message = f"{network.title} does not make grey or colour pictures."
            raise ComputeError(message, "Choose another network.")
        found.append(made.permute(0, 2, 3, 1).float().cpu().numpy())
        report((start + 64) / len(points), "Pictures from latent numbers")
    return np.concatenate(found)
